"""Study -> cells, with ids that are hashes of content. Pure: the same study and simulator give the same plan.

An id depends on everything that can change a row, and on nothing else: not on workers, order, time or costs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from array import array
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cells import ID_DIGITS, Cell, Cells, Columns, TraceSpec, columns_from
from pipeline.workload_entries import parameters_of
from simcore.designs import axis_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.study import Point, Study

FORMAT = 2  # of plan.json; 1 had cells and traces as objects, and did not say so
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@dataclass(frozen=True)
class Plan:
    """All cells of a study.

    Parameters
    ----------
    study : dict
        The study with everything resolved, as plain data.
    text : str
        The study's file as the user wrote it.
    model_version : str
        Hash of the simulator's sources.
    cells : Cells
        Grouped by trace, in the order of the study.
    """

    study: dict[str, Any]
    text: str
    model_version: str
    cells: Cells

    @property
    def own_designs(self) -> dict[str, dict[str, Any]]:
        """The designs that the study defines itself; none in plans of versions that knew no such thing."""
        own: dict[str, dict[str, Any]] = self.study.get("own_designs", {})
        return own

    @property
    def plan_id(self) -> str:
        """Hash of the ids of all cells: that of the JSON of their sorted list."""
        digest = hashlib.blake2b(b"[", digest_size=ID_DIGITS // 2)
        for number, piece in enumerate(self.cells.sorted_ids()):
            digest.update(("," if number else "").encode() + canonical(piece)[1:-1].encode())
        digest.update(b"]")
        return digest.hexdigest()


def make_plan(study: Study, model_version: str) -> Plan:
    """Expand a study into cells: designs within replicates within the points of each workload."""
    number_of = {name: number for number, name in enumerate(study.designs)}
    ids, trace_ids = bytearray(), bytearray()
    designs, traces = array("q"), array("q")
    places = array("q")  # of each trace: the number of its workload and of its point, its replicate, its seed
    found = CellIds(study, model_version)
    for place, trace, cells in _traces(study, found):
        for cell in cells:
            ids += cell.cell_id.encode()
            designs.append(number_of[cell.design])
            traces.append(len(places) // 4)
        trace_ids += trace.trace_id.encode()
        places.extend([*place, trace.replicate, trace.seed])
    columns = Columns(
        np.frombuffer(ids, dtype=f"S{ID_DIGITS}"),
        np.frombuffer(designs, dtype=np.int64),
        np.frombuffer(traces, dtype=np.int64),
        np.frombuffer(trace_ids, dtype=f"S{ID_DIGITS}"),
        *np.frombuffer(places, dtype=np.int64).reshape(-1, 4).T,
    )
    spec = study.spec()
    return Plan(spec, study.text, model_version, Cells(spec, columns))


def _traces(study: Study, ids: CellIds) -> Iterator[tuple[tuple[int, int], TraceSpec, list[Cell]]]:
    """Yield the traces of a study with the numbers of their workload and point, and their cells."""
    for number, grid in enumerate(study.grids):
        for at, values in enumerate(grid.each()):
            point = study.point(grid, values)
            for _, group in groupby(ids.cells(point), key=lambda cell: cell.trace.trace_id):
                cells = list(group)
                yield (number, at), cells[0].trace, cells


def cells_of(study: Study, model_version: str) -> Iterator[Cell]:
    """Yield the cells of a study, in its order, one after another: a plan may be too large to be held."""
    ids = CellIds(study, model_version)
    for point in study.points():
        yield from ids.cells(point)


class CellIds:
    """Turn points of a study into cells.

    Parameters
    ----------
    study : Study
        The points' own.
    model_version : str
        Hash of the simulator's sources.
    """

    def __init__(self, study: Study, model_version: str) -> None:
        self._study = study
        self._begun = {}
        for name, row in study.rows.items():
            design = {"name": name, "axes": axis_values(row)}
            what = {"design": design, "model_version": model_version, "trace_id": ""}
            beginning = canonical(what).removesuffix('""}')  # the trace comes last, for keys are sorted
            self._begun[name] = hashlib.blake2b(beginning.encode(), digest_size=ID_DIGITS // 2)

    def cells(self, point: Point) -> Iterator[Cell]:
        """Yield the cells of a point, replicate by replicate."""
        for replicate in range(self._study.replicates):
            trace = _trace(self._study, point, replicate)
            end = f'"{trace.trace_id}"}}'.encode()
            for design in point.designs:
                cell = self._begun[design].copy()
                cell.update(end)
                yield Cell(cell.hexdigest(), trace, design)


def _trace(study: Study, point: Point, replicate: int) -> TraceSpec:
    """Return one trace of a study."""
    workload = point.grid.workload
    params = dict(sorted((point.grid.params | point.values).items()))
    what = {
        "workload": workload,
        "params": _telling(workload, params),
        "geometry": point.geometry,
        "replicate": replicate,
        "seed": study.seed,
    }
    trace_id = content_id(what)
    return TraceSpec(trace_id, workload, params, point.geometry, replicate, derived_seed(trace_id))


def _telling(workload: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that tell a trace from others: without later ones that change nothing."""
    later = _later(workload)
    kept = {name: value for name, value in params.items() if name not in later or value != later[name]}
    told: dict[str, Any] = told_by_digest(kept)
    return told


def told_by_digest(what: Any) -> Any:
    """Return plain data without the packed texts that have a digest beside them, which tells as much."""
    if isinstance(what, dict):
        return {
            key: told_by_digest(entry)
            for key, entry in what.items()
            if not (key == "packed" and "digest" in what)
        }
    return [told_by_digest(entry) for entry in what] if isinstance(what, list) else what


@functools.cache
def _later(workload: str) -> dict[str, Any]:
    """Return the defaults of the parameters that a workload got after it was used."""
    return {name: each.default for name, each in parameters_of(workload).items() if each.later}


def derived_seed(trace_id: str) -> int:
    """Return the seed of a trace's random generator: 63 bits of a hash of its id."""
    digest = hashlib.blake2b(trace_id.encode(), digest_size=8, person=b"forkbench-seed").digest()
    return int.from_bytes(digest, "big") >> 1


def content_id(what: Any) -> str:
    """Return the hash of plain data: ID_DIGITS hex digits."""
    return hashlib.blake2b(canonical(what).encode(), digest_size=ID_DIGITS // 2).hexdigest()


def canonical(what: Any) -> str:
    """Return plain data as JSON with one spelling: sorted keys, no spaces, ASCII, no NaN."""
    return _ENCODER.encode(what)


def plan_document(plan: Plan, made_by: dict[str, str]) -> Iterator[str]:
    """Yield a plan as JSON, piece by piece; ``plan_from`` reads what became of it.

    ``made_by`` says which software planned, see ``pipeline.provenance``.
    """
    head = {
        "format": FORMAT,
        "plan_id": plan.plan_id,
        "model_version": plan.model_version,
        "provenance": made_by,
        "study": plan.study,
        "text": plan.text,
    }
    yield json.dumps(head, indent=1).removesuffix("\n}") + ',\n "columns": {'
    for name, column in plan.cells.columns.plain():
        yield f'{"" if name == "ids" else ","}\n  "{name}": ['
        for number, piece in enumerate(column):
            yield ("" if number == 0 else ", ") + json.dumps(piece)[1:-1]
        yield "]"
    yield "\n }\n}\n"


def plan_from(document: dict[str, Any]) -> Plan:
    """Return the plan that ``plan_document`` told, from its JSON.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the document is not one.
    """
    if document.get("format", FORMAT) != FORMAT:
        raise ValueError(document["format"])
    study = document["study"]
    cells = Cells(study, columns_from(document["columns"]))
    return Plan(study, document["text"], document["model_version"], cells)


def is_of_another_version(document: Any) -> bool:
    """Return whether a document that is no plan here is one that another version wrote."""
    if not isinstance(document, dict) or not {"study", "model_version"} <= document.keys():
        return False
    return document.get("format", FORMAT) != FORMAT or "columns" not in document
