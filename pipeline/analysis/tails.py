"""Tails of latency: how often an event takes longer than so and so much, and up to which quantile that can be said.

A row keeps every distinct act vector with its multiplicity, so the distribution over the events of a sweep is exact under
any cost model. What is not exact is what it says of other events of the kind: the 99.9 % quantile of a hundred forks is
merely their slowest one. So a quantile is told only if there are enough events to bound it from both sides.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.analysis.asked import near
from pipeline.errors import RefusedError, counted
from pipeline.intervals import LEVEL, refusal
from pipeline.latency import grouped, timed, weighted_quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from simcore.costs import CostModel

NINES: tuple[float, ...] = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
EVENTS = ("fork", "fault")


def tail(
    source: Path | str | pa.Table | pd.DataFrame, model: CostModel | str, event: str = "fork"
) -> pd.DataFrame:
    """Return the complementary distribution (CCDF) of an event's latency under a cost model, per design.

    Parameters
    ----------
    source : path, pyarrow.Table or DataFrame
        A dataset, rows read from one, or what ``vectors`` returned.
    model : CostModel or str
        What an act costs: a model, its name or its file.
    event : str
        A kind of event, "creation" (fork and vfork), or "fault" (read and write faults).

    Returns
    -------
    DataFrame
        A row for each design and distinct latency, ascending: ``design``; ``ns``; ``times`` (events that took this long);
        ``longer`` (events that took longer); ``ccdf`` (their share, in [0, 1); 0 in the last row of a design); ``cells``
        (in how many cells some event took at least this long: a tail may be that of one). A design in which the event
        never happens does not appear. ``attrs["event"]``, ``attrs["costs"]`` (the model's name) and
        ``attrs["highest"]`` (design -> the highest quantile of NINES that its events support; NaN if none).

    Raises
    ------
    RefusedError
        If the event or the cost model is unknown, or the source is no dataset.
    """
    kinds, most = [], []
    for part in timed(source, model, event):
        kinds.append(grouped([part]))
        most.append(part.groupby(["design", "cell_id"], as_index=False)["ns"].max())
    found = grouped(kinds)
    slowest = pd.concat(most) if most else pd.DataFrame({"design": [], "cell_id": [], "ns": []})
    highest = slowest.groupby(["design", "cell_id"])["ns"].max().reset_index()
    parts = [
        _falling(mine, np.sort(highest.loc[highest["design"] == design, "ns"].to_numpy(np.float64)))
        for design, mine in found.groupby("design", sort=False)
    ]
    columns = {"longer": np.zeros(0, np.int64), "ccdf": np.zeros(0), "cells": np.zeros(0, np.int64)}
    table = pd.concat(parts, ignore_index=True) if parts else found.assign(**columns)
    events = table.groupby("design", sort=False)["times"].sum()
    table.attrs = {
        "event": event,
        "costs": model if isinstance(model, str) else model.name,
        "highest": {str(design): highest_quantile(int(number)) for design, number in events.items()},
    }
    return table


def _falling(mine: pd.DataFrame, slowest: Any) -> pd.DataFrame:
    """Return the rows of a design with what lies beyond each; ``slowest`` is that of each cell, ascending."""
    reached = mine["times"].cumsum()
    total = int(mine["times"].sum())
    longer = total - reached
    cells = len(slowest) - np.searchsorted(slowest, mine["ns"].to_numpy(np.float64), side="left")
    return mine.assign(longer=longer, ccdf=longer / total, cells=cells)


def highest_quantile(events: int) -> float:
    """Return the highest of NINES that so many events can bound at LEVEL; NaN if they cannot bound a median."""
    return max((q for q in NINES if not refusal(q, events)), default=math.nan)


def tail_quantiles(found: pd.DataFrame, q: Sequence[float] = NINES[:5]) -> pd.DataFrame:
    """Return quantiles of latency, those that the events do not support with the reason in place of a figure.

    Parameters
    ----------
    found : DataFrame
        What ``tail`` returned, or a selection of its designs.
    q : sequence of float in (0, 1)
        0.5 is the median. A quantile is supported if n events bound it from both sides 95 % of the time: 0.9 by 36
        events, 0.99 by 368, 0.999 by 3,688.

    Returns
    -------
    DataFrame
        A row for each design and quantile, then one with q = 1, the slowest event, which is a maximum and stands for
        nothing beyond it: ``design``; ``q``; ``ns`` (smallest latency that at least a share q of the events do not
        exceed; NaN if refused); ``events`` (of the design); ``beyond`` (events that took longer); ``cells`` (in how many
        cells an event took at least this long; 0 if refused); ``why`` (why it was refused; else empty).

    Raises
    ------
    RefusedError
        If the frame is not one of ``tail``, or some q is not in (0, 1); all faults at once.
    """
    faults = [f"q: {level!r} is not above 0 and below 1" for level in q if not 0 < level < 1]
    missing = [name for name in ("design", "ns", "times", "longer", "cells") if name not in found.columns]
    if missing:
        faults.append(f"found: has no {' and no '.join(missing)}; it has to be what analysis.tail returned")
    if faults:
        raise RefusedError("analysis.tail_quantiles: " + "; ".join(faults))
    rows = []
    for design, mine in found.groupby("design", sort=False):
        ns, times = mine["ns"].to_numpy(np.float64), mine["times"].to_numpy(np.int64)
        number = int(times.sum())
        for level, value in zip([*q, 1.0], weighted_quantiles(ns, times, [*q, 1.0]), strict=True):
            why = "" if level == 1 else refusal(level, number, LEVEL, f"{found.attrs.get('event', 'event')}")
            at = mine.iloc[int(np.searchsorted(ns, value))]
            told = (math.nan, 0, 0) if why else (value, int(at["longer"]), int(at["cells"]))
            rows.append((design, level, told[0], number, told[1], told[2], why))
    return pd.DataFrame(rows, columns=["design", "q", "ns", "events", "beyond", "cells", "why"])


def quantile(found: pd.DataFrame, design: str, q: float) -> float:
    """Return one quantile of a design's latency in ns; refuse one that its events do not support, with the reason.

    ``found`` is what ``tail`` returned.
    """
    mine = found[found["design"] == design]
    if not len(mine):
        known = found["design"].unique().tolist()
        raise RefusedError(f"analysis.quantile: design: {design!r} has no such event{near(design, known)}")
    row = tail_quantiles(mine, [q]).iloc[0]
    if row["why"]:
        events = counted(int(row["events"]), "event")
        raise RefusedError(
            f"analysis.quantile: q: {row['why']}; {design!r} has {events}, so ask for "
            f"{highest_quantile(int(row['events']))} or less, or run more replicates"
        )
    return float(row["ns"])
