"""What simcore raises: somebody asked for the impossible, or we are wrong."""

from __future__ import annotations

from enum import IntEnum


class Refusal(IntEnum):
    """Why an event cannot happen. The numbers are the engine's status codes; 0 means it happened."""

    NO_SUCH_TASK = 1
    TASK_ALIVE = 2
    OVERLAP = 3
    NOT_MAPPED = 4
    NOT_WRITABLE = 5
    BORROWS = 6
    WAITS = 7
    NO_STACK = 8
    HUGE_PAGES = 9


_REASONS = {
    Refusal.NO_SUCH_TASK: "the task does not exist; only task 0 and children of earlier forks do; fork it first",
    Refusal.TASK_ALIVE: "the child's task number is in use; numbers of exited tasks are free; choose another",
    Refusal.OVERLAP: "the pages are mapped already; an mmap replaces nothing; munmap them first",
    Refusal.NOT_MAPPED: "a page lies in no vma; only mapped pages can be touched; mmap it first",
    Refusal.NOT_WRITABLE: "a page lies in a read-only vma; writes need a writable one; read it or map it writable",
    Refusal.NO_STACK: "no stack begins within 1,048,576 pages above it; only a stack grows; mmap the pages",
    Refusal.HUGE_PAGES: "reclaim of huge pages is not modelled; set thp to never, or leave reclaim out",
    Refusal.BORROWS: "the task borrows its parent's mm; after vfork a child may read, write, exec and exit; exec first",
    Refusal.WAITS: "the task waits for its vfork child; it runs again when the child execs or exits; end the vfork first",
}  # fmt: skip


class SimcoreError(Exception):
    """Somebody asked for the impossible; the message says what to do."""


class TraceRefused(SimcoreError):  # noqa: N818 - a trace is refused, nothing is in error
    """A trace holds an event that cannot happen.

    Attributes
    ----------
    event : int
        Index of the event in the trace.
    refusal : Refusal or None
        The reason, None for a malformed event.
    """

    def __init__(self, event: int, what: str, refusal: Refusal | None = None) -> None:
        self.event = event
        self.refusal = refusal
        super().__init__(f"event {event}: {what}")

    @staticmethod
    def because(event: int, refusal: Refusal, doing: str) -> TraceRefused:
        """Return the exception for a refused event; ``doing`` names the event."""
        return TraceRefused(event, f"{doing}: {_REASONS[refusal]}", refusal)


class LimitExceeded(SimcoreError):  # noqa: N818 - as above
    """A trace needs more memory than the limit allows."""


class InvariantViolation(Exception):  # noqa: N818 - the field's word
    """The simulator is wrong: a recount from nothing differs from what the machine believes."""
