"""Costs judged on scripts that they were not fitted to: predicted beside measured time, and the machine's own spread.

Judged are four things that one asks of fork: the fork, the writes after it, the exit, and fork with exec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.calibration.observed import STARTED
from pipeline.calibration.parameters import RMAP
from pipeline.truth.probe import available_bytes
from pipeline.truth.scenarios import scenarios
from pipeline.truth.script import PAGE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.calibration.measuring import Measured
    from pipeline.cost_files import CostFile

FORK, WRITES, EXIT, FORK_EXEC = "fork", "writes after fork", "exit", "fork and exec"
JUDGED = (FORK, WRITES, EXIT, FORK_EXEC)
NEAR_MEDIAN, NEAR_P90 = 0.15, 0.35  # what is aimed at, as fractions of the measured time
_MEMORY = {
    "anon": "of anonymous",
    "filepriv": "of written copies",
    "filero": "of file pages",
    "fileshared": "of shared files",
    "shanon": "of shared memory",
}
_ROOM = 3  # times the memory that a script touches


class Judgement(NamedTuple):
    """One thing, predicted and measured.

    Parameters
    ----------
    what : str
        A value of JUDGED.
    script, step : str
        Where.
    predicted_ns, measured_ns : float
        By the costs; the median of all rounds.
    spread : float
        How far the medians of two halves of the rounds lie apart, as a fraction.
    """

    what: str
    script: str
    step: str
    predicted_ns: float
    measured_ns: float
    spread: float

    @property
    def error(self) -> float:
        """How far the prediction is off, as a fraction of the measured time."""
        return self.predicted_ns / self.measured_ns - 1


class Quality(NamedTuple):
    """Errors of one thing: how many, median and 90th percentile of their sizes, their median with its sign, spreads."""

    what: str
    steps: int
    median: float
    p90: float
    bias: float
    spread_median: float
    spread_p90: float

    @property
    def near(self) -> bool:
        """Whether the errors are as small as is aimed at."""
        return self.median <= NEAR_MEDIAN and self.p90 <= NEAR_P90


class Judged(NamedTuple):
    """All judgements; ``left_out`` counts the steps that the costs were fitted to."""

    judgements: list[Judgement]
    left_out: int


def held_out(seed: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the scripts that judge, and why others are skipped."""
    fits, skipped = {}, {}
    for name, steps in scenarios(seed).items():
        if any(step.endswith(" thp") for step in steps):
            continue  # no script of the calibration has huge pages
        pages = max(
            (int(step.split()[3]) for step in steps if step.split()[1] in ("read", "write")), default=1
        )
        needed, available = _ROOM * pages << PAGE_SHIFT, available_bytes()
        if needed > available:
            skipped[name] = f"it may need {needed >> 20} MiB and {available >> 20} MiB are available"
        else:
            fits[name] = steps
    return fits, skipped


def judge(measured: Measured, costs: CostFile) -> Judged:
    """Return every judgement on steps that the costs were not fitted to."""
    acts = np.array([each.acts for each in measured.observed])
    started = np.array([each.kind in STARTED for each in measured.observed])
    predicted = costs.model.ns(acts, RMAP) + started * costs.start_ns
    found, left_out = [], 0
    for what, members in _things(measured):
        if any(measured.observed[at].history in costs.fitted for at in members):
            left_out += 1
            continue
        last = measured.observed[members[-1]]
        times = measured.samples[:, members].sum(axis=1)
        found.append(
            Judgement(
                what,
                last.script,
                last.step,
                float(predicted[members].sum()),
                float(np.median(times)),
                _apart(times),
            )
        )
    return Judged(found, left_out)


def qualities(judgements: Sequence[Judgement]) -> list[Quality]:
    """Return the errors of each thing that occurs, in the order of JUDGED."""
    told = [(what, [each for each in judgements if each.what == what]) for what in JUDGED]
    return [_quality(what, mine) for what, mine in told if mine]


def by_memory(judgements: Sequence[Judgement]) -> list[Quality]:
    """Return the errors of exits by what the scripts map, where that is one kind of memory: acts do not tell it."""
    found = []
    for kind, label in _MEMORY.items():
        mine = [each for each in judgements if each.what == EXIT and each.script.startswith(f"{kind}_")]
        found += [_quality(label, mine)] if mine else []
    return found


def _quality(what: str, mine: Sequence[Judgement]) -> Quality:
    """Return the errors of some judgements, at least one."""
    errors, spreads = (
        np.array([getattr(each, name) for each in mine], np.float64) for name in ("error", "spread")
    )
    sizes = [*np.quantile(np.abs(errors), [0.5, 0.9]), np.median(errors), *np.quantile(spreads, [0.5, 0.9])]
    return Quality(what, len(mine), *map(float, sizes))


def _things(measured: Measured) -> list[tuple[str, list[int]]]:
    """Return what is judged, with the observations that make it up."""
    found: list[tuple[str, list[int]]] = []
    forks: dict[tuple[str, str], int] = {}  # by script and child
    forked: set[str] = set()  # scripts in which a fork has been
    for at, each in enumerate(measured.observed):
        name, verb, *rest = each.step.split()
        if verb == "fork":
            forks[each.script, rest[0]] = at
            forked.add(each.script)
            found.append((FORK, [at]))
        elif verb == "write" and each.script in forked:
            found.append((WRITES, [at]))
        elif verb == "exit":
            found.append((EXIT, [at]))
        elif verb == "exec" and (each.script, name) in forks:
            found.append((FORK_EXEC, [forks[each.script, name], at]))
    return found


def _apart(times: npt.NDArray[np.float64]) -> float:
    """Return how far the medians of the even and the odd rounds lie apart, as a fraction."""
    return abs(float(np.median(times[::2]) / np.median(times[1::2])) - 1) if len(times) > 1 else float("nan")
