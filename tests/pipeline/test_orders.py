"""What a run is asked for: how long a cell may take, how many may fail, what is tried again, and who simulates."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace

import pytest
from tiny_study import TINY_CELLS
from traces import DEEP

from pipeline import cli, crew, store
from pipeline.crew import Crew, Nobody
from pipeline.errors import ClusterError, NondeterminismError
from pipeline.fanout import run_jobs
from pipeline.fleet import EQUAL, LEAST_MEMORY, Fleet, facts, mismatches
from pipeline.progress import Teller
from pipeline.study import load_study
from pipeline.sweep import Orders, run_study
from simcore.workloads import WORKLOADS

FAILING = {
    "workload": "tree",
    "sweep": {"tree": [{"depth": 1, "fan_out": 2}], "file_pages": [20, 1_000_000]},
}


@pytest.fixture
def failing(write_study, monkeypatch):
    """Return a study of 16 cells of which 8 fail, for they do not fit and nobody checks."""
    monkeypatch.setitem(WORKLOADS, "tree", replace(WORKLOADS["tree"], fits=None))
    return load_study(write_study(**FAILING))


@pytest.fixture
def tiny_here(write_study, monkeypatch):
    """Return the path of the tiny study, in the working directory."""
    path = write_study()
    monkeypatch.chdir(path.parent)
    return path


def counts(outcome):
    """Return what a run did, in numbers."""
    return (
        outcome.simulated,
        outcome.resumed,
        outcome.skipped,
        len(outcome.failures),
        outcome.left,
    )


def test_failed_cells__are_tried_again_only_if_that_is_asked_for(failing, tmp_path):
    """What failed stays failed, with its cause, until --retry-failed or --force."""
    folder = tmp_path / "out"
    assert counts(run_study(failing, folder, 0, quiet=True)) == (8, 0, 0, 8, 0)
    before = store.failures(folder)
    assert counts(run_study(failing, folder, 0, quiet=True)) == (0, 8, 8, 8, 0)
    assert store.failures(folder) == before
    assert counts(run_study(failing, folder, 0, Orders(retry_failed=True), quiet=True)) == (0, 8, 0, 8, 0)
    assert counts(run_study(failing, folder, 0, Orders(force=True), quiet=True)) == (8, 0, 0, 8, 0)


def test_maxfail__stops_and_keeps_what_is_known(failing, tmp_path, capsys):
    """After so many failures nothing more is begun; the failures and rows are kept, the rest is left."""
    folder = tmp_path / "out"
    outcome = run_study(failing, folder, 0, Orders(maxfail=1))
    assert "stopping after 4 failures (--maxfail)" in capsys.readouterr().err  # the designs of one trace
    assert len(outcome.failures) == len(store.failures(folder)) == 4
    assert outcome.simulated + outcome.left == 12
    assert counts(run_study(failing, folder, 0, quiet=True))[3:] == (8, 0)


def test_force__compares_with_the_rows_that_are_there(write_study, tmp_path, monkeypatch):
    """All cells are simulated again, no row is stored twice, and one that comes out otherwise is our fault."""
    study, folder = load_study(write_study()), tmp_path / "out"
    first = run_study(study, folder, 0, quiet=True)
    parts = sorted(folder.glob("part-*"))
    again = run_study(study, folder, 0, Orders(force=True), quiet=True)
    assert counts(again) == (TINY_CELLS, 0, 0, 0, 0)
    assert (again.checksum, sorted(folder.glob("part-*"))) == (first.checksum, parts)

    def otherwise(jobs, fleet, deliver, stopped, watcher):
        def wrong(reply):
            deliver(reply._replace(rows=[row._replace(events=row.events + 1) for row in reply.rows]))

        run_jobs(jobs, fleet, wrong, stopped, watcher)

    monkeypatch.setattr("pipeline.fanout.run_jobs", otherwise)
    with pytest.raises(NondeterminismError, match="differ in events"):
        run_study(study, folder, 0, Orders(force=True), quiet=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scheduler", "tcp://a:1", "--workers", "2"], "--workers starts workers here, --scheduler uses a cluster's"),
        (["--scheduler", "tcp://a:1", "--scheduler-file", "b"], "name several clusters; one runs a sweep"),
        (["--scheduler", "nowhere"], "--scheduler nowhere: no address of a scheduler; write its host and port"),
        (["--scheduler", "http://host:80"], "--scheduler http://host:80: no address of a scheduler"),
        (["--scheduler-file", "nowhere.json"], "--scheduler-file nowhere.json: no such file or directory; name"),
        (["--scheduler-file", "study.yaml"], "--scheduler-file study.yaml: holds no address of a scheduler"),
        (["--timeout", "5", "--workers", "0"], "--timeout ends a worker; --workers 0 has none"),
        (["--timeout", "0"], "0.0 is not in the range x>=0.1"),
        (["--maxfail", "0"], "0 is not in the range x>=1"),
    ],
)  # fmt: skip
def test_orders_that_cannot_be_followed__are_refused(tiny_here, capsys, arguments, message):
    """Exit code 2, one message."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", tiny_here.name, "--quiet", *arguments])
    told = capsys.readouterr().err
    assert ended.value.code == cli.REFUSED, told
    assert message in told
    assert "Traceback" not in told


def test_workers__are_refused_with_a_table_of_what_differs():
    """Another simulator, another version, too little memory, no forkbench at all: each in a row of its own."""
    own = facts()
    assert set(EQUAL) < set(own)
    assert mismatches(own, {"tcp://a:1": own}) == []
    theirs = {
        "tcp://a:1": own | {"simulator": "0123"},
        "tcp://b:22": own | {"numpy": "1.0", "memory": str(LEAST_MEMORY // 2)},
        "tcp://c:3": ModuleNotFoundError("No module named 'pipeline'"),
    }
    lines = [re.split(r"  +", line) for line in mismatches(own, theirs)]
    assert lines == [
        ["worker", "what", "wanted", "found"],
        ["tcp://a:1", "simulator", own["simulator"], "0123"],
        ["tcp://b:22", "numpy", own["numpy"], "1.0"],
        ["tcp://b:22", "memory", "at least 1024 MiB", "512 MiB"],
        ["tcp://c:3", "forkbench", own["forkbench"], "ModuleNotFoundError: No module named 'pipeline'"],
    ]


class Cluster:
    """A client whose workers answer as the test says."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def nthreads(self):
        return dict.fromkeys(self.answers, 2)

    def run(self, _function, *, workers, on_error):
        assert on_error == "return"
        self.asked.append(workers)
        return {address: self.answers[address] for address in workers}


def test_crew__checks_each_worker_once_and_those_that_come_later():
    """A worker that cannot answer because it has gone is asked again; one that is not fit ends the sweep."""
    own = facts()
    cluster = Cluster({"a": own, "b": OSError("gone")})
    crew = Crew(cluster, Nobody())
    assert (crew.look(always=True), crew.threads) == (2, 4)
    cluster.answers["b"] = own
    crew.look(always=True)
    crew.look(always=True)
    assert cluster.asked == [["a", "b"], ["b"]]
    cluster.answers["c"] = own | {"simulator": "0123"}
    with pytest.raises(ClusterError, match=r"not fit for this sweep:\n.*\n +c +simulator"):
        crew.look(always=True)


def test_crew__does_not_wait_for_a_worker_that_does_not_answer(monkeypatch):
    """A worker that dies while it is asked may never answer; it is asked again at the next look."""
    own, silent = facts(), threading.Event()
    cluster = Cluster({"a": own})
    monkeypatch.setattr(crew, "_ANSWER_SECONDS", 0.05)
    answer = cluster.run
    cluster.run = lambda *_arguments, **_named: silent.wait(30) and {}
    watched = Crew(cluster, Nobody())
    assert watched.look(always=True) == 1
    silent.set()
    cluster.run = answer
    watched.look(always=True)
    assert cluster.asked == [["a"]]


def test_progress__tells_all_there_is(monkeypatch, capsys):
    """A plain line has cells, rate, workers, failed, retried, skipped and the time that is left."""
    now = 0.0
    monkeypatch.setattr("pipeline.progress.time.monotonic", lambda: now)
    with Teller(100, 7, quiet=False) as teller:
        teller.begin()
        teller.working(2)
        teller.retried(3)
        now = 10.0
        teller.count(38, 2)
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "40/100 cells, 4 cells/s, 2 workers, 2 failed, 3 retried, 7 skipped, about 15 s left"


class Slow(dict):
    """Parameters at which a trace takes for ever to be made."""

    def __getitem__(self, key):
        time.sleep(60)
        return super().__getitem__(key)


@pytest.mark.skipif(not DEEP, reason="ends workers and waits for others; run with HYPOTHESIS_PROFILE=deep")
def test_timeout__fails_the_cell_alone(write_study):
    """The cell that takes too long is named, everything else of its batch gets its row."""
    from pipeline.plan import make_plan  # noqa: PLC0415
    from pipeline.sweep import jobs_of  # noqa: PLC0415

    jobs = jobs_of(make_plan(load_study(write_study()), "0" * 32), set())
    slow = jobs[3]._replace(params=Slow(jobs[3].params), cells=jobs[3].cells[:1])
    replies = []
    run_jobs([*jobs[:3], slow, *jobs[4:]], Fleet(2, timeout=3.0), replies.append, lambda: False)
    failures = [failure for reply in replies for failure in reply.failures]
    assert [(failure.cell_id, failure.cause) for failure in failures] == [(slow.cells[0][0], "Timeout")]
    assert sum(len(reply.rows) for reply in replies) == TINY_CELLS - 4
