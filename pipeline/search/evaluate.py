"""Points -> values, through the pipeline: planned, run, stored, read. What is stored is not run again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import rows, store
from pipeline.analysis import frame_of
from pipeline.errors import DatasetError, InterruptedRunError
from pipeline.plan import CellIds
from pipeline.provenance import model_version
from pipeline.schema import row_schema
from pipeline.study_keys import MAX_CELLS
from pipeline.sweep import Orders, run_study
from simcore.geometry import GEOMETRIES
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from pipeline.cells import Cell
    from pipeline.fleet import Fleet
    from pipeline.search.objective import Objective
    from pipeline.search.space import Space, Spot
    from pipeline.study import Study

NOTHING = float("-inf")  # the value of a point that has none
NAME_ENDS = "-search"
NO_SAMPLE = "(Points of forkbench search: they lie where it is bad, and are no sample.)"


class Means(NamedTuple):
    """Who simulates, and where rows go.

    Parameters
    ----------
    path : Path
        The dataset's folder.
    fleet : Fleet
        Who simulates.
    retry_failed : bool
        Cells that failed in an earlier search are tried again.
    """

    path: Path
    fleet: Fleet
    retry_failed: bool = False


class Evaluator:
    """Evaluate points of a study; a context manager, since its workers stay from one call to the next.

    Parameters
    ----------
    study : Study
        Whose space it is.
    space : Space
        Of that study.
    objective : Objective
        What a value is.
    where : Means
        Who, and where to.

    Attributes
    ----------
    path : Path
        The dataset's folder.
    spots : dict
        Each point that was asked for -> the ids of its traces; none where it is left out.
    simulated : int
        Cells that got their row now.
    failed : set of str
        Cells that have failed.
    """

    def __init__(self, study: Study, space: Space, objective: Objective, where: Means) -> None:
        self._study = replace(study, name=study.name + NAME_ENDS, question=f"{study.question} {NO_SAMPLE}")
        self._space = space
        self._objective = objective
        self._where = where
        self._fleet: Fleet | None = None
        self._retry = where.retry_failed
        self._stack = ExitStack()
        self._ids = CellIds(self._study, model_version())
        self.path = where.path
        self.spots: dict[Spot, list[str]] = {}
        self.simulated = 0
        self.failed: set[str] = set()
        self._table = self._stored()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def study(self) -> Study:
        """The study that has the points that were asked for and are not left out."""
        there = (spot for spot, traces in self.spots.items() if traces)
        return replace(self._study, grids=self._space.grids_of(there))

    def values(self, spots: list[Spot]) -> list[float]:
        """Return the value of each point: of its cells that have one the highest, NOTHING if none has.

        Raises
        ------
        InterruptedRunError
            If the user stopped it; what was stored is found again.
        RefusedError
            What a run raises.
        """
        cells = [cell for spot in spots for cell in self._cells(spot)]
        known = {*self._table["cell_id"].to_pylist(), *self.failed}
        if any(cell.cell_id not in known for cell in cells):
            self._run()
        found = self.frame({cell.trace.trace_id for cell in cells})
        heights = self._objective.heights(found)
        best = heights.groupby(found.loc[heights.index, "trace_id"]).max().to_dict()
        return [
            max((best.get(each, NOTHING) for each in self.spots[spot]), default=NOTHING) for spot in spots
        ]

    def frame(self, traces: set[str] | None = None) -> pd.DataFrame:
        """Return the rows of some traces, or of all points, as ``analysis.load`` does."""
        wanted = traces if traces is not None else {each for mine in self.spots.values() for each in mine}
        mine = self._mine(wanted)
        if not len(mine):
            return pd.DataFrame({"cell_id": [], "trace_id": [], "design": [], self._objective.metric: []})
        return self._objective.priced(frame_of([mine], planned=len(mine)))

    def checksum(self) -> str:
        """Return that of the rows of all points."""
        return rows.checksum(self._mine({each for mine in self.spots.values() for each in mine}))

    def _mine(self, traces: set[str]) -> pa.Table:
        """Return the stored rows of some traces."""
        return self._table.filter(pc.is_in(self._table["trace_id"], pa.array(sorted(traces), pa.string())))

    def _cells(self, spot: Spot) -> list[Cell]:
        """Return the cells of a point, none if rules leave it out or its workload does not fit there."""
        grid = self._space.grids[spot.track]
        values = self._space.values(spot)
        point = self._study.point(grid, values)  # which takes the geometry out of the values
        fits = WORKLOADS[grid.workload].fits
        misfit = None if fits is None else fits(grid.params | values, GEOMETRIES[point.geometry])
        cells = [*self._ids.cells(point)] if point.designs and misfit is None else []
        self.spots[spot] = list(dict.fromkeys(cell.trace.trace_id for cell in cells))
        return cells

    def _stored(self) -> pa.Table:
        """Return the rows that are there, and note what failed; no rows if another simulator made them."""
        path = self._where.path
        if not (path / store.PLAN).exists():
            return row_schema().empty_table()
        plan = store.read_plan(path)
        if plan.study["name"] != self._study.name:
            raise DatasetError(
                f"{path}: holds the study {plan.study['name']!r}, not the search {self._study.name!r}; a dataset has one "
                "study; name another folder with --results"
            )
        if not self._where.retry_failed:
            self.failed = {failure["cell_id"] for failure in store.failures(path)}
        return store.read(path)

    def _run(self) -> None:
        """Run all cells that have no row, and read what came of it."""
        study, path = self.study, self._where.path
        if study.cells > MAX_CELLS:
            raise DatasetError(
                f"{self._study.name}: {study.cells:,} cells; at most {MAX_CELLS:,} are allowed; "
                "lower --budget or replicates"
            )
        if self._fleet is None:
            self._fleet = self._manned()
        orders = Orders(retry_failed=self._retry)
        self._retry = False
        outcome = run_study(study, path, self._fleet, orders, quiet=True)
        self.simulated += outcome.simulated
        self.failed = {failure.cell_id for failure in outcome.failures}
        if outcome.left or outcome.stopped:
            raise InterruptedRunError("stopped; what was stored is safe; run the same command again to go on")
        self._table = store.read(path)

    def _manned(self) -> Fleet:
        """Return who simulates; local workers are started once and stay."""
        fleet = self._where.fleet
        if fleet.scheduler or fleet.scheduler_file or not (fleet.workers or fleet.cluster):
            return fleet
        from pipeline.cluster import kept  # noqa: PLC0415 - slow to import; what is all stored needs no cluster
        from pipeline.work import warm_up  # noqa: PLC0415 - as above, the simulator

        if not fleet.remote:
            warm_up()  # once, before workers start: they load what this compiles
        return self._stack.enter_context(kept(fleet))
