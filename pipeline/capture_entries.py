"""Captures that a study names: read once, so that a plan needs their files no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import values

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.values import Place


def captured(value: Any, base: Path, place: Place) -> dict[str, Any] | None:
    """Return what the file of a capture holds, or None after noting the fault; ``base`` is where paths count from."""
    from pipeline.capture.file import CaptureError, read_capture  # noqa: PLC0415 - only such studies need it

    meaning = "the path of a file that forkbench capture wrote, from the study's folder"
    name = values.text(value, place, meaning=meaning)
    if name is None:
        return None
    path = base / name
    try:
        return read_capture(path).value(path.name)
    except CaptureError as error:
        place.fault(str(error))
        return None
