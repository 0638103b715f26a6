"""Faults of a recorded trace beside its simulation, process by process."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.traces.statistics import DESIGN, GEOMETRY
from simcore.simulate import start
from simcore.workloads.recorded import trace_of

if TYPE_CHECKING:
    from pipeline.traces.file import Recorded


class Compared(NamedTuple):
    """One process: its task, the last program that it exec'ed, and its minor faults, ``counted`` by the kernel."""

    task: int
    name: str
    counted: int | None
    recorded: int
    simulated: int


def compared(recorded: Recorded) -> list[Compared]:
    """Return each process with its faults under ``mainline``; raises SimcoreError if it cannot be simulated."""
    trace = trace_of(recorded.recording)
    machine = start(trace, DESIGN, GEOMETRY)
    tasks = trace.events["task"]
    ends = [*(np.flatnonzero(np.diff(tasks)) + 1).tolist(), len(trace)]
    faults: Counter[int] = Counter()
    before = 0
    for end in ends if len(trace) else []:
        machine.run(end)
        now = machine.result().minor_faults()
        faults[int(tasks[end - 1])] += now - before
        before = now
    return [
        Compared(task, _name(recorded, task), each.minor_faults, each.faults, faults[task])
        for task, each in enumerate(recorded.processes)
    ]


def _name(recorded: Recorded, task: int) -> str:
    """Return the last program that a process, or the ancestor that it was forked from, exec'ed."""
    process = recorded.processes[task]
    while not process.programs and process.parent >= 0:
        process = recorded.processes[process.parent]
    return str(process.programs[-1][1]) if process.programs else "?"
