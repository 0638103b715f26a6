"""Scripts timed on the running kernel, round after round, and what the machine is."""

from __future__ import annotations

import os
import platform
import random
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.calibration.observed import Own, observations, own_of
from pipeline.truth.host import host_design
from pipeline.truth.probe import Probe, UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from pipeline.calibration.observed import Observation
    from pipeline.truth.probe import Shown

_EMPTY = ["A nop", "A nop", "A fork B", "B exec", "B exit", "A exit"]
_EMPTY_TURNS = 5
_CLOCKED = ("fork", "vfork", "pass", "call")  # kinds of steps that read the clock twice
_THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")


class Measured(NamedTuple):
    """Timed steps.

    Parameters
    ----------
    observed : list of Observation
        The steps.
    samples : float64 [rounds, observations]
        Processor time of each in ns, without what reading the clock takes.
    """

    observed: list[Observation]
    samples: npt.NDArray[np.float64]

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The median of each step, float64 [observations]."""
        medians: npt.NDArray[np.float64] = np.median(self.samples, axis=0)
        return medians

    @property
    def spread(self) -> npt.NDArray[np.float64]:
        """How far the medians of two halves of the rounds lie apart, as a fraction, float64 [observations]."""
        halves = np.median(self.samples[::2], axis=0), np.median(self.samples[1::2], axis=0)
        apart: npt.NDArray[np.float64] = np.abs(halves[0] / halves[1] - 1)
        return apart


def measure(
    scripts: Mapping[str, Sequence[str]], rounds: int, asked: str, say: Callable[[str], None]
) -> Measured:
    """Time every script once in each round, in an order that changes; ``say`` is told of progress.

    Raises
    ------
    UnfitError
        This machine cannot be measured; the message begins with ``asked``.
    """
    with tempfile.TemporaryDirectory() as folder:
        probe = Probe(Path(folder), asked)
        empty = [probe.run(_EMPTY) for _ in range(_EMPTY_TURNS)]
        own, exec_faults, clock = _by_itself(empty)
        found = {
            name: observations(name, steps, host_design(), own, exec_faults)
            for name, steps in scripts.items()
        }
        samples = []
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            rows = {name: probe.run(scripts[name]) for name in _shuffled(scripts, number)}
            samples.append([_ns(each, rows[name], clock) for name, steps in found.items() for each in steps])
    observed = [each for steps in found.values() for each in steps]
    times = np.array(samples)
    if not np.all(times.max(axis=0) > 0):
        step = observed[int(np.argmin(times.max(axis=0)))].step
        raise UnfitError(
            f"{asked}: the kernel tells no processor time of {step!r}; it comes from /proc/PID/schedstat and "
            "CLOCK_THREAD_CPUTIME_ID; use a kernel with CONFIG_SCHED_INFO"
        )
    return Measured(observed, np.maximum(times, 1.0))


def machine(rounds: int) -> dict[str, str]:
    """Return what a reader has to know of this machine."""
    try:
        huge = re.search(r"\[(\w+)\]", _THP.read_text(encoding="ascii"))
    except OSError:
        huge = None
    return {
        "kernel": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "processors": str(os.cpu_count() or 1),
        "page bytes": str(os.sysconf("SC_PAGE_SIZE")),
        "transparent huge pages": f"{huge[1] if huge else 'not known'}, off while measuring",
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": str(rounds),
        "clock": "processor time of one process at a time, on one processor; medians of all rounds",
    }


def _processor() -> str:
    """Return the model of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _by_itself(turns: Sequence[Sequence[Shown]]) -> tuple[Own, int, float]:
    """Return what a process has by itself, the faults of an exec, and ns of reading the clock twice."""
    exec_step = _EMPTY.index("B exec")
    faults = int(np.median([rows[exec_step].minor_faults for rows in turns]))
    clock = float(np.median([rows[1].cpu_ns for rows in turns]))
    return own_of(turns[0][1]), faults, clock


def _shuffled(scripts: Mapping[str, Sequence[str]], number: int) -> list[str]:
    """Return the names in the order of a round, so that what is slow for a while does not always hit the same."""
    names = list(scripts)
    random.Random(number).shuffle(names)  # noqa: S311 - no secret
    return names


def _ns(each: Observation, rows: Sequence[Shown], clock: float) -> float:
    """Return the time of a step in a round."""
    return rows[each.number].cpu_ns - (clock if each.kind in _CLOCKED else 0.0)
