"""From a trace to a heap: which slots, upper tables and file pages there can be, and where everything lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.designs import AXES
from simcore.errors import LimitExceeded
from simcore.events import Op, Trace
from simcore.heap import (
    CHAINS,
    ENTRIES,
    FILE_PAGES_AT,
    FILE_WORDS,
    FILES_AT,
    FIXED_WORDS,
    FRAME,
    FRAME_WORDS,
    LINKS,
    MM,
    MM_SLOTS,
    PAGE_BYTES,
    PLACES,
    PLACES_AT,
    PROTECTS_SOURCE,
    RMAP_BYTES,
    SIZE,
    SPANS_AT,
    TABLE,
    TABLE_PTES,
    TASK_WORDS,
    TASKS_AT,
    TOP,
    UPPER_LEVELS,
    UPPERS,
    USER_PAGES,
    VECTOR,
    VECTOR_WORDS,
    VMA,
    VMA_WORDS,
    WORDS,
    WRPROTECT,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.designs import Design
    from simcore.events import IntArray
    from simcore.geometry import Geometry

SPARE_WORDS = 1 << 16  # room for records at the start; the heap doubles when short


def new_heap(trace: Trace, design: Design, geometry: Geometry, limit: int) -> IntArray:
    """Return a heap with the tables that a trace needs, and no records yet: not even task 0.

    Raises
    ------
    LimitExceeded
        The tables alone need more bytes than the limit.
    """
    rows = np.concatenate([trace.events[trace.events["op"] == Op.MMAP], trace.image_rows])
    place, span = _places(rows, geometry)
    highest = int(rows["file"].max(initial=-1)) + 1
    reach = int((rows["offset"] + rows["count"]).max(initial=0))
    if (highest * FILE_WORDS + reach + trace.tasks * TASK_WORDS) * 8 > limit:
        raise LimitExceeded(
            f"the trace numbers files up to {highest - 1} and maps file pages up to {reach - 1}; their tables would "
            f"need more than the {limit >> 20} MiB a run may use; number files from 0 and map lower pages"
        )
    file, file_pages = _files(rows)
    regions = [
        (TASKS_AT, np.zeros(trace.tasks * TASK_WORDS, np.int64)),
        (PLACES_AT, place.ravel()),
        (SPANS_AT, span.ravel()),
        (FILES_AT, file.ravel()),
        (FILE_PAGES_AT, np.zeros(file_pages, np.int64)),
    ]
    top = FIXED_WORDS + sum(len(words) for _, words in regions)
    heap = np.zeros(top + SPARE_WORDS, np.int64)
    at = FIXED_WORDS
    for start, words in regions:
        heap[start] = at
        heap[at : at + len(words)] = words
        at += len(words)
    heap[TOP], heap[SIZE] = top, len(heap)
    _set_constants(heap, design, geometry)
    heap[PLACES], heap[UPPERS] = len(place), len(span)
    heap[WORDS + MM] = MM_SLOTS + len(place) + len(span)
    return heap


def _set_constants(heap: IntArray, design: Design, geometry: Geometry) -> None:
    """Write the geometry's and the design's values, and the sizes of records, into a heap."""
    heap[ENTRIES] = geometry.entries
    heap[UPPER_LEVELS] = geometry.levels - 2
    heap[PAGE_BYTES] = geometry.page_bytes
    heap[RMAP_BYTES] = geometry.rmap_element_bytes
    heap[USER_PAGES] = geometry.user_pages
    heap[LINKS] = design.shares_tables
    heap[WRPROTECT] = list(AXES["wrprotect"]).index(design.wrprotect) if design.wrprotect else -1
    heap[PROTECTS_SOURCE] = design.source == "wrprotect"
    heap[CHAINS] = design.rmap == "pte_chain"
    heap[WORDS + VMA] = VMA_WORDS
    heap[WORDS + TABLE] = TABLE_PTES + geometry.entries
    heap[WORDS + FRAME] = FRAME_WORDS
    heap[WORDS + VECTOR] = VECTOR_WORDS


def _places(rows: npt.NDArray[np.void], geometry: Geometry) -> tuple[IntArray, IntArray]:
    """Return the tables ``place`` and ``span`` of all slots that the vmas of a trace touch."""
    first = rows["start"] // geometry.entries
    last = (rows["start"] + rows["count"] - 1) // geometry.entries
    ranges = np.unique(np.column_stack([first, last]), axis=0) if len(rows) else np.empty((0, 2), np.int64)
    numbers = np.unique(np.concatenate([np.arange(low, high + 1) for low, high in ranges] or [first]))
    columns, spans = [numbers], [np.empty((0, 4), np.int64)]
    known = 0
    for level in range(2, geometry.levels):
        reach = geometry.entries**level  # pages below a table of this level
        indices, inverse = np.unique(numbers * geometry.entries // reach, return_inverse=True)
        columns.append(known + inverse)
        edges = [np.full(len(indices), level), indices, indices * reach, (indices + 1) * reach]
        spans.append(np.column_stack(edges))
        known += len(indices)
    return np.column_stack(columns), np.concatenate(spans)


def _files(rows: npt.NDArray[np.void]) -> tuple[IntArray, int]:
    """Return the table ``file``, and how many file pages the mappings of a trace reach."""
    backed = rows[rows["file"] >= 0]
    file = np.zeros((int(backed["file"].max(initial=-1)) + 1, 3), np.int64)
    np.maximum.at(file[:, 1], backed["file"], backed["offset"] + backed["count"])
    total = int(file[:, 1].sum())
    file[:, 0] = np.cumsum(file[:, 1]) - file[:, 1]
    return file, total
