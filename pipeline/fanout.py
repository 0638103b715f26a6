"""Jobs -> replies on a local Dask cluster. The only module that imports dask.

Dask may run a task more than once and loses everything with its scheduler, so nothing here has to be trusted:
tasks are pure, rows are committed elsewhere, and a sweep is resumed from its dataset.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, KilledWorker, LocalCluster

from pipeline.errors import ClusterError
from pipeline.work import CellFailure, Reply, run_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.work import Job

BATCH_SECONDS = 1.0  # a task costs Dask about 1 ms; at 1 s that disappears, and little is lost with a worker
BATCH_JOBS = 500  # keeps a batch's specification far below the 10 MB at which Dask complains
WINDOW = 2  # batches in flight per worker: one runs, one waits
WORKER_DEATHS = 3  # so many workers may die over one batch before it is split
LOST_BATCHES = 100  # so many batches may get lost without an error before we give up
NO_WORKER_SECONDS = 60.0
_TICK_SECONDS = 0.5

_CONFIG = {
    "distributed.scheduler.worker-saturation": "inf",  # 1 ms a task instead of 2 to 3
    "distributed.scheduler.allowed-failures": WORKER_DEATHS - 1,
    # Ctrl-C reaches every process of the terminal; it is the driver that decides what it means.
    "distributed.worker.preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
}


def run_jobs(
    jobs: Sequence[Job], workers: int, deliver: Callable[[Reply], None], stopped: Callable[[], bool]
) -> None:
    """Run all jobs and hand each reply over as it comes, in no particular order.

    Parameters
    ----------
    jobs : sequence of Job
        Each is one trace with its cells.
    workers : int
        Processes of a local cluster; 0 runs the jobs in this process, without Dask.
    deliver : callable
        Gets each Reply, in the calling thread.
    stopped : callable
        Says whether to stop: nothing more is begun, what runs is waited for.

    Raises
    ------
    ClusterError
        If no worker comes up, or batches keep getting lost.
    """
    if workers == 0:
        for job in jobs:
            if stopped():
                return
            deliver(run_batch([job]))
        return
    with _cluster(workers) as client:
        _Sweep(client, jobs, workers, deliver).run(stopped)


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    """Start worker processes, and end them."""
    with (
        dask.config.set(_CONFIG),
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port; with None Dask tries 8787, whoever has it
            memory_limit=0,  # the simulator has limits of its own
            silence_logs=logging.CRITICAL,  # what goes wrong is told once, by us
        ) as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        yield client


class _Sweep:
    """The batches of one run: those to come, those in flight, those that workers died of."""

    def __init__(
        self, client: Any, jobs: Sequence[Job], workers: int, deliver: Callable[[Reply], None]
    ) -> None:
        self._client = client
        self._workers = workers
        self._deliver = deliver
        self._pending = deque(jobs)
        self._suspects: deque[list[Job]] = deque()
        self._flying: dict[Any, list[Job]] = {}
        self._landed: SimpleQueue[Any] = SimpleQueue()
        self._seconds = 0.0
        self._jobs_done = 0
        self._submitted = 0
        self._lost = 0
        self._seen = time.monotonic()

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
        while self._pending and len(self._flying) < WINDOW * self._workers:
            size = min(self._batch_size(), len(self._pending))
            self._submit([self._pending.popleft() for _ in range(size)])
        if self._suspects and not self._flying:
            self._submit(self._suspects.popleft())

    def _batch_size(self) -> int:
        """Return the jobs that take about BATCH_SECONDS, fewer towards the end so that workers end together."""
        if not self._jobs_done:
            return 1
        timely = BATCH_SECONDS * self._jobs_done / max(self._seconds, 1e-9)
        share = len(self._pending) / (WINDOW * self._workers)
        return max(1, min(int(timely), int(share), BATCH_JOBS))

    def _submit(self, batch: list[Job]) -> None:
        """Send a batch to the cluster."""
        self._submitted += 1
        future = self._client.submit(run_batch, batch, key=f"batch-{self._submitted}", pure=False)
        self._flying[future] = batch
        future.add_done_callback(self._landed.put)

    def _settle(self, future: Any) -> None:
        """Deal with a batch that came back, whatever became of it."""
        batch = self._flying.pop(future)
        self._seen = time.monotonic()
        try:
            if future.status == "finished":
                self._arrived(batch, future.result())
            elif future.status == "error":
                self._died(batch, future.exception())
            else:
                self._again(batch)
        except KilledWorker as error:
            self._died(batch, error)
        finally:
            future.release()

    def _arrived(self, batch: list[Job], reply: Reply) -> None:
        """Hand over what a batch gave."""
        self._jobs_done += len(batch)
        self._seconds += reply.seconds
        self._deliver(reply)

    def _again(self, batch: list[Job]) -> None:
        """Run a batch again whose result got lost with its worker."""
        self._lost += 1
        if self._lost > LOST_BATCHES:
            raise ClusterError(
                f"the local cluster lost {self._lost} batches without a reason; "
                "what is done is stored; run the same command again to resume"
            )
        self._pending.extendleft(reversed(batch))

    def _died(self, batch: list[Job], error: BaseException) -> None:
        """Split a batch that workers died of; a cell that cannot be split has failed."""
        halves = _halves(batch)
        if len(halves) == 2:
            self._suspects.extend(halves)
            return
        [(cell_id, _)] = batch[0].cells
        killed = isinstance(error, KilledWorker)
        cause = "WorkerDied" if killed else type(error).__name__
        message = f"{WORKER_DEATHS} workers died over this cell alone: killed, crashed or out of memory"
        self._deliver(Reply([], [CellFailure(cell_id, cause, message if killed else str(error), "")], 0.0))

    def _watch(self) -> None:
        """Give up if there has been no worker for a while."""
        if self._client.scheduler_info()["workers"]:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > NO_WORKER_SECONDS:
            raise ClusterError(
                f"there has been no worker for {NO_WORKER_SECONDS:.0f} s; the machine may be out of memory or "
                "processes; what is done is stored; run the same command again, perhaps with fewer --workers"
            )


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
