"""Designs against a baseline, on the same trace.

Every design of a study faces the same traces, and the simulator is exact: a ratio between two designs on one trace
carries no noise, so it needs no interval. What varies is the cell, and that is what typical and worst are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.errors import RefusedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Hashable

# Below this a difference is called none: the assumed constants do not support a finer statement.
NO_DIFFERENCE = 0.005
_NAMED_TREES = 3  # of more the number is told


def paired(df: pd.DataFrame, metric: str, baseline: str) -> pd.Series[float]:
    """Return each row's metric divided by that of the baseline on the same trace.

    Parameters
    ----------
    df : DataFrame
        What ``analysis.load`` returned, or a selection of it.
    metric : str
        A column of numbers.
    baseline : str
        Name of a design.

    Returns
    -------
    Series
        Named ``ratio``, aligned with ``df``; NaN where the baseline did not run on that trace or has 0 there.

    Raises
    ------
    RefusedError
        If the frame has no such metric.
    """
    below = reference(df, metric, baseline)
    return (df[metric] / below.where(below != 0)).rename("ratio")


def reference(df: pd.DataFrame, metric: str, baseline: str) -> pd.Series[float]:
    """Return the baseline's metric on each row's trace, aligned with ``df``; NaN where it did not run."""
    if metric not in df.columns:
        near = did_you_mean(metric, df.columns)
        raise RefusedError(
            f"metric: {metric!r} is not a column{near}; df.columns lists them; choose one that holds numbers"
        )
    known = df[df["design"] == baseline].drop_duplicates("trace_id").set_index("trace_id")[metric]
    return df["trace_id"].map(known.astype("float64"))


def population(df: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the cells that stand for the typical case, and a phrase that says which they are.

    These are the cells that run a measured process tree; of a workload without one, all cells.
    """
    if "tree_measured" not in df.columns or not (df["tree_measured"] == True).any():  # noqa: E712 (NaN in mixed studies)
        return df, "all cells of the sweep, since it has no measured tree"
    measured = df["tree_measured"] == True  # noqa: E712
    names = sorted(df.loc[measured, "tree"].unique())
    with_trees = set(df.loc[measured, "workload"])
    others = sorted(set(df["workload"]) - with_trees)
    phrase = f"cells with the measured tree {', '.join(names)}"
    if len(names) > _NAMED_TREES:
        phrase = f"cells with one of {len(names)} measured trees"
    if not others:
        return df[measured], phrase
    return df[measured | ~df["workload"].isin(with_trees)], f"{phrase}, and all cells of {', '.join(others)}"


def typical(df: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return how each design does against the baseline over the typical cells.

    Returns
    -------
    DataFrame
        Index ``design`` in order of appearance; ``cells``; ``value`` (median of the metric); ``ratio`` (median of
        the paired ratios), ``ratio_p10``, ``ratio_p90``; ``difference`` (median of metric less the baseline's);
        ``losing`` (share of the cells in which the design is worse by more than NO_DIFFERENCE).
        ``attrs["population"]`` says which cells these are.
    """
    chosen, phrase = population(df)
    ratio = paired(chosen, metric, baseline)
    with_ratio = pd.DataFrame(
        {
            "design": chosen["design"],
            metric: chosen[metric],
            "ratio": ratio,
            "difference": chosen[metric] - reference(chosen, metric, baseline),
            "losing": (ratio > 1 + NO_DIFFERENCE).astype("float64").where(ratio.notna()),
        }
    )
    groups = with_ratio.groupby("design", sort=False)
    summary = pd.DataFrame(
        {
            "cells": groups["ratio"].count(),
            "value": groups[metric].median(),
            "ratio": groups["ratio"].median(),
            "ratio_p10": groups["ratio"].quantile(0.1),
            "ratio_p90": groups["ratio"].quantile(0.9),
            "difference": groups["difference"].median(),
            "losing": groups["losing"].mean(),
        }
    )
    summary.attrs["population"] = phrase
    return summary


def worst(df: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return, per design, the row of ``df`` in which it does worst against the baseline: the worst of these cells.

    That is the worst case *of the sweep*; nothing says that no worse one exists outside of it. Equal ratios are
    settled by cell id. The result has the columns of ``df``, ``ratio``, and ``cells`` (how many were compared);
    a design without a ratio does not appear.
    """
    return _extreme(df, metric, baseline, highest=True)


def best(df: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return, per design, the row of ``df`` in which it does best against the baseline, as ``worst`` does."""
    return _extreme(df, metric, baseline, highest=False)


def _extreme(df: pd.DataFrame, metric: str, baseline: str, *, highest: bool) -> pd.DataFrame:
    """Return the row with the highest or lowest ratio of each design."""
    compared = df[["design", "cell_id"]].assign(ratio=paired(df, metric, baseline), row=range(len(df)))
    compared = compared.dropna(subset="ratio")
    order = compared.sort_values(["ratio", "cell_id"], ascending=[not highest, True], kind="stable")
    first = order.drop_duplicates("design").set_index("design")
    appearance: list[Hashable] = [name for name in df["design"].unique() if name in first.index]
    chosen = first.loc[appearance]
    counted = compared.groupby("design", sort=False).size()
    cells = df.iloc[chosen["row"].tolist()].set_index("design")
    return cells.assign(ratio=chosen["ratio"], cells=counted)
