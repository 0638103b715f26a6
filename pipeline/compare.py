"""Designs against a baseline, on the same trace.

Every design of a study faces the same traces, and the simulator is exact: a ratio between two designs on one trace
carries no noise, so it needs no interval. What varies is the cell, and the user.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.errors import RefusedError, did_you_mean

# Below this a difference is called none: the assumed constants do not support a finer statement.
NO_DIFFERENCE = 0.005
CONSTRUCTED = "adversary"  # the workload of constructed worst cases
_NAMED_WORKLOADS = 4
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
    trace, _ = pd.factorize(df["trace_id"])
    # From behind, so that of two rows on one trace the first is written last.
    mine = np.flatnonzero(df["design"] == baseline)[::-1]
    # One more than there are traces: the last stands for rows without a trace, which have -1.
    known = np.full(int(trace.max(initial=-1)) + 2, np.nan)
    known[trace[mine]] = df[metric].astype("float64").to_numpy()[mine]
    known[-1] = np.nan
    return pd.Series(known[trace], df.index, name="trace_id")


def population(df: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the cells that stand for the typical case, and a phrase that says which they are.

    These are the cells that run a measured process tree; of a workload without one, all cells. Cells that were
    constructed to be the worst are none of them, unless there is nothing else.
    """
    if "workload" in df.columns:
        constructed = df["workload"] == CONSTRUCTED
        df = df if constructed.all() else df[~constructed]
    if "tree_measured" not in df.columns or not (df["tree_measured"] == True).any():  # noqa: E712 (NaN in mixed studies)
        return df, "all cells of the sweep, since it has no measured tree"
    measured = df["tree_measured"] == True  # noqa: E712
    names = sorted(df.loc[measured, "tree"].unique())
    with_trees = set(df.loc[measured, "workload"].unique())
    others = sorted(set(df["workload"].unique()) - with_trees)
    phrase = f"cells with the measured tree {', '.join(names)}"
    if len(names) > _NAMED_TREES:
        phrase = f"cells with one of {len(names)} measured trees"
    if not others:
        return df[measured], phrase
    named = (
        ", ".join(others) if len(others) <= _NAMED_WORKLOADS else f"the {len(others)} workloads without one"
    )
    return df[measured | ~df["workload"].isin(with_trees)], f"{phrase}, and all cells of {named}"
