"""Act vectors in pandas, what they cost, and exact quantiles of latency.

A row keeps, for each kind of event, every distinct act vector with the number of times it occurred. A time is
``acts @ costs``, so the whole distribution of latency under any cost model follows from the rows: no sample is
drawn, no bucket is rounded, nothing is simulated again. What an act costs may depend on the reverse mappings that the
row's design keeps, see ``simcore.costs``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import store
from pipeline.errors import DatasetError, RefusedError, did_you_mean
from pipeline.prices import OWN, by_rmap, cost_model, priced_rows
from pipeline.schema import STUDY_KEY
from simcore.acts import ACT, ACTS, EVENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from simcore.costs import CostModel

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# What a caller may ask the latency of, and the kinds of event it takes: a vfork is how the design "vfork" forks,
# and a fault is a fault whether a read or a write met it.
LATENCY_OF: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in EVENT_KINDS} | {
    "creation": ("fork", "vfork"),
    "fault": ("read_fault", "write_fault"),
}
QUANTILES: tuple[float, ...] = (0.5, 0.99, 0.999, 1.0)
SLICE_ROWS = 2_000
KIND_WIDTH = len(ACTS) + 1


class Entries(NamedTuple):
    """The vectors of some rows, flat: one element per distinct vector, and one per act of a vector.

    Parameters
    ----------
    rows : int
        How many rows there are.
    row, kind, times : int64 [v]
        Which row the vector belongs to, its index in EVENT_KINDS, how often it occurred.
    vector, act, n : int64 [e]
        Which vector, its act (index in ACTS), and how many of it; acts that are zero do not appear.
    """

    rows: int
    row: IntArray
    kind: IntArray
    times: IntArray
    vector: IntArray
    act: IntArray
    n: IntArray


def flattened(column: pa.ChunkedArray) -> Iterator[Entries]:
    """Yield the vectors of a few thousand rows at a time, so that big datasets fit in memory."""
    for chunk in column.chunks:
        for start in range(0, len(chunk), SLICE_ROWS):
            yield _flatten(chunk.slice(start, SLICE_ROWS))


def kind_totals(flat: Entries) -> tuple[IntArray, IntArray]:
    """Return the acts of each row by kind of event: what occurs, int64 [c], ascending, and how often, int64 [c, rows].

    What occurs is kind * ``KIND_WIDTH`` + act (indices in EVENT_KINDS and ACTS); act len(ACTS) is the events themselves.
    Of the several hundred combinations of kind and act few occur.
    """
    size = len(EVENT_KINDS) * KIND_WIDTH
    own = flat.row * size + flat.kind * KIND_WIDTH
    # A row's totals lie side by side, and what is large is changed in place: memory is what takes time here.
    group = own[flat.vector]
    group += flat.act
    counts = flat.times.astype(np.float64)[flat.vector]
    counts *= flat.n
    # bincount adds floats; counts below 2**53 are exact in them.
    totals = np.bincount(group, counts, minlength=flat.rows * size)
    totals += np.bincount(own + len(ACTS), flat.times, minlength=flat.rows * size)
    by_row = totals.reshape(flat.rows, size)
    occurs = np.flatnonzero(by_row.any(axis=0))
    return occurs, by_row[:, occurs].T.astype(np.int64, order="C")


def vectors(source: Path | str | pa.Table, cells: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the act vectors of a dataset, long.

    Parameters
    ----------
    source : path or pyarrow.Table
        A dataset, or rows read from one.
    cells : iterable of str, optional
        Cell ids to keep. A dataset of 100,000 cells has millions of vectors: choose, or be patient.

    Returns
    -------
    DataFrame
        One row per distinct vector of a cell: ``cell_id``, ``design``, ``event`` (kind), ``times`` (how often it
        occurred), and one int64 column per act. ``attrs["own_designs"]`` says what the study's own designs are.
    """
    table = source if isinstance(source, pa.Table) else store.read(source)
    if cells is not None:
        table = table.filter(pc.is_in(table["cell_id"], value_set=pa.array(list(cells), pa.string())))
    parts: list[dict[str, Any]] = []
    first = 0
    for flat in flattened(table["vectors"]):
        parts.append(_long(flat, first))
        first += flat.rows
    return _vector_frame(table, parts)


def latency(
    source: Path | str | pa.Table | pd.DataFrame,
    model: CostModel | str,
    event: str,
    q: Sequence[float] = QUANTILES,
) -> pd.DataFrame:
    """Return exact quantiles of an event's latency under a cost model, per design.

    Parameters
    ----------
    source : path, pyarrow.Table or DataFrame
        A dataset, rows read from one, or what ``vectors`` returned; filter the latter two as you like.
    model : CostModel or str
        What an act costs.
    event : str
        A kind of event, or "creation" (fork and vfork), or "fault" (read and write faults).
    q : sequence of float in [0, 1]
        0.5 is the median, 1 the maximum. The quantile is the smallest latency that at least a share q of the
        events do not exceed, so it is always the latency of an event that happened.

    Returns
    -------
    DataFrame
        Index ``design``; ``events`` (how many), ``ns_mean``, and one column ``ns_q<q>`` per quantile, in ns.
        A design in which the event never happens does not appear.

    Raises
    ------
    RefusedError
        If the event or the cost model is unknown.
    """
    return quantiles(distribution(source, model, event), q)


def quantiles(spread: pd.DataFrame, q: Sequence[float] = QUANTILES) -> pd.DataFrame:
    """Return what ``latency`` does, of what ``distribution`` returned."""
    rows = {}
    for design, part in spread.groupby("design", sort=False):
        ns, weight = part["ns"].to_numpy(), part["times"].to_numpy()
        cuts = weighted_quantiles(ns, weight, q)
        rows[design] = {"events": int(weight.sum()), "ns_mean": float(ns @ weight / weight.sum())} | {
            f"ns_q{level:g}": value for level, value in zip(q, cuts, strict=True)
        }
    columns = ["events", "ns_mean", *(f"ns_q{level:g}" for level in q)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("design")


def distribution(
    source: Path | str | pa.Table | pd.DataFrame, model: CostModel | str, event: str
) -> pd.DataFrame:
    """Return each distinct latency of an event per design: ``design``, ``ns``, ``times``, sorted by design and ns.

    Parameters are those of ``latency``. Rows are taken a few thousand at a time, so a big dataset fits in memory.
    """
    return grouped([grouped([part]) for part in timed(source, model, event)])


def timed(
    source: Path | str | pa.Table | pd.DataFrame, model: CostModel | str, event: str
) -> Iterator[pd.DataFrame]:
    """Return ``cell_id``, ``design``, ``ns`` and ``times`` of each vector of an event, some thousand rows at a time.

    Parameters are those of ``latency``, and so is what is refused.
    """
    if event not in LATENCY_OF:
        known = ", ".join(LATENCY_OF)
        raise RefusedError(
            f"event: unknown kind {event!r}{did_you_mean(event, LATENCY_OF)}; known are {known}; use one of them"
        )
    chosen = cost_model(model)
    if isinstance(source, pd.DataFrame):
        return iter([_timed(source, chosen, event)])
    table = source if isinstance(source, pa.Table) else store.read(source)
    slices = (table.slice(start, SLICE_ROWS) for start in range(0, len(table), SLICE_ROWS))
    return (_timed_rows(part, chosen, event) for part in slices)


def _timed_rows(part: pa.Table, model: CostModel, event: str) -> pd.DataFrame:
    """Return what ``_timed`` does of some rows, without a column for each act: most acts of a vector are zero."""
    row, _, ns, times = vector_times(part, flattened(part["vectors"]), model, kinds_of(event))
    identity: pd.DataFrame = part.select(["cell_id", "design"]).to_pandas(use_threads=False)
    found = identity.take(row).reset_index(drop=True)
    return found.assign(ns=ns, times=times)


def kinds_of(event: str) -> list[int]:
    """Return the indices in EVENT_KINDS of what an event takes."""
    return [EVENT_KINDS.index(kind) for kind in LATENCY_OF[event]]


def vector_times(
    part: pa.Table, flats: Iterable[Entries], model: CostModel, kinds: Sequence[int]
) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """Return row (from 0), kind (index in EVENT_KINDS), ns and times of each vector of some kinds in some rows.

    ``flats`` is what ``flattened`` gives of the rows. Acts are stored in the order of ACTS and added in it, so the times
    are those of ``priced``, to the last bit.
    """
    identity: pd.DataFrame = part.select(["design"]).to_pandas(use_threads=False)
    identity.attrs = {OWN: _own_designs((part.schema.metadata or {}).get(STUDY_KEY.encode(), b"{}"))}
    kept = by_rmap(identity)
    costs = np.maximum(np.stack([model.vector(rmap) for rmap in kept]), 0.0).ravel()
    own: IntArray = np.zeros(len(identity), np.int64)  # where the costs of a row's design begin
    for number, mine in enumerate(kept.values()):
        own[mine] = number * len(ACTS)
    found: list[tuple[IntArray, IntArray, FloatArray, IntArray]] = []
    first = 0
    for flat in flats:
        act = own[flat.row + first][flat.vector]
        act += flat.act
        cost = costs[act]
        cost *= flat.n
        spent: FloatArray = np.bincount(flat.vector, cost, minlength=len(flat.row)).astype(np.float64)
        wanted = np.isin(flat.kind, kinds)
        found.append((flat.row[wanted] + first, flat.kind[wanted], spent[wanted], flat.times[wanted]))
        first += flat.rows
    row, kind, ns, times = zip(*found, strict=True)
    return np.concatenate(row), np.concatenate(kind), np.concatenate(ns), np.concatenate(times)


@lru_cache(maxsize=8)
def _own_designs(study: bytes) -> dict[str, Any]:
    """Return the designs that a study defines; it may carry megabytes of packed traces, and comes with every piece."""
    found: dict[str, Any] = json.loads(study).get(OWN, {})
    return found


def _timed(long: pd.DataFrame, model: CostModel, event: str) -> pd.DataFrame:
    """Return ``cell_id``, ``design``, ``ns``, ``times`` of each vector of an event."""
    chosen = long[long["event"].isin(LATENCY_OF[event])]
    counts = {ACT[act.name]: chosen[act.name].to_numpy(np.float64) for act in ACTS}
    ns = priced_rows(counts, chosen, model)
    return chosen[["cell_id", "design"]].assign(ns=ns, times=chosen["times"])


def grouped(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the sum of several distributions."""
    empty = pd.DataFrame(
        {"design": pd.Series(dtype="str"), "ns": np.zeros(0), "times": np.zeros(0, np.int64)}
    )
    joined = pd.concat(parts) if parts else empty
    return joined.groupby(["design", "ns"])["times"].sum().reset_index()


def weighted_quantiles(values: FloatArray, times: IntArray, q: Sequence[float]) -> list[float]:
    """Return exact quantiles of values that each occurred ``times`` times.

    Parameters
    ----------
    values : float64 [k], k >= 1
        In any order; repeated values are allowed.
    times : int64 [k]
        At least 1 each.
    q : sequence of float in [0, 1]
        For q the smallest value v is returned for which at least ``q * sum(times)`` values are <= v.

    Raises
    ------
    ValueError
        If there are no values, or q is outside of [0, 1].
    """
    if not len(values):
        raise ValueError("quantiles: there are no values; at least one is needed")
    outside = [level for level in q if not 0 <= level <= 1]
    if outside:
        raise ValueError(f"quantiles: {outside[0]!r} is not a share; 0 to 1 is allowed; the median is 0.5")
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(times[order])
    # The rank is exact for every share that a float holds well; the 1e-9 undoes 0.999 * 1000 = 999.0000000001.
    ranks = [max(1, int(np.ceil(level * int(reached[-1]) - 1e-9))) for level in q]
    found = np.searchsorted(reached, ranks)
    return [float(values[order[index]]) for index in found]


def _flatten(lists: pa.ListArray) -> Entries:
    """Return the vectors of an array of VECTOR_TYPE as flat numpy arrays."""
    structs = pc.list_flatten(lists)
    event, times, acts = structs.flatten()
    pairs = pc.list_flatten(acts)
    act, n = pairs.flatten()
    return Entries(
        rows=len(lists),
        row=_ints(pc.list_parent_indices(lists)),
        kind=_numbered(event, EVENT_KINDS, "kind of event"),
        times=_ints(times),
        vector=_ints(pc.list_parent_indices(acts)),
        act=_numbered(act, tuple(ACT), "act"),
        n=_ints(n),
    )


def _numbered(names: pa.Array, known: tuple[str, ...], what: str) -> IntArray:
    """Return the index in ``known`` of each name; refuses names that this version does not know."""
    if pa.types.is_dictionary(names.type):
        of_each: IntArray = _numbered(names.dictionary, known, what)
        return of_each[_ints(names.indices)]
    found = pc.index_in(names, value_set=pa.array(known, pa.string()))
    if found.null_count:
        stranger = names.filter(pc.is_null(found))[0].as_py()
        raise DatasetError(
            f"vectors: unknown {what} {stranger!r}; known are {', '.join(known)}; "
            "read the dataset with the version that wrote it"
        )
    return _ints(found)


def _ints(array: pa.Array) -> IntArray:
    """Return an arrow array of integers without nulls as int64."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.int64)


def _long(flat: Entries, first: int) -> dict[str, Any]:
    """Return the columns of one slice: row number from ``first``, kind, times, and dense acts [v, len(ACTS)]."""
    dense = np.zeros((len(flat.row), len(ACTS)), np.int64)
    dense[flat.vector, flat.act] = flat.n
    return {"row": flat.row + first, "kind": flat.kind, "times": flat.times, "acts": dense}


def _vector_frame(table: pa.Table, parts: list[dict[str, Any]]) -> pd.DataFrame:
    """Put the slices together with each row's identity."""
    empty = {"row": np.zeros(0, np.int64), "kind": np.zeros(0, np.int64), "times": np.zeros(0, np.int64)}
    joined = {key: np.concatenate([part[key] for part in parts]) if parts else empty[key] for key in empty}
    acts = np.concatenate([part["acts"] for part in parts]) if parts else np.zeros((0, len(ACTS)), np.int64)
    identity: pd.DataFrame = table.select(["cell_id", "design"]).to_pandas(use_threads=False)
    frame = identity.take(joined["row"]).reset_index(drop=True)
    frame["event"] = pd.Categorical(np.array(EVENT_KINDS)[joined["kind"]], categories=pd.Index(EVENT_KINDS))
    frame["times"] = joined["times"]
    counted: pd.DataFrame = pd.concat([frame, pd.DataFrame(acts, columns=list(ACT))], axis=1)
    counted.attrs = {OWN: _own_designs((table.schema.metadata or {}).get(STUDY_KEY.encode(), b"{}"))}
    return counted
