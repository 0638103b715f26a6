"""A log of strace as a story: its calls, and the touches of measured footprints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.traces.footprint_touches import FootprintTouches
from pipeline.traces.story import Story
from pipeline.traces.strace_text import read_strace

if TYPE_CHECKING:
    from pipeline.traces.story import Told


def told_of_log(raw: bytes, page_bytes: int) -> Told:
    """Return the story of a log.

    Raises
    ------
    StraceError
        It is none.
    """
    log = read_strace(raw.decode("utf-8", "replace"), page_bytes)
    touches = FootprintTouches()
    told = Story(touches, page_bytes).tell(touches.moments(log.moments))
    if log.unread:
        told.notes["lines that are not strace's"] = log.unread
    if touches.beyond:
        told.notes["pages mapped beyond footprints, taken to be written"] = touches.beyond
    if touches.unmeasured:
        told.notes["programs without a footprint, told as ls"] = len(touches.unmeasured)
    return told
