"""What a recorded trace holds, in figures: how its processes come and go, and what they write before they exec."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.traces.file import FOOTPRINTS
from pipeline.traces.processes import FORK, VFORK
from pipeline.traces.replay import forks_of
from simcore.acts import ACT, EVENT_KINDS
from simcore.designs import DESIGNS
from simcore.geometry import GEOMETRIES
from simcore.simulate import simulate
from simcore.workloads.recorded import trace_of

if TYPE_CHECKING:
    from pipeline.traces.file import Recorded
    from pipeline.traces.replay import Fork
    from simcore.result import Result

GEOMETRY = GEOMETRIES["x86-64"]
DESIGN = DESIGNS["mainline"]


def statistics(recorded: Recorded, *, simulated: bool = True) -> dict[str, Any]:
    """Return a recorded trace in figures, ready for JSON.

    Parameters
    ----------
    recorded : Recorded
        The trace.
    simulated : bool
        Whether to simulate it under ``mainline``, for what forks copy and for faults beside those recorded.

    Returns
    -------
    dict
        Medians are over forks (vforks make no mm), None where there are none. ``generations`` is forks since an exec ->
        forks. ``*_before_exec`` are over forked children that exec, ``*_before_exit`` over the others.
        ``shared_already`` is the share of forks whose parent has another living child that was forked and has not
        exec'ed. Rates are of the recording, which takes longer than the command by itself.
    """
    processes = recorded.processes
    forks = forks_of(recorded.recording)
    made = Counter(process.how for process in processes)
    depths = _depths([process.parent for process in processes])
    seen_faults = sum(process.faults + process.left_out for process in processes)
    found: dict[str, Any] = {
        "command": recorded.command,
        "taken": recorded.taken,
        "kernel": recorded.kernel,
        "machine": recorded.machine,
        "way": recorded.way,
        "touches": recorded.touches,
        "lost": recorded.lost,
        "exit_code": recorded.exit_code,
        "seconds": recorded.seconds,
        "events": len(recorded.recording.rows),
        "processes": len(processes),
        "threads": sum(process.threads for process in processes),
        "forks": made[FORK],
        "vforks": made[VFORK],
        "execs": sum(len(process.programs) for process in processes),
        "creations_per_second": _rate(made[FORK] + made[VFORK], recorded.seconds),
        "faults_per_process": None
        if recorded.touches == FOOTPRINTS
        else round(seen_faults / max(1, len(processes))),
        "depth_max": max(depths, default=0),
        "depth_mode": Counter(depths).most_common(1)[0][0] if depths else 0,
        "never_exec": sum(not process.programs for process in processes),
        "programs": dict(
            Counter(name for process in processes for _, name in process.programs).most_common()
        ),
        "notes": recorded.notes,
    }
    found |= _of_forks(forks)
    found |= _faults(recorded)
    return found | (_simulated(recorded) if simulated else {})


def _depths(parents: list[int]) -> list[int]:
    """Return the depth of each process, the first's 0; parents come before their children."""
    depths: list[int] = []
    for parent in parents:
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    return depths


def _rate(count: int, seconds: float) -> float | None:
    """Return how many there were a second, None if that took no time."""
    return round(count / seconds, 1) if seconds > 0 else None


def _middle(values: list[int]) -> float | None:
    """Return the median, None of nothing."""
    return float(median(values)) if values else None


def _of_forks(forks: list[Fork]) -> dict[str, Any]:
    """Return what forked children and their parents do."""
    execing = [fork for fork in forks if fork.execs]
    others = [fork for fork in forks if not fork.execs]
    return {
        "exec_ratio": len(execing) / len(forks) if forks else None,
        "generations": {
            str(each): n for each, n in sorted(Counter(fork.generation for fork in forks).items())
        },
        "pages_before_exec": _middle([len(fork.pages) for fork in execing]),
        "tables_before_exec": _middle([len(fork.tables) for fork in execing]),
        "pages_before_exit": _middle([len(fork.pages) for fork in others]),
        "tables_before_exit": _middle([len(fork.tables) for fork in others]),
        "parent_copies": _middle([fork.parent_copies for fork in forks]),
        "parent_reuses": _middle([fork.parent_reuses for fork in forks]),
        "shared_already": sum(fork.sharers > 1 for fork in forks) / len(forks) if forks else None,
    }


def _faults(recorded: Recorded) -> dict[str, Any]:
    """Return the faults that were recorded, and what the kernel counted for processes that it told of."""
    told = [process for process in recorded.processes if process.minor_faults is not None]
    return {
        "faults_recorded": sum(process.faults for process in recorded.processes),
        "faults_left_out": sum(process.left_out for process in recorded.processes),
        "processes_counted": len(told),
        "faults_counted": sum(process.minor_faults or 0 for process in told),
    }


def _simulated(recorded: Recorded) -> dict[str, Any]:
    """Return what ``mainline`` does with the trace; raises SimcoreError if it cannot be simulated."""
    result = simulate(trace_of(recorded.recording), DESIGN, GEOMETRY)
    return {
        "faults_simulated": result.minor_faults(),
        "ptes_copied": _middle_of_forks(result, "ptes_copied_fork"),
        "tables_copied": _middle_of_forks(result, "leaf_tables_allocated"),
    }


def _middle_of_forks(result: Result, act: str) -> float | None:
    """Return the median of an act over forks."""
    chosen = result.vectors.kinds == EVENT_KINDS.index("fork")
    if not chosen.any():
        return None
    values = result.vectors.acts[chosen, ACT[act]]
    return float(np.median(np.repeat(values, result.vectors.times[chosen])))
