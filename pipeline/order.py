"""Rows in the order of their ids, however many: what does not fit is sorted through files.

Ids are hashes, so they lie evenly between 0 and the largest: each file takes the ids of one range.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import rows
from pipeline.folders import STAGING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

HELD_BYTES = 4 << 20  # of rows at once; sorting takes some copies of them
_RANGES = 1 << 16
_MOST_FILES = 200  # a process may have 1,024 open at the least; rows of a gigabyte still come as 5 MB


class Source(NamedTuple):
    """Rows to be sorted.

    Parameters
    ----------
    tables : iterable of Table
        In one schema; each of moderate size.
    rows : int
        How many there are about.
    """

    tables: Iterable[pa.Table]
    rows: int


def in_order(source: Source, scratch: Path) -> Iterator[pa.Table]:
    """Yield rows sorted by ``cell_id``, each once, in tables of about HELD_BYTES.

    Parameters
    ----------
    source : Source
        Where they come from.
    scratch : Path
        A folder for files that are gone afterwards; they are begun only if the rows do not fit.

    Raises
    ------
    NondeterminismError
        If two rows of one cell differ.
    """
    held: list[pa.Table] = []
    spill: _Spill | None = None
    try:
        for table in source.tables:
            held.append(table)
            size, count = sum(each.nbytes for each in held), sum(map(len, held))
            if size > HELD_BYTES:
                spill = spill or _Spill(scratch, table.schema, size * source.rows // count)
                spill.take(held)
                held.clear()
        if spill is None:
            if held:
                yield rows.sorted_unique(pa.concat_tables(held))
            return
        spill.take(held)
        held.clear()
        yield from spill.ranges()
    finally:
        if spill is not None:
            spill.remove()


class _Spill:
    """Files, each with the rows of one range of ids."""

    def __init__(self, scratch: Path, schema: pa.Schema, size: int) -> None:
        count = min(2 * size // HELD_BYTES + 1, _MOST_FILES)  # ranges are not quite equal
        edges = [f"{number * _RANGES // count:04x}" for number in range(1, count)]
        self._edges = np.array(edges, dtype="S20")
        self._files = [scratch / f"{STAGING}{os.getpid()}-range-{number}" for number in range(count)]
        self._open = ExitStack()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        try:
            self._writers = [
                self._open.enter_context(pa.ipc.new_stream(self._begun(file), schema, options=options))
                for file in self._files
            ]
        except OSError:
            self.remove()
            raise

    def _begun(self, file: Path) -> pa.OSFile:
        """Return a file that is closed with the others."""
        return self._open.enter_context(pa.OSFile(str(file), "wb"))

    def take(self, tables: list[pa.Table]) -> None:
        """Write rows where they belong."""
        if not tables:
            return
        table = rows.sorted_unique(pa.concat_tables(tables))
        ids = np.array(table["cell_id"].to_pylist(), dtype="S20")
        bounds = [0, *np.searchsorted(ids, self._edges), len(ids)]
        for writer, first, last in zip(self._writers, bounds[:-1], bounds[1:], strict=True):
            if last > first:
                writer.write_table(table.slice(first, last - first))

    def ranges(self) -> Iterator[pa.Table]:
        """Yield the rows of each range, sorted."""
        self._open.close()
        options = pa.ipc.IpcReadOptions(use_threads=False)
        for file in self._files:
            with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source, options=options) as stream:
                table = stream.read_all()
            if len(table):
                yield rows.sorted_unique(table)

    def remove(self) -> None:
        """Take the files away."""
        self._open.close()
        for file in self._files:
            file.unlink(missing_ok=True)
