"""Clusters that a run starts itself: what a file may say, what is made of it, and runs on two of them."""

from __future__ import annotations

import gc
import importlib.util
import os
import stat
import sys
from pathlib import Path
from types import ModuleType

import dask
import pytest
import yaml
from tiny_study import TINY_CELLS
from traces import DEEP

from pipeline import cli, cluster, crew
from pipeline.cluster_files import KINDS, load
from pipeline.crew import Crew, Nobody, patience_of
from pipeline.errors import ClusterError, RefusedError, StudyError
from pipeline.fleet import ClusterSpec, Fleet
from pipeline.study import load_study
from pipeline.sweep import run_study

SLURM = {
    "cluster": "slurm",
    "workers": 4,
    "parameters": {
        "queue": "night", "account": "kernel", "cores": 2, "processes": 2, "memory": "6GB", "walltime": "04:00:00",
        "job_extra_directives": ["--nice=100"], "job_script_prologue": ["module load python"],
        "log_directory": "logs",
    },
}  # fmt: skip
jobqueue = pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed, which the extra slurm has"
)  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the file of a cluster, and returns its path."""

    def write(data):
        path = tmp_path / "cluster.yaml"
        path.write_text(
            data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False), encoding="utf-8"
        )
        return path

    return write


def faults(path):
    """Return what is wrong with a file, each with line and column."""
    with pytest.raises(StudyError) as refused:
        load(path)
    return [line.strip().removeprefix(f"{path}:") for line in str(refused.value).splitlines()[1:]]


# What a file may say


def test_file__says_kind_workers_and_parameters(write):
    """What it does not say is the kind's own: jobs of a batch system may queue for an hour."""
    path = write(SLURM)
    found = load(path) if importlib.util.find_spec("dask_jobqueue") else None
    if found is not None:
        assert found == ClusterSpec(str(path), "slurm", 4, 3600.0, SLURM["parameters"])
    found = load(write({"cluster": "local", "workers": 2, "wait_seconds": 5}))
    assert (found.kind, found.workers, found.wait_seconds, found.parameters) == ("local", 2, 5.0, {})
    assert patience_of(Fleet(2, cluster=found)) == 5.0
    assert (Fleet(2, cluster=found).remote, Fleet(2, cluster=found._replace(kind="slurm")).remote) == (
        False,
        True,
    )


def test_file__all_faults_at_once(write):
    """Each with its line, what is allowed, and the nearest name."""
    path = write(
        "cluster: slurm\nworkers: 0\nwait_seconds: soon\nworker: 3\nparameters:\n"
        "  quue: night\n  cores: '2'\n  walltime: 14400\n  job_extra_directives: --nice\n  nanny: 1\n"
    )
    assert faults(path) == [
        "2:1: workers: 0 is out of range; whole numbers from 1 to 10000 worker processes are allowed",
        "3:1: wait_seconds: 'soon' is not a finite number; numbers from 1 to 604800 seconds are allowed",
        "4:1: worker: unknown key; did you mean 'workers'?",
        "6:3: parameters.quue: unknown key; did you mean 'queue'?",
        "7:3: parameters.cores: '2' is text; write a whole number",
        "8:3: parameters.walltime: 14400 is a number; write text; put times and numbers that are text in quotes",
        "9:3: parameters.job_extra_directives: '--nice' is text; write a list of texts",
        "10:3: parameters.nanny: 1 is a number; write true or false",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "1:1: the key 'cluster' is missing; add it"),
        ("[1]", "[1] is a list; a mapping is needed here, with cluster, workers, wait_seconds, parameters"),
        (
            "cluster: slrum\nworkers: 1",
            "1:1: cluster: unknown kind of cluster 'slrum'; did you mean 'slurm'?",
        ),
        ("cluster: [", "1:"),
    ],
)
def test_file__that_is_no_cluster_is_refused(write, content, message):
    """With its place."""
    assert any(message in fault for fault in faults(write(content)))


def test_file__that_cannot_be_read_is_refused(tmp_path, monkeypatch, write_study, capsys):
    """Also by the command, before anything is planned; and --cluster goes with no other cluster."""
    with pytest.raises(
        RefusedError, match=r"nowhere\.yaml: cannot be read \(no such file or directory\); name the YAML"
    ):
        load(tmp_path / "nowhere.yaml")
    monkeypatch.chdir(tmp_path)
    for options, message in (
        (["--cluster", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--cluster", "a", "--scheduler", "b:1"], "--scheduler and --cluster name several clusters"),
        (["--cluster", "a", "--workers", "2"], "--workers starts workers here, --cluster uses a cluster's"),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(["run", write_study().name, *options])
        assert ended.value.code == cli.REFUSED
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "package"), [("slurm", "dask-jobqueue"), ("kubernetes", "dask-kubernetes")])
def test_kind__whose_package_is_missing_is_refused(write, monkeypatch, kind, package):
    """With the extra that has it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RefusedError) as refused:
        load(write({"cluster": kind, "workers": 1}))
    assert f"a cluster of kind '{kind}' needs {package}, which is not installed" in str(refused.value)
    assert str(refused.value).endswith(f"pip install 'forkbench[{kind}]'")


# What is made of it


def spec(kind, workers=2, **parameters):
    """Return a cluster as its file would say it."""
    return ClusterSpec("cluster.yaml", kind, workers, 30.0, parameters)


class Kept:
    """A cluster that keeps what it was made with."""

    def __init__(self, **parameters):
        self.made = parameters
        self.asked = []

    def adapt(self, **wanted):
        self.asked.append(wanted)


@pytest.mark.parametrize(
    ("kind", "name", "made", "asked"),
    [
        ("slurm", "dask_jobqueue.slurm.SLURMCluster", {"queue": "night"}, [{"minimum": 3, "maximum": 3}]),
        (
            "kubernetes",
            "dask_kubernetes.operator.KubeCluster",
            {"n_workers": 3, "quiet": True, "queue": "night"},
            [],
        ),
    ],
)
def test_kind__is_asked_for_its_workers(monkeypatch, kind, name, made, asked):
    """The constructor has the parameters as they stand in the file; jobs that come to their end are asked for again."""
    module, _, constructor = name.rpartition(".")
    fake = ModuleType(module)
    setattr(fake, constructor, Kept)
    for parent in (module.partition(".")[0], module):
        monkeypatch.setitem(sys.modules, parent, fake if parent == module else ModuleType(parent))
    found = cluster._BEGIN[kind](spec(kind, 3, queue="night"))
    assert (found.made, found.asked) == (made, asked)


@pytest.mark.skipif(
    importlib.util.find_spec("dask_kubernetes") is None, reason="dask-kubernetes is not installed"
)
def test_kubernetes__takes_the_parameters_that_a_file_may_give():
    """Each is one of its constructor's."""
    import inspect  # noqa: PLC0415

    from dask_kubernetes.operator import KubeCluster  # noqa: PLC0415

    assert {*KINDS["kubernetes"].parameters} <= {*inspect.signature(KubeCluster.__init__).parameters}


@jobqueue
def test_slurm__writes_the_job_that_the_file_asks_for(monkeypatch, tmp_path):
    """Every parameter is taken, and arrives in the job's script."""
    from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SLURMCluster, "adapt", lambda *_, **__: None)  # there is no SLURM to ask
    parameters = SLURM["parameters"] | {
        "job_cpu": 3, "job_mem": "7GB", "job_name": "sweep", "job_directives_skip": ["-A kernel"],
        "local_directory": "here",
        "python": "/opt/python", "shebang": "#!/bin/sh", "nanny": False, "death_timeout": 30,
        "worker_extra_args": ["--lifetime", "3h"], "protocol": "tcp://",
        "scheduler_options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}, "shared_temp_directory": "shared",
    }  # fmt: skip
    assert {*KINDS["slurm"].parameters} - {*parameters} == {"interface"}  # which is another machine's
    with cluster._begin_slurm(spec("slurm", **parameters)) as found:
        script = found.job_script()
    lines = script.splitlines()
    assert lines[0] == "#!/bin/sh"
    for line in ("#SBATCH -p night", "#SBATCH -t 04:00:00", "#SBATCH --nice=100", "#SBATCH --mem=7GB", "#SBATCH -J sweep",
                 "#SBATCH --cpus-per-task=3", "module load python"):  # fmt: skip
        assert line in lines, script
    assert "kernel" not in script
    assert "/opt/python -m distributed.cli.dask_worker tcp://" in lines[-1]
    for words in ("--nworkers 2", "--nthreads 1", "--no-nanny", "--lifetime 3h", "--death-timeout 30"):
        assert words in lines[-1], script


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"queue": "night"},
            "does not start (You must specify how much cores and memory per job you want",
        ),
        (
            {"cores": 1, "memory": "2GB", "interface": "nowhere0"},
            "'nowhere0' is not a valid network interface",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*unclosed cluster", "ignore::pytest.PytestUnraisableExceptionWarning")
@jobqueue
def test_cluster__that_does_not_start_is_told(parameters, message):
    """What its package says, in our words; no traceback."""
    with (
        pytest.raises(ClusterError) as refused,
        cluster.connected(Fleet(1, cluster=spec("slurm", **parameters))),
    ):
        pass
    assert str(refused.value).startswith("cluster.yaml: the cluster of kind 'slurm' does not start (")
    assert message in str(refused.value)
    assert str(refused.value).endswith("which Dask's configuration may complete; correct them")
    del refused
    gc.collect()  # the half-made cluster, which its package does not close


def test_workers_that_queue__are_waited_for_aloud(monkeypatch):
    """A line now and then; given up when the time is over that the file names."""
    now, told = 0.0, []

    class Watching(Nobody):
        def say(self, line):
            told.append(line)

    class Empty:
        def nthreads(self):
            return {}

    def wait(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr(crew.time, "monotonic", lambda: now)
    monkeypatch.setattr(crew.time, "sleep", wait)
    with pytest.raises(ClusterError, match="the cluster has had no worker for 40 s"):
        Crew(Empty(), Watching(), 40.0).muster()
    assert [line.partition(" s;")[0] for line in told] == ["no worker yet after 16", "no worker yet after 31"]


def test_users_settings__go_before_ours(monkeypatch):
    """A DASK_ variable is not overruled; the rest is as a sweep wants it."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "7")
    found = cluster.settings(cluster.CONFIG)
    assert {*cluster.CONFIG} - {*found} == {"distributed.scheduler.allowed-failures"}
    assert found == {name: value for name, value in cluster.CONFIG.items() if name in found}


# Runs


@pytest.mark.skipif(not DEEP, reason="starts a cluster; run with HYPOTHESIS_PROFILE=deep")
def test_local_kind__runs_a_study(write, write_study, tmp_path):
    """The rows are those of a run without Dask."""
    path = write({"cluster": "local", "workers": 1, "parameters": {"memory_limit": 0, "host": "127.0.0.1"}})
    study = load_study(write_study())
    outcome = run_study(study, tmp_path / "there", Fleet(1, cluster=load(path)), quiet=True)
    assert outcome.simulated == TINY_CELLS
    assert outcome.checksum == run_study(study, tmp_path / "here", 0, quiet=True).checksum


SBATCH = """#!{python}
import subprocess, sys
log = open("{folder}/jobs.log", "ab")
job = subprocess.Popen(["sh", sys.argv[-1]], start_new_session=True, stdout=log, stderr=log)
print("Submitted batch job", job.pid)
"""
SCANCEL = """#!{python}
import os, signal, sys
os.killpg(int(sys.argv[-1]), signal.SIGTERM)
"""


@pytest.mark.skipif(
    not DEEP, reason="starts workers as a batch system would; run with HYPOTHESIS_PROFILE=deep"
)
@jobqueue
def test_slurm_kind__runs_a_study_on_jobs(write, write_study, tmp_path, monkeypatch):
    """With commands that do as sbatch and scancel do: workers are jobs, rows the same, and no job is left behind."""
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        program = tmp_path / name
        program.write_text(script.format(python=sys.executable, folder=tmp_path), encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    parameters = {"cores": 1, "memory": "2GB", "scheduler_options": options}
    path = write({"cluster": "slurm", "workers": 2, "wait_seconds": 120, "parameters": parameters})
    study = load_study(write_study())
    outcome = run_study(study, tmp_path / "there", Fleet(2, cluster=load(path)), quiet=True)
    assert outcome.simulated == TINY_CELLS
    assert outcome.checksum == run_study(study, tmp_path / "here", 0, quiet=True).checksum
    assert "Start worker at" in Path(tmp_path / "jobs.log").read_text(encoding="utf-8")


@pytest.mark.skipif(not DEEP, reason="kills workers; run with HYPOTHESIS_PROFILE=deep")
def test_dask_variable__decides_how_often_workers_may_die(write_study, monkeypatch):
    """Three by default; with the user's setting of none, one is enough for a cell to have failed."""
    import fault_kinds  # noqa: PLC0415

    from pipeline.fanout import run_jobs  # noqa: PLC0415
    from pipeline.plan import make_plan  # noqa: PLC0415
    from pipeline.sweep import jobs_of  # noqa: PLC0415

    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    dask.config.refresh()
    try:
        job = jobs_of(make_plan(load_study(write_study()), "0" * 32), set())[0]
        job = job._replace(params=fault_kinds.Poison(job.params, "kill"), cells=job.cells[:1])
        replies = []
        run_jobs([job], Fleet(1), replies.append, lambda: False)
    finally:
        monkeypatch.undo()
        dask.config.refresh()
    [failure] = [failure for reply in replies for failure in reply.failures]
    assert failure.message.startswith("1 workers died over this cell alone")
