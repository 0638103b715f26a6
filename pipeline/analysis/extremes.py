"""The cells in which a design does worst and best against its baseline, each with the line that replays it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.analysis.asked import Asked
from pipeline.compare import paired
from pipeline.errors import counted

if TYPE_CHECKING:
    from pathlib import Path


def worst(
    df: pd.DataFrame, metric: str, baseline: str | None, count: int = 1, dataset: Path | str | None = None
) -> pd.DataFrame:
    """Return, per design, the cells in which it does worst against the baseline: the worst of these cells.

    That is the worst case *of the sweep*; nothing says that no worse one exists outside of it. Equal ratios are settled
    by cell id.

    Parameters
    ----------
    df : DataFrame
        What ``load`` returned, or a selection of it.
    metric : str
        A column of numbers of which less is better.
    baseline : str or None
        Name of a design; None ranks by the metric itself instead of by the ratio.
    count : int
        Cells a design, at least 1.
    dataset : path, optional
        Where the dataset lies, for the replay line; without it ``forkbench show`` searches ``results/``.

    Returns
    -------
    DataFrame
        Index ``design``, in order of appearance; a design without a ratio does not appear. The columns of ``df``,
        ``ratio`` (NaN without a baseline), ``cells`` (how many of the design were compared), ``rank`` from 1, ``said``
        (``worst of 648 cells``, or ``rank 2 of 648 cells``), and ``replay`` (the command that simulates the cell again
        and compares it with its row).

    Raises
    ------
    RefusedError
        If metric or baseline is unknown, count is below 1, or a design has two rows on one trace; all faults at once.
    """
    return _extreme(df, metric, baseline, ("worst", count), dataset)


def best(
    df: pd.DataFrame, metric: str, baseline: str | None, count: int = 1, dataset: Path | str | None = None
) -> pd.DataFrame:
    """Return, per design, the cells in which it does best against the baseline, as ``worst`` does."""
    return _extreme(df, metric, baseline, ("best", count), dataset)


def _extreme(
    df: pd.DataFrame, metric: str, baseline: str | None, wanted: tuple[str, int], dataset: Path | str | None
) -> pd.DataFrame:
    """Return the rows with the highest or lowest ratios of each design."""
    which, count = wanted
    asked = Asked(which, df)
    asked.metric(metric)
    asked.column("cell_id", "df")
    if baseline is not None:
        asked.design(baseline)
    if count != int(count) or count < 1:
        asked.fault("count", f"{count!r} is not a whole number from 1 on")
    asked.done()
    ratio = df[metric] * float("nan") if baseline is None else paired(df, metric, baseline)
    compared = df[["design", "cell_id"]].assign(ratio=ratio, row=range(len(df)))
    compared["height"] = df[metric].astype("float64") if baseline is None else ratio
    compared = compared.dropna(subset="height")
    compared["cells"] = compared.groupby("design")["cell_id"].transform("size")
    order = compared.sort_values(["height", "cell_id"], ascending=[which == "best", True], kind="stable")
    order["rank"] = order.groupby("design").cumcount() + 1
    ran = {name: number for number, name in enumerate(df["design"].unique())}
    first = order[order["rank"] <= count].sort_values(
        "design", key=lambda names: names.map(ran), kind="stable"
    )
    cells = df.iloc[first["row"].tolist()].set_index("design")
    where = "" if dataset is None else f" --results {shlex.quote(str(dataset))}"
    told = {
        "ratio": first["ratio"].to_numpy(),
        "cells": first["cells"].to_numpy(),
        "rank": first["rank"].to_numpy(),
        "said": [_said(which, *each) for each in zip(first["rank"], first["cells"], strict=True)],
        "replay": [f"forkbench show {cell}{where} --simulate" for cell in cells["cell_id"]],
    }
    return pd.concat([cells, pd.DataFrame(told, index=cells.index)], axis=1)


def _said(which: str, rank: int, cells: int) -> str:
    """Return which of how many cells it is."""
    among = counted(cells, "cell")
    return f"{which} of {among}" if rank == 1 else f"rank {rank} of {among}"
