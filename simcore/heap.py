"""The engine's state: one flat int64 heap. The table of what lies where.

One array keeps calls cheap and makes growth simple: a *handle* is the offset of a record's first word, so a copy
of the heap in a longer array is the same machine. Handle 0 means none. Freed records go to a list per kind, the
last one freed is used first; word 0 of a free record is the next free one. Everything starts as zero, and whoever
frees a record leaves it zero.

Slots are addressed by *place*: the rank of a slot's number among the S numbers that any vma of the trace touches.
So an mm's directory is one short row whatever the size of the address space, and the places of one vma are
consecutive. Likewise the U upper tables over those slots.

========== =========================== ===================================================================
region     words                       holds
========== =========================== ===================================================================
constants  from 0                      entries, sizes and the design's axis values; where regions start
arena      TOP, FREE, WORDS            first unused word; first free record and size of each kind of record
levels     NOW, HIGH                   what exists now; the highest value of each level of LEVELS
acts       ACTS_AT                     acts of the current event
latest     LATEST                      act vector recorded last for each kind of event
buckets    BUCKETS                     hash of act vectors: first vector of each chain
tasks      3 a task                    mm, lender + 1 (0: owns its mm), waits
places     1 + levels - 2 a slot       slot number, then the upper table at each level above it
spans      4 an upper table            level, index, first page, last page + 1
files      3 a file                    first file page, number of pages, vmas that map it (shm only)
file pages 1 a page                    frame, 0 if never touched
mm         3 + S + U                   first vma, vmas, populated slots; table * 2 + writable for each place,
                                       0 if empty; 1 for each upper table that it has
vma        8                           start, end, kind, writable, file, offset, slot number less place, next
table      3 + entries                 refcount, marked, ptes that hold a page (the zero page not counted);
                                       then ptes: 0 if empty, else frame * 4 + writable * 2 + 1
frame      2                           pte_mapcount; file page + 1, 0 if anonymous
vector     3 + acts                    next in its chain, kind, times; then the acts
========== =========================== ===================================================================
"""

from __future__ import annotations

from simcore.acts import ACTS, EVENT_KINDS, LEVELS
from simcore.events import VmaKind

# constants
ENTRIES, PLACES, UPPERS, UPPER_LEVELS, PAGE_BYTES, RMAP_BYTES, USER_PAGES = range(7)
LINKS, WRPROTECT, PROTECTS_SOURCE, CHAINS = range(7, 11)
TASKS_AT, PLACES_AT, SPANS_AT, FILES_AT, FILE_PAGES_AT, SIZE = range(11, 17)
EACH_PTE, EACH_PTE_IF_SOLE, EACH_PTE_UNLESS_MARKED, PMD = range(4)  # values of WRPROTECT

# arena
MM, VMA, TABLE, FRAME, VECTOR = range(5)
TOP = 17
FREE = 18
WORDS = FREE + 5
NEEDED = WORDS + 5  # words that the event which was short of room may take

# levels
NOW = NEEDED + 1
NOW_MMS, NOW_LEAVES, NOW_UPPERS, NOW_CHARGED, NOW_CHAINS, NOW_PAGES, NOW_CACHE, NOW_RSS = range(NOW, NOW + 8)
HIGH = NOW + 8

ACTS_AT = HIGH + len(LEVELS)
LATEST = ACTS_AT + len(ACTS)
BUCKETS = LATEST + len(EVENT_KINDS)
N_BUCKETS = 1024
FIXED_WORDS = BUCKETS + N_BUCKETS

# records
TASK_MM, TASK_LENDER, TASK_WAITS, TASK_WORDS = range(4)
PLACE_NUMBER, PLACE_UPPERS = range(2)
SPAN_LEVEL, SPAN_INDEX, SPAN_FIRST, SPAN_LAST, SPAN_WORDS = range(5)
FILE_FIRST, FILE_PAGES, FILE_VMAS, FILE_WORDS = range(4)
MM_VMA, MM_VMAS, MM_POPULATED, MM_SLOTS = range(4)
VMA_START, VMA_END, VMA_KIND, VMA_WRITABLE, VMA_FILE, VMA_OFFSET, VMA_SHIFT, VMA_NEXT, VMA_WORDS = range(9)
TABLE_REFCOUNT, TABLE_MARKED, TABLE_MAPPED, TABLE_PTES = range(4)
FRAME_MAPCOUNT, FRAME_FILE_PAGE, FRAME_WORDS = range(3)
VECTOR_NEXT, VECTOR_KIND, VECTOR_TIMES, VECTOR_ACTS = range(4)
VECTOR_WORDS = VECTOR_ACTS + len(ACTS)

# ptes and slots
PRESENT, PTE_WRITABLE, FRAME_SHIFT = 1, 2, 2
SLOT_WRITABLE = 1
ZERO_FRAME = 0

FILE_PRIVATE, FILE_SHARED, SHM = VmaKind.FILE_PRIVATE.value, VmaKind.FILE_SHARED.value, VmaKind.SHM.value
