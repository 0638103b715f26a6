"""Faults on purpose: drivers and workers that are killed, and what is left of a sweep. None is lost, none is twice."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny_study import TINY_CELLS
from traces import DEEP

from pipeline import fanout, store
from pipeline.fleet import Fleet
from pipeline.study import load_study
from pipeline.sweep import Orders, run_study
from pipeline.verify import verify

STRIDE = 1 if DEEP else 61  # of the crash points; odd, so that it meets those before a step and those behind


def test_driver_killed_at_each_step_on_the_disk__is_resumed_to_the_same_rows(write_study, tmp_path):
    """Wherever a driver is killed, the next one simulates only what was not committed, to the same checksum."""
    study, folder = write_study(), tmp_path / "crashed"
    folder.mkdir()
    script = Path(__file__).with_name("crash_points.py")
    done = subprocess.run(
        [sys.executable, script, study, folder, str(STRIDE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) * STRIDE > 150  # so many crash points there are
    whole = run_study(load_study(study), tmp_path / "whole", 0, quiet=True)
    for each in found:
        assert each["resumed"] == each["committed"]
        assert each["simulated"] == TINY_CELLS - each["committed"]
        assert (each["rows"], each["checksum"]) == (TINY_CELLS, whole.checksum)
        assert (each["complete"], each["left"]) == (True, [])
    assert len({each["committed"] for each in found}) > min(4, len(found) // 2)


class Killer(threading.Thread):
    """Kill a worker of this process's cluster now and then, once a dataset has its first rows."""

    def __init__(self, folder, wait, most):
        super().__init__(daemon=True)
        self._folder = folder
        self.killed, self._wait, self._most = 0, wait, most
        self._over = threading.Event()

    def run(self):
        while not [*self._folder.glob("part-*")] and not self._over.wait(0.05):
            pass
        while self.killed < self._most and not self._over.wait(self._wait):
            for worker in workers_of(os.getpid())[:1]:
                os.kill(worker, signal.SIGKILL)
                self.killed += 1

    def stop(self):
        self._over.set()
        self.join()


def children(process):
    """Return the processes that a process has started."""
    try:
        tasks = Path(f"/proc/{process}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def workers_of(driver):
    """Return the workers of a driver: Dask starts each by itself."""
    found = []
    for child in children(driver):
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in command:
            found.append(child)
    return found


@pytest.mark.skipif(not DEEP, reason="takes minutes; run with HYPOTHESIS_PROFILE=deep")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc")
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize(("batch_seconds", "wait"), [*itertools.product([0.05, 0.5, 2.0], [0.7, 2.0, 4.5])])
def test_workers_killed__rows_are_the_same(run_here, monkeypatch, workers, batch_seconds, wait):
    """Same rows, bit for bit, for any workers, batches and deaths; every cell accounted for; deaths did happen."""
    write_study, tmp_path = run_here
    monkeypatch.setattr(fanout, "BATCH_SECONDS", batch_seconds)
    large = {
        "tree": [{"depth": 7, "fan_out": 2}, {"depth": 4, "fan_out": 4}],
        "exec_ratio": [0.0, 0.25, 0.5, 1.0],
    }
    study = load_study(write_study(sweep=large, replicates=6))
    killer = Killer(tmp_path / "out", wait, 5)
    killer.start()
    outcome = run_study(study, tmp_path / "out", Fleet(workers), quiet=True)
    killer.stop()
    assert killer.killed > 0
    accounted = outcome.simulated + outcome.left + len(outcome.failures)
    assert accounted == study.cells
    assert {failure.cause for failure in outcome.failures} <= {"WorkerDied"}
    if outcome.failures:  # a cell over which three workers were killed by chance
        outcome = run_study(study, tmp_path / "out", 0, Orders(retry_failed=True), quiet=True)
    assert all(finding.right for finding in verify(tmp_path / "out", 3))
    assert outcome.checksum == undisturbed(study, tmp_path.parent / "undisturbed-of-faults")


@pytest.fixture
def run_here(write_study, tmp_path):
    """Return a function that writes a study, and a folder."""
    return write_study, tmp_path


def undisturbed(study, folder):
    """Return the checksum of a run that nobody disturbed; it is made once."""
    return run_study(study, folder, 0, quiet=True).checksum


@pytest.mark.skipif(not DEEP, reason="waits for workers that are gone; run with HYPOTHESIS_PROFILE=deep")
def test_scheduler_killed__is_told_in_bounded_time_and_the_rest_is_resumed(write_study, tmp_path):
    """A driver whose scheduler dies says so within a minute and a half, exit code 2; the next run goes on."""
    dask, file = Path(sys.executable).with_name("dask"), tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", file, "--no-dashboard"]
    scheduler = subprocess.Popen([dask, "scheduler", "--port", "0", *options], **quiet)
    worker = subprocess.Popen([dask, "worker", "--nthreads", "1", *options], **quiet)
    large = {"tree": [{"depth": 7, "fan_out": 2}], "exec_ratio": [0.0, 0.25, 0.5, 1.0]}
    path = write_study(sweep=large, replicates=40)
    try:
        while not file.exists():
            time.sleep(0.1)
        command = [sys.executable, "-m", "pipeline.cli", "run", path, "--scheduler-file", file, "--results"]
        driver = subprocess.Popen(
            [*command, tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not list((tmp_path / "out").glob("part-*")):
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.05)
        scheduler.kill()
        _, told = driver.communicate(timeout=120)
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait()
    assert driver.returncode == 2, told
    assert "the scheduler" in told
    assert "run the same command again to resume" in told
    assert "Traceback" not in told
    state = store.status(tmp_path / "out")
    assert 0 < state.done < state.planned
    assert run_study(load_study(path), tmp_path / "out", 0, quiet=True).resumed == state.done
