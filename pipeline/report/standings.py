"""How designs do against another: over the typical cells, and in their worst and best one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE

if TYPE_CHECKING:
    import pandas as pd


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


def compared(cells: pd.DataFrame, metric: str, against: str) -> dict[str, Standing]:
    """Return how each design does against another that shares a trace with it, by design.

    Parameters
    ----------
    cells : DataFrame
        ``design``, ``trace_id``, ``cell_id``, ``workload``, those of ``tree`` and ``tree_measured`` that there are, and
        the metric; few columns, since rows are selected several times.
    metric : str
        A column of numbers.
    against : str
        Name of a design.
    """
    typical = analysis.typical(cells, metric, against).to_dict("index")
    worst, best = (pick(cells, metric, against) for pick in (analysis.worst, analysis.best))
    losing = (analysis.paired(cells, metric, against) > 1 + NO_DIFFERENCE).groupby(cells["design"]).mean()
    none = dict.fromkeys(("value", "ratio", "ratio_p10", "ratio_p90", "difference"), float("nan"))
    found = {}
    for name in map(str, worst.index):
        usual = typical.get(name, none)
        found[name] = Standing(
            design=name,
            value=float(usual["value"]),
            ratio=float(usual["ratio"]),
            low=float(usual["ratio_p10"]),
            high=float(usual["ratio_p90"]),
            difference=float(usual["difference"]),
            losing=float(losing[name]),
            worst=_extreme(worst, name, metric),
            best=_extreme(best, name, metric),
        )
    return found


def _extreme(cells: pd.DataFrame, name: str, metric: str) -> Extreme:
    """Return a design's row of what ``analysis.worst`` or ``best`` found."""
    cell: dict[Any, Any] = cells.loc[name].to_dict()
    ratio, value = float(cell["ratio"]), float(cell[metric])
    more = (
        value - value / ratio if ratio > 0 else float("nan")
    )  # it costs nothing: nobody knows how much less
    return Extreme(cell["cell_id"], cell["trace_id"], ratio, more)
