"""The one writer of a dataset: plan frozen, rows committed for good, nothing written twice."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parts, rows, store
from pipeline.cells import CellSet
from pipeline.errors import DatasetError, counted
from pipeline.folders import STAGING
from pipeline.order import Source, in_order
from pipeline.places import place_of
from pipeline.plan import plan_document
from pipeline.schema import row_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from pipeline.cells import Cell
    from pipeline.places import Place, Where
    from pipeline.plan import Plan
    from pipeline.work import CellFailure, CellRow

FLUSH_SECONDS = 2.0  # what a SIGKILL may lose
FLUSH_ROWS = 1_000


class Dataset:
    """The one writer of a dataset; a context manager that holds the lock.

    Parameters
    ----------
    path : Path or str
        The folder, made if it is not there; or the URL.
    plan : Plan
        What is to be run.
    made_by : dict
        Provenance, for the metadata.

    Attributes
    ----------
    plan : Plan
        What is to be run.
    done : CellSet
        The planned cells that have a row on the disk.
    notes : list of str
        What the user should know about what was found.
    """

    def __init__(self, path: Where, plan: Plan, made_by: dict[str, str]) -> None:
        self.path = path
        self.done = CellSet(plan.cells)
        self.notes: list[str] = []
        self.plan = plan
        self._made_by = made_by
        self._waiting: list[CellRow] = []
        # The first rows are committed at once: a disk that refuses is noticed early.
        self._flushed = float("-inf")
        self._place = place_of(path)
        self._claimed = False
        self._before: Plan | None = None  # the plan that this one takes the place of

    def __enter__(self) -> Self:
        # Arrow's own allocator keeps what it once had; a driver lives long and makes one table after another.
        pa.set_memory_pool(pa.system_memory_pool())
        try:
            self._place.claim(store.PLAN)
            self._claimed = True
            self._freeze()
            self._resume()
        except OSError as error:
            self._release()
            raise self._refusal(error) from None
        except DatasetError:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        """Give the lock back; that of another one is left alone."""
        if self._claimed:
            self._place.release()
            self._claimed = False

    def _refusal(self, error: OSError) -> DatasetError:
        """Return what a failure of the file system means for the user."""
        return refusal(self.path, error)

    def _freeze(self) -> None:
        """Write the plan once; if another plan is there, set that one aside."""
        if self._place.write_new(store.PLAN, self._document()):
            self._place.replace(store.STUDY, self.plan.text.encode())
            return
        try:
            before = store.read_plan(self.path)
        except DatasetError:
            before = None
        if before is not None and before.study["name"] != self.plan.study["name"]:
            raise DatasetError(
                f"{self.path}: holds the study {before.study['name']!r}, not {self.plan.study['name']!r}; "
                "a dataset has one study; name another folder with --results"
            )
        if before is not None and (before.plan_id, before.study) == (self.plan.plan_id, self.plan.study):
            return
        if before is not None and before.plan_id != self.plan.plan_id:
            self._before = before
            if not self._has_all_of(before):
                self._place.write_new(f"plan-{before.plan_id}.json", self._place.read(store.PLAN))
        self._place.remove([store.COMPLETE])
        self._place.replace(store.PLAN, self._document())
        self._place.replace(store.STUDY, self.plan.text.encode())

    def _has_all_of(self, before: Plan) -> bool:
        """Return whether the plan has all cells of another: nothing is lost with that one."""
        return bool((self.plan.cells.numbers(map(bytes.decode, before.cells.columns.ids)) >= 0).all())

    def _document(self) -> Iterator[bytes]:
        """Yield the plan as it is written."""
        return map(str.encode, plan_document(self.plan, self._made_by))

    def _resume(self) -> None:
        """Find out which cells are done; set damaged parts aside."""
        others: set[str] = set()  # cells of other plans
        for file in self._place.parts():
            try:
                ids = parts.read_part(file, ["cell_id"])["cell_id"].to_pylist()
            except parts.UnreadablePartError as error:
                self._place.set_aside(file.name, f"unreadable-{file.name}")
                self.notes.append(f"{error}; its cells are run again")
                continue
            numbers = self.done.cells.numbers(ids)
            self.done.mask[numbers[numbers >= 0]] = True
            others.update(ids[at] for at in np.flatnonzero(numbers < 0))
        if self._before is not None:
            self.notes.insert(0, self._difference(self._before, len(others)))

    def _difference(self, before: Plan, unread: int) -> str:
        """Return what it means that another plan was there; ``unread`` rows are not of this one."""
        why = "the study was edited"
        if before.model_version != self.plan.model_version:
            why = f"the simulator changed (from {before.model_version[:8]} to {self.plan.model_version[:8]})"
        missing = counted(len(self.plan.cells) - len(self.done), "cell")
        return (
            f"{why}: {missing} to simulate, {len(self.done):,} with a row from before; {counted(unread, 'row')} of "
            "cells that are no longer asked for (on the disk but not read)"
        )

    def add(self, done: Sequence[CellRow]) -> None:
        """Take rows; they are on the disk FLUSH_SECONDS later at most, if more follow."""
        self._waiting += done
        if len(self._waiting) >= FLUSH_ROWS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit the rows that wait, as one part; a row that is there already is compared and dropped.

        Raises
        ------
        NondeterminismError
            If a cell's new row differs from the stored one.
        DatasetError
            If the disk refuses.
        """
        self._flushed = time.monotonic()
        if not self._waiting:
            return
        table = rows.sorted_unique(
            rows.table_of(self.plan.study["name"], self.plan.model_version, self._with_cells())
        )
        again = self.done.mask[self.done.cells.numbers(table["cell_id"].to_pylist())]
        if again.any():
            repeated = table.filter(pa.array(again))
            for stored in self._stored(repeated["cell_id"]):
                rows.sorted_unique(pa.concat_tables([repeated, stored]))
            table = table.filter(pa.array(~again))
        self._commit(table)
        self._waiting.clear()

    def _with_cells(self) -> list[tuple[Cell, CellRow]]:
        """Return the rows that wait, each with the cell whose it is."""
        numbers = self.done.cells.numbers(row.cell_id for row in self._waiting)
        return [
            (self.done.cells[int(number)], row) for number, row in zip(numbers, self._waiting, strict=True)
        ]

    def _stored(self, wanted: pa.ChunkedArray) -> Iterator[pa.Table]:
        """Yield the rows of some cells that are on the disk."""
        for table in self._pieces(self._place.parts()):
            yield table.filter(pc.is_in(table["cell_id"], wanted.combine_chunks()))

    def _pieces(self, files: Iterable[Path], *, every: bool = False) -> Iterator[pa.Table]:
        """Yield the planned rows of parts, or every row, row group after row group."""
        for file in files:
            try:
                for table in parts.pieces(file):
                    chosen = table if every else self._planned(table)
                    yield store.conformed(chosen, self.path).replace_schema_metadata(row_schema().metadata)
            except parts.UnreadablePartError as error:
                raise DatasetError(
                    f"{self.path}: {error}; run the same command again, which makes its rows anew"
                ) from None

    def _planned(self, table: pa.Table) -> pa.Table:
        """Return those rows that are of this plan."""
        return table.filter(pa.array(self.done.cells.numbers(table["cell_id"].to_pylist()) >= 0))

    def _commit(self, table: pa.Table) -> None:
        """Write rows as a part."""
        if not len(table):
            return
        content = parts.encoded(table, self.plan.study, self._made_by)
        try:
            self._place.write_new(parts.part_name(content), content)
        except OSError as error:
            raise self._refusal(error) from None
        self.done.add(table["cell_id"].to_pylist())

    def finish(self, failures: Sequence[CellFailure]) -> str:
        """Commit what waits, put the parts together if all is done, note failures; return the rows' checksum."""
        self.flush()
        try:
            self.note_failures(failures)
            found = rows.Checksum()
            files = self._place.parts()
            if len(self.done) < len(self.plan.cells):
                self._pass(files, found)
                return found.digest()
            if len(files) > 1 and self._ours(files):
                self._compact(files, found)
            else:
                self._pass(files, found)
            self._summarise(found.digest())
        except OSError as error:
            raise self._refusal(error) from None
        return found.digest()

    def _pass(self, files: Sequence[Path], checksum: rows.Checksum) -> None:
        """Let all planned rows go by, in order."""
        known = [parts.footer(file) for file in files]
        found = self._pieces(files)
        if len(files) == 1 and parts.ascending(known[0]):
            ordered: Iterable[pa.Table] = map(rows.sorted_unique, found)
        else:
            ordered = in_order(Source(found, sum(each.num_rows for each in known)), self._place.scratch)
        for table in ordered:
            checksum.add(table)

    def _summarise(self, checksum: str) -> None:
        """Say that every planned cell has its row."""
        summary = {"plan_id": self.plan.plan_id, "cells": len(self.done), "checksum": checksum}
        self._place.replace(store.COMPLETE, json.dumps(summary, indent=1).encode())

    def note_failures(self, failures: Sequence[CellFailure]) -> None:
        """Keep the causes of failed cells, or take away those of an earlier run."""
        if not failures:
            self._place.remove([store.FAILURES])
            return
        known = [failure._asdict() | {"design": self._design(failure.cell_id)} for failure in failures]
        self._place.replace(store.FAILURES, json.dumps(known, indent=1).encode())

    def _design(self, cell_id: str) -> str:
        """Return the design of a planned cell."""
        cell = self.done.cells.find(cell_id)
        return "" if cell is None else cell.design

    def _ours(self, files: Sequence[Path]) -> bool:
        """Return whether this very software made all parts: a part can say only one."""
        ours = json.dumps(self._made_by, sort_keys=True).encode()
        return all(parts.made_by(parts.footer(file)) == ours for file in files)

    def _compact(self, files: Sequence[Path], checksum: rows.Checksum) -> None:
        """Put all parts in one. A crash before the last step leaves rows twice, which readers drop."""
        count = sum(parts.footer(file).num_rows for file in files)

        def passing() -> Iterator[pa.Table]:
            for table in in_order(Source(self._pieces(files, every=True), count), self._place.scratch):
                checksum.add(self._planned(table))
                yield table

        replace_parts(self._place, files, passing(), parts.schema_of(self.plan.study, self._made_by))


def replace_parts(place: Place, files: Iterable[Path], tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write one part with the rows of several, and remove those once it is there."""
    staged = place.scratch / f"{STAGING}{os.getpid()}-rows"
    try:
        name = parts.write_rows(staged, tables, schema)
    except BaseException:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        raise
    place.publish(staged, name)
    place.remove([file.name for file in files if file.name != name])


def refusal(path: Where, error: OSError) -> DatasetError:
    """Return what a place that cannot be written means for the user."""
    reason = (error.strerror or str(error)).lower()
    return DatasetError(
        f"{path}: cannot be written ({reason}); rows that are stored are safe; "
        "make room or permission there, or name another folder with --results, and run the same command again"
    )
