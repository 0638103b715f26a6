"""Jobs -> replies on a Dask cluster, a local one or one that is there already.

Dask may run a task more than once and loses everything with its scheduler, so nothing here has to be trusted:
tasks are pure, rows are committed elsewhere, and a sweep is resumed from its dataset.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from distributed import CancelledError, KilledWorker, get_worker

from pipeline.cluster import WORKER_DEATHS, connected
from pipeline.crew import RESUME, Crew, Nobody, patience_of
from pipeline.errors import ClusterError, counted
from pipeline.work import CellFailure, Reply, run_batch, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.crew import Watcher
    from pipeline.fleet import Fleet
    from pipeline.work import Job

BATCH_SECONDS = (
    2.0  # a task costs Dask about 1 ms; at 1 to 5 s that disappears, and little is lost with a worker
)
BATCH_JOBS = 500  # keeps a batch's specification far below the 10 MB at which Dask complains
WINDOW = 2  # batches in flight per thread of a worker: one runs, one waits
LOST_BATCHES = 100  # so many batches may get lost without an error before we give up
SILENT_SECONDS = 45.0  # without a batch coming back; then what runs is named
STALLED_SECONDS = 900.0  # the same, and the run is given up; a cell of minutes is a large one
OVERTIME = "forkbench-overtime"  # topic of the events by which workers tell of cells that took too long
_FETCH_SECONDS = 5.0  # for a finished batch to come from its worker, which takes milliseconds
_FETCH_TRIES = 6
_TICK_SECONDS = 0.5
_HELD_SECONDS = 10.0  # without a batch coming back; then Dask may hold messages back
_TELL_SECONDS = 0.5  # for an event to leave the worker before it ends
_TOLD_CELLS = 3


def run_jobs(
    jobs: Sequence[Job],
    fleet: Fleet,
    deliver: Callable[[Reply], None],
    stopped: Callable[[], bool],
    watcher: Watcher | None = None,
) -> None:
    """Run all jobs and hand each reply over as it comes, in no particular order.

    Parameters
    ----------
    jobs : sequence of Job
        Each is one trace with its cells.
    fleet : Fleet
        Who runs them.
    deliver : callable
        Gets each Reply, in the calling thread.
    stopped : callable
        Says whether to stop: nothing more is begun, what runs is waited for.
    watcher : Watcher or None
        Is told of retries and workers.

    Raises
    ------
    ClusterError
        If no scheduler answers, no worker comes up or they are not fit, batches keep getting lost, or nothing goes on.
    """
    if fleet.workers == 0 and not fleet.remote:
        for job in jobs:
            if stopped():
                return
            deliver(run_batch([job]))
        return
    watching = watcher or Nobody()
    try:
        with connected(fleet) as client:
            crew = Crew(client, watching, patience_of(fleet))
            crew.muster()
            _Sweep(crew, jobs, fleet.timeout, deliver).run(stopped)
    except (OSError, CancelledError) as error:  # what a dataset's disk refuses comes as a DatasetError
        why = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ClusterError(
            f"the connection to the scheduler is lost ({why}); is it still there? {RESUME}"
        ) from None


class _Sweep:
    """The batches of one run: those to come, those in flight, those that workers died of."""

    def __init__(
        self, crew: Crew, jobs: Sequence[Job], timeout: float | None, deliver: Callable[[Reply], None]
    ) -> None:
        self._crew = crew
        self._client = crew.client
        self._timeout = timeout
        self._deliver = deliver
        self._left, self._to_come = len(jobs), iter(jobs)
        self._again: deque[Job] = deque()
        self._suspects: deque[list[Job]] = deque()
        self._flying: dict[Any, list[Job]] = {}
        self._landed: SimpleQueue[Any] = SimpleQueue()
        self._overtime = set() if timeout is None else overtime(crew.client)
        self._seconds = 0.0
        self._jobs_done = 0
        self._submitted = 0
        self._lost = 0
        self._seen = self._manned = self._told = self._released = time.monotonic()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Keep the window full until nothing is left, or until told to stop."""
        while True:
            if not stopped():
                self._fill()
            if not self._flying:
                return
            try:
                future = self._landed.get(timeout=_TICK_SECONDS)
            except Empty:
                self._watch()
                continue
            self._settle(future)

    def _fill(self) -> None:
        """Submit batches; those that workers died of come last, each alone, so that the guilty one is certain."""
        while self._pending and len(self._flying) < WINDOW * self._crew.threads:
            self._submit([self._next() for _ in range(min(self._batch_size(), self._pending))])
        if self._suspects and not self._flying:
            self._submit(self._suspects.popleft())

    @property
    def _pending(self) -> int:
        """How many jobs wait."""
        return self._left + len(self._again)

    def _next(self) -> Job:
        """Return a job that waits, first those that have run in vain."""
        if self._again:
            return self._again.popleft()
        self._left -= 1
        return next(self._to_come)

    def _batch_size(self) -> int:
        """Return the jobs that take about BATCH_SECONDS, fewer towards the end so that workers end together."""
        if not self._jobs_done:
            return 1
        timely = BATCH_SECONDS * self._jobs_done / max(self._seconds, 1e-9)
        share = self._pending / (WINDOW * self._crew.threads)
        return max(1, min(int(timely), int(share), BATCH_JOBS))

    def _submit(self, batch: list[Job]) -> None:
        """Send a batch to the cluster."""
        self._submitted += 1
        key = f"forkbench-{os.getpid()}-{self._submitted}"
        future = self._client.submit(run_watched, batch, self._timeout, key=key, pure=False)
        self._flying[future] = batch
        future.add_done_callback(self._landed.put)

    def _settle(self, future: Any) -> None:
        """Deal with a batch that came back, whatever became of it."""
        if future.status != "finished":
            self._take_late()
        if future not in self._flying:  # taken apart, now or before
            return
        batch = self._flying.pop(future)
        self._seen = time.monotonic()
        try:
            if future.status == "finished":
                self._fetch(batch, future)
            elif future.status == "error":
                self._died(batch, future.exception())
            else:
                self._repeat(batch)
        except KilledWorker as error:
            self._died(batch, error)
        finally:
            future.release()

    def _fetch(self, batch: list[Job], future: Any) -> None:
        """Get what a batch gave, and hand it over; run it again if the worker that has it is gone before it told."""
        for _ in range(_FETCH_TRIES):
            try:
                reply = future.result(timeout=_FETCH_SECONDS)
            except TimeoutError:  # Dask would wait for ever for another worker to make it again
                self._watch()
                if future.status != "finished":
                    break
            else:
                self._jobs_done += len(batch)
                self._seconds += reply.seconds
                self._deliver(reply)
                return
        self._repeat(batch)

    def _repeat(self, batch: list[Job]) -> None:
        """Run a batch again whose result got lost with its worker."""
        if self._client.status not in ("running", "connecting"):
            raise ClusterError(f"the connection to the scheduler is lost; is it still there? {RESUME}")
        self._lost += 1
        if self._lost > LOST_BATCHES:
            raise ClusterError(f"the cluster lost {self._lost} batches without a reason; {RESUME}")
        self._crew.watcher.retried(_cells(batch))
        self._again.extendleft(reversed(batch))

    def _died(self, batch: list[Job], error: BaseException) -> None:
        """Split a batch that workers died of; a cell that cannot be split has failed."""
        halves = _halves(batch)
        if len(halves) == 2:
            self._crew.watcher.retried(_cells(batch))
            self._suspects.extend(halves)
            return
        [(cell_id, _)] = batch[0].cells
        killed = isinstance(error, KilledWorker)
        cause = "WorkerDied" if killed else type(error).__name__
        deaths = getattr(error, "allowed_failures", WORKER_DEATHS - 1) + 1
        message = f"{deaths} workers died over this cell alone: killed, crashed or out of memory"
        self._deliver(Reply([], [CellFailure(cell_id, cause, message if killed else str(error), "")], 0.0))

    def _watch(self) -> None:
        """Give up if there has been no worker for a while, or nothing came back for a long one; name what runs."""
        now = time.monotonic()
        self._take_late()
        if self._client.status == "closed":
            raise ClusterError(f"the connection to the scheduler is closed; is it still there? {RESUME}")
        if self._crew.look():
            self._manned = now
        elif now - self._manned > self._crew.patience:
            raise ClusterError(
                f"there has been no worker for {self._crew.patience:.0f} s; the machine may be out of memory or "
                f"processes, or the scheduler is gone; {RESUME}, perhaps with fewer --workers"
            )
        if now - max(self._seen, self._released) > _HELD_SECONDS:
            self._released = now
            self._crew.release()
        silent = now - max(self._seen, self._told)
        if now - self._seen > max(STALLED_SECONDS, 2 * (self._timeout or 0.0)):
            raise ClusterError(
                f"nothing has come back for {now - self._seen:.0f} s, while workers had {self._running()}; --timeout "
                f"ends cells that take too long, 'forkbench show ID --simulate' runs one here; {RESUME}"
            )
        if silent > SILENT_SECONDS:
            self._told = now
            silent_for = f"nothing has come back for {now - self._seen:.0f} s"
            self._crew.watcher.say(f"{silent_for}; workers have {self._running()}")

    def _running(self) -> str:
        """Return which cells are in flight."""
        ids = [cell_id for batch in self._flying.values() for job in batch for cell_id, _ in job.cells]
        return f"{counted(len(ids), 'cell')}, e.g. {', '.join(ids[:_TOLD_CELLS])}"

    def _take_late(self) -> None:
        """Fail the cells of which workers told that they took too long; what else their batches have is run again."""
        if self._timeout is None:
            return
        with suppress(OSError, TimeoutError):
            told = overtime(self._client)
            late, self._overtime = told - self._overtime, self._overtime | told
            for future, batch in list(self._flying.items()):
                mine = late & {cell_id for job in batch for cell_id, _ in job.cells}
                if mine:
                    self._fail(future, batch, mine)

    def _fail(self, future: Any, batch: list[Job], late: set[str]) -> None:
        """Take cells out of a batch in flight, and submit the rest of it again."""
        del self._flying[future]
        self._seen = time.monotonic()
        future.cancel()
        message = f"took more than {self._timeout:g} s (--timeout); its worker was ended"
        failures = [CellFailure(cell_id, "Timeout", message, "") for cell_id in sorted(late)]
        self._deliver(Reply([], failures, 0.0))
        kept = [job._replace(cells=tuple(cell for cell in job.cells if cell[0] not in late)) for job in batch]
        rest = [job for job in kept if job.cells]
        self._crew.watcher.retried(_cells(rest))
        self._again.extendleft(reversed(rest))


def run_watched(batch: list[Job], timeout: float | None) -> Reply:
    """Run a batch in a worker, which ends itself if a cell takes longer than ``timeout`` seconds."""
    if timeout is None:
        return run_batch(batch)
    warm_up()  # which a start takes seconds for, and no cell is to blame for
    with _Watchdog(timeout) as dog:
        return run_batch(batch, dog.begin)


class _Watchdog:
    """End this process if a cell takes too long: compiled code cannot be interrupted otherwise."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._worker = get_worker()
        self._cell, self._since = "", time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def begin(self, cell_id: str) -> None:
        """Note that a cell begins."""
        self._cell, self._since = cell_id, time.monotonic()

    def _watch(self) -> None:
        """Look at the clock."""
        while not self._over.wait(min(_TICK_SECONDS, self._timeout / 4)):
            if self._cell and time.monotonic() - self._since > self._timeout:
                self._worker.loop.add_callback(self._worker.log_event, OVERTIME, self._cell)
                time.sleep(_TELL_SECONDS)
                os._exit(1)


def overtime(client: Any) -> set[str]:
    """Return the ids of all cells of which workers of a cluster ever told that they took too long."""
    return {str(event) for _, event in client.get_events(OVERTIME)}


def _cells(batch: list[Job]) -> int:
    """Return how many cells a batch has."""
    return sum(len(job.cells) for job in batch)


def _halves(batch: list[Job]) -> list[list[Job]]:
    """Return a batch in two halves, by traces, then by designs; one cell comes back whole."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]
    [job] = batch
    if len(job.cells) > 1:
        middle = len(job.cells) // 2
        return [[job._replace(cells=job.cells[:middle])], [job._replace(cells=job.cells[middle:])]]
    return [batch]
