"""From a trace to a machine: which slots, upper tables and file pages there can be, and the first arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.acts import ACTS, EVENT_KINDS, LEVELS
from simcore.designs import AXES
from simcore.events import Op, Trace
from simcore.machine import CONFS, RAW_LEVELS, TASK_LENDER, TASK_MM, VECTORS, Machine

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.designs import Design
    from simcore.events import IntArray
    from simcore.geometry import Geometry

# Sizes of the pools at the start: mms, vmas, tables, frames, vectors. They double when short.
FIRST_SIZES = (16, 256, 128, 4096, 128)


def allocate(trace: Trace, design: Design, geometry: Geometry) -> Machine:
    """Return an empty machine with the tables that a trace needs, and small pools.

    Task 0 is not there yet.
    """
    rows = np.concatenate([trace.events[trace.events["op"] == Op.MMAP], trace.image_rows])
    place, span = _places(rows, geometry)
    file, file_pages = _files(rows)
    task = np.zeros((trace.tasks, 3), np.int64)
    task[:, [TASK_MM, TASK_LENDER]] = -1
    mms, vmas, tables, frames, vectors = FIRST_SIZES
    pool = np.zeros((len(FIRST_SIZES), 3), np.int64)
    pool[:, 0] = FIRST_SIZES
    pool[3, 1] = 1  # frame 0 is the zero page
    return Machine(
        conf=_conf(design, geometry, len(place), len(span)),
        task=task,
        mm=np.zeros((mms, 3), np.int64),
        slot=np.full((mms, len(place)), -1, np.int64),
        upper=np.zeros((mms, len(span)), np.int64),
        vma=np.zeros((vmas, 8), np.int64),
        table=np.zeros((tables, 3), np.int64),
        pte=np.zeros(tables * geometry.entries, np.int64),
        frame=np.zeros((frames, 2), np.int64),
        file=file,
        file_page=np.full(file_pages, -1, np.int64),
        place=place,
        span=span,
        free=np.zeros((VECTORS, max(FIRST_SIZES)), np.int64),
        pool=pool,
        act=np.zeros(len(ACTS), np.int64),
        level=np.zeros(RAW_LEVELS, np.int64),
        high=np.zeros(len(LEVELS), np.int64),
        vector=np.zeros((vectors, 2 + len(ACTS)), np.int64),
        bucket=np.zeros(2 * vectors, np.int64),
        latest=np.full(len(EVENT_KINDS), -1, np.int64),
        ask=np.zeros(2, np.int64),
    )


def _conf(design: Design, geometry: Geometry, places: int, uppers: int) -> IntArray:
    """Return the run's constants, in the order of ``simcore.machine``."""
    rules = list(AXES["wrprotect"])
    conf = [
        geometry.entries,
        places,
        uppers,
        geometry.levels - 2,
        geometry.page_bytes,
        geometry.rmap_element_bytes,
        geometry.user_pages,
        int(design.shares_tables),
        rules.index(design.wrprotect) if design.wrprotect else -1,
        int(design.source == "wrprotect"),
        int(design.rmap == "pte_chain"),
    ]
    return np.array(conf, np.int64).reshape(CONFS)


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
    return np.ascontiguousarray(np.column_stack(columns)), np.ascontiguousarray(np.concatenate(spans))


def _files(rows: npt.NDArray[np.void]) -> tuple[IntArray, int]:
    """Return the table ``file``, and how many file pages the mappings of a trace reach."""
    backed = rows[rows["file"] >= 0]
    file = np.zeros((int(backed["file"].max(initial=-1)) + 1, 3), np.int64)
    np.maximum.at(file[:, 1], backed["file"], backed["offset"] + backed["count"])
    total = int(file[:, 1].sum())
    file[:, 0] = np.cumsum(file[:, 1]) - file[:, 1]
    return file, total
