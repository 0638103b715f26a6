"""The numbers that verdict, figures and tables share, each worked out once from the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline import analysis
from pipeline.latency import cost_model
from simcore.designs import DESIGNS
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pyarrow as pa

    from simcore.costs import CostModel

# Axes that the question names come first; the others follow as the data has them.
_FIRST_AXES = ("tree_depth", "library_sharing", "exec_ratio")
_TREE_COLUMNS = ("tree", "tree_measured", "tree_processes")


@dataclass(frozen=True)
class Axis:
    """A parameter that takes more than one value in the study."""

    column: str
    label: str
    meaning: str
    values: tuple[Any, ...]

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values)


@dataclass(frozen=True)
class Digest:
    """A dataset as the report sees it.

    Parameters
    ----------
    df : DataFrame
        What ``analysis.load`` returns, under the report's cost model.
    table : pyarrow.Table
        The same rows with their act vectors.
    """

    df: pd.DataFrame
    table: pa.Table

    @property
    def facts(self) -> dict[str, Any]:
        """What the dataset says about itself."""
        return dict(self.df.attrs)

    @property
    def model(self) -> CostModel:
        """The cost model of the times."""
        return cost_model(self.df.attrs["costs"])

    @cached_property
    def designs(self) -> list[str]:
        """Designs that ran, as simcore lists them; unknown ones last."""
        ran = list(self.df["design"].unique())
        return [name for name in DESIGNS if name in ran] + sorted(name for name in ran if name not in DESIGNS)

    @cached_property
    def sharing(self) -> list[str]:
        """Designs that link tables at fork."""
        return [name for name in self.designs if name in DESIGNS and DESIGNS[name].shares_tables]

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

    @property
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
        order = [name for name in _FIRST_AXES if name in names] + [n for n in names if n not in _FIRST_AXES]
        found = [self._axis(name) for name in ["geometry", *order]]
        return sorted((axis for axis in found if axis), key=lambda axis: axis.column not in _FIRST_AXES)

    def _axis(self, column: str) -> Axis | None:
        values = self.along(column)[column].dropna().unique().tolist()
        if len(values) < 2:
            return None
        label = column.replace("_", " ")
        ordered = tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))
        return Axis(column, label, self._meaning(column), ordered)

    def _meaning(self, column: str) -> str:
        known = {
            parameter.name: parameter.meaning
            for name in self.df["workload"].unique()
            if name in WORKLOADS
            for parameter in WORKLOADS[name].parameters
        }
        own = {
            "tree_depth": "levels of processes below the root",
            "fan_out": "children of each process that has any",
        }
        return known.get(column, own.get(column, ""))

    def along(self, column: str) -> pd.DataFrame:
        """Return the cells in which a parameter can be varied: for the shape of trees, the generated trees."""
        if column in ("tree_depth", "fan_out") and "tree_measured" in self.df.columns:
            return self.df[self.df["tree_measured"] == False]  # noqa: E712 - NaN where a workload has no tree
        return self.df

    @cached_property
    def population(self) -> tuple[pd.DataFrame, str]:
        """The typical cells, and the phrase that names them."""
        return analysis.population(self.df)

    @cached_property
    def vectors(self) -> pd.DataFrame:
        """Act vectors of the typical cells."""
        return analysis.vectors(self.table, cells=self.population[0]["cell_id"])

    def typical(self, against: str, metric: str | None = None) -> pd.DataFrame:
        """Return ``analysis.typical`` in the order of ``designs``."""
        return self._ordered(analysis.typical(self.df, metric or self.metric, against))

    def worst(self, against: str, metric: str | None = None) -> pd.DataFrame:
        """Return ``analysis.worst`` in the order of ``designs``."""
        return self._ordered(analysis.worst(self.df, metric or self.metric, against))

    def best(self, against: str, metric: str | None = None) -> pd.DataFrame:
        """Return ``analysis.best`` in the order of ``designs``."""
        return self._ordered(analysis.best(self.df, metric or self.metric, against))

    def _ordered(self, frame: pd.DataFrame) -> pd.DataFrame:
        present: list[Hashable] = [name for name in self.designs if name in frame.index]
        return frame.loc[present]

    def counterpart(self, design: str) -> str | None:
        """Return the design that copies at every fork and keeps the same reverse mappings, if it ran."""
        if design not in DESIGNS:
            return None
        row = DESIGNS[design]
        for name in self.designs:
            other = DESIGNS.get(name)
            if other and not other.shares_tables and other.creation == "fork" and other.rmap == row.rmap:
                return name
        return None

    def point(self, cell: pd.Series[Any]) -> str:
        """Return where a cell lies on the axes of the study, in words."""
        words = [f"tree {cell['tree']}"] if "tree" in cell.index and isinstance(cell["tree"], str) else []
        for axis in self.axes:
            if axis.column in ("tree_depth", "fan_out") and words:
                continue  # the tree's label says it
            words.append(f"{axis.label} {_plain(cell[axis.column])}")
        return ", ".join(words) if words else "the only point of the study"


def _plain(value: Any) -> str:
    """Return a value without needless digits."""
    return f"{value:g}" if isinstance(value, float) else str(value)
