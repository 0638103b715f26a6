"""A plan without holding it: every cell of a study is looked at once, counted, and told whether it will run and why.

A million cells pass in some seconds; what is kept are counts, and the ids of rows that are on the disk.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pipeline import store
from pipeline.plan import CellIds
from pipeline.values import brief

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.cells import Cell
    from pipeline.places import Where
    from pipeline.study import Point, Study

DONE, FAILED, CHANGED, REDEFINED, NEW = (
    "done",
    "failed before",
    "simulator changed",
    "design redefined",
    "new",
)
# Reason -> whether such cells run, and what it means.
REASONS: dict[str, tuple[bool, str]] = {
    DONE: (False, "the row is there"),
    FAILED: (False, "--retry-failed tries again"),
    CHANGED: (True, "the row there is of another version of the simulator"),
    REDEFINED: (True, "the row there is of another definition of the design"),
    NEW: (True, "there is no row"),
}


class Group(NamedTuple):
    """Cells that run, or do not, for one reason.

    Parameters
    ----------
    reason : str
        A key of REASONS.
    cells : int
        How many there are.
    where : dict
        Axis (``design`` and ``workload`` among them) -> its values in the group, as text, of axes that have others
        elsewhere in the study.
    """

    reason: str
    cells: int
    where: dict[str, list[str]]


@dataclass
class Survey:
    """What a study would run.

    Parameters
    ----------
    traces, cells : int
        That are not left out.
    groups : list of Group
        In the order of REASONS, none empty.
    left_out : list of int
        Cells, for each rule of the study; a cell to which several apply counts for the first.
    """

    traces: int = 0
    cells: int = 0
    groups: list[Group] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)

    def count(self, *reasons: str) -> int:
        """Return how many cells there are for some reasons."""
        return sum(group.cells for group in self.groups if group.reason in reasons)

    @property
    def to_run(self) -> int:
        """How many cells will run."""
        return self.count(*(reason for reason, (runs, _) in REASONS.items() if runs))


def survey(study: Study, model_version: str, path: Where) -> Survey:
    """Look at each cell of a study, and at what a dataset has of it; ``path`` may be no dataset."""
    known = _Known(path, model_version)
    ids = CellIds(study, model_version)
    found = Survey(left_out=[0] * len(study.rules))
    tally: dict[str, _Tally] = {reason: _Tally() for reason in REASONS}
    everywhere = _Tally()
    for point in study.points(empty=True):
        for rule in point.blame:
            if rule is not None:
                found.left_out[rule] += study.replicates
        if not point.designs:
            continue
        here: dict[str, list[str]] = {}
        for cell in ids.cells(point):
            here.setdefault(known.reason(cell), []).append(cell.design)
        for reason, designs in here.items():
            tally[reason].add(point, designs)
            everywhere.add(point, designs)
        found.traces += study.replicates
    found.cells = everywhere.cells
    found.groups = [
        Group(reason, each.cells, each.beside(everywhere)) for reason, each in tally.items() if each.cells
    ]
    return found


class _Tally:
    """How many cells there are of some sort, and which values their axes have."""

    def __init__(self) -> None:
        self.cells = 0
        self._seen: dict[str, dict[str, None]] = {}

    def add(self, point: Point, designs: Iterable[str]) -> None:
        """Count cells of a point."""
        by_design = Counter(designs)
        self.cells += by_design.total()
        self._note("workload", point.grid.workload)
        for design in by_design:
            self._note("design", design)
        for axis, value in point.values.items():
            self._note(axis, brief(value) if isinstance(value, dict) else str(value))
        self._note("geometry", point.geometry)

    def _note(self, axis: str, value: str) -> None:
        """Note that an axis has a value."""
        self._seen.setdefault(axis, {})[value] = None

    def beside(self, everywhere: _Tally) -> dict[str, list[str]]:
        """Return the values of those axes that have others elsewhere."""
        return {
            axis: list(values)
            for axis, values in self._seen.items()
            if len(values) < len(everywhere._seen[axis])
        }


class _Known:
    """What a dataset knows of cells."""

    def __init__(self, path: Where, model_version: str) -> None:
        self._done: set[str] = set()
        self._changed: set[str] = set()
        self._redefined: set[str] = set()
        for cell_id, trace_id, design, version in store.identities(path):
            self._done.add(cell_id)
            (self._redefined if version == model_version else self._changed).add(trace_id + design)
        self._failed = {failure["cell_id"] for failure in store.failures(path)}

    def reason(self, cell: Cell) -> str:
        """Return why a cell will run, or will not: a key of REASONS."""
        if cell.cell_id in self._done:
            return DONE
        if cell.cell_id in self._failed:
            return FAILED
        twin = cell.trace.trace_id + cell.design
        if twin in self._redefined:
            return REDEFINED
        return CHANGED if twin in self._changed else NEW
