"""A dataset, read: a folder of Parquet parts, the plan they belong to, and what is known about its completion.

==================  ==========================================================================================
``plan.json``       the resolved study, and ids of traces and cells, in columns; replaced only under the lock
``plan-<id>.json``  plans that the dataset had before the study was edited, with cells that it has no longer
``study.yaml``      the study as the user wrote it; if ``--set`` changed it, as YAML with the changes
``part-*.parquet``  rows, named by the hash of the file's bytes, created whole and never changed
``failures.json``   the cells that failed in the latest run, with causes
``_complete.json``  counts and checksum; there only if every planned cell has its row
``.lock``           held by the one driver that may write
==================  ==========================================================================================

``pipeline.writer`` writes it. The truth is the set of valid parts. A study that was edited continues in the same
folder: ids are hashes of content, so rows of cells that both plans have are kept, and rows that the new plan does not
have stay on the disk but are not read. What a submitted sweep has beside this is told in ``pipeline.submission``.
"""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parts, rows
from pipeline.cells import CellSet
from pipeline.errors import DamagedPartWarning, DatasetError, StoreDownError
from pipeline.places import place_of
from pipeline.plan import is_of_another_version, plan_from
from pipeline.schema import CODED_PATHS, CODED_VECTOR_TYPE, PROVENANCE_KEY, STUDY_KEY, row_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.places import Place, Where
    from pipeline.plan import Plan

PLAN, STUDY, FAILURES, COMPLETE = "plan.json", "study.yaml", "failures.json", "_complete.json"
_READ_ATTEMPTS = 3
_PIECE_ROWS = 2_000  # of a dataset that comes in pieces


class Status(NamedTuple):
    """How far a dataset is.

    Parameters
    ----------
    study : str
        Name.
    planned, done : int
        Cells of the plan, and those that have a row.
    failures : list of dict
        Cells that failed in the latest run: ``cell_id``, ``design``, ``cause``, ``message``, ``traceback``.
    unreadable : list of str
        Damaged parts; running the study again makes their rows anew.
    """

    study: str
    planned: int
    done: int
    failures: list[dict[str, str]]
    unreadable: list[str]

    @property
    def complete(self) -> bool:
        """Whether every planned cell has its row."""
        return self.done == self.planned


def read(path: Where) -> pa.Table:
    """Return the rows of the planned cells, sorted by ``cell_id``, each once, in the schema of ``pipeline.schema``.

    The table's metadata holds the study and the provenance. Damaged parts are left out, with a
    DamagedPartWarning for each; ``status`` names them.

    Raises
    ------
    DatasetError
        If the folder is no dataset, or a newer version of forkbench wrote it.
    NondeterminismError
        If two rows of one cell differ.
    """
    place = place_of(path)
    document = _document(place)
    planned = pa.array(document["columns"]["ids"], pa.string())
    tables, _ = _warned_parts(place)
    schema = row_schema()
    chosen = [_planned_rows(table, planned, path) for table in tables.values()]
    table = rows.sorted_unique(pa.concat_tables([schema.empty_table(), *chosen]))
    return table.replace_schema_metadata(_metadata(document))


def _metadata(document: dict[str, Any]) -> dict[Any, Any]:
    """Return what a table of rows says of itself."""
    own = {STUDY_KEY: json.dumps(document["study"]), PROVENANCE_KEY: json.dumps(document["provenance"])}
    return (row_schema().metadata or {}) | own


def pieces(path: Where) -> Iterator[pa.Table]:
    """Yield what ``read`` returns some thousand rows at a time: at least one table, of no rows if there are none.

    Of a dataset that its run has finished no more than that is held, and its act vectors come coded, as
    ``pipeline.schema.CODED_VECTOR_TYPE``, in a fraction of the time.

    Raises
    ------
    DatasetError, NondeterminismError
        As ``read`` does.
    """
    place = place_of(path)
    document = _document(place)
    planned = pa.array(document["columns"]["ids"], pa.string())
    own = _metadata(document)
    yield row_schema().empty_table().replace_schema_metadata(own)
    files = place.parts()
    if len(files) == 1:
        with (
            suppress(parts.UnreadablePartError, FileNotFoundError),
            parts.opened(files[0], CODED_PATHS) as part,
        ):
            if parts.ascending(part.metadata):
                for table in parts.row_groups(part):
                    chosen = rows.sorted_unique(_planned_rows(table, planned, path))
                    yield chosen.replace_schema_metadata(own)
                return
    table = read(path)
    yield from (table.slice(start, _PIECE_ROWS) for start in range(0, len(table), _PIECE_ROWS))


def status(path: Where) -> Status:
    """Return how far a dataset is; raises DatasetError if the folder is none."""
    place = place_of(path)
    plan = plan_from(_document(place))
    tables, unreadable = _warned_parts(place, ["cell_id"])
    done = CellSet(plan.cells, _cell_ids(tables))
    return Status(plan.study["name"], len(plan.cells), len(done), failures(path), unreadable)


def identities(path: Where) -> Iterator[tuple[str, str, str, str]]:
    """Yield cell id, trace id, design and model version of every row in a folder, planned or not."""
    columns = ["cell_id", "trace_id", "design", "model_version"]
    for table in _warned_parts(place_of(path), columns)[0].values():
        yield from zip(*(table[column].to_pylist() for column in columns), strict=True)


def failures(path: Where) -> list[dict[str, str]]:
    """Return the cells that failed, as ``Status.failures``; none if there is no such dataset."""
    try:
        found: list[dict[str, str]] = json.loads(place_of(path).read(FAILURES))
        return [failure for failure in found if failure["cell_id"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (ValueError, KeyError, TypeError):
        raise DatasetError(
            f"{path}/{FAILURES}: damaged; remove it; the cells that it names will be run again"
        ) from None


def writer_of(path: Where) -> int | None:
    """Return the number of the process that holds a dataset's lock, None if nobody does; 0 if it is not known."""
    return place_of(path).writer()


def stored(path: Where) -> tuple[int, int]:
    """Return how many parts a dataset has, and their bytes."""
    sizes = [size for name, size in place_of(path).sizes().items() if parts.is_part(name)]
    return len(sizes), sum(sizes)


def committed(path: Where) -> set[str]:
    """Return the ids of all cells that have a row in a folder, planned or not; none if there is no such folder."""
    return _cell_ids(_warned_parts(place_of(path), ["cell_id"])[0])


def _cell_ids(tables: dict[Path, pa.Table]) -> set[str]:
    """Return the ids of all cells that have a row in some part."""
    return {cell_id for table in tables.values() for cell_id in table["cell_id"].to_pylist()}


def _warned_parts(place: Place, columns: list[str] | None = None) -> tuple[dict[Path, pa.Table], list[str]]:
    """Return what ``valid_parts`` does, and warn of the damaged ones."""
    tables, unreadable = valid_parts(place, columns)
    for damage in unreadable:
        warnings.warn(
            f"{damage}; its cells will be simulated again when the study is run",
            DamagedPartWarning,
            stacklevel=3,
        )
    return tables, unreadable


def read_plan(path: Where) -> Plan:
    """Return the plan of a dataset; raises DatasetError if the folder is none."""
    return plan_from(_document(place_of(path)))


def document(path: Where) -> dict[str, Any]:
    """Return the content of a dataset's plan.json; raises DatasetError if there is none."""
    return _document(place_of(path))


def completed(path: Where) -> str | None:
    """Return the checksum of all rows that a run wrote when the plan was complete; None if there is none to be read."""
    place = place_of(path)
    try:
        summary = json.loads(place.read(COMPLETE))
        right = summary["plan_id"] == read_plan(path).plan_id
        return str(summary["checksum"]) if right else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _document(place: Place) -> dict[str, Any]:
    """Return the content of a dataset's plan.json."""
    try:
        found: dict[str, Any] = json.loads(place.read(PLAN))
        plan_from(found)
    except (FileNotFoundError, NotADirectoryError):
        there = "there is no such folder" if not place.exists() else f"it has no {PLAN}"
        raise DatasetError(f"{place}: not a dataset, {there}; forkbench run STUDY makes one") from None
    except StoreDownError:
        raise
    except OSError as error:
        raise DatasetError(
            f"{place}/{PLAN}: {(error.strerror or 'cannot be read').lower()}; make it readable"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise DatasetError(f"{place}/{PLAN}: {_no_plan(place)}") from None
    return found


def _no_plan(place: Place) -> str:
    """Return what is wrong with a plan that cannot be used, and what to do."""
    try:
        document = json.loads(place.read(PLAN))
    except ValueError:
        document = None
    if not is_of_another_version(document):
        return "damaged, it is no plan; remove it and run the study again; rows are kept"
    by = document.get("provenance") or {}
    known = [by.get("forkbench", ""), f"commit {by['commit'][:12]}" if by.get("commit") else ""]
    which = ", ".join(filter(None, known))
    return (
        f"written by another version of forkbench{f' ({which})' if which else ''}, whose plans have another form; run "
        "the study again, which plans it anew and keeps the rows that still hold, or use the version that wrote it"
    )


def valid_parts(place: Place, columns: list[str] | None = None) -> tuple[dict[Path, pa.Table], list[str]]:
    """Return the rows of each valid part, all columns or some, and what is wrong with the others."""
    for _ in range(_READ_ATTEMPTS):
        tables: dict[Path, pa.Table] = {}
        unreadable = []
        try:
            for file in place.parts():
                try:
                    tables[file] = parts.read_part(file, columns)
                except parts.UnreadablePartError as error:
                    unreadable.append(str(error))
        except FileNotFoundError:
            continue  # a driver has just put the parts together in one; look again
        return tables, unreadable
    raise DatasetError(f"{place}: its parts change all the time; wait for the run that writes them")


def _planned_rows(table: pa.Table, planned: pa.Array, path: Where) -> pa.Table:
    """Return the planned rows of a part in the schema of this version."""
    mine = pc.is_in(table["cell_id"], planned)
    return conformed(table if pc.all(mine).as_py() else table.filter(mine), path)


def conformed(chosen: pa.Table, path: Where) -> pa.Table:
    """Return rows of a part in the schema of this version; raises DatasetError if they have other columns."""
    schema = row_schema()
    if not len(chosen):
        return schema.empty_table()
    try:
        if chosen.schema.field("vectors").type == CODED_VECTOR_TYPE:
            place = schema.get_field_index("vectors")
            schema = schema.set(place, schema.field(place).with_type(CODED_VECTOR_TYPE))
        return chosen.select(schema.names).cast(schema)
    except (KeyError, ValueError):
        raise DatasetError(
            f"{path}: its rows have other columns than this forkbench; run the study again"
        ) from None
