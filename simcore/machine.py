"""The engine's state: a NamedTuple of flat int64 arrays, allocated from what a trace says it will touch.

Shapes. Upper case letters are sizes: tasks T, mms M, vmas V, tables L, frames F, entries E; S is the number of
distinct slots that any vma of the trace touches, U that of upper tables over them. A slot is addressed by its
*place* 0 ... S - 1 in the sorted list of those numbers, so that an mm's directory is one short row whatever the
size of the address space, and the places of one vma are consecutive.

========== ============= ==============================================================================
array      shape         holds
========== ============= ==============================================================================
conf       [CONFS]       entries, levels, sizes, and the design's axis values
task       [T, 3]        mm (-1: no such task), lender (-1: owns its mm), waits
mm         [M, 3]        first vma (-1: none), number of vmas, number of populated slots
slot       [M, S]        table * 2 + writable, -1 if empty
upper      [M, U]        1 if the mm has the upper table
vma        [V, 8]        start, end, kind, writable, file, offset, slot number less place, next vma (-1: last)
table      [L, 3]        refcount, marked, ptes that hold a page (the zero page not counted)
pte        [L * E]       0 if empty, else frame * 4 + writable * 2 + 1
frame      [F, 2]        pte_mapcount; the file page it holds, -1 if anonymous. Frame 0 is the zero page
file       [files, 3]    first file page, number of pages, vmas that map it (shm only)
file_page  [file pages]  frame, -1 if never touched
place      [S, levels-1] slot number, then the upper table at each level above it
span       [U, 4]        level, index, first page, last page + 1 of an upper table
free       [4, most]     stacks of free mms, vmas, tables, frames
pool       [5, 3]        for each of these and vectors: size, numbers ever used, height of its free stack
act        [acts]        acts of the current event
level      [RAW_LEVELS]  what exists now
high       [levels]      highest value of each level of simcore.acts.LEVELS
vector     [n, 2 + acts] kind, times, acts of each distinct act vector
bucket     [2 * n]       open-addressing hash of vectors: index + 1, 0 if empty
latest     [kinds]       vector recorded last for each kind, -1 if none
ask        [2]           when a pool is short: which, and how many it must have free
========== ============= ==============================================================================
"""

from __future__ import annotations

from typing import NamedTuple

from simcore.events import IntArray, VmaKind

ENTRIES, N_PLACES, N_UPPERS, UPPER_LEVELS, PAGE_BYTES, RMAP_BYTES, USER_PAGES, LINKS, WRPROTECT, PROTECTS_SOURCE, CHAINS = range(11)
CONFS = 11
EACH_PTE, EACH_PTE_IF_SOLE, EACH_PTE_UNLESS_MARKED, PMD = range(4)

TASK_MM, TASK_LENDER, TASK_WAITS = range(3)
MM_VMA, MM_VMAS, MM_SLOTS = range(3)
VMA_START, VMA_END, VMA_KIND, VMA_WRITABLE, VMA_FILE, VMA_OFFSET, VMA_SHIFT, VMA_NEXT = range(8)
TABLE_REFCOUNT, TABLE_MARKED, TABLE_MAPPED = range(3)
FRAME_MAPCOUNT, FRAME_FILE_PAGE = range(2)
FILE_FIRST, FILE_PAGES, FILE_VMAS = range(3)
SPAN_LEVEL, SPAN_INDEX, SPAN_FIRST, SPAN_LAST = range(4)

MMS, VMAS, TABLES, FRAMES, VECTORS = range(5)
POOL_SIZE, POOL_USED, POOL_FREE = range(3)

NOW_MMS, NOW_LEAVES, NOW_UPPERS, NOW_CHARGED, NOW_CHAINS, NOW_PAGES, NOW_CACHE, NOW_RSS = range(8)
RAW_LEVELS = 8

PRESENT, PTE_WRITABLE, FRAME_SHIFT = 1, 2, 2
FILE_PRIVATE_KIND, FILE_SHARED_KIND, SHM_KIND = VmaKind.FILE_PRIVATE.value, VmaKind.FILE_SHARED.value, VmaKind.SHM.value
ZERO_FRAME = 0


class Machine(NamedTuple):
    """All state of a run; see the module's table."""

    conf: IntArray
    task: IntArray
    mm: IntArray
    slot: IntArray
    upper: IntArray
    vma: IntArray
    table: IntArray
    pte: IntArray
    frame: IntArray
    file: IntArray
    file_page: IntArray
    place: IntArray
    span: IntArray
    free: IntArray
    pool: IntArray
    act: IntArray
    level: IntArray
    high: IntArray
    vector: IntArray
    bucket: IntArray
    latest: IntArray
    ask: IntArray
