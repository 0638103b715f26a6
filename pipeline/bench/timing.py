"""Time the workloads: every design in the simulator, the machine itself and the loops, in turn in one run.

Machines have moods, so nothing is timed on its own: each round times every design once, and the real machine has
its turns before the rounds, in their middle and after them. What counts is the median of each side.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.bench.real import KERNEL, LOOP, Programs, Run
from pipeline.bench.traces import GEOMETRY, WORKLOADS, Sizes, Workload
from simcore import DESIGNS
from simcore.simulate import start, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPEATS = 5


class Request(NamedTuple):
    """What is to be timed."""

    workloads: tuple[str, ...] = tuple(WORKLOADS)
    designs: tuple[str, ...] = tuple(DESIGNS)
    repeats: int = REPEATS
    real: bool = True
    sizes: Sizes = Sizes()


class Simulated(NamedTuple):
    """One run of the timed events of a workload under a design.

    ``memory_bytes`` is what the machine holds at the end, None where it does not tell.
    """

    ns: int
    events: int
    faults: int
    memory_bytes: int | None


class Timings(NamedTuple):
    """All runs of one request.

    Parameters
    ----------
    simulated : dict of (workload, design) to list of Simulated
    failed : dict of (workload, design) to str
        The error of a design that could not be timed.
    rivals : dict of (program, workload) to list of Run
        Runs of the real machine and of the loops.
    skipped : dict of str to str
        Why a program was not run, or not to the end.
    """

    simulated: dict[tuple[str, str], list[Simulated]]
    failed: dict[tuple[str, str], str]
    rivals: dict[tuple[str, str], list[Run]]
    skipped: dict[str, str]


def measure(request: Request, say: Callable[[str], None]) -> Timings:
    """Time what is asked for; ``say`` is told of each step."""
    say("preparing the simulator and the traces")
    warm_up()
    workloads = {name: WORKLOADS[name].make(request.sizes) for name in request.workloads}
    timings = Timings({}, {}, {}, {})
    with tempfile.TemporaryDirectory() as folder, pinned():
        programs = Programs(Path(folder), request.sizes) if request.real else None
        for turn in range(request.repeats):
            if programs and turn in (0, (request.repeats + 1) // 2):
                _run_rivals(programs, request, timings, say)
            say(f"simulator: round {turn + 1} of {request.repeats}")
            for name, workload in workloads.items():
                _run_designs(name, workload, request, timings)
        if programs:
            _run_rivals(programs, request, timings, say)
            timings.skipped.update(programs.skipped)
    if not request.real:
        timings.skipped.update(dict.fromkeys((KERNEL, LOOP), "not asked for (--no-real)"))
    return timings


@contextmanager
def pinned() -> Iterator[None]:
    """Keep this process, and those it starts, on one processor, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def simulate_once(workload: Workload, design: str) -> Simulated:
    """Time the events of a workload behind its set-up; what ``start`` checks and prepares is not timed."""
    machine = start(workload.trace, DESIGNS[design], GEOMETRY)
    machine.run(workload.setup)
    before = machine.result().minor_faults()
    gc.collect()
    begun = time.perf_counter_ns()
    machine.run()
    ns = time.perf_counter_ns() - begun
    faults = machine.result().minor_faults() - before
    memory = getattr(machine, "memory_bytes", None)
    return Simulated(ns, len(workload.trace) - workload.setup, faults, memory)


def _run_designs(name: str, workload: Workload, request: Request, timings: Timings) -> None:
    """Run one workload under every design that has not failed at it."""
    for design in request.designs:
        if (name, design) in timings.failed:
            continue
        try:
            once = simulate_once(workload, design)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one design, the others are timed
            timings.failed[name, design] = f"{type(error).__name__}: {error}"
        else:
            timings.simulated.setdefault((name, design), []).append(once)


def _run_rivals(programs: Programs, request: Request, timings: Timings, say: Callable[[str], None]) -> None:
    """Give the real machine and the loops their turn."""
    for name in request.workloads:
        for program in (KERNEL, LOOP):
            if program not in programs.skipped:
                say(f"{program}: {name}")
            run = programs.time(program, name)
            if run:
                timings.rivals.setdefault((program, name), []).append(run)
