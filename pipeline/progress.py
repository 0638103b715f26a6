"""How a run tells what it does: a bar on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline.errors import counted

if TYPE_CHECKING:
    from types import TracebackType

    from pipeline.work import CellFailure

LINE_SECONDS = 5.0  # between two plain lines


class Teller:
    """Tell how far a run is; a context manager, everything goes to standard error.

    Parameters
    ----------
    cells : int
        Cells to run.
    skipped : int
        Cells that are not run: their row is there, or they failed before.
    quiet : bool
        Tell only what the user has to know.
    """

    def __init__(self, cells: int, skipped: int, *, quiet: bool) -> None:
        self._cells = cells
        self._skipped = skipped
        self._quiet = quiet
        self._done = 0
        self._failed = 0
        self._retried = 0
        self._workers: int | None = None
        self._began = self._told = time.monotonic()
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if self._console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("preparing the simulator", total=cells, rate="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        elif not self._quiet:
            self.say("preparing the simulator")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def begin(self) -> None:
        """Tell that cells are being simulated now; rates count from here."""
        self._began = self._told = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, description="simulating")

    def retried(self, cells: int) -> None:
        """Tell that so many cells are submitted again."""
        self._retried += cells

    def working(self, workers: int) -> None:
        """Tell how many workers there are."""
        self._workers = workers

    def count(self, done: int, failed: int) -> None:
        """Tell that so many more cells are done and so many have failed."""
        self._done += done
        self._failed += failed
        now = time.monotonic()
        rate = (self._done + self._failed) / max(now - self._began, 1e-9)
        told = self._told_so_far(rate)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done + self._failed, rate=told)
        elif not self._quiet and now - self._told >= LINE_SECONDS:
            self._told = now
            left = (self._cells - self._done - self._failed) / rate
            self.say(f"{self._done + self._failed:,}/{self._cells:,} cells, {told}, about {left:,.0f} s left")

    def _told_so_far(self, rate: float) -> str:
        """Return rate, and what else there is to tell."""
        told = [f"{rate:,.0f} cells/s"]
        if self._workers is not None:
            told.append(counted(self._workers, "worker"))
        counts = (("failed", self._failed), ("retried", self._retried), ("skipped", self._skipped))
        return ", ".join(told + [f"{count:,} {what}" for what, count in counts if count])


def what_failed(failure: CellFailure) -> str:
    """Return a failure's message, with the exception's name unless the cell was refused, which explains itself."""
    return f"{failure.cause}: {failure.message}" if failure.traceback else failure.message
