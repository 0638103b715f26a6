"""One run of a study: plan, resume, fan out, commit, finish."""

from __future__ import annotations

import shlex
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from pipeline import store, submission
from pipeline.cells import CellSet
from pipeline.errors import InterruptedRunError, RefusedError, counted
from pipeline.fleet import Fleet
from pipeline.plan import make_plan
from pipeline.progress import Teller, what_failed
from pipeline.provenance import model_version, provenance
from pipeline.writer import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from pipeline.cells import Cell
    from pipeline.places import Where
    from pipeline.plan import Plan
    from pipeline.study import Study
    from pipeline.work import CellFailure, Job, Reply


_SHOWN_FAILURES = 20  # kinds of failures


class Outcome(NamedTuple):
    """What a run did.

    Parameters
    ----------
    plan : Plan
        What was asked for.
    resumed, simulated, left : int
        Cells that had their row before; that got it now; that have neither row nor failure because the run was
        stopped.
    skipped : int
        Cells that failed in an earlier run and were not tried again; they are among the failures.
    failures : list of CellFailure
        Cells that have failed, sorted by id.
    seconds : float
        From plan to checksum.
    checksum : str
        Of all rows of the dataset that are planned, sorted.
    notes : list of str
        What the user should know.
    stopped : bool
        Whether the user asked to stop, though all may have been done by then.
    """

    plan: Plan
    resumed: int
    simulated: int
    left: int
    skipped: int
    failures: list[CellFailure]
    seconds: float
    checksum: str
    notes: list[str]
    stopped: bool = False


class Orders(NamedTuple):
    """What a run is asked for besides its study.

    Parameters
    ----------
    maxfail : int or None
        So many failures stop the run, as the first Ctrl-C does.
    retry_failed : bool
        Cells that failed before are tried again.
    force : bool
        All cells are simulated, also those that have a row, which has to come out the same.
    """

    maxfail: int | None = None
    retry_failed: bool = False
    force: bool = False


_NOTHING_ELSE = Orders()


def run_study(
    study: Study, path: Where, fleet: Fleet | int, orders: Orders = _NOTHING_ELSE, *, quiet: bool = False
) -> Outcome:
    """Simulate the cells of a study that have no row yet and did not fail before, and store their rows.

    Parameters
    ----------
    study : Study
        The question.
    path : Path or str
        The dataset's folder, or its URL.
    fleet : Fleet or int
        Who simulates; a number of local processes, 0 for this one alone.
    orders : Orders
        What else is asked for.
    quiet : bool
        No progress.

    Raises
    ------
    DatasetError, ClusterError
        Nothing that was stored is lost; the same call resumes.
    InterruptedRunError
        The user pressed Ctrl-C twice; the same holds.
    NondeterminismError
        A cell gave two different rows.
    """
    start = time.perf_counter()
    plan = make_plan(study, model_version())
    with Dataset(path, plan, provenance()) as dataset:
        outcome = run_in(dataset, fleet, orders, quiet=quiet)
    return outcome._replace(seconds=time.perf_counter() - start)


def run_in(
    dataset: Dataset, fleet: Fleet | int, orders: Orders = _NOTHING_ELSE, *, quiet: bool = False
) -> Outcome:
    """Simulate what is left of a dataset whose lock is held, as ``run_study`` does."""
    start = time.perf_counter()
    submission.forget_wish(dataset.path)
    plan, before = dataset.plan, dataset.done.copy()
    failures = [] if orders.retry_failed or orders.force else _known_failures(dataset)
    skipped = len(failures)
    settled = CellSet(plan.cells) if orders.force else before.copy()
    settled.add(failure.cell_id for failure in failures)
    found = CellSet(plan.cells)
    jobs = jobs_of(plan, settled)
    run = _Run(dataset, failures, found, orders)
    if len(jobs):
        try:
            run.simulate(jobs, Fleet(fleet) if isinstance(fleet, int) else fleet, len(settled), quiet=quiet)
        except RefusedError:  # the cluster or the user ended it: what failed so far is known next time
            dataset.note_failures(sorted(failures))
            raise
    failures = sorted(failure for failure in failures if failure.cell_id not in dataset.done)
    summary = dataset.finish(failures)
    submission.forget_wish(dataset.path)
    left = len(plan.cells) - len(dataset.done) - len(failures)
    seconds = time.perf_counter() - start
    again = before.less(found)
    counts = (again, len(found), left, skipped)
    return Outcome(plan, *counts, failures, seconds, summary, dataset.notes, run.stopped)


def _known_failures(dataset: Dataset) -> list[CellFailure]:
    """Return the cells of the plan that failed in an earlier run and have no row."""
    from pipeline.work import CellFailure  # noqa: PLC0415 - imports the simulator

    known = store.failures(dataset.path)
    names = CellFailure._fields
    lacking = CellSet(dataset.done.cells, (failure["cell_id"] for failure in known))
    lacking.mask &= ~dataset.done.mask
    return [
        CellFailure(*(failure[name] for name in names)) for failure in known if failure["cell_id"] in lacking
    ]


class _Run:
    """Jobs to be run, and what comes of them.

    Parameters
    ----------
    dataset : Dataset
        Takes the rows.
    failures : list of CellFailure
        Grows.
    found : CellSet
        Grows by the cells that got a row.
    orders : Orders
        When to stop.

    Attributes
    ----------
    stopped : bool
        Whether the user asked to stop.
    """

    def __init__(self, dataset: Dataset, failures: list[CellFailure], found: CellSet, orders: Orders) -> None:
        self._dataset = dataset
        self._failures = failures
        self._found = found
        self._orders = orders
        self._failed = 0
        self.stopped = False

    def simulate(self, jobs: Jobs, fleet: Fleet, skipped: int, *, quiet: bool) -> None:
        """Run jobs and commit their rows as they come."""
        from pipeline.fanout import run_jobs  # noqa: PLC0415 - slow to import; a complete run needs no cluster
        from pipeline.work import warm_up  # noqa: PLC0415 - as above, the simulator

        with Teller(jobs.cells, skipped, quiet=quiet) as teller, _interrupts(teller.say) as stopped:

            def deliver(reply: Reply) -> None:
                self._take(reply, teller)

            cancelled = self._cancelled(teller)

            def enough() -> bool:
                return stopped() or self._too_many() or cancelled()

            if not fleet.remote:
                warm_up()  # once, before workers start: they load what this compiles
            teller.begin()
            try:
                run_jobs(jobs, fleet, deliver, enough, teller)
            finally:
                self.stopped = stopped() or cancelled()
                self._dataset.flush()

    def _take(self, reply: Reply, teller: Teller) -> None:
        """Store what a batch gave."""
        self._dataset.add(reply.rows)
        self._found.add(row.cell_id for row in reply.rows)
        self._failures.extend(reply.failures)
        before = self._too_many()
        self._failed += len(reply.failures)
        teller.count(len(reply.rows), len(reply.failures))
        if self._too_many() and not before:
            teller.say(
                f"stopping after {counted(self._failed, 'failure')} (--maxfail): what runs is finished and stored"
            )

    def _cancelled(self, teller: Teller) -> Callable[[], bool]:
        """Return a function that says whether somebody cancelled the run; the first time it tells the user."""
        wish = submission.wish_to_stop(self._dataset.path)
        told = False

        def cancelled() -> bool:
            nonlocal told
            if wish() and not told:
                told = True
                teller.say("cancelled: what runs is finished and stored")
            return told

        return cancelled

    def _too_many(self) -> bool:
        """Return whether as many cells have failed as may."""
        return self._orders.maxfail is not None and self._failed >= self._orders.maxfail


def jobs_of(plan: Plan, done: AbstractSet[str]) -> Jobs:
    """Return the work that is left: a job for each trace, its cells those without a row."""
    return Jobs(plan, done if isinstance(done, CellSet) else CellSet(plan.cells, done))


class Jobs(Sequence["Job"]):
    """The work that is left, a job for each trace; each is put together when it is looked at.

    The order is that of the trace ids, which are hashes: heavy and light traces are mixed, the same way each time.

    Parameters
    ----------
    plan : Plan
        All there is.
    done : CellSet
        Cells that are not to be run.

    Attributes
    ----------
    cells : int
        How many are left.
    """

    def __init__(self, plan: Plan, done: CellSet) -> None:
        self._plan = plan
        columns = plan.cells.columns
        left = np.flatnonzero(~done.mask)
        self.cells = len(left)
        by_trace = left[np.argsort(columns.trace_ids[columns.traces[left]], kind="stable")]
        starts = np.flatnonzero(np.diff(columns.traces[by_trace], prepend=-1))
        self._cells, self._bounds = by_trace, np.append(starts, len(by_trace))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, at: int) -> Job: ...

    @overload
    def __getitem__(self, at: slice) -> list[Job]: ...

    def __getitem__(self, at: int | slice) -> Job | list[Job]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        at %= len(self)
        numbers = self._cells[self._bounds[at] : self._bounds[at + 1]]
        return job_of([self._plan.cells[int(number)] for number in numbers], self._plan)


def job_of(cells: list[Cell], plan: Plan | Study) -> Job:
    """Return the job that simulates some cells of one trace, with what a worker must know of the study's own designs."""
    from pipeline.work import Job  # noqa: PLC0415 - it imports the simulator, which a complete run does not need

    trace = cells[0].trace
    pairs = tuple((cell.cell_id, cell.design) for cell in cells)
    named = {cell.design for cell in cells}
    own = {name: data for name, data in plan.own_designs.items() if name in named}
    return Job(trace.workload, trace.params, trace.geometry, trace.seed, pairs, own)


@contextmanager
def _interrupts(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C (or SIGTERM) into a wish to stop, the second into InterruptedRunError."""
    wishes = 0

    def wish(_signal: int, _frame: Any) -> None:
        nonlocal wishes
        wishes += 1
        if wishes > 1:
            raise InterruptedRunError(
                "stopped at once; what was stored is safe; run the same command again to resume"
            )
        say("stopping: what runs is finished and stored; press Ctrl-C again to stop at once")

    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        yield lambda: False
        return
    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: wishes > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def outcome_lines(path: Where, outcome: Outcome) -> str:
    """Return what a run did to the dataset at ``path``, and what may come next."""
    name, total = outcome.plan.study["name"], len(outcome.plan.cells)
    if outcome.simulated or outcome.failures or outcome.left:
        told = f"{outcome.simulated:,} simulated, {outcome.resumed:,} were done before, {len(outcome.failures):,} failed"
        left = f", {outcome.left:,} left" if outcome.left else ""
        if outcome.skipped:
            left = f" (of them {outcome.skipped:,} before; --retry-failed tries them again){left}"
        lines = [f"{name}: {counted(total, 'cell')}: {told}{left}; {outcome.seconds:.1f} s"]
    else:
        lines = [f"{name}: 0 cells simulated: all {total:,} were done before; {outcome.seconds:.1f} s"]
    lines += [*_failure_lines(path, outcome), f"dataset:  {path}", f"checksum: {outcome.checksum}"]
    if outcome.left:
        lines.append("next:     run the same command again to go on")
    elif outcome.simulated or outcome.resumed:
        lines.append(f"next:     forkbench report {shlex.quote(str(path))}")
    return "\n".join(lines)


def _failure_lines(path: Where, outcome: Outcome) -> list[str]:
    """Return what failed, equal failures together."""
    if not outcome.failures:
        return []
    alike: dict[str, list[CellFailure]] = {}
    for failure in outcome.failures:
        alike.setdefault(what_failed(failure), []).append(failure)
    lines = []
    for what, group in list(alike.items())[:_SHOWN_FAILURES]:
        cell = outcome.plan.cells.find(group[0].cell_id)
        first = f"{group[0].cell_id} ({cell.design if cell else 'no cell of this plan'})"
        several = f"  {counted(len(group), 'cell')} failed alike, e.g. {first}: {what}"
        lines.append(several if len(group) > 1 else f"  failed: {first}: {what}")
    hidden = sum(len(group) for group in list(alike.values())[_SHOWN_FAILURES:])
    if hidden:
        lines.append(f"  and {hidden:,} more in {path}/failures.json")
    where = shlex.quote(str(path))
    lines.append(f"  forkbench show {outcome.failures[0].cell_id} --results {where} tells more of the first")
    return lines
