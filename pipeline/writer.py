"""The one writer of a dataset: plan frozen, rows committed for good, nothing written twice."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parts, rows, store
from pipeline.errors import DatasetError, counted
from pipeline.plan import plan_document
from pipeline.schema import row_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from pipeline.plan import Cell, Plan
    from pipeline.work import CellFailure, CellRow

FLUSH_SECONDS = 2.0  # what a SIGKILL may lose
FLUSH_ROWS = 1_000


class Dataset:
    """The one writer of a dataset; a context manager that holds the lock.

    Parameters
    ----------
    path : Path
        The folder; made if it is not there.
    plan : Plan
        What is to be run.
    made_by : dict
        Provenance, for the metadata.

    Attributes
    ----------
    done : set of str
        Ids of the planned cells that have a row on the disk.
    notes : list of str
        What the user should know about what was found.
    """

    def __init__(self, path: Path, plan: Plan, made_by: dict[str, str]) -> None:
        self.path = path
        self.done: set[str] = set()
        self.notes: list[str] = []
        self._plan = plan
        self._made_by = made_by
        self._cells = {cell.cell_id: cell for cell in plan.cells}
        self._waiting: list[tuple[Cell, CellRow]] = []
        # The first rows are committed at once: a disk that refuses is noticed early.
        self._flushed = float("-inf")
        self._lock: int | None = None
        self._before: Plan | None = None  # the plan that this one takes the place of

    def __enter__(self) -> Self:
        try:
            self._claim()
            parts.remove(self.path, self.path.glob(f"{parts.STAGING}*"))
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
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _refusal(self, error: OSError) -> DatasetError:
        """Return what a failure of the file system means for the user."""
        reason = (error.strerror or str(error)).lower()
        return DatasetError(
            f"{self.path}: cannot be written ({reason}); rows that are stored are safe; "
            "make room or permission there, or name another folder with --results, and run the same command again"
        )

    def _claim(self) -> None:
        """Make the folder and take the lock."""
        if self.path.exists() and not self.path.is_dir():
            raise DatasetError(f"{self.path}: is a file; a dataset is a folder; name another with --results")
        self.path.mkdir(parents=True, exist_ok=True)
        known = (self.path / store.PLAN).exists() or (self.path / store.LOCK).exists()
        if not known and any(self.path.iterdir()):
            raise DatasetError(
                f"{self.path}: holds other files and no {store.PLAN}; a dataset needs a folder of its own; "
                "name another with --results"
            )
        self._lock = os.open(self.path / store.LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 20).decode().strip() or "unknown"
            raise DatasetError(
                f"{self.path}: another run (process {owner}) is writing it; one at a time is allowed; "
                "wait for it or name another folder with --results"
            ) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())

    def _freeze(self) -> None:
        """Write the plan once; if another plan is there, set that one aside."""
        file = self.path / store.PLAN
        content = json.dumps(plan_document(self._plan, self._made_by), indent=1).encode()
        if parts.write_new(self.path, store.PLAN, content):
            parts.replace(self.path, store.STUDY, self._plan.text.encode())
            return
        try:
            before = store.read_plan(self.path)
        except DatasetError:
            before = None
        if before is not None and before.study["name"] != self._plan.study["name"]:
            raise DatasetError(
                f"{self.path}: holds the study {before.study['name']!r}, not {self._plan.study['name']!r}; "
                "a dataset has one study; name another folder with --results"
            )
        if before is not None and (before.plan_id, before.study) == (self._plan.plan_id, self._plan.study):
            return
        if before is not None and before.plan_id != self._plan.plan_id:
            self._before = before
            parts.write_new(self.path, f"plan-{before.plan_id}.json", file.read_bytes())
        parts.remove(self.path, [self.path / store.COMPLETE])
        parts.replace(self.path, store.PLAN, content)
        parts.replace(self.path, store.STUDY, self._plan.text.encode())

    def _resume(self) -> None:
        """Find out which cells are done; set damaged parts aside."""
        stored: set[str] = set()
        for file in parts.part_files(self.path):
            try:
                stored.update(parts.read_part(file)["cell_id"].to_pylist())
            except parts.UnreadablePartError as error:
                file.rename(file.with_name(f"unreadable-{file.name}"))
                self.notes.append(f"{error}; its cells are run again")
        self.done = stored & self._cells.keys()
        if self._before is not None:
            self.notes.insert(0, self._difference(self._before, len(stored - self.done)))

    def _difference(self, before: Plan, unread: int) -> str:
        """Return what it means that another plan was there; ``unread`` rows are not of this one."""
        why = "the study was edited"
        if before.model_version != self._plan.model_version:
            why = f"the simulator changed (from {before.model_version[:8]} to {self._plan.model_version[:8]})"
        missing = counted(len(self._cells) - len(self.done), "cell")
        return (
            f"{why}: {missing} to simulate, {len(self.done):,} with a row from before; {counted(unread, 'row')} of "
            "cells that are no longer asked for (on the disk but not read)"
        )

    def lacks(self, cell_id: str) -> bool:
        """Return whether a cell is planned and has no row on the disk."""
        return cell_id in self._cells and cell_id not in self.done

    def add(self, done: Sequence[CellRow]) -> None:
        """Take rows; they are on the disk FLUSH_SECONDS later at most, if more follow."""
        self._waiting += [(self._cells[row.cell_id], row) for row in done]
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
            rows.table_of(self._plan.study["name"], self._plan.model_version, self._waiting)
        )
        again = pc.is_in(table["cell_id"], pa.array(sorted(self.done), pa.string()))
        if pc.any(again).as_py():
            rows.sorted_unique(pa.concat_tables([table.filter(again), self._stored()]))
            table = table.filter(pc.invert(again))
        self._commit(table)
        self._waiting.clear()

    def _stored(self) -> pa.Table:
        """Return the planned rows that are on the disk."""
        return store.read(self.path).replace_schema_metadata(row_schema().metadata)

    def _commit(self, table: pa.Table) -> None:
        """Write rows as a part."""
        if not len(table):
            return
        content = parts.encoded(table, self._plan.study, self._made_by)
        try:
            parts.write_new(self.path, parts.part_name(content), content)
        except OSError as error:
            raise self._refusal(error) from None
        self.done.update(table["cell_id"].to_pylist())

    def finish(self, failures: Sequence[CellFailure]) -> str:
        """Commit what waits, put the parts together if all is done, note failures; return the rows' checksum."""
        self.flush()
        try:
            self.note_failures(failures)
            complete = len(self.done) == len(self._cells)
            if complete:
                self._compact()
            table = store.read(self.path)
            found = rows.checksum(table)
            if complete:
                summary = {"plan_id": self._plan.plan_id, "cells": len(table), "checksum": found}
                parts.replace(self.path, store.COMPLETE, json.dumps(summary, indent=1).encode())
        except OSError as error:
            raise self._refusal(error) from None
        return found

    def note_failures(self, failures: Sequence[CellFailure]) -> None:
        """Keep the causes of failed cells, or take away those of an earlier run."""
        if not failures:
            parts.remove(self.path, [self.path / store.FAILURES])
            return
        known = [failure._asdict() | {"design": self._cells[failure.cell_id].design} for failure in failures]
        parts.replace(self.path, store.FAILURES, json.dumps(known, indent=1).encode())

    def _compact(self) -> None:
        """Put all parts in one, unless other software made some.

        A crash in between leaves rows twice, which readers drop.
        """
        tables, _ = store.valid_parts(self.path)
        ours = json.dumps(self._made_by, sort_keys=True).encode()
        if len(tables) < 2 or any(parts.made_by(table) != ours for table in tables.values()):
            return
        bare = [table.replace_schema_metadata(row_schema().metadata) for table in tables.values()]
        content = parts.encoded(rows.sorted_unique(pa.concat_tables(bare)), self._plan.study, self._made_by)
        name = parts.part_name(content)
        parts.write_new(self.path, name, content)
        parts.remove(self.path, [file for file in tables if file.name != name])
