"""What every event of a dataset took, worked out in one pass: any selection of cells then has its distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.latency import SLICE_ROWS, kinds_of, vector_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcore.costs import CostModel

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class EventTimes(NamedTuple):
    """What each event of some rows took, equal vectors of a row together.

    Parameters
    ----------
    row : int64 [v]
        Which row of the table.
    place : int64 [v]
        Where its latency stands in ``ns``.
    times : int64 [v]
        How many events.
    ns : float64 [k]
        The distinct latencies, ascending.
    design : int64 [rows of the table]
        Index in ``names``.
    names : list of str
        Designs, ascending.
    """

    row: IntArray
    place: IntArray
    times: IntArray
    ns: FloatArray
    design: IntArray
    names: list[str]


def event_times(table: pa.Table, model: CostModel, events: Sequence[str]) -> dict[str, EventTimes]:
    """Return what events took in each row of a table with at least one row.

    Several kinds of event (keys of LATENCY_OF) cost one pass over the vectors.
    """
    parts = []
    for first in range(0, len(table), SLICE_ROWS):
        row, kind, ns, times = vector_times(table.slice(first, SLICE_ROWS), model)
        parts.append((row + first, kind, ns, times))
    row, kind, ns, times = (np.concatenate(each) for each in zip(*parts, strict=True))
    names = sorted(pc.unique(table["design"]).to_pylist())
    numbered = pc.index_in(table["design"], value_set=pa.array(names, pa.string()))
    design = numbered.to_numpy().astype(np.int64)
    found = {}
    for event in events:
        mine = np.isin(kind, kinds_of(event))
        distinct, place = np.unique(ns[mine], return_inverse=True)
        found[event] = EventTimes(row[mine], place, times[mine], distinct, design, names)
    return found


def over_rows(found: EventTimes, rows: IntArray) -> pd.DataFrame:
    """Return ``design``, ``ns`` and ``times`` over some rows of the table, sorted by design and ns."""
    chosen = np.zeros(len(found.design), bool)
    chosen[rows] = True
    mine = chosen[found.row]
    width = max(1, len(found.ns))
    group = found.design[found.row[mine]] * width + found.place[mine]
    # bincount adds floats; counts below 2**53 are exact in them.
    times = np.bincount(group, found.times[mine], minlength=len(found.names) * width).astype(np.int64)
    there = np.flatnonzero(times)
    design = np.array(found.names, object)[there // width]
    return pd.DataFrame({"design": design, "ns": found.ns[there % width], "times": times[there]})
