"""What every event of a dataset took, worked out in one pass: any selection of cells then has its distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.latency import kinds_of, vector_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.latency import Entries
    from simcore.costs import CostModel

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class EventTimes(NamedTuple):
    """What each event of some rows took, equal vectors of a row together.

    Parameters
    ----------
    row : int64 [v]
        Which row of the dataset.
    place : int64 [v]
        Where its latency stands in ``ns``.
    times : int64 [v]
        How many events.
    ns : float64 [k]
        The distinct latencies, ascending.
    design : int64 [rows of the dataset]
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


class Timing:
    """Work out what events take in rows that come piece by piece.

    Parameters
    ----------
    model : CostModel
        What an act costs.
    events : sequence of str
        Keys of LATENCY_OF; several cost one pass over the vectors.
    """

    def __init__(self, model: CostModel, events: Sequence[str]) -> None:
        self._model = model
        self._kinds = {event: kinds_of(event) for event in events}
        self._wanted = sorted({kind for kinds in self._kinds.values() for kind in kinds})
        self._pieces: list[tuple[IntArray, IntArray, FloatArray, IntArray]] = []
        self._designs: list[pa.ChunkedArray] = []
        self._rows = 0

    def add(self, table: pa.Table, flats: Sequence[Entries]) -> None:
        """Take the next rows, and what ``latency.flattened`` gives of them."""
        if not len(table):
            return
        row, kind, ns, times = vector_times(table, flats, self._model, self._wanted)
        self._pieces.append((row + self._rows, kind, ns, times))
        self._designs += table["design"].chunks
        self._rows += len(table)

    def found(self) -> dict[str, EventTimes]:
        """Return what each event took in the rows so far, which are one at least."""
        row, kind, ns, times = (np.concatenate(each) for each in zip(*self._pieces, strict=True))
        designs = pa.chunked_array(self._designs)
        names = sorted(pc.unique(designs).to_pylist())
        design = pc.index_in(designs, value_set=pa.array(names, pa.string())).to_numpy().astype(np.int64)
        found = {}
        for event, kinds in self._kinds.items():
            mine = np.isin(kind, kinds)
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
