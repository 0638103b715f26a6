"""The workers of a cluster: how many there are, whether they are fit, and who is told of them.

Works on what Dask's client offers, and imports nothing of it.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import ClusterError
from pipeline.fleet import facts, mismatches

if TYPE_CHECKING:
    from pipeline.fleet import Fleet

NO_WORKER_SECONDS = 60.0
RESUME = "what is done is stored; run the same command again to resume"
_ANSWER_SECONDS = 20.0  # that a worker may take to tell what it has
_LOOK_SECONDS = 5.0  # between two looks at who the workers are
_WAIT_SECONDS = 15.0  # between two lines that say that there is no worker yet
_TICK_SECONDS = 0.5


class Watcher(Protocol):
    """Who is told what happens."""

    def say(self, line: str) -> None:
        """Take a sentence for the user."""

    def retried(self, cells: int) -> None:
        """Take that so many cells are submitted again."""

    def working(self, workers: int) -> None:
        """Take how many workers there are."""


class Nobody:
    """A watcher that does not care."""

    def say(self, line: str) -> None:
        """Forget it."""

    def retried(self, cells: int) -> None:
        """Forget it."""

    def working(self, workers: int) -> None:
        """Forget it."""


class Crew:
    """The workers of a cluster: who they are, and whether they are fit.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    watcher : Watcher
        Is told how many there are.
    patience : float
        Seconds without any worker after which a run is given up.

    Attributes
    ----------
    present : list of str
        Addresses, as of the last look.
    threads : int
        Of all of them, at least 1.
    """

    def __init__(self, client: Any, watcher: Watcher, patience: float = NO_WORKER_SECONDS) -> None:
        self.client = client
        self.watcher = watcher
        self.patience = patience
        self.threads = 1
        self._checked: set[str] = set()
        self._looked = float("-inf")
        self._releasing: threading.Thread | None = None
        self.present: list[str] = []

    def muster(self) -> None:
        """Wait for the first worker, and check all there are.

        Raises
        ------
        ClusterError
            If there is none in time, or one is not fit.
        """
        began = told = time.monotonic()
        while not self.look(always=True):
            now = time.monotonic()
            if now - began > self.patience:
                raise ClusterError(
                    f"the cluster has had no worker for {self.patience:.0f} s; start some with 'dask worker', or "
                    "see whether their jobs still queue (wait_seconds of --cluster); they have to have this version of "
                    f"forkbench installed; {RESUME}"
                )
            if now - told > _WAIT_SECONDS:
                told = now
                self.watcher.say(
                    f"no worker yet after {now - began:.0f} s; waiting up to {self.patience:.0f} s"
                )
            time.sleep(_TICK_SECONDS)

    def look(self, *, always: bool = False) -> int:
        """Return how many workers there are, looking again if it is time to; those that are new are checked."""
        if not always and time.monotonic() - self._looked < _LOOK_SECONDS:
            return len(self.present)
        self._looked = time.monotonic()
        try:
            there: dict[str, int] = self.client.nthreads()
        except (OSError, TimeoutError):
            there = {}
        self.present = list(there)
        self.threads = max(1, sum(there.values()))
        self.watcher.working(len(there))
        self._check([address for address in there if address not in self._checked])
        return len(there)

    def ask(
        self, addresses: list[str], function: Any, *arguments: Any, seconds: float | None = None
    ) -> dict[str, Any]:
        """Return what a function returns on workers, or the exception that it raises; by address.

        Those that do not answer in time are left out, for Dask would wait for ever.
        """
        told: dict[str, Any] = {}

        def ask() -> None:
            with suppress(OSError):
                told.update(self.client.run(function, *arguments, workers=addresses, on_error="return"))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(_ANSWER_SECONDS if seconds is None else seconds)
        return dict(told)

    def release(self) -> None:
        """Let client, scheduler and workers send what they hold back; returns at once.

        Dask gathers messages until a time of day that is some milliseconds away. Where the clock is set back meanwhile,
        they lie there until it comes to that time again: workers have nothing to do, and nobody is told.
        """

        def send_now(stream: Any) -> None:
            stream.next_deadline = None
            stream.waker.set()

        # Functions in here, not of the module: they travel as they are to where forkbench may be missing.
        def of_scheduler(dask_scheduler: Any) -> None:
            for stream in (*dask_scheduler.stream_comms.values(), *dask_scheduler.client_comms.values()):
                send_now(stream)

        def of_worker(dask_worker: Any) -> None:
            send_now(dask_worker.batched_stream)

        def release() -> None:
            # Where it cannot be done, say in another version of Dask, the run is no worse off than without.
            with suppress(Exception):
                self.client.run_on_scheduler(of_scheduler)
            with suppress(Exception):
                self.client.loop.add_callback(send_now, self.client.scheduler_comm)
            with suppress(Exception):
                self.client.run(of_worker, on_error="ignore")

        if self._releasing is None or not self._releasing.is_alive():
            self._releasing = threading.Thread(target=release, daemon=True)
            self._releasing.start()

    def _check(self, addresses: list[str]) -> None:
        """Refuse workers that would not do as the driver does."""
        if not addresses:
            return
        told = self.ask(addresses, facts)
        # A worker that has just gone cannot answer, which is no fault of its software.
        found = {address: answer for address, answer in told.items() if not isinstance(answer, OSError)}
        wrong = mismatches(facts(), found)
        if wrong:
            raise ClusterError(
                "workers are not fit for this sweep:\n  "
                + "\n  ".join(wrong)
                + "\ninstall on each worker what the driver "
                f"has (simulator and versions have to be equal), restart them, and run again; {RESUME}"
            )
        self._checked.update(found)


def patience_of(fleet: Fleet) -> float:
    """Return for how many seconds a fleet may be without any worker: jobs of a batch system may have to queue."""
    return NO_WORKER_SECONDS if fleet.cluster is None else fleet.cluster.wait_seconds
