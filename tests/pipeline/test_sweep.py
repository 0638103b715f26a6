"""Whatever happens to a run, its dataset ends with the same rows: none lost, none twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from tiny_study import TINY_CELLS

from pipeline import cli, rows, store
from pipeline.cluster import WORKER_DEATHS
from pipeline.errors import InterruptedRunError
from pipeline.fanout import run_jobs
from pipeline.fleet import Fleet
from pipeline.parts import part_files
from pipeline.plan import make_plan
from pipeline.provenance import model_version
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.work import CellFailure
from simcore.workloads import WORKLOADS

# Long enough to be killed in the middle, on any machine: the first rows are stored at once.
LONG = {
    "replicates": 4,
    "designs": ["linux24", "phillips", "phillips_mark", "linus_rmap", "vfork"],
    "sweep": {
        "tree": ["phillips-2002", {"depth": 7, "fan_out": 2}, {"depth": 4, "fan_out": 4}],
        "exec_ratio": [0.0, 0.25, 0.5, 0.75, 1.0],
    },
}


class Deadly(dict):
    """Parameters that kill the process which looks at them."""

    def __getitem__(self, key):
        os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(key)


@pytest.fixture
def undisturbed(write_study, tmp_path):
    """Return the rows of the tiny study, simulated in this process."""
    outcome = run_study(load_study(write_study()), tmp_path / "undisturbed", 0, quiet=True)
    assert (outcome.simulated, outcome.resumed, outcome.left, outcome.failures) == (TINY_CELLS, 0, 0, [])
    return store.read(tmp_path / "undisturbed")


def checksum_told(printed):
    """Return the checksum that a run printed."""
    return next(line.split()[1] for line in printed.splitlines() if line.startswith("checksum:"))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_rows__are_the_same_for_any_number_of_workers(write_study, forkbench, undisturbed, workers):
    """The same sorted rows, bit for bit, whoever simulated them."""
    done = forkbench("run", write_study(), "--workers", workers, "--results", "out")
    assert done.returncode == 0, done.stderr
    assert f"tiny: {TINY_CELLS} cells: {TINY_CELLS} simulated, 0 were done before, 0 failed" in done.stdout
    assert checksum_told(done.stdout) == rows.checksum(undisturbed)


def test_second_run__simulates_nothing_and_says_so(write_study, tmp_path, forkbench):
    """A complete dataset is left as it is, to the last byte."""
    study = write_study()
    run_study(load_study(study), tmp_path / "results" / "tiny", 0, quiet=True)
    before = {file.name: file.stat().st_mtime_ns for file in part_files(tmp_path / "results" / "tiny")}
    done = forkbench("run", study)
    assert done.returncode == 0
    assert f"tiny: 0 cells simulated: all {TINY_CELLS} were done before" in done.stdout
    assert {
        file.name: file.stat().st_mtime_ns for file in part_files(tmp_path / "results" / "tiny")
    } == before


def test_progress__is_plain_lines_in_a_pipe_and_nothing_when_quiet(write_study, forkbench):
    """Progress goes to standard error, without control characters where it is no terminal; --quiet has none."""
    study = write_study()
    assert (
        forkbench("run", study, "--workers", "0", "--results", "loud").stderr == "preparing the simulator\n"
    )
    assert forkbench("run", study, "--workers", "0", "--results", "quiet", "--quiet").stderr == ""


def started(study, folder, workers):
    """Start a run as a process group of its own, and return it once its first rows are stored."""
    command = [sys.executable, "-m", "pipeline.cli", "run", str(study), "--results", str(folder)]
    run = subprocess.Popen(
        [*command, "--workers", str(workers)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not part_files(folder):
        assert run.poll() is None, run.communicate()
        time.sleep(0.005)
    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_driver__resumes_to_the_same_rows(write_study, tmp_path, workers):
    """A driver killed half-way loses nothing that was stored; the next one runs only what is left."""
    path = write_study(**LONG)
    study = load_study(path)
    run = started(path, tmp_path / "killed", workers)
    run.kill()
    run.communicate()
    survived = store.status(tmp_path / "killed").done
    assert 0 < survived < study.cells
    resumed = run_study(study, tmp_path / "killed", 0, quiet=True)
    assert (resumed.resumed, resumed.simulated, resumed.left) == (survived, study.cells - survived, 0)
    whole = run_study(study, tmp_path / "whole", 0, quiet=True)
    assert store.read(tmp_path / "killed").equals(store.read(tmp_path / "whole"))
    assert resumed.checksum == whole.checksum
    assert (
        json.loads((tmp_path / "killed" / store.COMPLETE).read_text(encoding="utf-8"))["cells"] == study.cells
    )


def test_interrupt__stores_what_runs_and_says_how_much_is_left(write_study, tmp_path):
    """Ctrl-C reaches the workers too, yet what they run is finished and stored; exit code 1, no traceback."""
    path = write_study(**LONG)
    run = started(path, tmp_path / "stopped", 2)
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate()
    assert run.returncode == 1, err
    assert "stopping: what runs is finished and stored" in err
    assert "Traceback" not in err
    state = store.status(tmp_path / "stopped")
    assert f", 0 failed, {state.planned - state.done:,} left" in out
    assert "next:     run the same command again to go on" in out
    assert "forkbench report" not in out
    assert not (tmp_path / "stopped" / store.COMPLETE).exists()


def test_interrupt_twice__stops_at_once_and_keeps_what_is_stored(write_study, tmp_path, monkeypatch):
    """The second Ctrl-C does not wait; the rows that are there stay."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start us deaf to it
    study = load_study(write_study())
    simulated = []

    def impatient(jobs, _fleet, deliver, stopped, _watcher):
        run_jobs(jobs[:2], Fleet(0), deliver, stopped)
        simulated.extend(cell_id for job in jobs[:2] for cell_id, _ in job.cells)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("pipeline.fanout.run_jobs", impatient)
    with pytest.raises(InterruptedRunError, match="what was stored is safe"):
        run_study(study, tmp_path / "twice", 0, quiet=True)
    assert store.committed(tmp_path / "twice") == set(simulated)
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.fixture
def unchecked(monkeypatch):
    """Let studies through whose processes do not fit, so that cells fail; return a command that runs in here."""
    monkeypatch.setitem(WORKLOADS, "tree", replace(WORKLOADS["tree"], fits=None))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([*map(str, arguments)])
        return ended.value.code

    return run


def test_failing_cells__do_not_stop_the_others(write_study, tmp_path, unchecked, capsys):
    """Cells that cannot be simulated are named with the cause and recorded; the others have their rows; exit code 1."""
    study = write_study(
        sweep={"tree": [{"depth": 1, "fan_out": 2}], "file_pages": [20, 1_000_000]}, workload="tree"
    )
    folder = tmp_path / "out"
    assert unchecked("run", study, "--workers", "0", "--results", folder) == 1
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    assert "16 cells: 8 simulated, 0 were done before, 8 failed" in told.out
    failures = store.status(folder).failures
    assert len(failures) == 8
    first = f"{failures[0]['cell_id']} ({failures[0]['design']})"
    assert f"  8 cells failed alike, e.g. {first}: geometry 'i386': text" in told.out
    assert f"next:     forkbench report {folder}" in told.out
    assert not (folder / store.COMPLETE).exists()
    unchecked("show", failures[0]["cell_id"].upper(), "--results", folder)
    assert "state:     failed: geometry 'i386'" in capsys.readouterr().out
    arguments = ("--set", "sweep.file_pages=[20]", "--workers", "0", "--results", folder)
    assert unchecked("run", study, *arguments) == 0
    assert store.status(folder).failures == []


def test_only_failing_cells__no_estimate_and_no_report(write_study, tmp_path, unchecked, capsys):
    """Where every cell fails nothing is estimated from them, and no report is proposed."""
    study = write_study(workload={"tree": {"anon_pages": 4_000_000}}, sweep={})
    folder = tmp_path / "out"
    assert unchecked("plan", study, "--results", folder) == 0
    told = capsys.readouterr().out
    assert "8 cells: 2 traces under 4 designs" in told
    assert "about" not in told
    assert "4 cells tried just now failed" in told
    assert unchecked("plan", study, "--results", folder, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["core_seconds"], facts["core_seconds_from_cells"], facts["failed_cells"]) == (None, 0, 4)
    assert unchecked("run", study, "--workers", "0", "--results", folder) == 1
    told = capsys.readouterr().out
    assert "8 cells failed alike" in told
    assert "forkbench report" not in told


def test_deadly_cell__is_found_and_named(write_study):
    """Of a batch that keeps killing workers only the deadly cells fail; all others get their rows."""
    plan = make_plan(load_study(write_study(designs=["linux24", "vfork"])), model_version())
    jobs = jobs_of(plan, set())[:20]  # a batch that is split comes after the first ones, of a job each
    deadly = jobs[5]._replace(params=Deadly(jobs[5].params), cells=jobs[5].cells[:1])
    replies = []
    run_jobs([*jobs[:5], deadly, *jobs[6:]], Fleet(2), replies.append, lambda: False)
    failures = [failure for reply in replies for failure in reply.failures]
    message = f"{WORKER_DEATHS} workers died over this cell alone: killed, crashed or out of memory"
    assert failures == [CellFailure(deadly.cells[0][0], "WorkerDied", message, "")]
    found = [row.cell_id for reply in replies for row in reply.rows]
    assert sorted(found) == sorted(cell_id for job in [*jobs[:5], *jobs[6:]] for cell_id, _ in job.cells)
