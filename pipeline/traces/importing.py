"""A file that somebody has -> a recorded trace: a log of strace, or a recorded trace as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import RefusedError
from pipeline.traces.file import FOOTPRINTS, Recorded, read_trace
from pipeline.traces.strace_log import told_of_log

if TYPE_CHECKING:
    from pathlib import Path

_PAGE = 4096  # logs do not tell; the footprints are of such pages
_MOST = 1 << 30


def imported(path: Path) -> Recorded:
    """Return the trace of a file.

    Raises
    ------
    RefusedError
        It cannot be read, or is neither a log of strace nor a whole recorded trace.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST + 1)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise RefusedError(
            f"{path}: {reason}; a log of strace -f, or a recorded trace, is needed; name one"
        ) from None
    if raw.startswith(b"PAR1"):
        return read_trace(path)
    if len(raw) > _MOST:
        raise RefusedError(f"{path}: more than {_MOST >> 30} GiB; a shorter log is needed; cut it")
    try:
        told = told_of_log(raw, _PAGE)
    except RefusedError as error:
        raise RefusedError(f"{path}: {error}") from None
    first = told.processes[0]
    last = max((process.ended_us or process.born_us for process in told.processes), default=0)
    name = first.programs[0][1] if first.programs else "?"
    facts = {
        "command": name,
        "taken": "",
        "kernel": "",
        "machine": "",
        "way": "strace",
        "touches": FOOTPRINTS,
        "lost": 0,
        "exit_code": None,
        "seconds": round(last / 1e6, 3),
    }
    return Recorded.of(told, facts)
