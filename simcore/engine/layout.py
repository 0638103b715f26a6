"""From a trace to a heap: which slots, upper tables and file pages there can be, and where everything lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.designs import AXES
from simcore.engine.sizing import predicted_words
from simcore.errors import LimitExceeded
from simcore.events import EVENT_DTYPE, KIND_MASK, STACK_GROWTH_PAGES, Op, Trace, VmaKind
from simcore.geometry import THP as THP_MODES
from simcore.heap import (
    AROUND,
    CHAIN,
    CHARGE,
    DONTNEED,
    ENTRIES,
    EXEMPT,
    EXTRA,
    FILE_FIRST,
    FILE_LOW,
    FILE_PAGES,
    FILE_PAGES_AT,
    FILE_TABLES,
    FILE_WORDS,
    FILES_AT,
    FIXED_WORDS,
    FORK,
    HAND_TASK,
    HAND_VPN,
    INHERIT,
    LAST_SHARER,
    LAZY,
    LINKS,
    LIVES,
    MASKS_AT,
    MM,
    MM_SLOTS,
    MORE_THAN,
    N_EXTRA_ROWS,
    N_MASKS,
    N_TABLE_ROWS,
    NOTIFIES,
    PAGE_BYTES,
    PER_SHARER,
    PLACES,
    PLACES_AT,
    RECLAIM,
    REOPENS,
    RMAP,
    RMAP_BYTES,
    ROOM_FOR_PAGE,
    ROOTS_AT,
    ROW,
    SHARE,
    SHARE_ROW,
    SHIFT,
    SILENT,
    SIZE,
    SLICE,
    SLICE_ROW,
    SOURCE,
    SPANS_AT,
    STEP,
    STEP_WORDS,
    TABLE,
    TABLE_ROWS,
    TASK_WORDS,
    TASKS,
    TASKS_AT,
    THP,
    TOP,
    UNSHARE_ON,
    UPPER_LEVELS,
    UPPERS,
    USER_PAGES,
    VECTOR,
    VECTOR_WORDS,
    VMA,
    VMA_WORDS,
    WORDS,
    WRPROTECT,
    ZAP,
    ZAP_WHOLE,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.designs import Design
    from simcore.events import IntArray
    from simcore.geometry import Geometry

Raw = tuple[
    "IntArray", "IntArray", "IntArray", "IntArray"
]  # events, pages, image rows, first row of each image

SPARE_WORDS = 1 << 16  # room for records beside what is predicted; the heap doubles when short


def plain(trace: Trace) -> Raw:
    """Return a trace as int64 arrays: events and image rows [8 n], pages, first row of each image."""
    return _flat(trace.events), trace.pages, _flat(trace.image_rows), trace.image_starts


def _flat(rows: npt.NDArray[np.void]) -> IntArray:
    """Return events as an int64 array [8 n]."""
    return np.ascontiguousarray(rows).view(np.int64)


def new_heap(trace: Trace, design: Design, geometry: Geometry, limit: int) -> IntArray:
    """Return a heap with the tables that a trace needs, room for its records, and no records yet: not even task 0.

    Raises
    ------
    LimitExceeded
        The run would need more bytes than the limit.
    """
    heap = laid_out(trace, design, geometry, limit)
    words = len(heap) + predicted_words(plain(trace), geometry.entries, heap)
    if words * heap.itemsize > limit:
        raise LimitExceeded(
            f"the trace needs about {words * heap.itemsize >> 20} MiB; a run may use {limit >> 20} MiB; make the "
            "workload smaller: fewer processes alive at once, fewer pages, or fewer leaf tables"
        )
    larger = np.zeros(words, np.int64)  # pages that are never touched take no memory
    larger[: len(heap)] = heap
    larger[SIZE] = larger[ROOM_FOR_PAGE] = words
    return larger


def predicted_bytes(trace: Trace, design: Design, geometry: Geometry) -> int:
    """Return how many bytes of memory a run will take, about; most of it is taken only as it is needed."""
    heap = laid_out(trace, design, geometry, np.iinfo(np.int64).max)
    return (len(heap) + predicted_words(plain(trace), geometry.entries, heap)) * heap.itemsize


def laid_out(trace: Trace, design: Design, geometry: Geometry, limit: int) -> IntArray:
    """Return a heap with the tables that a trace needs and little room for records.

    Raises
    ------
    LimitExceeded
        The tables alone need more bytes than the limit.
    """
    rows = np.concatenate([trace.events[trace.events["op"] == Op.MMAP], trace.image_rows])
    place, span = _places(np.concatenate([rows, _grown(trace)]), geometry)
    highest = int(rows["file"].max(initial=-1)) + 1
    reach = int((rows["offset"] + rows["count"]).max(initial=0))
    if (highest * FILE_WORDS + reach + trace.tasks * TASK_WORDS) * 8 > limit:
        raise LimitExceeded(
            f"the trace numbers files up to {highest - 1} and maps file pages up to {reach - 1}; their tables would "
            f"need more than the {limit >> 20} MiB a run may use; number files from 0 and map lower pages"
        )
    file, file_pages = _files(rows)
    regions = [
        (MASKS_AT, np.zeros(N_MASKS * _row_words(geometry), np.int64)),
        (TASKS_AT, np.zeros(trace.tasks * TASK_WORDS, np.int64)),
        (PLACES_AT, place.ravel()),
        (SPANS_AT, span.ravel()),
        (ROOTS_AT, np.zeros(len(trace.image_starts), np.int64)),
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
    _set_geometry(heap, geometry)
    _set_design(heap, design, geometry)
    heap[TASKS], heap[PLACES], heap[UPPERS] = trace.tasks, len(place), len(span)
    heap[WORDS + MM] = MM_SLOTS + len(place) + len(span)
    heap[SILENT] = -1
    # Others can change what a step costs: see simcore.engine.lives.
    reclaims = (trace.events["op"] == Op.RECLAIM).any()
    shm = ((rows["arg"] & KIND_MASK) == VmaKind.SHM).any()
    heap[LIVES] = not (reclaims or shm or heap[FILE_TABLES] or heap[RMAP] == CHAIN or heap[THP])
    return heap


def _row_words(geometry: Geometry) -> int:
    """Return the words of a row."""
    return -(-geometry.entries // 64)


def _set_geometry(heap: IntArray, geometry: Geometry) -> None:
    """Write the geometry's values and the sizes of records into a heap."""
    row = _row_words(geometry)
    heap[ENTRIES] = geometry.entries
    heap[ROW] = row
    heap[SHIFT] = geometry.entries.bit_length() - 1
    heap[UPPER_LEVELS] = geometry.levels - 2
    heap[PAGE_BYTES] = geometry.page_bytes
    heap[RMAP_BYTES] = geometry.rmap_element_bytes
    heap[USER_PAGES] = geometry.user_pages
    heap[HAND_TASK] = heap[HAND_VPN] = -1
    heap[WORDS + VMA] = VMA_WORDS
    heap[WORDS + TABLE] = TABLE_ROWS + N_TABLE_ROWS * row
    heap[WORDS + EXTRA] = N_EXTRA_ROWS * row
    heap[WORDS + SHARE] = SHARE_ROW + row
    heap[WORDS + SLICE] = SLICE_ROW + row
    heap[WORDS + VECTOR] = VECTOR_WORDS
    heap[WORDS + STEP] = STEP_WORDS


def _set_design(heap: IntArray, design: Design, geometry: Geometry) -> None:
    """Write the numbers of a design's axis values into a heap; axes of linked tables are 0 where none is linked."""
    for word, axis in (
        (FORK, "fork"),
        (INHERIT, "inherit"),
        (RMAP, "rmap"),
        (RECLAIM, "reclaim"),
        (DONTNEED, "dontneed"),
        (FILE_TABLES, "file_tables"),
        (WRPROTECT, "wrprotect"),
        (LINKS, "links"),
        (UNSHARE_ON, "unshare_on"),
        (EXEMPT, "shared_writes"),
        (LAST_SHARER, "last_sharer"),
        (SOURCE, "source"),
        (PER_SHARER, "page_refs"),
        (CHARGE, "charge"),
        (REOPENS, "mprotect"),
        (NOTIFIES, "dirty_tracking"),
    ):
        value = getattr(design, axis)
        heap[word] = 0 if value is None else list(AXES[axis]).index(value)
    heap[ZAP] = ZAP_WHOLE if design.zap is None else list(AXES["zap"]).index(design.zap)
    heap[AROUND] = 1 if design.fault_around == "none" else geometry.fault_around_pages
    heap[MORE_THAN] = design.more_than or 0
    heap[THP] = THP_MODES.index(geometry.thp) if design.thp == "anon" else 0
    # Equal tables share a record, unless some are linked besides, or pte_chains want each page's mapcount.
    heap[LAZY] = design.fork == "copy" and design.rmap != "pte_chain"


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
    file = np.zeros((int(backed["file"].max(initial=-1)) + 1, FILE_WORDS), np.int64)
    low, high = np.full(len(file), np.iinfo(np.int64).max), np.zeros(len(file), np.int64)
    np.minimum.at(low, backed["file"], backed["offset"])
    np.maximum.at(high, backed["file"], backed["offset"] + backed["count"])
    low = np.minimum(low, high)  # files that nothing maps have no pages
    file[:, FILE_PAGES] = high - low
    file[:, FILE_LOW] = low
    file[:, FILE_FIRST] = np.cumsum(high - low) - high  # before: the pages of earlier files
    return file, int((high - low).sum())


def _grown(trace: Trace) -> npt.NDArray[np.void]:
    """Return rows for the pages that growing stacks may come to hold, as MMAP rows."""
    events = trace.events
    stacks = np.concatenate([events[events["op"] == Op.MMAP], trace.image_rows])
    tops = np.unique(stacks["start"][(stacks["arg"] & KIND_MASK) == VmaKind.STACK])
    starts = np.unique(events["start"][events["op"] == Op.GROW])
    near = (tops[:, None] > starts) & (tops[:, None] - starts <= STACK_GROWTH_PAGES)
    which, low = np.nonzero(near)
    rows = np.zeros(len(which), EVENT_DTYPE)
    rows["start"], rows["file"] = starts[low], -1
    rows["count"] = tops[which] - starts[low]
    return rows
