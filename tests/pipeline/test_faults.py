"""Faults on purpose: drivers and workers that are killed, and what is left of a sweep. None is lost, none is twice."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from pathlib import Path

import fault_kinds
import pytest
from traces import DEEP

from pipeline import fanout
from pipeline.fleet import Fleet
from pipeline.study import load_study
from pipeline.sweep import Orders, run_study
from pipeline.verify import verify

FACTOR = 5 if DEEP else 1  # how many faults there are
FAULTS = "faults"  # the property that tests/conftest.py prints


ALONE = fault_kinds.ON_THE_DISK | fault_kinds.IN_THE_STORE
# Of those on a cluster, the ones that take a second: the deep run has them all, and more often.
QUICK = ("cell out of memory", "worker of another version", "worker retired", "connection to a worker cut")


@pytest.mark.parametrize("name", ALONE)
def test_fault_on_disk_or_in_store__costs_nothing_that_was_stored(tmp_path, record_property, name):
    """Each fault happened; no row is lost or twice, every cell is accounted for, the checksum is the undisturbed one."""
    for _, told, _ in fault_kinds.injected({name: ALONE[name]}, tmp_path, FACTOR):
        harmless(told, name)
        record_property(FAULTS, (name, told[:6]))


@pytest.mark.skipif(DEEP, reason="the deep run injects all kinds of the cluster")
def test_quick_faults_of_the_cluster__cost_nothing_but_time(tmp_path, record_property):
    """The same on a cluster of two workers, kind after kind."""
    kinds = {name: fault_kinds.ON_THE_CLUSTER[name] for name in QUICK}
    for name, told, _ in fault_kinds.injected(kinds, tmp_path, FACTOR):
        harmless(told, name)
        record_property(FAULTS, (name, told[:6]))


def test_kinds__are_as_many_as_promised():
    """In the ordinary run sixteen kinds at least, in the deep run all."""
    assert len(ALONE) + len(QUICK) >= 16
    assert len(ALONE) + len(fault_kinds.ON_THE_CLUSTER) >= 24


@pytest.mark.skipif(not DEEP, reason="takes minutes; run with HYPOTHESIS_PROFILE=deep")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts on signals and limits of Linux")
def test_faults_of_the_cluster__cost_nothing_but_time(tmp_path, record_property):
    """The same, kind after kind on one cluster; and no run hangs, or runs more than one cell in twenty again."""
    kinds = fault_kinds.ON_THE_CLUSTER
    happened = {name: told for name, told, _ in fault_kinds.injected(kinds, tmp_path, FACTOR)}
    for name, told in happened.items():
        harmless(told, name)
        record_property(FAULTS, (name, told[:6]))
        if name.startswith("worker killed"):
            assert told.executions <= 1.05 * told.cells


def harmless(told, name):
    """Assert that faults happened and did no harm."""
    assert told.injected > 0, name
    assert told.happened == told.injected, name
    assert (told.lost, told.duplicates, told.unaccounted, told.hangs) == (0, 0, 0, 0), name


class Killer(threading.Thread):
    """Kill a worker of this process's cluster as soon as a dataset has its first rows, and now and then after that."""

    def __init__(self, folder, wait, most):
        super().__init__(daemon=True)
        self._folder = folder
        self.killed, self._wait, self._most = 0, wait, most
        self._over = threading.Event()

    def run(self):
        while not [*self._folder.glob("part-*")] and not self._over.wait(0.05):
            pass
        while self.killed < self._most and not self._over.is_set():
            for worker in workers_of(os.getpid())[:1]:
                os.kill(worker, signal.SIGKILL)
                self.killed += 1
            self._over.wait(self._wait)

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
@pytest.mark.parametrize(("batch_seconds", "wait"), [*itertools.product([0.05, 0.5, 2.0], [0.5, 1.0, 2.0])])
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
