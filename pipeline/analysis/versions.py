"""Two datasets of one question: what changed from one to the other, cell by cell, and whether a rule forbids it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from pipeline.analysis.asked import near
from pipeline.analysis.frames import TIME_COLUMNS, recost
from pipeline.analysis.users import LISTING, rows_of_users
from pipeline.errors import RefusedError, counted
from pipeline.intervals import median_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcore.costs import CostModel

CHANGES = ("total_ns", "creation_ns_mean", "fault_ns_total", "pgtable_bytes_max")
_WORST = "worst:"
_RULE = re.compile(r"\s*(worst:)?([^\s>@]+)\s*(?:@\s*(\S+?))?\s*>\s*(\d+(?:\.\d+)?)\s*%\s*")
_KEY = ["trace_id", "design"]


class Rule(NamedTuple):
    """What may not happen: a metric more than ``percent`` higher than before, in the median or in any cell."""

    text: str
    metric: str
    worst: bool
    design: str | None
    percent: float


def compare(
    before: pd.DataFrame,
    after: pd.DataFrame,
    metrics: Sequence[str] = CHANGES,
    model: CostModel | str | None = None,
) -> pd.DataFrame:
    """Return how metrics changed from one dataset to another, each cell beside the same trace and design.

    Parameters
    ----------
    before, after : DataFrame
        What ``load`` returned, or selections of it.
    metrics : sequence of str
        Columns of numbers that both have.
    model : CostModel or str, optional
        Puts the times of both under one cost model first; needed where they were loaded under different ones.

    Returns
    -------
    DataFrame
        A row for each metric and design: ``metric``; ``design``; ``cells`` (in both); ``changed`` (how many of them
        differ); ``before``, ``after`` (medians); ``change`` (median of the paired changes, 0.05 for 5 % more; infinite
        where 0 became more), ``least`` and ``most`` (the extreme ones); ``cell_id`` (of the latter, in ``after``);
        ``users``, ``low``, ``high`` (listings, and the 95 % interval of the median listing's change); ``why`` (why there
        is no interval: cells of a sweep are no sample, and equal simulators have no noise; else empty).
        ``attrs["only_before"]`` and ``attrs["only_after"]`` are the cells that the other lacks, as (trace_id, design);
        ``attrs["other_traces"]`` says on how many cells the trace itself has other events or touches than before.

    Raises
    ------
    RefusedError
        If a metric is in neither or no number, times are under different cost models, a design has several rows on one
        trace, or no cell is in both; all faults at once.
    """
    if model is not None:
        before, after = recost(before, model), recost(after, model)
    _refuse_faults(before, after, metrics)
    wanted = list(dict.fromkeys([*_KEY, "cell_id", "events", "touches", *metrics]))
    joined = before[wanted].merge(after[wanted], on=_KEY, suffixes=("_before", "_after"))
    if not len(joined):
        raise RefusedError(
            f"analysis.compare: none of {counted(len(before), 'cell')} before and {counted(len(after), 'cell')} after "
            "have trace and design in common; traces are equal if workload, parameters, geometry, replicate, seed are; "
            "compare two datasets of one study"
        )
    users = rows_of_users(after, LISTING)
    by_trace = dict(zip(users["trace_id"], users[LISTING], strict=True)) if len(users) else {}
    joined["user"] = joined["trace_id"].map(by_trace)
    rows = [
        {"metric": metric, "design": design} | _changed(mine, metric)
        for metric in metrics
        for design, mine in joined.groupby("design", sort=False)
    ]
    table = pd.DataFrame(rows)
    keys = [set(zip(df["trace_id"], df["design"], strict=True)) for df in (before, after)]
    other = joined["events_before"].ne(joined["events_after"])
    other |= joined["touches_before"].ne(joined["touches_after"])
    table.attrs = {
        "only_before": sorted(keys[0] - keys[1]),
        "only_after": sorted(keys[1] - keys[0]),
        "other_traces": int(other.sum()),
        "costs": str(after.attrs.get("costs", "")),
    }
    return table


def _refuse_faults(before: pd.DataFrame, after: pd.DataFrame, metrics: Sequence[str]) -> None:
    """Raise RefusedError with all that is wrong with the arguments of ``compare``."""
    faults = []
    for name, df in (("before", before), ("after", after)):
        if twice := int(df.duplicated(_KEY).sum()):
            faults.append(
                f"{name}: several rows of one design on one trace ({counted(twice, 'row')} too many)"
            )
    known = [name for name in before.columns if name in after.columns]
    for metric in metrics:
        if metric not in known:
            faults.append(f"metrics: {metric!r} is not a column of both{near(metric, known)}")
        elif any(not is_numeric_dtype(df[metric]) or is_bool_dtype(df[metric]) for df in (before, after)):
            faults.append(f"metrics: {metric!r} does not hold numbers; choose a column that does")
    models = [df.attrs.get("costs") for df in (before, after)]
    if models[0] != models[1] and (times := [name for name in metrics if name in TIME_COLUMNS]):
        faults.append(
            f"model: times are under {models[0]!r} before and {models[1]!r} after, so changes of {', '.join(times)} "
            "would be those of the model; name one for both (--costs), or ask for counts alone"
        )
    if faults:
        head = f"analysis.compare: {counted(len(faults), 'problem')}"
        raise RefusedError("\n".join([head, *(f"  {fault}" for fault in faults)]))


def _changed(mine: pd.DataFrame, metric: str) -> dict[str, float | int | str]:
    """Return how one metric of one design changed."""
    old, new = (mine[f"{metric}_{when}"].to_numpy(np.float64) for when in ("before", "after"))
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(old == new, 0.0, (new - old) / np.abs(old))
    told = ~np.isnan(change)
    if not told.any():
        nothing = dict.fromkeys(("before", "after", "change", "least", "most"), float("nan"))
        return _row(nothing, 0, 0, "", "the metric has no value in any cell of both")
    cells = mine[told].assign(change=change[told])
    most = cells.sort_values(["change", "cell_id_after"], ascending=[False, True]).iloc[0]
    found = {
        "before": float(np.median(old[told])),
        "after": float(np.median(new[told])),
        "change": float(np.median(change[told])),
        "least": float(change[told].min()),
        "most": float(most["change"]),
    }
    row = _row(found, int(told.sum()), int((change[told] != 0).sum()), str(most["cell_id_after"]), "")
    per_user = cells.dropna(subset="user").groupby("user")["change"].median()
    if not len(per_user):
        return row | {"why": "no listings: cells of a sweep are no sample"}
    estimate = median_estimate(per_user, what="listing")
    return row | {"users": len(per_user), "low": estimate.low, "high": estimate.high, "why": estimate.why}


def _row(
    found: dict[str, float], cells: int, changed: int, cell_id: str, why: str
) -> dict[str, float | int | str]:
    """Return a row of ``compare`` without an interval."""
    nothing = {"users": 0, "low": float("nan"), "high": float("nan")}
    return {"cells": cells, "changed": changed} | found | {"cell_id": cell_id} | nothing | {"why": why}


def rules(texts: Sequence[str], known: Sequence[str], designs: Sequence[str]) -> list[Rule]:
    """Return rules like ``METRIC>5%``, ``worst:METRIC>5%`` or ``METRIC@DESIGN>5%``; refuse all that are wrong at once.

    ``known`` are metrics, ``designs`` those that were compared.
    """
    found, faults = [], []
    for text in texts:
        match = _RULE.fullmatch(text)
        if match is None:
            faults.append(f"{text!r} is no rule; write METRIC>5%, worst:METRIC>5% or METRIC@DESIGN>5%")
            continue
        worst, metric, design, percent = match.groups()
        if metric not in known:
            faults.append(f"{text!r}: {metric!r} is not a column of numbers of both{near(metric, known)}")
        if design is not None and design not in designs:
            faults.append(f"{text!r}: {design!r} is not a design of both{near(design, designs)}")
        found.append(Rule(text, metric, worst is not None, design, float(percent)))
    if faults:
        raise RefusedError(
            "\n".join([f"--fail-on: {counted(len(faults), 'problem')}", *(f"  {each}" for each in faults)])
        )
    return found


def regressions(table: pd.DataFrame, asked: Sequence[Rule]) -> list[str]:
    """Return for each rule and design that breaks it a sentence with the figure and, for a single cell, its id."""
    told = []
    for rule in asked:
        rows = table[table["metric"] == rule.metric]
        for row in rows[rows["design"] == rule.design if rule.design else rows["cells"] >= 0].to_dict(
            "records"
        ):
            change = row["most"] if rule.worst else row["change"]
            if change * 100 > rule.percent:
                where = (
                    f"worst of {counted(row['cells'], 'cell')}, {row['cell_id']}" if rule.worst else "median"
                )
                told.append(f"{rule.text}: {row['design']} {100 * change:+.3g} % ({where})")
    return told
