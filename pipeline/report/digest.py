"""The numbers that verdict, figures and tables share, each worked out once from the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline import analysis
from pipeline.lineup import known_designs
from pipeline.prices import priced_rows
from pipeline.report.event_times import over_rows
from pipeline.report.standings import compared
from pipeline.report.style import FAMILIES, family, looks
from pipeline.report.words import slug
from simcore.acts import ACT, EVENT_KINDS
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.report.event_times import EventTimes
    from pipeline.report.standings import Extreme, Standing
    from pipeline.report.style import Look
    from simcore.costs import CostModel
    from simcore.designs import Design

# Axes that the question names come first; the others follow as the data has them.
QUESTION_AXES = ("tree_depth", "library_sharing", "exec_ratio")
EVENTS = ("creation", "fault")
WORKLOAD = "workload"  # an axis of its own where a study has several
_OWN_MEANINGS = {
    WORKLOAD: "what the processes do; each workload has parameters of its own",
    "tree_depth": "levels of processes below the root, in the generated trees",
    "fan_out": "children of each inner process, in the generated trees",
    "geometry": "page size, table size and levels of the machine",
}
_SHAPES = ("tree_depth", "fan_out")
_TREE_COLUMNS = ("tree", "tree_measured", "tree_processes", "tree_sizes")


FEW_POINTS = 9  # of an axis, each of which has a label
_NEAR = 0.06  # of an axis: labels of points so near run into each other
_MANY_TIMES = 20  # from there on equal steps on an axis would crowd its small values


@dataclass(frozen=True)
class Axis:
    """A parameter that takes more than one value in the study."""

    column: str
    label: str
    meaning: str
    points: tuple[Any, ...]

    @property
    def of_trees(self) -> bool:
        """Whether it is a shape of the generated trees, so that a measured tree does not lie on it."""
        return self.column in _SHAPES

    @property
    def logarithmic(self) -> bool:
        """Whether the values lie so far apart that only a logarithmic scale shows them all."""
        numbers = self.numeric and len(self.points) > 2
        return bool(numbers and self.points[0] > 0 and self.points[-1] >= _MANY_TIMES * self.points[0])

    @property
    def crowded(self) -> bool:
        """Whether two of a few numbers lie so near on their scale, as 0 and 64 before 4096, that their labels would."""
        if not self.numeric or len(self.points) > FEW_POINTS:
            return False
        places = np.log(self.points) if self.logarithmic else np.array(self.points, np.float64)
        return bool(np.diff(places).min() < _NEAR * (places[-1] - places[0]))

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.points)


@dataclass(frozen=True, eq=False)
class Digest:
    """A dataset as the report sees it.

    Parameters
    ----------
    df : DataFrame
        What ``analysis.load`` returns, under the report's cost model; at least one row. Its index is the number of the
        row in ``events``.
    events : dict
        What each event of EVENTS took in each row of the dataset.
    model : CostModel
        Of the times.
    where : str
        What all cells have in common if they are a slice of the study, e.g. "anon pages 60".
    checksum : str
        Of all rows of the dataset.
    shared : dict
        What was worked out once for all slices.
    """

    df: pd.DataFrame
    events: dict[str, EventTimes]
    model: CostModel
    where: str = ""
    checksum: str = ""
    searched: tuple[dict[str, Any], ...] = ()  # findings of searches in wider spaces
    shared: dict[str, Any] = field(default_factory=dict)  # what slices of one dataset have in common

    # What was reckoned of this digest; another one made from it begins anew.

    @cached_property
    def _standings(self) -> dict[tuple[str, str], dict[str, Standing]]:
        return {}

    @cached_property
    def _priced(self) -> dict[str, Digest]:
        return {}

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What other modules worked out of this digest and will want again, by a name of theirs."""
        return {}

    def under(self, model: CostModel) -> Digest:
        """Return the same counts under another cost model, for comparisons; nothing is simulated.

        Its frame has the times ``total_ns`` and ``total_ns_per_fork`` alone: what standings need.
        """
        if model is self.model:
            return self
        if model.digest not in self._priced:
            total = priced_rows(self._acts, self.df[["design"]], model)
            forks = self.core["creations"].where(self.core["creations"] > 0)
            df = self.core.assign(total_ns=total, total_ns_per_fork=total / forks)
            df.attrs = self.df.attrs
            self._priced[model.digest] = replace(self, df=df, model=model, events={})
        return self._priced[model.digest]

    @cached_property
    def _acts(self) -> dict[int, npt.NDArray[np.float64]]:
        """Counts of each act, float64 [rows]; acts that never occur are left out."""
        counts = {index: self.df[name].to_numpy(np.float64) for name, index in ACT.items()}
        return {index: column for index, column in counts.items() if column.any()}

    @cached_property
    def core(self) -> pd.DataFrame:
        """The frame without counts of acts and times of kinds of events: a few dozen of several hundred columns."""
        kinds = tuple(f"{kind}{tail}" for kind in EVENT_KINDS for tail in (":", "_count", "_ns_"))
        known = set(ACT)
        columns = [name for name in self.df.columns if name not in known and not name.startswith(kinds)]
        core = self.df[columns]
        core.attrs = {}  # pandas copies them, deeply, whenever it selects
        return core

    @property
    def at(self) -> str:
        """The words ``, at ...`` for a slice, nothing for the whole study."""
        return f", at {self.where}" if self.where else ""

    @property
    def suffix(self) -> str:
        """What tells ids of a slice from those of the others."""
        return f"-{slug(self.where)}" if self.where else ""

    @cached_property
    def known(self) -> dict[str, Design]:
        """The designs that this version knows, the study's own among them; a dataset may hold others."""
        return known_designs(self.df.attrs.get("own_designs", {}))

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How each design looks in figures."""
        return looks(self.known, self.df["design"].unique())

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """The designs that ran, by family; in a family as simcore lists them, then the study's own, then unknown ones."""
        ran = set(self.df["design"].unique())
        order = [name for name in self.looks if name in ran]
        grouped = {
            heading: [name for name in order if family(self.known.get(name)) == heading]
            for heading in FAMILIES
        }
        return {heading: names for heading, names in grouped.items() if names}

    @cached_property
    def designs(self) -> list[str]:
        """Designs that ran, family by family."""
        return [name for names in self.families.values() for name in names]

    @cached_property
    def sharing(self) -> list[str]:
        """Designs that link tables at fork."""
        return [name for name in self.designs if name in self.known and self.known[name].shares_tables]

    @property
    def baseline(self) -> str | None:
        """The study's baseline, if it ran."""
        return self._if_it_ran("baseline")

    @property
    def floor(self) -> str | None:
        """The study's floor, if it ran."""
        return self._if_it_ran("floor")

    def _if_it_ran(self, role: str) -> str | None:
        name = self.df.attrs.get(role)
        return str(name) if name in self.designs else None

    @cached_property
    def metric(self) -> str:
        """The primary metric: kernel time per fork, or of the whole trace where some trace never forks."""
        return "total_ns_per_fork" if (self.df["creations"] > 0).all() else "total_ns"

    @property
    def per(self) -> str:
        """What the primary metric is per."""
        return "fork" if self.metric == "total_ns_per_fork" else "trace"

    @cached_property
    def axes(self) -> list[Axis]:
        """What the study sweeps, but for the designs and the replicates."""
        names = [name for name in self.df.attrs["parameters"] if name not in _TREE_COLUMNS]
        order = [WORKLOAD, *(name for name in QUESTION_AXES if name in names)]
        order += ["geometry", *(name for name in names if name not in QUESTION_AXES)]
        found = [self._axis(name) for name in order]
        return [axis for axis in found if axis]

    def _axis(self, column: str) -> Axis | None:
        values = self.along(column)[column].dropna().unique().tolist()
        if len(values) < 2:
            return None
        ordered = tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))
        if column == WORKLOAD:
            ordered = tuple(self.workloads)
        return Axis(column, column.replace("_", " "), self._meaning(column), ordered)

    def _meaning(self, column: str) -> str:
        known = {
            parameter.name: parameter.meaning
            for name in self.df["workload"].unique()
            if name in WORKLOADS
            for parameter in WORKLOADS[name].parameters
        }
        return known.get(column, _OWN_MEANINGS.get(column, ""))

    def along(self, column: str) -> pd.DataFrame:
        """Return the cells in which a parameter is varied: those of workloads that are swept along it.

        For the shape of trees these are the generated trees, and for what is varied in these alone: the measured ones,
        at one of its values, would make a step there that is none. Columns are those of ``core``.
        """
        cells = self.core
        if "tree_measured" in cells.columns:
            measured = cells["tree_measured"].astype("boolean")
            if column in _SHAPES:
                cells = cells[~measured.fillna(value=True).to_numpy(bool)]
            elif self.generated_alone(column):
                cells = cells[~measured.fillna(value=False).to_numpy(bool)]
        return cells if len(self.workloads) < 2 else cells[cells[WORKLOAD].isin(self.swept_along(column))]

    def generated_alone(self, column: str) -> bool:
        """Return whether something is varied in the generated trees of a study and not in its measured ones."""
        if "tree_measured" not in self.core.columns or column == WORKLOAD:
            return False
        values = self.core.groupby("tree_measured")[column].nunique().to_dict()
        return values.get(True) == 1 and values.get(False, 0) > 1

    def swept_along(self, column: str) -> list[str]:
        """Return the workloads that are swept along an axis; where there is but one, that one."""
        if len(self.workloads) < 2 or column == WORKLOAD:
            return self.workloads
        values = self.df.groupby(WORKLOAD)[column].nunique().to_dict()
        return [name for name in self.workloads if values[name] > 1]

    @cached_property
    def workloads(self) -> list[str]:
        """The workloads that ran, in the order of the study."""
        ran = set(self.df[WORKLOAD].unique())
        return [name for name in self.df.attrs.get("workloads", sorted(ran)) if name in ran]

    @cached_property
    def population(self) -> tuple[pd.DataFrame, str]:
        """The typical cells, and the phrase that names them."""
        return analysis.population(self.df)

    @cached_property
    def usual(self) -> npt.NDArray[np.bool_]:
        """Which rows are typical cells, bool [rows]."""
        return np.asarray(self.df.index.isin(self.population[0].index))

    def times_of(self, event: str) -> pd.DataFrame:
        """Return what ``latency.distribution`` says of an event, one of EVENTS, on the typical cells."""
        return self._distribution(event, "typical cells", self.population[0].index)

    def times_of_all(self, event: str) -> pd.DataFrame:
        """Return what ``latency.distribution`` says of an event on all cells of this digest."""
        return self._distribution(event, "all cells", self.df.index)

    def times_everywhere(self, event: str) -> pd.DataFrame:
        """Return what ``latency.distribution`` says of an event on all cells of the dataset."""
        return self._distribution(event, "dataset", pd.RangeIndex(len(self.events[event].design)))

    def _distribution(self, event: str, cells: str, rows: pd.Index[int]) -> pd.DataFrame:
        """Return the latencies of an event in some rows of the dataset, worked out once for each name of cells."""
        place = f"{event}, {cells}, {self.model.digest}"
        kept = self.shared if cells == "dataset" else self.kept
        if place not in kept:
            kept[place] = over_rows(self.events[event], rows.to_numpy(np.int64))
        found: pd.DataFrame = kept[place]
        return found

    @cached_property
    def cells_each(self) -> int:
        """The largest number of cells that one design has."""
        return int(self.df["design"].value_counts().max())

    def standings(self, against: str, metric: str | None = None) -> dict[str, Standing]:
        """Return how each design does against another, by design, in the order of ``designs``.

        A design that shares no trace with the other does not appear.
        """
        chosen = (against, metric or self.metric)
        if chosen not in self._standings:
            self._standings[chosen] = self._compared(*chosen)
        return self._standings[chosen]

    def _compared(self, against: str, metric: str) -> dict[str, Standing]:
        wanted = ("design", "trace_id", "cell_id", metric)
        cells = self.core[[name for name in wanted if name in self.core.columns]]
        found = compared(cells, metric, against, self.usual)
        return {name: found[name] for name in self.designs if name in found}

    def counterpart(self, design: str) -> str | None:
        """Return the eager copy that is most like a design otherwise, if one with its reverse mappings ran.

        An eager copy forks by copying, and keeps tables of its own for files. Of several with the same reverse
        mappings the one is meant that serves faults alike, then reclaims alike, and so on.
        """
        row = self.known.get(design)
        alike = [name for name in self._eager_copies if row and self.known[name].rmap == row.rmap]
        return max(alike, key=lambda name: _likeness(self.known[name], row), default=None)

    @cached_property
    def _eager_copies(self) -> list[str]:
        rows = {name: self.known[name] for name in self.designs if name in self.known}
        return [
            name
            for name, row in rows.items()
            if not row.shares_tables and row.creation == "fork" and row.file_tables == "private"
        ]

    def reference(self, design: str) -> str | None:
        """Return what a design's kernel time is a multiple of where a family is drawn; None without a baseline.

        For sharing designs that is the eager copy most like them, for all others, or where none ran, the baseline.
        """
        if self.baseline is None or design not in self.sharing:
            return self.baseline
        return self.counterpart(design) or self.baseline

    def place(self, extreme: Extreme) -> str:
        """Return where an extreme cell lies on the axes of the study, in words."""
        [row] = self.df.index[self.df["cell_id"] == extreme.cell_id]
        return self.point(self.df.loc[row].to_dict())

    def point(self, cell: dict[Any, Any]) -> str:
        """Return where a cell lies on the axes of the study, in words."""
        tree = [f"tree {cell['tree']}"] if isinstance(cell.get("tree"), str) else []
        words = list(tree)
        for axis in self.axes:
            if axis.of_trees and tree:
                continue  # the tree's label says it
            if cell[WORKLOAD] not in self.swept_along(axis.column):
                continue
            equals = "" if axis.numeric or axis.column == WORKLOAD else "= "
            words.append(f"{axis.label} {equals}{plain(cell[axis.column])}")
        if self.df["replicate"].max() > 0:
            words.append(f"replicate {cell['replicate']}")
        return ", ".join(words) if words else "the only point of the study"


def _likeness(row: Design, other: Design | None) -> tuple[bool, ...]:
    """Return on which axes a design is like another, the weightiest first; ``max`` finds the most alike."""
    axes = ("fault_around", "reclaim", "file_tables", "dontneed", "inherit")
    return tuple(getattr(row, axis) == getattr(other, axis, None) for axis in axes)


def plain(value: Any) -> str:
    """Return a value without needless digits."""
    return f"{value:g}" if isinstance(value, float) else str(value)
