"""The search: space, optimiser and pipeline put together, and what is found."""

from __future__ import annotations

import itertools
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from pipeline.compare import reference
from pipeline.errors import RefusedError, counted
from pipeline.search.drivers import Driver, drivers
from pipeline.search.evaluate import NOTHING, Evaluator, Means
from pipeline.search.optimise import METHOD, Ledger, climb
from pipeline.search.space import Space, Spot

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.search.objective import Objective
    from pipeline.study import Study

STEPPED = f"{METHOD}, then steps around its peak"
EVERY = "trying every point of the space"
BATCH = 128  # points of a generation where every point is tried
MOVES = 16  # times that the peak is left for a higher neighbour


class Wish(NamedTuple):
    """What is looked for.

    Parameters
    ----------
    objective : Objective
        What is to be large.
    budget : int
        Points that the optimiser may ask for; the neighbours of its peak come on top.
    seed : int
        Of the Sobol points and the optimiser, not negative.
    """

    objective: Objective
    budget: int
    seed: int


class Neighbour(NamedTuple):
    """A point that differs from the peak on one axis: its value there, and the objective, None if it has none."""

    axis: str
    value: str
    height: float | None


class Findings(NamedTuple):
    """What a search found.

    Parameters
    ----------
    said : str
        ``worst of 512 points found by METHOD``.
    points, left_out, without : int
        Points with a value; points that rules leave out or their workload does not fit; points that ran and have no
        value, since their cells failed or the baseline has 0.
    cells, simulated, failed : int
        Rows of these points, those of them that were made now, cells that failed.
    at : dict
        Axis -> value of the worst, in words.
    designs : list of dict
        ``design``, ``height``, ``metric``, ``baseline`` (its metric on the same trace, None without), ``cell_id``,
        ``trace_id``, ``replicate`` and ``replay``: the dearest cell of each design, the worst of all first.
    neighbours : list of Neighbour
        Around the worst, axis by axis, in order.
    peaked : bool
        Whether no neighbour is higher.
    drivers : list of Driver
        The strongest first.
    even : int
        Points that the drivers are from.
    checksum : str
        Of the rows.
    """

    said: str
    points: int
    left_out: int
    without: int
    cells: int
    simulated: int
    failed: int
    at: dict[str, str]
    designs: list[dict[str, Any]]
    neighbours: list[Neighbour]
    peaked: bool
    drivers: list[Driver]
    even: int
    checksum: str


def search(study: Study, wish: Wish, where: Means, tell: Callable[[str], None] = lambda _: None) -> Findings:
    """Look for the worst cells of a study's space, and store every row on the way.

    The same study, wish and versions give the same findings, whoever simulates and however often it was stopped.

    Parameters
    ----------
    study : Study
        Its axes are the space.
    wish : Wish
        What is looked for.
    where : Means
        Who simulates, and where rows go.
    tell : callable
        Gets a line after each generation.

    Raises
    ------
    RefusedError
        If nothing is varied, no point has a value, the dataset or the cluster refuses, or the user stopped it.
    """
    space = Space(study)
    with Evaluator(study, space, wish.objective, where) as evaluator:
        found = _Search(space, evaluator, wish, tell)
        every = space.size is not None and space.size <= wish.budget
        even = found.all() if every else found.climb()
        if found.top == NOTHING:
            raise RefusedError(
                f"{study.name}: none of {counted(len(found.values), 'point')} has a value: rules leave them out, their "
                f"workload does not fit, they failed, or {wish.objective.metric} of the baseline is 0; widen the space, "
                "or choose another --objective"
            )
        peaked = found.step()
        return found.findings(even, EVERY if every else STEPPED, peaked=peaked)


class _Search:
    """Points that were asked for, and what they came to."""

    def __init__(self, space: Space, evaluator: Evaluator, wish: Wish, tell: Callable[[str], None]) -> None:
        self._space = space
        self._evaluator = evaluator
        self._wish = wish
        self._tell = tell
        self.values: dict[Spot, float] = {}

    @property
    def peak(self) -> Spot:
        """The point with the highest value; of equal ones the first that was asked for."""
        return max(self.values, key=lambda spot: self.values[spot])

    @property
    def top(self) -> float:
        """The highest value."""
        return self.values[self.peak]

    def _ask(self, spots: list[Spot]) -> list[float]:
        """Evaluate points that were not asked for before."""
        found = self._evaluator.values(spots)
        self.values |= zip(spots, found, strict=True)
        worst = f", worst so far {self.top:.6g}" if self.top > NOTHING else ""
        self._tell(f"{counted(len(self.values), 'point')}{worst}")
        return found

    def all(self) -> int:
        """Ask for every point; return how many there are."""
        every = self._space.every()
        while spots := [*itertools.islice(every, BATCH)]:
            self._ask(spots)
        return len(self.values)

    def climb(self) -> int:
        """Let the optimiser ask; return how many points of its start there are."""
        ledger = Ledger(self._space.spot, self._ask, self._wish.budget)
        return climb(ledger, len(self._space.labels), self._wish.seed)

    def step(self) -> bool:
        """Go from the peak to a higher neighbour until there is none; return whether it ended so."""
        for _ in range(MOVES):
            here = self.peak
            near = dict.fromkeys(spot for _, spot in self._space.around(here))
            if fresh := [spot for spot in near if spot not in self.values]:
                self._ask(fresh)
            if self.peak == here:
                return True
        return False

    def findings(self, even: int, method: str, *, peaked: bool) -> Findings:
        """Return what was found; the first ``even`` points fill the space evenly."""
        peak, known = self.peak, {spot: value for spot, value in self.values.items() if value > NOTHING}
        ran = sum(1 for spot in self.values if self._evaluator.spots[spot])
        frame = self._evaluator.frame()
        evenly = [
            (self._space.codes(spot), self.values[spot])
            for spot in itertools.islice(self.values, even)
            if spot in known
        ]
        neighbours = [
            Neighbour(axis, self._space.told(spot)[axis], known.get(spot))
            for axis, spot in self._space.around(peak)
            if spot in self.values
        ]
        return Findings(
            said=f"worst of {counted(len(known), 'point')} found by {method}",
            points=len(known),
            left_out=len(self.values) - ran,
            without=ran - len(known),
            cells=len(frame),
            simulated=self._evaluator.simulated,
            failed=len(self._evaluator.failed),
            at=self._space.told(peak),
            designs=self._designs(frame, self._evaluator.spots[peak]),
            neighbours=neighbours,
            peaked=peaked,
            drivers=drivers(evenly, {label: self._space.ordered(label) for label in self._space.labels}),
            even=len(evenly),
            checksum=self._evaluator.checksum(),
        )

    def _designs(self, frame: pd.DataFrame, traces: list[str]) -> list[dict[str, Any]]:
        """Return the dearest cell of each design; the first is at the peak, whose traces these are."""
        objective, where = self._wish.objective, shlex.quote(str(self._evaluator.path))
        heights = objective.heights(frame)
        baseline = (
            pd.Series(float("nan"), frame.index)
            if objective.baseline is None
            else reference(frame, objective.metric, objective.baseline)
        )
        known = frame[["design", "cell_id", "trace_id", "replicate"]].assign(
            height=heights,
            metric=frame[objective.metric].astype("float64"),
            baseline=baseline,
            peak=frame["trace_id"].isin(traces),
        )
        order = known.loc[heights.index].sort_values(
            ["height", "peak", "cell_id"], ascending=[False, False, True]
        )
        found: list[dict[str, Any]] = []
        for row in order.drop_duplicates("design").drop(columns="peak").to_dict("records"):
            replay = f"forkbench show {row['cell_id']} --results {where} --simulate"
            known_base = {} if objective.baseline else {"baseline": None}
            found.append({str(name): value for name, value in row.items()} | known_base | {"replay": replay})
        return found
