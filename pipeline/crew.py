"""The workers of a cluster: how many there are, whether they are fit, and who is told of them.

Works on what Dask's client offers, and imports nothing of it.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any, Protocol

from pipeline.errors import ClusterError
from pipeline.fleet import facts, mismatches

NO_WORKER_SECONDS = 60.0
RESUME = "what is done is stored; run the same command again to resume"
_ANSWER_SECONDS = 20.0  # that a worker may take to tell what it has
_LOOK_SECONDS = 5.0  # between two looks at who the workers are
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
    """The workers of a cluster: who they are, and whether they are fit."""

    def __init__(self, client: Any, watcher: Watcher) -> None:
        self.client = client
        self.watcher = watcher
        self.threads = 1
        self._checked: set[str] = set()
        self._looked = float("-inf")
        self._present = 0

    def muster(self) -> None:
        """Wait for the first worker, and check all there are.

        Raises
        ------
        ClusterError
            If there is none in time, or one is not fit.
        """
        began = time.monotonic()
        while not self.look(always=True):
            if time.monotonic() - began > NO_WORKER_SECONDS:
                raise ClusterError(
                    f"the cluster has had no worker for {NO_WORKER_SECONDS:.0f} s; start some with 'dask worker', which "
                    f"have to have this version of forkbench installed; {RESUME}"
                )
            time.sleep(_TICK_SECONDS)

    def look(self, *, always: bool = False) -> int:
        """Return how many workers there are, looking again if it is time to; those that are new are checked."""
        if not always and time.monotonic() - self._looked < _LOOK_SECONDS:
            return self._present
        self._looked = time.monotonic()
        try:
            there: dict[str, int] = self.client.nthreads()
        except (OSError, TimeoutError):
            there = {}
        self._present = len(there)
        self.threads = max(1, sum(there.values()))
        self.watcher.working(self._present)
        self._check([address for address in there if address not in self._checked])
        return self._present

    def _asked(self, addresses: list[str]) -> dict[str, Any]:
        """Return what workers tell of themselves; nothing if they do not answer, for Dask would wait for ever."""
        told: dict[str, Any] = {}

        def ask() -> None:
            with suppress(OSError):
                told.update(self.client.run(facts, workers=addresses, on_error="return"))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(_ANSWER_SECONDS)
        return dict(told)

    def _check(self, addresses: list[str]) -> None:
        """Refuse workers that would not do as the driver does."""
        if not addresses:
            return
        told = self._asked(addresses)
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
