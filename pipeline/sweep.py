"""One run of a study: plan, resume, fan out, commit, finish."""

from __future__ import annotations

import shlex
import signal
import threading
import time
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import InterruptedRunError, counted
from pipeline.plan import make_plan
from pipeline.progress import Teller, what_failed
from pipeline.provenance import model_version, provenance
from pipeline.writer import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.plan import Cell, Plan
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
    failures : list of CellFailure
        Cells that have failed, sorted by id.
    seconds : float
        From plan to checksum.
    checksum : str
        Of all rows of the dataset that are planned, sorted.
    notes : list of str
        What the user should know.
    """

    plan: Plan
    resumed: int
    simulated: int
    left: int
    failures: list[CellFailure]
    seconds: float
    checksum: str
    notes: list[str]


def run_study(study: Study, path: Path, workers: int, *, quiet: bool = False) -> Outcome:
    """Simulate the cells of a study that have no row yet, and store their rows.

    Parameters
    ----------
    study : Study
        The question.
    path : Path
        The dataset's folder.
    workers : int
        Processes; 0 runs everything in this one.
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
    failures: list[CellFailure] = []
    with Dataset(path, plan, provenance()) as dataset:
        resumed = len(dataset.done)
        if resumed < len(plan.cells):
            _simulate(jobs_of(plan, dataset.done), dataset, failures, (workers, quiet))
        failures.sort()
        found = dataset.finish(failures)
    simulated = len(dataset.done) - resumed
    left = len(plan.cells) - len(dataset.done) - len(failures)
    seconds = time.perf_counter() - start
    return Outcome(plan, resumed, simulated, left, failures, seconds, found, dataset.notes)


def _simulate(jobs: list[Job], dataset: Dataset, failures: list[CellFailure], how: tuple[int, bool]) -> None:
    """Run jobs and commit their rows as they come; ``how`` is the number of workers, and whether to be quiet."""
    from pipeline.fanout import run_jobs  # noqa: PLC0415 - slow to import; a complete run needs no cluster
    from pipeline.work import warm_up  # noqa: PLC0415 - as above, the simulator

    workers, quiet = how
    with (
        Teller(sum(len(job.cells) for job in jobs), quiet=quiet) as teller,
        _interrupts(teller.say) as stopped,
    ):

        def deliver(reply: Reply) -> None:
            dataset.add(reply.rows)
            failures.extend(reply.failures)
            teller.count(len(reply.rows), len(reply.failures))

        warm_up()  # once, before workers start: they load what this compiles
        teller.begin()
        try:
            run_jobs(jobs, workers, deliver, stopped)
        finally:
            dataset.flush()


def jobs_of(plan: Plan, done: set[str]) -> list[Job]:
    """Return the work that is left: a job for each trace, its cells those without a row.

    The order is that of the trace ids, which are hashes: heavy and light traces are mixed, the same way each time.
    """
    left = sorted((cell for cell in plan.cells if cell.cell_id not in done), key=_trace_id)
    jobs = []
    for _, group in groupby(left, key=_trace_id):
        jobs.append(job_of(list(group), plan))
    return jobs


def job_of(cells: list[Cell], plan: Plan | Study) -> Job:
    """Return the job that simulates some cells of one trace, with what a worker must know of the study's own designs."""
    from pipeline.work import Job  # noqa: PLC0415 - it imports the simulator, which a complete run does not need

    trace = cells[0].trace
    pairs = tuple((cell.cell_id, cell.design) for cell in cells)
    named = {cell.design for cell in cells}
    own = {name: data for name, data in plan.own_designs.items() if name in named}
    return Job(trace.workload, trace.params, trace.geometry, trace.seed, pairs, own)


def _trace_id(cell: Cell) -> str:
    """Return the id of a cell's trace."""
    return cell.trace.trace_id


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


def outcome_lines(path: Path, outcome: Outcome) -> str:
    """Return what a run did to the dataset at ``path``, and what may come next."""
    name, total = outcome.plan.study["name"], len(outcome.plan.cells)
    if outcome.simulated or outcome.failures or outcome.left:
        told = f"{outcome.simulated:,} simulated, {outcome.resumed:,} were done before, {len(outcome.failures):,} failed"
        left = f", {outcome.left:,} left" if outcome.left else ""
        lines = [f"{name}: {counted(total, 'cell')}: {told}{left}; {outcome.seconds:.1f} s"]
    else:
        lines = [f"{name}: 0 cells simulated: all {total:,} were done before; {outcome.seconds:.1f} s"]
    lines += [*_failure_lines(path, outcome), f"dataset:  {path}", f"checksum: {outcome.checksum}"]
    if outcome.left:
        lines.append("next:     run the same command again to go on")
    elif outcome.simulated or outcome.resumed:
        lines.append(f"next:     forkbench report {shlex.quote(str(path))}")
    return "\n".join(lines)


def _failure_lines(path: Path, outcome: Outcome) -> list[str]:
    """Return what failed, equal failures together."""
    if not outcome.failures:
        return []
    designs = {cell.cell_id: cell.design for cell in outcome.plan.cells}
    alike: dict[str, list[CellFailure]] = {}
    for failure in outcome.failures:
        alike.setdefault(what_failed(failure), []).append(failure)
    lines = []
    for what, group in list(alike.items())[:_SHOWN_FAILURES]:
        first = f"{group[0].cell_id} ({designs[group[0].cell_id]})"
        several = f"  {counted(len(group), 'cell')} failed alike, e.g. {first}: {what}"
        lines.append(several if len(group) > 1 else f"  failed: {first}: {what}")
    hidden = sum(len(group) for group in list(alike.values())[_SHOWN_FAILURES:])
    if hidden:
        lines.append(f"  and {hidden:,} more in {path}/failures.json")
    where = shlex.quote(str(path))
    lines.append(f"  forkbench show {outcome.failures[0].cell_id} --results {where} tells more of the first")
    return lines
