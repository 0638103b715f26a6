"""The engine's state: one flat int64 heap. The table of what lies where.

One array keeps calls cheap and makes growth simple: a *handle* is the offset of a record's first word, so a copy
of the heap in a longer array is the same machine. Handle 0 means none. Freed records go to a list per kind, the
last one freed is used first; word 0 of a free record is the next free one. Whoever takes a record writes all of
its words, except for mms, which are zero when they are freed.

Slots are addressed by *place*: the rank of a slot's number among the S numbers that any vma of the trace touches.
So an mm's directory is one short row whatever the size of the address space, and the places of one vma are
consecutive. Likewise the U upper tables over those slots.

A *row* is a bit set over the entries of a leaf table: R words of 64 bits.

Page frames have no records. Fork keeps virtual addresses, so a frame is known by its *home* and its index: a table
record is the home of the frames that were allocated for it. A table holds frames of its own home (row OWN), of the
home of the table that it was copied from (row BASE, home TABLE_BASE) and, more rarely, of others (share records).
A home counts the holders of each of its frames in bit-sliced counters, one less than there are, so that frames of
one table need none. A record that no slot points to lives on as a home while tables hold frames of it.

A huge page is all frames of a home, which are in use until nobody holds any of them. A table is marked (TABLE_HUGE)
while its directory entry maps a huge page; its rows say what a split would give.

========== =========================== ===================================================================
region     words                       holds
========== =========================== ===================================================================
constants  from 0                      sizes and the design's axis values; where regions start
arena      TOP, FREE, WORDS            first unused word; first free record and size of each kind of record
levels     NOW, HIGH                   what exists now; its highest values, and that of leaf and upper tables together
acts       ACTS_AT                     acts of the current event
buckets    BUCKETS                     hash of act vectors: first vector of each chain
masks      N_MASKS rows                scratch of the event at hand
tasks      3 a task                    mm, lender + 1 (0: owns its mm), waits
places     1 + levels - 2 a slot       slot number, then the upper table at each level above it
spans      4 an upper table            level, index, first page, last page + 1
roots      1 an image                  step that its exec begins with
files      7 a file                    where page 0 would be, number of pages, lowest page, vmas that map it (shm
                                       only), pages in the cache (or that exist, of a shm object), pages evicted,
                                       first table shared through the file
file pages 1 a page                    1 if cached, 2 if evicted, plus 4 for each pte (with pte_chains only)
mm         9 + S + U                   first vma, vmas, populated slots, pending, step of its forks, has kin, tables left
                                       but charged, step that it has come to, step up to which it is built;
                                       table * 2 + writable for each place, 0 if empty; 1 for each upper table it has
vma        10                          start, end, kind, writable, file, offset, slot number less place, anon_vma,
                                       flags, next
table      17 + 5 R                    see TABLE_*: counts; then rows PRESENT, WRITE, OWN, USED, BASE
extra      4 R                         rows ZERO, FILE, SWAP, LOCKED of a table that has such ptes
share      2 + R                       next, home; row of frames held
slice      1 + R                       next; one bit of each counter
vector     3 + acts                    next in its chain, kind, times; then the acts
step       see STEP_*                  what an event did to an mm in a known state, see simcore.engine.lives
========== =========================== ===================================================================
"""

from __future__ import annotations

from simcore.acts import ACTS
from simcore.events import VmaKind

# constants
ENTRIES, ROW, PLACES, UPPERS, UPPER_LEVELS, PAGE_BYTES, RMAP_BYTES, USER_PAGES, TASKS = range(9)
FORK, INHERIT, RMAP, RECLAIM, AROUND, DONTNEED, FILE_TABLES = range(9, 16)
WRPROTECT, LINKS, UNSHARE_ON, EXEMPT, LAST_SHARER, SOURCE, ZAP, PER_SHARER, CHARGE, MORE_THAN, LAZY = range(
    16, 27
)
TASKS_AT, PLACES_AT, SPANS_AT, FILES_AT, FILE_PAGES_AT, MASKS_AT, SIZE = range(27, 34)
(
    ANON_VMAS,
    SWAPS,
    HAND_TASK,
    HAND_VPN,
    VISIT,
    MOST_SHARES,
    STAMP,
    VMAS_NOW,
    PENDING_NOW,
    SHIFT,
    ROOM_FOR_PAGE,
    TOUCHES,
    LIVES,  # 1 if steps are remembered
    STEPS,  # how many there are below images
    UNBUILT,  # the forked child that is not built
    BUILDING,  # the mm that is being built
    SILENT,  # 0 while it is, so that nothing is counted, else -1
    LOGGED,  # act vectors that the current event recorded
    ROOTS_AT,
    REOPENS,  # 1 if mprotect reopens exclusive pages
    NOTIFIES,  # 1 if tracked shared mappings tell of a page's first write
    THP,  # where anonymous memory may have huge pages: nowhere, everywhere, where advised
) = range(34, 56)
SAVED, N_LEVELS = 56, 8  # levels before the current event
LOG_AT, LOG_MOST = (
    SAVED + N_LEVELS,
    8,
)  # the first act vectors that the current event recorded, and how often each

# values of axes, in the order of simcore.designs.AXES
COPY, LINK, LINK_IF_MORE_THAN, DEFERRED = range(4)  # FORK
CHAIN, OBJECT = 1, 2  # RMAP
FREES_COVERED, IGNORED = 1, 2  # DONTNEED
EACH_PTE, EACH_PTE_IF_SOLE, EACH_PTE_UNLESS_MARKED, PMD = range(4)  # WRPROTECT
WHOLE_ANON, ALL_BUT_STACK = 1, 2  # LINKS
WRITE_AND_READ, ANY_FAULT = 1, 2  # UNSHARE_ON
REUSE, REUSE_PROTECTED, COPIES = range(3)  # LAST_SHARER
SOURCE_READ_ONLY, SOURCE_IF_TWO, SOURCE_WRPROTECT = range(3)  # SOURCE
ZAP_UNSHARE, ZAP_EDGES, ZAP_WHOLE = range(3)  # ZAP; whole where fork never links
CHARGE_EACH, CHARGE_OWNER, CHARGE_FORKER = range(3)  # CHARGE
THP_ALWAYS = 1  # THP; 2 is where advised

# arena
MM, VMA, TABLE, EXTRA, SHARE, SLICE, VECTOR, STEP = range(8)
N_KINDS = 8
TOP = LOG_AT + 2 * LOG_MOST
FREE = TOP + 1
WORDS = FREE + N_KINDS
NEEDED = WORDS + N_KINDS  # words that the event which was short of room may take

# levels
NOW = NEEDED + 1
NOW_MMS, NOW_LEAVES, NOW_UPPERS, NOW_CHARGED, NOW_RMAP, NOW_PAGES, NOW_CACHE, NOW_RSS = range(
    NOW, NOW + N_LEVELS
)
HIGH = NOW + N_LEVELS

ACTS_AT = HIGH + N_LEVELS + 1
BUCKETS = ACTS_AT + len(ACTS)
N_BUCKETS = 1024
FIXED_WORDS = BUCKETS + N_BUCKETS

# Acts in the order of the heap: those that a fault can cost first, so that vectors of faults are short.
_OF_FAULTS = (
    *(act.name for act in ACTS if act.name.startswith(("faults_", "refs_", "rmap_", "tlb_"))),
    *(
        "pages_allocated",
        "pages_zeroed",
        "pages_copied",
        "pages_freed",
        "pages_read_back",
        "ptes_mapped_around",
    ),
    *(
        "leaf_tables_allocated",
        "leaf_tables_freed",
        "leaf_tables_linked",
        "leaf_tables_unshared",
        "leaf_tables_reused",
    ),
    *("upper_tables_allocated", "pmds_written", "huge_pages_allocated", "huge_split"),
    *("ptes_visited_unshare", "ptes_copied_unshare", "ptes_wrprotected_unshare"),
)
ACT_ORDER = (*_OF_FAULTS, *(act.name for act in ACTS if act.name not in _OF_FAULTS))
N_FAULT_ACTS = len(_OF_FAULTS)

# scratch rows
TOUCHED, REST, CARRY, PART, SHARED, GONE, KIND_A, KIND_B, KIND_C, KIND_D, FRESH = range(11)
N_MASKS = 11

# records
TASK_MM, TASK_LENDER, TASK_WAITS, TASK_WORDS = range(4)
PLACE_NUMBER, PLACE_UPPERS = range(2)
SPAN_LEVEL, SPAN_INDEX, SPAN_FIRST, SPAN_LAST, SPAN_WORDS = range(5)
FILE_FIRST, FILE_PAGES, FILE_LOW, FILE_VMAS, FILE_CACHED, FILE_EVICTED, FILE_TABLE, FILE_WORDS = range(8)
CACHED, EVICTED, FILE_PTE = 1, 2, 4
FILE_PTE_SHIFT = 2  # by which a file page's word is shifted to give its ptes
MM_VMA, MM_VMAS, MM_POPULATED, MM_PENDING, MM_ROUND, MM_KIN, MM_LEFT, MM_STEP, MM_BUILT, MM_SLOTS = range(10)
VMA_START, VMA_END, VMA_KIND, VMA_WRITABLE, VMA_FILE, VMA_OFFSET, VMA_SHIFT, VMA_ANON, VMA_FLAGS = range(9)
VMA_NEXT, VMA_WORDS = 9, 10

TABLE_COUNT = 0  # slots that point to a linked table; else mms whose tables are equal and share this record
TABLE_MARKED = 1
TABLE_OWNER = 2  # the mm that is charged, where only one is
TABLE_KEY, TABLE_KEY_PAGE, TABLE_KEY_NEXT = (
    3,
    4,
    5,
)  # through a file: file + 1; 2 * first page + writable; next one
TABLE_PTES, TABLE_MAPPED, TABLE_WRITABLE = (
    6,
    7,
    8,
)  # ptes not empty; present with a page, not the zero page; writable
TABLE_GUESTS = 9  # shares of other tables in the frames of this home
TABLE_SLICES = 10  # first slice of the counters of its frames
TABLE_BASE, TABLE_SHARES, TABLE_EXTRA = 11, 12, 13
TABLE_SEEN = 14  # the visit in which the table was last met
TABLE_HUGE = 15  # 1 while the table is kept for a huge page, or for the huge zero page
TABLE_FOLIO = 16  # of a home whose frames are a huge page: how many of them tables hold
TABLE_ROWS = 17
PRESENT, WRITE, OWN, USED, BASE = range(5)  # rows of a table; USED: frames of this home that any table holds
N_TABLE_ROWS = 5
# Rows of an extra record. LOCKED: read-only ptes that become writable with their vma, the page being exclusive or dirty.
ZERO, FILE, SWAP, LOCKED = range(4)
N_EXTRA_ROWS = 4
SHARE_NEXT, SHARE_HOME, SHARE_ROW = range(3)
SLICE_NEXT, SLICE_ROW = range(2)
VECTOR_NEXT, VECTOR_KIND, VECTOR_TIMES, VECTOR_ACTS = range(4)
VECTOR_WORDS = VECTOR_ACTS + len(ACTS)
STEP_UP, STEP_FIRST, STEP_NEXT, STEP_BRANCHES = range(
    4
)  # before it; first one behind it; beside it; how many behind
STEP_ROOT, STEP_EVENT, STEP_WAY = (
    4,
    5,
    6,
)  # where its tree begins; an event that it was; the next on the way to be built
STEP_MM, STEP_STAMP, STEP_ROUNDS, STEP_RUNNER = (
    7,
    8,
    9,
    10,
)  # of a root: the mm that forks, 0 if an image's; see lives
STEP_SCORE = 9  # of an image's root: lives left unbuilt to their end, less those that had to be built
STEP_LOGGED = 11
STEP_LEVELS = 12
STEP_LOG = STEP_LEVELS + N_LEVELS
STEP_WORDS = STEP_LOG + 2 * LOG_MOST

# slots
SLOT_WRITABLE = 1

ANON, FILE_PRIVATE, FILE_SHARED, SHM, STACK, HEAP = (kind.value for kind in VmaKind)
