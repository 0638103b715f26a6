"""The cells of a plan as columns, so that a million can be held: each is put together anew when it is looked at."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from pipeline.joint_entries import Joint
from pipeline.workload_entries import GEOMETRY_AXIS, Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

ID_DIGITS = 20  # 80 bits: among a million cells two ids are equal with a chance of 4e-13
_ID = f"S{ID_DIGITS}"
_PIECE = 8_192  # values that are text at the same time


class TraceSpec(NamedTuple):
    """What determines a trace; every design of the study faces it.

    Parameters
    ----------
    trace_id : str
        Hash of the other fields and of the study's seed.
    workload, geometry : str
        Names.
    params : dict
        Every parameter of the workload.
    replicate : int
        From 0.
    seed : int
        Of the trace's random generator, 63 bits, derived from ``trace_id``.
    """

    trace_id: str
    workload: str
    params: dict[str, Any]
    geometry: str
    replicate: int
    seed: int


class Cell(NamedTuple):
    """One trace under one design."""

    cell_id: str
    trace: TraceSpec
    design: str


class Columns(NamedTuple):
    """What a plan is made of.

    Parameters
    ----------
    ids, designs, traces : arrays [cells]
        Id of a cell, the number of its design in the study, the number of its trace; cells of a trace are neighbours.
    trace_ids, grids, points, replicates, seeds : arrays [traces]
        Id of a trace, the number of its workload in the study, of its point there (the last axis counts fastest), its
        replicate, and its seed.
    """

    ids: npt.NDArray[np.bytes_]
    designs: npt.NDArray[np.int64]
    traces: npt.NDArray[np.int64]
    trace_ids: npt.NDArray[np.bytes_]
    grids: npt.NDArray[np.int64]
    points: npt.NDArray[np.int64]
    replicates: npt.NDArray[np.int64]
    seeds: npt.NDArray[np.int64]

    def plain(self) -> Iterator[tuple[str, Iterator[list[Any]]]]:
        """Yield the name of each column and its values, as lists, some thousand at a time."""
        for name, column in self._asdict().items():
            yield name, _pieces(column)


def _pieces(column: npt.NDArray[Any]) -> Iterator[list[Any]]:
    """Yield the values of a column, some thousand at a time."""
    for start in range(0, len(column), _PIECE):
        piece = column[start : start + _PIECE]
        yield piece.astype(str).tolist() if piece.dtype.kind == "S" else piece.tolist()


def columns_from(plain: dict[str, list[Any]]) -> Columns:
    """Return columns of plain lists.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is something else.
    """
    found = Columns(
        *(
            np.array(plain[name], dtype=_ID if name in ("ids", "trace_ids") else np.int64)
            for name in Columns._fields
        )
    )
    cells, traces = len(found.ids), len(found.trace_ids)
    if any(len(column) != (cells if at < 3 else traces) for at, column in enumerate(found)):
        raise ValueError("columns of several lengths")
    if cells and not (found.traces.min() >= 0 and found.traces.max() < traces and found.designs.min() >= 0):
        raise ValueError("cells of unknown traces or designs")
    return found


class Cells(Sequence[Cell]):
    """Cells of a study, in its order.

    Parameters
    ----------
    study : dict
        As ``Study.spec`` returns it, or what became of that in JSON.
    columns : Columns
        What is held of the cells.
    """

    def __init__(self, study: dict[str, Any], columns: Columns) -> None:
        self._designs: list[str] = study["designs"]
        self._geometry: str = study["geometry"]
        self._grids = [_grid(each) for each in study["grids"]]
        self.columns = columns
        self._last: tuple[int, TraceSpec] | None = None  # cells of a trace are looked at one after another

    def __len__(self) -> int:
        return len(self.columns.ids)

    @overload
    def __getitem__(self, at: int) -> Cell: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Cell, ...]: ...

    def __getitem__(self, at: int | slice) -> Cell | tuple[Cell, ...]:
        if isinstance(at, slice):
            return tuple(self[number] for number in range(*at.indices(len(self))))
        columns = self.columns
        cell_id = columns.ids[at].decode()  # an index that is too large ends an iteration here
        return Cell(cell_id, self.trace(int(columns.traces[at])), self._designs[columns.designs[at]])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Cells)
            and len(self) == len(other)
            and all(one == two for one, two in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    def trace(self, number: int) -> TraceSpec:
        """Return a trace."""
        if self._last is None or self._last[0] != number:
            self._last = number, self._trace(number)
        return self._last[1]

    def _trace(self, number: int) -> TraceSpec:
        """Put a trace together."""
        columns = self.columns
        grid = self._grids[columns.grids[number]]
        values = grid.point(grid.indexes(int(columns.points[number])))
        geometry = values.pop(GEOMETRY_AXIS, self._geometry)
        return TraceSpec(
            columns.trace_ids[number].decode(),
            grid.workload,
            dict(sorted((grid.params | values).items())),
            geometry,
            int(columns.replicates[number]),
            int(columns.seeds[number]),
        )

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int64]]:
        """The ids, sorted, and where each stands."""
        order = np.argsort(self.columns.ids)
        return self.columns.ids[order], order

    def sorted_ids(self) -> Iterator[list[str]]:
        """Yield all ids, sorted, some thousand at a time."""
        return _pieces(self._sorted[0])

    def numbers(self, ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the number of each cell, -1 for an id that is none of this plan."""
        wanted = np.array([*ids], dtype=f"S{ID_DIGITS + 1}")  # a longer id stays longer
        known, order = self._sorted
        if not len(known) or not len(wanted):
            return np.full(len(wanted), -1)
        at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
        return np.where(known[at] == wanted, order[at], -1)

    def find(self, cell_id: str) -> Cell | None:
        """Return the cell with an id, None if there is none."""
        [number] = self.numbers([cell_id])
        return None if number < 0 else self[int(number)]

    def beginning(self, prefix: str) -> list[Cell]:
        """Return the cells whose ids begin with some digits."""
        known, order = self._sorted
        first, last = np.searchsorted(known, [prefix.encode(), prefix.encode() + b"g"])
        return [self[int(number)] for number in order[first:last]]


def _grid(plain: dict[str, Any]) -> Grid:
    """Return a workload's points from what a dataset keeps of them."""
    joint = tuple(
        Joint(each["how"], tuple(each["axes"]), each["rows"], {}) for each in plain.get("joint", [])
    )
    return Grid(plain["workload"], plain["params"], plain["sweep"], joint)


class CellSet(AbstractSet[str]):
    """Some cells of a plan, by id: a byte for each that is planned. Ids of other cells are never in it.

    Parameters
    ----------
    cells : Cells
        Those of the plan.
    ids : iterable of str
        What is in it at first.
    """

    def __init__(self, cells: Cells, ids: Iterable[str] = ()) -> None:
        self.cells = cells
        self.mask = np.zeros(len(cells), dtype=bool)
        self.add(ids)

    def add(self, ids: Iterable[str]) -> None:
        """Put those in that are planned."""
        numbers = self.cells.numbers(ids)
        self.mask[numbers[numbers >= 0]] = True

    def copy(self) -> CellSet:
        """Return the same cells in a set of their own."""
        found = CellSet(self.cells)
        found.mask = self.mask.copy()
        return found

    def less(self, other: CellSet) -> int:
        """Return how many are in this set and not in another of the same plan."""
        return int(np.count_nonzero(self.mask & ~other.mask))

    def __contains__(self, cell_id: object) -> bool:
        if not isinstance(cell_id, str):
            return False
        [number] = self.cells.numbers([cell_id])
        return bool(number >= 0 and self.mask[number])

    def __iter__(self) -> Iterator[str]:
        return map(bytes.decode, itertools.compress(self.cells.columns.ids, self.mask))

    def __len__(self) -> int:
        return int(np.count_nonzero(self.mask))

    @classmethod
    def _from_iterable(cls, ids: Iterable[str]) -> AbstractSet[str]:  # type: ignore[override]
        """Return what operators of sets make."""
        return frozenset(ids)
