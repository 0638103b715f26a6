"""Recorded traces that a study names: shipped ones or files, read once, so that a plan needs their files no more."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline import values

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.values import Place


def recorded(value: Any, base: Path, place: Place) -> dict[str, Any] | None:
    """Return what a recorded trace holds, or None after noting the fault; ``base`` is where paths count from."""
    from pipeline.traces.file import TraceFileError  # noqa: PLC0415 - only such studies need it
    from pipeline.traces.shipped import SUFFIX, shipped_traces  # noqa: PLC0415 - as above

    if isinstance(value, dict) and "packed" in value:
        place.fault(
            "a packed trace; the name of a shipped one, or a file, is needed; write file: NAME or FILE"
        )
        return None
    known = shipped_traces()
    own = isinstance(value, str) and (value.endswith(SUFFIX) or "/" in value)
    hint = f"forkbench trace stats lists them; the path of a file ends in {SUFFIX}"
    name = value if own else values.choice(value, known, "recorded trace", place, hint)
    if name is None:
        return None
    try:
        return _read(base / name) if own else _read(known[name]) | {"label": name}
    except TraceFileError as error:
        place.fault(str(error))
        return None


def _read(path: Path) -> dict[str, Any]:
    """Return what the file of a recorded trace holds."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0  # what is wrong is told when it is read
    return _value(path, changed)


@lru_cache(maxsize=8)
def _value(path: Path, _changed: int) -> dict[str, Any]:
    """Return the value of a file; a study that is checked twice reads it once."""
    from pipeline.traces.file import read_trace  # noqa: PLC0415 - as above

    return read_trace(path).value(path.stem)
