"""Rows as Arrow tables: made from what workers return, sorted, compared, and hashed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import NondeterminismError
from pipeline.plan import canonical, told_by_digest
from pipeline.schema import VECTOR_TYPE, row_schema
from simcore.acts import ACTS, EVENT_KINDS, GAUGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.cells import Cell
    from pipeline.work import CellRow

_ACT_NAMES = pa.array([act.name for act in ACTS])
_KIND_NAMES = pa.array(EVENT_KINDS)


def table_of(study: str, model_version: str, done: Sequence[tuple[Cell, CellRow]]) -> pa.Table:
    """Return cells and their counts in the schema of stored rows, in the given order."""
    schema = row_schema()
    cells = [cell for cell, _ in done]
    rows = [row for _, row in done]
    params = {cell.trace.trace_id: cell.trace.params for cell in cells}
    told = {trace_id: canonical(told_by_digest(each)) for trace_id, each in params.items()}
    columns: dict[str, Any] = {
        "cell_id": [cell.cell_id for cell in cells],
        "trace_id": [cell.trace.trace_id for cell in cells],
        "study": [study] * len(cells),
        "design": [cell.design for cell in cells],
        "geometry": [cell.trace.geometry for cell in cells],
        "workload": [cell.trace.workload for cell in cells],
        "params": [told[cell.trace.trace_id] for cell in cells],
        "replicate": [cell.trace.replicate for cell in cells],
        "seed": [cell.trace.seed for cell in cells],
        "model_version": [model_version] * len(cells),
        "events": [row.events for row in rows],
        "touches": [row.touches for row in rows],
    }
    acts = np.array([row.acts for row in rows], dtype=np.int64).reshape(len(rows), len(ACTS))
    gauges = np.array([row.gauges for row in rows], dtype=np.int64).reshape(len(rows), len(GAUGES))
    columns |= {act.name: acts[:, index] for index, act in enumerate(ACTS)}
    columns |= {gauge.name: gauges[:, index] for index, gauge in enumerate(GAUGES)}
    columns["vectors"] = _vectors(rows)
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _vectors(rows: Sequence[CellRow]) -> pa.Array:
    """Return the act vectors of rows as a nested column."""
    vector, act = VECTOR_TYPE.value_type, VECTOR_TYPE.value_type.field("acts").type
    acts = pa.StructArray.from_arrays(
        [
            _ACT_NAMES.take(pa.array(_joined([row.act for row in rows]))),
            pa.array(_joined([row.n for row in rows])),
        ],
        fields=list(act.value_type),
    )
    act_starts = _offsets(_joined([np.diff(row.starts) for row in rows]))
    vectors = pa.StructArray.from_arrays(
        [
            _KIND_NAMES.take(pa.array(_joined([row.kinds for row in rows]))),
            pa.array(_joined([row.times for row in rows])),
            pa.ListArray.from_arrays(act_starts, acts, type=act),
        ],
        fields=list(vector),
    )
    starts = _offsets(np.array([len(row.kinds) for row in rows], dtype=np.int64))
    return pa.ListArray.from_arrays(starts, vectors, type=VECTOR_TYPE)


def _joined(arrays: list[Any]) -> Any:
    """Return int64 arrays one after another."""
    return np.concatenate([np.empty(0, np.int64), *arrays])


def _offsets(lengths: Any) -> pa.Array:
    """Return where lists of these lengths begin, and where the last ends."""
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def sorted_unique(table: pa.Table) -> pa.Table:
    """Return the rows sorted by ``cell_id``, each once.

    Raises
    ------
    NondeterminismError
        If two rows of one cell differ.
    """
    if _ascending(table["cell_id"].combine_chunks()):
        return table
    ordered = table.sort_by("cell_id").combine_chunks()
    ids = ordered["cell_id"].to_numpy()
    repeated = np.flatnonzero(ids[1:] == ids[:-1]) + 1
    for index in repeated:
        refuse_difference(ordered.slice(index - 1, 1), ordered.slice(index, 1))
    return ordered.take(np.setdiff1d(np.arange(len(ids)), repeated)) if len(repeated) else ordered


def _ascending(ids: pa.Array) -> bool:
    """Return whether each id is greater than the one before."""
    return len(ids) < 2 or bool(pc.all(pc.less(ids[:-1], ids[1:])).as_py())


def refuse_difference(first: pa.Table, second: pa.Table) -> None:
    """Raise NondeterminismError if two rows of one cell are not equal."""
    one, two = first.to_pylist()[0], second.to_pylist()[0]
    if one != two:
        columns = ", ".join(name for name in one if one[name] != two.get(name))
        raise NondeterminismError(
            f"cell {one['cell_id']}: two runs of it differ in {columns}; equal cells must give equal rows; "
            f"replay it with: forkbench show {one['cell_id']} --simulate"
        )


def checksum(table: pa.Table) -> str:
    """Return a hash of all values of a table: 32 hex digits, independent of chunks, files and compression."""
    found = Checksum()
    found.add(table)
    return found.digest()


class Checksum:
    """The hash of a table that comes piece by piece: a hash for each column, and of nested ones for each level."""

    def __init__(self) -> None:
        self._columns: dict[str, Any] = {}
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Take the next rows."""
        self._rows += len(table)
        for name in table.column_names:
            chunks = table[name].chunks or [pa.array([], table[name].type)]
            for chunk in chunks:
                self._hash(name, chunk)

    def digest(self) -> str:
        """Return the hash of all rows so far."""
        whole = hashlib.blake2b(str(self._rows).encode(), digest_size=16)
        for name, column in self._columns.items():
            whole.update(f"\0{name}\0".encode() + column.digest())
        return whole.hexdigest()

    def _hash(self, name: str, array: pa.Array) -> None:
        """Add the values of an array: lists as lengths and items, structs field by field, texts as lengths and bytes."""
        if pa.types.is_list(array.type):
            self._update(name, pc.list_value_length(array))
            self._hash(f"{name}[]", array.flatten())
        elif pa.types.is_struct(array.type):
            for field, values in zip(array.type, array.flatten(), strict=True):
                self._hash(f"{name}.{field.name}", values)
        elif pa.types.is_dictionary(array.type):
            self._hash(name, array.dictionary_decode())
        elif pa.types.is_string(array.type):
            self._update(f"{name} lengths", pc.binary_length(array))
            self._update(name, array)
        else:
            self._update(name, array)

    def _update(self, name: str, array: pa.Array) -> None:
        """Add numbers, or the bytes of texts."""
        column = self._columns.setdefault(name, hashlib.blake2b(digest_size=16))
        if not len(array):
            return
        if pa.types.is_string(array.type):
            offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset :][: len(array) + 1]
            text = array.buffers()[2]
            if text is not None:
                column.update(memoryview(text)[offsets[0] : offsets[-1]])
        else:
            column.update(array.to_numpy(zero_copy_only=False).astype(np.int64).tobytes())
