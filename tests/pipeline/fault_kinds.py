"""Faults on purpose, kind by kind, and what is left of the sweeps that they hit.

``python tests/pipeline/fault_kinds.py [FACTOR]`` injects them all, FACTOR times as many as the quick tests (10 if nothing
is said), and prints a table: injected, happened, rows lost, duplicates, cells unaccounted for, hangs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import dask
import yaml
from distributed import Client, LocalCluster
from store_faults import IN_THE_STORE
from tiny_study import TINY

from pipeline import cluster, crew, fanout, parts, store, writer
from pipeline.errors import ClusterError, DatasetError, InterruptedRunError
from pipeline.fleet import Fleet
from pipeline.places import place_of
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.study import load_study
from pipeline.sweep import Orders, jobs_of, run_study
from pipeline.work import run_batch
from pipeline.writer import Dataset

HANG_SECONDS = 60.0  # after which a run that has neither ended nor said why counts as hanging
SMALL = TINY | {"replicates": 1, "sweep": {"exec_ratio": [0.0, 0.5, 1.0]}}
LARGE = TINY | {
    "replicates": 12,
    "sweep": {"tree": [{"depth": 6, "fan_out": 2}, {"depth": 3, "fan_out": 4}], "exec_ratio": [0.0, 0.25, 0.5, 1.0]},
}  # fmt: skip


class Told(NamedTuple):
    """What became of faults of one kind; ``executions`` of cells, None where nobody counted."""

    injected: int
    happened: int
    lost: int = 0
    duplicates: int = 0
    unaccounted: int = 0
    hangs: int = 0
    cells: int = 0
    executions: int | None = None


class Ground:
    """Where faults are injected: a folder, studies, and a cluster that is begun when it is first needed."""

    def __init__(self, folder, factor):
        self.folder = Path(folder)
        self.factor = factor
        self._numbers = itertools.count()
        self._whole = {}
        self._stack = contextlib.ExitStack()
        self._cluster = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    def study(self, data=TINY):
        """Return a study."""
        file = self.folder / "study.yaml"
        file.write_text(yaml.safe_dump(data), encoding="utf-8")
        return load_study(file)

    def place(self):
        """Return a folder that is not there yet."""
        return self.folder / f"out-{next(self._numbers)}"

    def whole(self, study):
        """Return the checksum of a run that nobody disturbed."""
        if study.text not in self._whole:
            self._whole[study.text] = run_study(study, self.place(), 0, quiet=True).checksum
        return self._whole[study.text]

    @property
    def cluster(self):
        """The cluster: two workers with nannies."""
        if self._cluster is None:
            self._stack.enter_context(dask.config.set(cluster.CONFIG))
            executed = f"import fault_kinds; fault_kinds.count_executions({str(self.folder)!r})"
            preload = [*cluster.CONFIG["distributed.worker.preload"], executed]
            self._stack.enter_context(dask.config.set({"distributed.worker.preload": preload}))
            self._cluster = self._stack.enter_context(
                LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=0,
                             silence_logs=50)
            )  # fmt: skip
        return self._cluster

    @property
    def fleet(self):
        """The cluster as a run is given it."""
        return Fleet(0, self.cluster.scheduler_address)

    def renew(self):
        """See to it that there are two workers again."""
        self.cluster.scale(0)
        with Client(self.cluster.scheduler_address, set_as_default=False) as client:
            until = time.monotonic() + HANG_SECONDS
            while client.nthreads() and time.monotonic() < until:
                time.sleep(0.05)
            self.cluster.scale(2)
            client.wait_for_workers(2, timeout=HANG_SECONDS)

    def processes(self):
        """Return the workers' numbers."""
        return [
            nanny.process.pid
            for nanny in self.cluster.workers.values()
            if nanny.process and nanny.process.pid
        ]

    def executions(self):
        """Return how many cells workers have begun until now."""
        return sum(file.stat().st_size for file in self.folder.glob("begun-*"))

    def settled(self, study, folder):
        """Run what is left of a sweep; return rows lost, rows there twice at the end, cells unaccounted for."""
        survived = len(store.committed(folder))
        outcome = run_study(study, folder, 0, Orders(retry_failed=True), quiet=True)
        lost = abs(survived - outcome.resumed) + (outcome.checksum != self.whole(study))
        accounted = outcome.resumed + outcome.simulated + outcome.left + len(outcome.failures)
        rows = sum(parts.read_part(file, ["cell_id"]).num_rows for file in place_of(folder).parts())
        return lost, rows - outcome.resumed - outcome.simulated, abs(study.cells - accounted)


def count_executions(folder):
    """Let a worker write a byte for each cell that it begins."""
    from pipeline import work  # noqa: PLC0415

    if work.simulate.__name__ == "counting":  # Dask may run this twice
        return
    begun = os.open(Path(folder) / f"begun-{os.getpid()}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    simulate = work.simulate

    def counting(*arguments):
        os.write(begun, b".")
        return simulate(*arguments)

    work.simulate = counting


def added(*all_told):
    """Return what several sweeps told as one."""
    found = [Told(*each) for each in all_told]
    executions = (
        None if any(each.executions is None for each in found) else sum(each.executions for each in found)
    )
    return Told(*(sum(each[at] for each in found) for at in range(7)), executions)


# On the disk and in the driver


def driver_killed(ground):
    """Kill a driver at its steps on the disk, before one or behind it."""
    folder, study = ground.place(), ground.study(SMALL if ground.factor == 1 else TINY)
    folder.mkdir()
    file = folder / "study.yaml"
    file.write_text(study.text, encoding="utf-8")
    script = Path(__file__).with_name("crash_points.py")
    done = subprocess.run(
        [sys.executable, script, file, folder, "1"], capture_output=True, text=True, check=True
    )
    found, whole, cells = json.loads(done.stdout), ground.whole(study), study.cells
    return Told(
        len(found),
        len({each["at"] for each in found}),
        sum(each["resumed"] != each["committed"] or each["checksum"] != whole for each in found),
        sum(each["rows"] > cells for each in found),
        sum(each["committed"] + each["simulated"] != cells or each["left"] != [] for each in found),
    )


def _disk_refuses(ground, number):
    """Let the system refuse each step on the disk in turn, with an error of this number."""
    study, told = ground.study(SMALL if ground.factor == 1 else TINY), Told(0, 0)
    for at in itertools.count():
        folder, happened = ground.place(), []
        with _refused_at(at, number, happened), contextlib.suppress(DatasetError):
            run_study(study, folder, 0, quiet=True)
        if not happened:
            return told
        told = added(told, (1, len(happened), *ground.settled(study, folder)))
    return told


@contextlib.contextmanager
def _refused_at(at, number, happened):
    """Let one step on the disk fail."""
    steps = itertools.count()
    homes = [(os, "link"), (os, "fsync"), (Path, "replace"), (os, "ftruncate")]
    before = [getattr(home, name) for home, name in homes]
    rhythm, writer.FLUSH_SECONDS = writer.FLUSH_SECONDS, -1.0  # a part for each trace

    def refusing(step):
        def taken(*args, **kwargs):
            if next(steps) == at:
                happened.append(step)
                raise OSError(number, os.strerror(number))
            return step(*args, **kwargs)

        return taken

    try:
        for (home, name), step in zip(homes, before, strict=True):
            setattr(home, name, refusing(step))
        yield
    finally:
        writer.FLUSH_SECONDS = rhythm
        for (home, name), step in zip(homes, before, strict=True):
            setattr(home, name, step)


def part_truncated(ground):
    """Cut parts of an unfinished dataset, each somewhere else; the next run makes their rows anew."""
    study, told = ground.study(), Told(0, 0)
    plan = make_plan(study, model_version())
    jobs = jobs_of(plan, set())
    for turn in range(3 * ground.factor):
        folder = ground.place()
        with Dataset(folder, plan, provenance()) as dataset:
            for job in jobs[:12]:
                dataset.add(run_batch([job]).rows)
                dataset.flush()
        files = parts.part_files(folder)
        for at, file in enumerate(files):
            os.truncate(file, (at + turn) * file.stat().st_size // (len(files) + turn))
        outcome = run_study(study, folder, 0, quiet=True)
        happened = len([*folder.glob("unreadable-*")])
        lost = int(outcome.checksum != ground.whole(study) or outcome.resumed != 0)
        told = added(told, (len(files), happened, lost, 0, study.cells - outcome.simulated))
    return told


def interrupted(ground, *, times):
    """Send the driver SIGINT once, so that it ends in order, or twice, after more and more batches."""
    study, told = ground.study(), Told(0, 0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start us deaf to it
    try:
        for at in range(4 * ground.factor):
            folder = ground.place()
            with replaced(fanout, run_jobs=interrupting(fanout.run_jobs, at, times)):
                try:
                    happened = run_study(study, folder, 0, quiet=True).left > 0 and times == 1
                except InterruptedRunError:
                    happened = times == 2
            told = added(told, (1, int(happened), *ground.settled(study, folder)))
    finally:
        signal.signal(signal.SIGINT, before)
    return told


def interrupting(run_jobs, at, times):
    """Return ``run_jobs`` that sends this process SIGINT after some batches."""

    def run(jobs, fleet, deliver, *rest):
        replies = itertools.count()

        def taking(reply):
            deliver(reply)
            if next(replies) == at % (len(jobs) - 1):
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)

        run_jobs(jobs, fleet, taking, *rest)

    return run


# On the cluster


def disturbed(ground, fault, data=LARGE):
    """Run a sweep on the cluster while ``fault`` does its work in a thread; return what became of it.

    ``fault(rows, over)`` is told of a function that says how many rows there are, and of an event: the sweep is over; it
    returns how many faults it injected and how many happened.
    """
    study, folder = ground.study(data), ground.place()
    before, found = ground.executions() if ground.cluster else 0, []
    delivered, over = [], threading.Event()
    thread = threading.Thread(target=lambda: found.append(fault(lambda: sum(delivered), over)))
    add = Dataset.add

    def adding(dataset, rows):
        add(dataset, rows)
        delivered.append(len(rows))

    with replaced(fanout, BATCH_SECONDS=0.02), replaced(Dataset, add=adding):
        thread.start()
        began = time.monotonic()
        try:
            outcome = run_study(study, folder, ground.fleet, quiet=True)
            left = outcome.left + len(outcome.failures)
        except ClusterError:
            left = 0
        hung = time.monotonic() - began > HANG_SECONDS * max(2, len(found))
        over.set()
        thread.join()
    executions = ground.executions() - before
    [(injected, happened)] = found
    lost, twice, unaccounted = ground.settled(study, folder)
    return Told(injected, happened, lost + left, twice, unaccounted, int(hung), study.cells, executions)


def kill_workers(ground, number, step, rows, over):
    """Send a signal to a worker whenever some more rows have come."""
    killed, count = 0, 2 * ground.factor
    for turn in range(count):
        while rows() < step * (turn + 1) and not over.wait(0.02):
            pass
        there = ground.processes()
        if over.is_set() or not there:
            break
        os.kill(there[turn % len(there)], number)
        killed += 1
    return count, killed


def worker_signalled(ground, *, number):
    """End workers by a signal, one after another."""
    data = LARGE | {"replicates": 24 * ground.factor}
    step = ground.study(data).cells // (2 * ground.factor + 1)
    told = disturbed(ground, partial(kill_workers, ground, number, step), data)
    ground.renew()
    return told


def repeated(ground, fault):
    """Let a fault hit one sweep after another, with all workers there again in between."""
    told = []
    for _ in range(ground.factor):
        told.append(disturbed(ground, fault))
        ground.renew()
    return added(*told)


def worker_retired(ground):
    """Ask a worker to go: it hands over what it has."""

    def retire(rows, over):
        while not rows() and not over.wait(0.02):
            pass
        with Client(ground.cluster.scheduler_address, set_as_default=False) as client:
            [worker, *_] = client.scheduler_info()["workers"]
            gone = client.retire_workers([worker])
        return 1, len(gone)

    return repeated(ground, retire)


def connection_cut(ground):
    """Cut the connection between the scheduler and a worker."""

    def cut(rows, over):
        while not rows() and not over.wait(0.02):
            pass
        comms = ground.cluster.scheduler.stream_comms
        [address, *_] = comms
        comm = comms[address].comm
        ground.cluster.loop.add_callback(comm.abort)
        until = time.monotonic() + 5
        while not comm.closed() and time.monotonic() < until:
            time.sleep(0.02)
        return 1, int(comm.closed())

    return repeated(ground, cut)


def all_workers_gone(ground):
    """Let all workers leave: the run says so in bounded time; with others it is finished."""

    def go(rows, over):
        while not rows() and not over.wait(0.02):
            pass
        ground.cluster.scale(0)
        return 1, 1

    with replaced(crew, NO_WORKER_SECONDS=2.0, _LOOK_SECONDS=0.2):
        return repeated(ground, go)


def clock_moved(ground):
    """Move the clock of driver and scheduler by a day, forth and back."""

    def move(rows, over):
        moves = 0
        while not over.wait(0.05) and moves < 2:
            if rows() > 50 * (1 + moves):
                offset[0] = (86_400.0, -86_400.0)[moves]
                moves += 1
        over.wait()
        return 2, (max(seen) > 80_000) + (min(seen) < -80_000)

    offset, seen = [0.0], [0.0]
    true = time.time
    known = {module.time for name, module in [*sys.modules.items()]
             if name.startswith("distributed") and callable(getattr(module, "time", None))}  # fmt: skip

    def moved():
        seen.append(offset[0])
        return true() + offset[0]

    with contextlib.ExitStack() as stack:
        for name, module in [*sys.modules.items()]:
            if name.startswith("distributed") and getattr(module, "time", None) in known:
                stack.enter_context(replaced(module, time=moved))
        stack.enter_context(replaced(time, time=moved))
        return disturbed(ground, move)


def worker_of_another_version(ground):
    """Let a worker have another simulator: the run is refused with a table, before anything runs."""
    study, told = ground.study(), Told(0, 0)
    with Client(ground.cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=HANG_SECONDS)
        [worker, *_] = client.scheduler_info()["workers"]
        client.run(other_simulator, workers=[worker])
        try:
            for _ in range(2 * ground.factor):
                folder, happened = ground.place(), 0
                try:
                    run_study(study, folder, ground.fleet, quiet=True)
                except ClusterError as error:
                    happened = int("not fit for this sweep" in str(error) and "simulator" in str(error))
                told = added(told, (1, happened, *ground.settled(study, folder)))
        finally:
            client.run(own_simulator, workers=[worker])
    return told


def other_simulator():
    """Let this worker tell of another simulator."""
    from pipeline import fleet  # noqa: PLC0415

    fleet.source_digest = lambda: "0" * 32


def own_simulator():
    """Let it tell the truth again."""
    from pipeline import fleet  # noqa: PLC0415
    from simcore.sources import source_digest  # noqa: PLC0415

    fleet.source_digest = source_digest


class Poison(dict):
    """Parameters that do something to the process which looks at them: once if a file is named, else each time."""

    def __init__(self, params, what, file=""):
        super().__init__(params)
        self.what, self.file = what, file

    def __reduce__(self):
        return Poison, (dict(self), self.what, self.file)

    def __getitem__(self, key):
        if not self.file:
            POISONS[self.what]()
        elif not Path(self.file).exists():
            Path(self.file).touch()
            POISONS[self.what]()
        return super().__getitem__(key)


def segfault():
    """Read where nothing is."""
    ctypes.string_at(0)


def exhaust():
    """Take more memory than this process may have."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, before[1]))
    try:
        bytearray(16 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


POISONS = {
    "segfault": segfault,
    "memory": exhaust,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "sleep": lambda: time.sleep(600),
}


def poisoned(ground, what, cause, count, *, once=False):
    """Poison some cells; those of which ``cause`` is told have happened, everything else has its row."""
    study = ground.study()
    jobs = [*jobs_of(make_plan(study, model_version()), set())]
    wanted = set()
    for number in range(1, 1 + count):
        file = str(ground.place()) if once else ""
        cells = jobs[number].cells if once else jobs[number].cells[:1]
        jobs[number] = jobs[number]._replace(params=Poison(jobs[number].params, what, file), cells=cells)
        wanted.update(cell_id for cell_id, _ in ([] if once else cells))
    replies, began = [], time.monotonic()
    fleet = ground.fleet._replace(timeout=2.0 if what == "sleep" else None)
    fanout.run_jobs(jobs, fleet, replies.append, lambda: False)
    hung = time.monotonic() - began > HANG_SECONDS * count
    failed = {failure.cell_id for reply in replies for failure in reply.failures if failure.cause == cause}
    rows = [row.cell_id for reply in replies for row in reply.rows]
    everything = {cell_id for job in jobs for cell_id, _ in job.cells}
    happened = (
        sum(Path(job.params.file).exists() for job in jobs[1 : 1 + count]) if once else len(failed & wanted)
    )
    lost = everything - wanted - set(rows)
    unaccounted = everything - set(rows) - {each.cell_id for reply in replies for each in reply.failures}
    return Told(count, happened, len(lost), len(rows) - len(set(rows)), len(unaccounted), int(hung))


def scheduler_killed(ground):
    """Kill a scheduler under a run, which says so in bounded time; with another one the run is finished."""
    study, told = ground.study(LARGE), Told(0, 0)
    for _ in range(ground.factor):
        folder, file = ground.place(), ground.place()
        began, lost = time.monotonic(), 0
        with scheduler_and_worker(file) as scheduler:
            killer = threading.Thread(target=kill_when_there_are_rows, args=(scheduler, folder))
            killer.start()
            with (
                dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
                replaced(fanout, BATCH_SECONDS=0.05),
            ):
                try:
                    run_study(study, folder, Fleet(0, scheduler_file=str(file)), quiet=True)
                    happened = False
                except ClusterError:
                    happened = scheduler.poll() is not None
            killer.join()
        hung = time.monotonic() - began > 2 * HANG_SECONDS
        survived = len(store.committed(folder))
        file.unlink()
        with scheduler_and_worker(file):
            outcome = run_study(study, folder, Fleet(0, scheduler_file=str(file)), quiet=True)
        lost = int(outcome.resumed != survived or outcome.checksum != ground.whole(study))
        told = added(
            told, (1, int(happened), lost, 0, outcome.left + len(outcome.failures), int(hung), 0, None)
        )
    return told


@contextlib.contextmanager
def scheduler_and_worker(file):
    """Start a scheduler and a worker with Dask's own commands, and end them."""
    program = Path(sys.executable).with_name("dask")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", file, "--no-dashboard"]
    processes = [
        subprocess.Popen([program, "scheduler", "--port", "0", *options], **quiet),
        subprocess.Popen([program, "worker", "--nthreads", "1", "--no-nanny", *options], **quiet),
    ]
    try:
        while not file.exists():
            time.sleep(0.05)
        yield processes[0]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def kill_when_there_are_rows(process, folder):
    """Kill a process once a dataset has its first part."""
    until = time.monotonic() + HANG_SECONDS
    while not [*folder.glob("part-*")] and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()


ON_THE_DISK = {
    "driver killed at each of its steps": driver_killed,
    "disk full at each step": partial(_disk_refuses, number=errno.ENOSPC),
    "disk read-only at each step": partial(_disk_refuses, number=errno.EROFS),
    "part truncated": part_truncated,
    "SIGINT once": partial(interrupted, times=1),
    "SIGINT twice": partial(interrupted, times=2),
}
ON_THE_CLUSTER = {
    "worker killed (SIGKILL)": partial(worker_signalled, number=signal.SIGKILL),
    "worker terminated (SIGTERM)": partial(worker_signalled, number=signal.SIGTERM),
    "worker crashes once (segfault)": lambda ground: poisoned(
        ground, "segfault", "", 1 + ground.factor, once=True
    ),
    "cell always crashes": lambda ground: poisoned(ground, "kill", "WorkerDied", ground.factor),
    "cell out of memory": lambda ground: poisoned(ground, "memory", "MemoryError", 3 * ground.factor),
    "cell never ends": lambda ground: poisoned(ground, "sleep", "Timeout", ground.factor),
    "worker retired": worker_retired,
    "connection to a worker cut": connection_cut,
    "clock moved by a day": clock_moved,
    "worker of another version": worker_of_another_version,
    "all workers gone": all_workers_gone,
    "scheduler killed, another started": scheduler_killed,
}


@contextlib.contextmanager
def replaced(home, **others):
    """Put others in the place of attributes for a while."""
    before = {name: getattr(home, name) for name in others}
    for name, other in others.items():
        setattr(home, name, other)
    try:
        yield
    finally:
        for name, own in before.items():
            setattr(home, name, own)


def injected(kinds, folder, factor):
    """Yield the name of each kind, what became of it, and the seconds that it took."""
    with Ground(folder, factor) as ground:
        for name, inject in kinds.items():
            began = time.monotonic()
            yield name, Told(*inject(ground)), time.monotonic() - began


def line(name, told):
    """Return what became of a kind as a line of the table."""
    ratio = "" if told.executions is None or not told.cells else f"{told.executions / told.cells:.3f}"
    return f"{name:<36}" + "".join(f"{value:>10}" for value in told[:6]) + f"{ratio:>12}"


def main(factor):
    """Print the table."""
    heads = ("injected", "happened", "lost", "twice", "unacc.", "hangs")
    print(f"{'kind':<36}" + "".join(f"{head:>10}" for head in heads) + f"{'exec/cell':>12}", flush=True)
    every = []
    with tempfile.TemporaryDirectory() as folder:
        for name, told, seconds in injected(ON_THE_DISK | IN_THE_STORE | ON_THE_CLUSTER, folder, factor):
            every.append(told._replace(executions=None))
            print(f"{line(name, told)}   {seconds:.0f} s", flush=True)
    print(line(f"all {len(every)} kinds", added(*every)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
