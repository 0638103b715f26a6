"""How designs do against another: over the typical cells, and in their worst and best one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.compare import NO_DIFFERENCE

FloatArray = npt.NDArray[np.float64]


class Extreme(NamedTuple):
    """A design's worst or best cell.

    Parameters
    ----------
    cell_id, trace_id : str
        Which cell.
    ratio, difference : float
        To the design compared with on the same trace: quotient, and ns (or bytes) more.
    """

    cell_id: str
    trace_id: str
    ratio: float
    difference: float


class Standing(NamedTuple):
    """How a design does against another.

    Parameters
    ----------
    design : str
        Its name.
    value : float
        Median of the metric over the typical cells.
    ratio, low, high : float
        Median, 10th and 90th percentile of the paired ratio over the typical cells.
    difference : float
        Median of the paired difference over the typical cells.
    losing : float
        Share of all cells in which the design is worse by more than NO_DIFFERENCE.
    worst, best : Extreme
        Of all cells.
    """

    design: str
    value: float
    ratio: float
    low: float
    high: float
    difference: float
    losing: float
    worst: Extreme
    best: Extreme


def compared(
    cells: pd.DataFrame, metric: str, against: str, usual: npt.NDArray[np.bool_]
) -> dict[str, Standing]:
    """Return how each design does against another that shares a trace with it, by design.

    The figures are those of ``analysis.typical``, ``worst`` and ``best``, in one go: a report asks for dozens of them.

    Parameters
    ----------
    cells : DataFrame
        ``design``, ``trace_id``, ``cell_id`` and the metric.
    metric : str
        A column of numbers.
    against : str
        Name of a design.
    usual : bool [rows]
        Which of the cells are typical.
    """
    value = cells[metric].to_numpy(np.float64, na_value=np.nan)
    which, names = pd.factorize(cells["design"])
    below = _reference(
        cells["trace_id"], value, which == (list(names).index(against) if against in names else -1)
    )
    ratio = np.divide(value, below, out=np.full(len(value), np.nan), where=~np.isnan(below) & (below != 0))
    found = {}
    for number, name in enumerate(names):
        mine = np.flatnonzero(which == number)
        known = mine[~np.isnan(ratio[mine])]
        if not len(known):
            continue
        typical = mine[usual[mine]]
        ratios = _known(ratio[typical])
        found[str(name)] = Standing(
            design=str(name),
            value=_quantile(_known(value[typical]), 0.5),
            ratio=_quantile(ratios, 0.5),
            low=_quantile(ratios, 0.1),
            high=_quantile(ratios, 0.9),
            difference=_quantile(_known(value[typical] - below[typical]), 0.5),
            losing=float((ratio[mine] > 1 + NO_DIFFERENCE).mean()),
            worst=_extreme(cells, (value, ratio), known[ratio[known] == ratio[known].max()]),
            best=_extreme(cells, (value, ratio), known[ratio[known] == ratio[known].min()]),
        )
    return found


def _reference(traces: pd.Series[str], value: FloatArray, theirs: npt.NDArray[np.bool_]) -> FloatArray:
    """Return for each row the value of another design on its trace, NaN where that did not run."""
    trace = pd.factorize(traces)[0]
    known = np.full(int(trace.max(initial=-1)) + 1, np.nan)
    known[trace[theirs]] = value[theirs]
    return known[trace]


def _known(values: FloatArray) -> FloatArray:
    """Return values that are numbers, ascending."""
    return np.sort(values[~np.isnan(values)])


def _quantile(ordered: FloatArray, q: float) -> float:
    """Return the q-quantile of ascending values, linear between neighbours; NaN of none."""
    if not len(ordered):
        return float("nan")
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def _extreme(
    cells: pd.DataFrame, found: tuple[FloatArray, FloatArray], rows: npt.NDArray[np.intp]
) -> Extreme:
    """Return the first by id of some equal cells."""
    value, ratio = found
    ids = cells["cell_id"].iloc[rows].tolist()
    at = int(rows[ids.index(min(ids))])
    more = float(value[at] - value[at] / ratio[at]) if ratio[at] > 0 else float("nan")
    return Extreme(min(ids), str(cells["trace_id"].iloc[at]), float(ratio[at]), more)
