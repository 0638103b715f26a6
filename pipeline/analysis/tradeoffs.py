"""Designs against each other where no single figure decides: what is not dominated, and where two change sides."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pipeline.analysis.asked import Asked
from pipeline.compare import paired, population
from pipeline.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

WORST = "worst:"  # before a metric: its highest value instead of its median
_OF_MAPS = ("design", "cells", "ratio", "low", "high")
METRICS = ("creation_ns_mean", "fault_ns_per_fork", "pgtable_bytes_max", f"{WORST}total_ns_per_fork")


def pareto(
    df: pd.DataFrame,
    metrics: Sequence[str] = METRICS,
    baseline: str | None = None,
    designs: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return which designs no other one beats: nobody is as good in every metric and better in one.

    Parameters
    ----------
    df : DataFrame
        What ``load`` returned, or a selection of it.
    metrics : sequence of str
        Columns of numbers of which less is better; of each the median over the typical cells, or, as ``worst:COLUMN``,
        the highest over all cells.
    baseline : str, optional
        Name of a design; metrics are then multiples of its metric on the same trace. Without one they are what the
        columns hold, and the largest processes decide what is worst.
    designs : sequence of str, optional
        Those to choose among; all by default. Leave out those that cannot be had, such as a floor.

    Returns
    -------
    DataFrame
        Index ``design`` in order of appearance; a column for each metric, named as asked; ``efficient`` (bool: not
        dominated); ``dominated_by`` (names, joined by ", "; empty if efficient). Cells are those of traces on which all
        of the designs ran, their number is ``attrs["traces"]``.

    Raises
    ------
    RefusedError
        If there is no metric, a metric or design is unknown, no trace was run by all designs, or a metric has no value
        for some design; all faults at once.
    """
    asked = Asked("pareto", df)
    _checked(asked, df, metrics, baseline, designs)
    asked.done()
    ran = df["design"].unique().tolist()
    names = ran if designs is None else [name for name in ran if name in designs]
    needed = {*names, *([baseline] if baseline else [])}
    shared = df[df["design"].isin(needed)].groupby("trace_id")["design"].nunique()
    cells = df[df["trace_id"].isin(shared.index[shared == len(needed)]) & df["design"].isin(needed)]
    if not len(cells):
        asked.fault("df", f"no trace was run under all of {', '.join(map(str, needed))}; name fewer designs")
        asked.done()
    found = _values(cells, metrics, baseline).loc[names]
    for metric in metrics:
        if lacking := [str(name) for name in names if math.isnan(found.loc[name, metric])]:
            said = f"{metric!r} has no value for {', '.join(lacking)}; leave out the metric, or name designs"
            asked.fault("metrics", said)
    asked.done()
    costs = found.to_numpy(np.float64)
    beaten = [
        ", ".join(str(other) for other, theirs in zip(names, costs, strict=True) if _beats(theirs, mine))
        for mine in costs
    ]
    found = found.assign(efficient=[not by for by in beaten], dominated_by=beaten)
    found.attrs = {"traces": int((shared == len(needed)).sum()), "baseline": baseline}
    return found


def _checked(
    asked: Asked,
    df: pd.DataFrame,
    metrics: Sequence[str],
    baseline: str | None,
    designs: Sequence[str] | None,
) -> None:
    """Note what is wrong with the arguments of ``pareto``."""
    if isinstance(metrics, str) or not len(metrics) or len(set(metrics)) < len(metrics):
        asked.fault("metrics", f"{metrics!r} is not a list of columns, each once")
    else:
        for metric in metrics:
            asked.metric(metric.removeprefix(WORST), "metrics")
    if baseline is not None:
        asked.design(baseline)
    if designs is not None and (isinstance(designs, str) or not len(designs)):
        asked.fault("designs", f"{designs!r} is not a list of designs")
    for name in [] if designs is None or isinstance(designs, str) else designs:
        asked.design(name, "designs")
    if not len(df):
        asked.fault("df", "has no rows")


def _values(cells: pd.DataFrame, metrics: Sequence[str], baseline: str | None) -> pd.DataFrame:
    """Return each metric of each design."""
    usual = set(population(cells)[0].index)
    columns = {}
    for metric in metrics:
        name = metric.removeprefix(WORST)
        heights = paired(cells, name, baseline) if baseline else cells[name].astype("float64")
        if metric.startswith(WORST):
            columns[metric] = heights.groupby(cells["design"]).max()
        else:
            mine = cells.index.isin(usual)
            columns[metric] = heights[mine].groupby(cells.loc[mine, "design"]).median()
    return pd.DataFrame(columns).rename_axis("design")


def _beats(theirs: np.ndarray, mine: np.ndarray) -> bool:
    """Return whether costs are nowhere higher and somewhere lower than others."""
    return bool((theirs <= mine).all() and (theirs < mine).any())


def crossover(df: pd.DataFrame, metric: str, baseline: str, x: str, y: str) -> pd.DataFrame:
    """Return how designs do against a baseline over two axes: a map of where they win and where they lose.

    Parameters
    ----------
    df : DataFrame
        What ``load`` returned, or a selection of it: fix the other axes first, or the map is a median over them.
    metric : str
        A column of numbers of which less is better.
    baseline : str
        Name of a design.
    x, y : str
        Two columns of numbers, each with at least two values; rows without a value are left out.

    Returns
    -------
    DataFrame
        A row for each design but the baseline and each point at which it was compared: ``design``; x and y under their
        own names; ``cells`` (compared there); ``ratio`` (median of the paired ratios: below 1 the design is cheaper),
        ``low``, ``high`` (the lowest and highest: where they lie on both sides of 1 the point is undecided).
        ``attrs["x"]`` and ``attrs["y"]`` are the axes.

    Raises
    ------
    RefusedError
        If a column or the baseline is unknown, x and y are the same, or an axis has fewer than two values; all at once.
    """
    asked = Asked("crossover", df)
    asked.metric(metric)
    asked.design(baseline)
    for argument, axis in (("x", x), ("y", y)):
        asked.metric(axis, argument)
        if axis in _OF_MAPS:
            asked.fault(argument, f"{axis!r} is a column of the map itself; rename it in the frame")
        if axis in df.columns and df[axis].nunique() < 2:
            asked.fault(argument, f"{axis!r} has {df[axis].nunique()} values, so nothing changes along it")
    if x == y:
        asked.fault("y", f"{y!r} is x as well; name another axis")
    asked.done()
    cells = df[["design", x, y]].assign(ratio=paired(df, metric, baseline)).dropna()
    cells = cells[cells["design"] != baseline].astype({x: "float64", y: "float64"})
    groups = cells.groupby(["design", x, y])["ratio"]
    found = groups.agg(cells="size", ratio="median", low="min", high="max").reset_index()
    found.attrs = {"x": x, "y": y, "baseline": baseline, "metric": metric}
    return found


class _Step(NamedTuple):
    """Two neighbours on a map, one behind the other along an axis."""

    across: float  # where they lie on the other axis
    here: float
    there: float
    before: float  # ratios
    after: float


def crossings(found: pd.DataFrame) -> pd.DataFrame:
    """Return the points between which a design goes from winning to losing, on a map that ``crossover`` made.

    Returns
    -------
    DataFrame
        ``design``; ``along`` (the axis along which it changes sides); x and y under their own names: of ``along`` the
        place where the logarithm of the ratio, taken as straight between the two neighbours, is 0, of the other axis a
        value that was swept; ``after`` and ``before`` (the neighbours between which it lies: nothing between them was
        simulated); ``wins`` ("below" or "above": on which side the design is cheaper). Empty if no design changes sides.

    Raises
    ------
    RefusedError
        If the frame does not say which its axes are.
    """
    if not {"x", "y"} <= set(found.attrs) or "ratio" not in found.columns:
        raise RefusedError("analysis.crossings: found: it has to be what analysis.crossover returned")
    x, y = found.attrs["x"], found.attrs["y"]
    rows: list[dict[Hashable, object]] = []
    for design, mine in found.groupby("design", sort=False):
        for along, other in ((x, y), (y, x)):
            for step in _steps(mine, along, other):
                if (step.before - 1) * (step.after - 1) < 0 and min(step.before, step.after) > 0:
                    part = math.log(step.before) / (math.log(step.before) - math.log(step.after))
                    place = {along: step.here + part * (step.there - step.here), other: step.across}
                    between = {"after": step.here, "before": step.there}
                    wins = {"wins": "below" if step.before < 1 else "above"}
                    rows.append({"design": design, "along": along} | place | between | wins)
    return pd.DataFrame(rows, columns=["design", "along", x, y, "after", "before", "wins"])


def _steps(mine: pd.DataFrame, along: str, other: str) -> Iterator[_Step]:
    """Yield the neighbours along an axis."""
    for across, line in mine.sort_values(along).groupby(other):
        points = line[[along, "ratio"]].to_numpy(np.float64).tolist()
        for (here, before), (there, after) in pairwise(points):
            yield _Step(float(np.asarray(across)), here, there, before, after)
