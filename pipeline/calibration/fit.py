"""Parameters from timed steps: least squares that never goes below zero, and how sure each is.

Each equation is a step: its median time is the sum of parameters times how often they are due. Errors are relative,
since a large step is no more exact than a small one. The interval of a parameter comes from drawing rounds again and
weighing scripts anew (a Bayesian bootstrap, so that none that alone tells a parameter is ever left out): it holds both
what repeats differently and what the sum does not capture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import nnls

from pipeline.calibration.observed import STARTED
from pipeline.calibration.parameters import NAMES, share_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.calibration.observed import Observation

FLOOR_NS = 2_000.0  # shorter steps count as if they took so long: the clock and the caches blur them
DRAWS = 200
_REWEIGHTED = 8
_SMALL = 0.05  # relative errors below weigh alike: the machine repeats itself no better
INTERVAL = (0.025, 0.975)


class Estimate(NamedTuple):
    """A parameter in ns, with a 95 % interval, and how many steps have it in their sums."""

    name: str
    ns: float
    low: float
    high: float
    steps: int


class Fit(NamedTuple):
    """What was fitted.

    Parameters
    ----------
    estimates : dict of str to Estimate
        By the names of ``parameters.NAMES``.
    residuals : float64 [observations]
        Predicted over measured time, less 1, of the steps that were used.
    """

    estimates: dict[str, Estimate]
    residuals: npt.NDArray[np.float64]


def matrix(observed: Sequence[Observation]) -> npt.NDArray[np.float64]:
    """Return how often each parameter is due in each step, float64 [observations, len(NAMES)]."""
    acts = np.array([each.acts for each in observed])
    started = np.array([[float(each.kind in STARTED)] for each in observed])
    return np.hstack([acts @ share_matrix().T, started])


def fit(observed: Sequence[Observation], samples: npt.NDArray[np.float64], seed: int = 0) -> Fit:
    """Fit the parameters.

    Parameters
    ----------
    observed : sequence of Observation
        The steps.
    samples : float64 [rounds, observations]
        Their times in ns.
    seed : int
        Of the draws.
    """
    due = matrix(observed)
    times = np.median(samples, axis=0)
    best = solved(due, times)
    scripts = np.unique([each.script for each in observed], return_inverse=True)[1]
    drawn = np.array(_drawn(scripts, due, samples, np.random.default_rng(seed)))
    low, high = np.quantile(drawn, INTERVAL, axis=0)
    steps = np.count_nonzero(due, axis=0)
    estimates = {
        name: Estimate(name, float(best[at]), float(low[at]), float(high[at]), int(steps[at]))
        for at, name in enumerate(NAMES)
    }
    return Fit(estimates, due @ best / times - 1)


def solved(
    due: npt.NDArray[np.float64], times: npt.NDArray[np.float64], heed: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]:
    """Return the parameters, none below 0, with the least sum of relative errors.

    Squares are weighted again by the errors that are left, so that a few steps which the sums cannot explain do not
    bend the others (iteratively reweighted least squares). ``heed`` are weights of the equations, 1 if absent.
    """
    relative = 1 / np.maximum(times, FLOOR_NS)
    equations, wanted = due * relative[:, None], times * relative
    scale = np.linalg.norm(equations, axis=0)
    scale[scale == 0] = 1.0
    equations /= scale
    first = np.ones(len(times)) if heed is None else np.sqrt(heed)
    weights = first
    for _ in range(_REWEIGHTED):
        found, _ = nnls(equations * weights[:, None], wanted * weights)
        weights = first / np.sqrt(np.maximum(np.abs(equations @ found - wanted), _SMALL))
    answer: npt.NDArray[np.float64] = found / scale
    return answer


def _drawn(
    scripts: npt.NDArray[np.int64],
    due: npt.NDArray[np.float64],
    samples: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> list[npt.NDArray[np.float64]]:
    """Return the parameters of DRAWS fits; ``scripts`` [observations] numbers the script of each step."""
    found = []
    for _ in range(DRAWS):
        rounds = rng.integers(len(samples), size=len(samples))
        heed = rng.exponential(size=int(scripts.max()) + 1)[scripts]
        found.append(solved(due, np.median(samples[rounds], axis=0), heed))
    return found
