"""Whether a trace is well formed: everything that can be seen without running it.

What depends on the machine's state (is the page mapped, is the task alive) is refused when the event comes up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from simcore.errors import TraceRefused
from simcore.events import ADVISED, ANONYMOUS, KIND_MASK, TRACKED, WRITABLE, Op, Trace, VmaKind

if TYPE_CHECKING:
    from simcore.events import IntArray
    from simcore.geometry import Geometry

MOST_FAULTS = 10  # as many as are listed
TASK_LIMIT = 1 << 24  # tables are indexed by task number; a trace is not allowed to ask for more

_BOTH = "a file number names both a file and a shm object"

Mask = npt.NDArray[np.bool_]


def check_trace(trace: Trace, geometry: Geometry) -> None:
    """Refuse a malformed trace, all its faults at once (the first ten are listed).

    Raises
    ------
    TraceRefused
        Some event or image row is malformed. The attribute ``event`` is the first one's index.
    """
    faults = sorted(_event_faults(trace, geometry) + _file_faults(trace))
    images = _image_faults(trace, geometry)
    if not faults and not images:
        return
    said = [f"event {index}: {what}" for index, what in faults] + images
    rest = f"; and {len(said) - MOST_FAULTS} more" if len(said) > MOST_FAULTS else ""
    first = faults[0][0] if faults else 0
    raise TraceRefused(first, "the trace is malformed: " + "; ".join(said[:MOST_FAULTS]) + rest)


def _event_faults(trace: Trace, geometry: Geometry) -> list[tuple[int, str]]:
    """Return (index, what is wrong) for malformed events."""
    events = trace.events
    op = events["op"]
    known = (op >= 0) & (op < len(Op))
    faults = _say(~known, f"unknown operation; 0 to {len(Op) - 1} are known")
    tasks = (events["task"] >= 0) & (events["task"] < TASK_LIMIT)
    faults += _say(known & ~tasks, f"task number out of range; 0 to {TASK_LIMIT - 1} are allowed")
    births = (op == Op.FORK) | (op == Op.VFORK)
    children = (events["arg"] >= 0) & (events["arg"] < TASK_LIMIT)
    faults += _say(births & ~children, f"child's number out of range; 0 to {TASK_LIMIT - 1} are allowed")
    images = (events["arg"] >= 0) & (events["arg"] < len(trace.image_starts) - 1)
    faults += _say((op == Op.EXEC) & ~images, f"no such image; the trace has {len(trace.image_starts) - 1}")
    ranged = np.isin(op, [Op.MMAP, Op.MUNMAP, Op.MPROTECT, Op.DONTNEED])
    faults += _range_faults(events, ranged, geometry)
    inside = (events["start"] >= 0) & (events["start"] < geometry.user_pages)
    faults += _say((op == Op.GROW) & ~inside, f"page not within 0 to {geometry.user_pages - 1}")
    faults += _say(
        (op == Op.RECLAIM) & (events["count"] < 1), "count below 1; reclaim takes at least one page"
    )
    either = (events["arg"] == 0) | (events["arg"] == 1)
    faults += _say((op == Op.MPROTECT) & ~either, "arg is neither 0 (read-only) nor 1 (writable)")
    faults += _say(
        (op == Op.MMAP) & ~_well_mapped(events), "not a mapping: kind, flags, file or offset is wrong"
    )
    return faults + _touch_faults(trace, geometry)


def _range_faults(rows: npt.NDArray[np.void], which: Mask, geometry: Geometry) -> list[tuple[int, str]]:
    """Return the faults of ranges of pages."""
    inside = (rows["start"] >= 0) & (rows["count"] >= 1) & (rows["count"] <= geometry.user_pages)
    inside &= rows["start"] <= geometry.user_pages - rows["count"]
    return _say(which & ~inside, f"range empty or not within pages 0 to {geometry.user_pages - 1}")


def _touch_faults(trace: Trace, geometry: Geometry) -> list[tuple[int, str]]:
    """Return the faults of reads and writes."""
    events = trace.events
    touch = (events["op"] == Op.READ) | (events["op"] == Op.WRITE)
    start, count, stride = (events[name] for name in ("start", "count", "stride"))
    listed = touch & (stride == 0)
    sound = (start >= 0) & (count >= 1)
    in_pool = sound & (count <= len(trace.pages)) & (start <= len(trace.pages) - count)
    faults = _say(listed & ~in_pool, f"page list empty or not within the trace's {len(trace.pages)} pages")
    ranged = touch & (stride != 0)
    sane = sound & (stride > 0) & (stride <= geometry.user_pages) & (count <= geometry.user_pages)
    # Divided, not multiplied: the product of two page numbers may not fit into 64 bits.
    steps = (geometry.user_pages - 1 - start) // np.where(sane, stride, 1)
    faults += _say(
        ranged & ~(sane & (start < geometry.user_pages) & (count - 1 <= steps)),
        f"pages not within 0 to {geometry.user_pages - 1}, or a stride below 0",
    )
    pool = trace.pages
    if len(pool) and not (pool.min() >= 0 and pool.max() < geometry.user_pages):
        outside = np.concatenate([[0], np.cumsum((pool < 0) | (pool >= geometry.user_pages))])
        low = np.where(in_pool & listed, start, 0)
        high = np.where(in_pool & listed, start + count, 0)
        faults += _say(
            outside[high] > outside[low], f"its pages are not within 0 to {geometry.user_pages - 1}"
        )
    return faults


def _well_mapped(rows: npt.NDArray[np.void]) -> Mask:
    """Return which MMAP rows name a kind, a file exactly if the kind has one, and no more than goes with the kind."""
    kind = rows["arg"] & KIND_MASK
    known = (rows["arg"] & ~(KIND_MASK | WRITABLE | ADVISED | TRACKED) == 0) & (kind < len(VmaKind))
    known &= (rows["arg"] & TRACKED == 0) | (kind == VmaKind.FILE_SHARED)
    known &= (rows["arg"] & ADVISED == 0) | np.isin(kind, ANONYMOUS)
    backed = (kind == VmaKind.FILE_PRIVATE) | (kind == VmaKind.FILE_SHARED) | (kind == VmaKind.SHM)
    filed = (rows["file"] >= 0) & (rows["offset"] >= 0)
    bare = (rows["file"] == -1) & (rows["offset"] == 0)
    well: Mask = known & np.where(backed, filed, bare)
    return well


def _file_faults(trace: Trace) -> list[tuple[int, str]]:
    """Return the events that map one number as a shm object while it is a file elsewhere, images included."""
    maps_shm = (trace.events["op"] == Op.MMAP) & _is_shm(trace.events)
    return _say(maps_shm & np.isin(trace.events["file"], _two_natured(trace)), _BOTH)


def _two_natured(trace: Trace) -> IntArray:
    """Return the file numbers that some mapping of a trace or its images takes for a file, another for shm."""
    rows = np.concatenate([trace.events[trace.events["op"] == Op.MMAP], trace.image_rows])
    files = rows["file"][~_is_shm(rows) & (rows["file"] >= 0)]
    return np.intersect1d(rows["file"][_is_shm(rows)], files)


def _is_shm(rows: npt.NDArray[np.void]) -> Mask:
    """Return which MMAP rows map a shm object."""
    shm: Mask = (rows["arg"] & KIND_MASK) == VmaKind.SHM
    return shm


def _image_faults(trace: Trace, geometry: Geometry) -> list[str]:
    """Return what is wrong with images: their rows, or rows of one image that overlap."""
    rows = trace.image_rows
    every = np.ones(len(rows), np.bool_)
    faults = _range_faults(rows, every, geometry) + _say(
        ~_well_mapped(rows), "not a mapping: kind, flags, file or offset is wrong"
    )
    faults += _say(_is_shm(rows) & np.isin(rows["file"], _two_natured(trace)), _BOTH)
    said = [f"image row {index}: {what}" for index, what in faults]
    for image in range(len(trace.image_starts) - 1):
        own = np.sort(rows[trace.image_starts[image] : trace.image_starts[image + 1]], order="start")
        if (own["start"][1:] < own["start"][:-1] + own["count"][:-1]).any():
            said.append(f"image {image}: its mappings overlap")
    return said


def _say(wrong: Mask, what: str) -> list[tuple[int, str]]:
    """Return (index, what) for each row that is wrong."""
    return [(int(index), what) for index in np.flatnonzero(wrong)]
