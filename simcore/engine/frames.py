"""Page frames: who holds them, which are alone, which are new, which are free again. See simcore.heap on homes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import give, take
from simcore.engine.count import HUGE_FREED
from simcore.engine.rows import bit_of, clear_row, copy_row, is_empty, mask, word_of
from simcore.heap import (
    BASE,
    CARRY,
    ENTRIES,
    FRESH,
    MOST_SHARES,
    N_TABLE_ROWS,
    NOW_PAGES,
    OWN,
    PART,
    ROOM_FOR_PAGE,
    ROW,
    SHARE,
    SHARE_HOME,
    SHARE_NEXT,
    SHARE_ROW,
    SHARED,
    SIZE,
    SLICE,
    SLICE_NEXT,
    SLICE_ROW,
    TABLE,
    TABLE_BASE,
    TABLE_COUNT,
    TABLE_FOLIO,
    TABLE_GUESTS,
    TABLE_ROWS,
    TABLE_SHARES,
    TABLE_SLICES,
    USED,
)
from simcore.jit import jit, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def row_of(h: IntArray, table: int, row: int) -> int:
    """Return where a row of a table is."""
    return table + TABLE_ROWS + row * h[ROW]


@jit
def hold(h: IntArray, home: int, row: int) -> None:
    """Count one more holder for each frame of a home that a row names: a bit-sliced addition."""
    words, carry = h[ROW], mask(h, CARRY)
    copy_row(h, row, carry)
    link = home + TABLE_SLICES
    while h[link]:
        at = h[link] + SLICE_ROW
        left = 0
        for word in range(words):
            both = h[at + word] & h[carry + word]
            h[at + word] ^= h[carry + word]
            h[carry + word] = both
            left |= both
        if left == 0:
            return
        link = h[link] + SLICE_NEXT
    new = take(h, SLICE)
    h[new + SLICE_NEXT] = 0
    copy_row(h, carry, new + SLICE_ROW)
    h[link] = new


@jit
def let_go(h: IntArray, home: int, row: int, words: tuple[int, int]) -> int:
    """Count one holder less for each frame that a row names; returns how many nobody holds any more.

    Frames of a huge page are freed together, and counted here.
    """
    free = 0
    used = row_of(h, home, USED)
    for word in range(words[0], words[1]):
        named = h[row + word]
        if named == 0:
            continue
        shared = 0
        at = h[home + TABLE_SLICES]
        while at:
            shared |= h[at + SLICE_ROW + word]
            at = h[at + SLICE_NEXT]
        alone = named & ~shared
        if h[home + TABLE_FOLIO]:
            h[home + TABLE_FOLIO] -= popcount(alone)
            if h[home + TABLE_FOLIO] == 0:
                _free_folio(h, home)
        else:
            h[used + word] &= ~alone
            free += popcount(alone)
        borrow = named & shared
        at = h[home + TABLE_SLICES]
        while borrow:
            value = h[at + SLICE_ROW + word]
            h[at + SLICE_ROW + word] = value ^ borrow
            borrow &= ~value
            at = h[at + SLICE_NEXT]
    return free


@jit
def _free_folio(h: IntArray, home: int) -> None:
    """Free a huge page of which nobody holds a frame any more; its home is one like others then."""
    clear_row(h, row_of(h, home, USED))
    h[HUGE_FREED] += 1
    h[NOW_PAGES] -= h[ENTRIES]


@jit
def end_home(h: IntArray, home: int) -> None:
    """Free a record that no slot points to and whose frames no table holds."""
    if h[home + TABLE_COUNT] > 0 or h[home + TABLE_GUESTS] > 0:
        return
    at = h[home + TABLE_SLICES]
    while at:
        after = h[at + SLICE_NEXT]
        give(h, SLICE, at)
        at = after
    give(h, TABLE, home)


@jit
def leave_home(h: IntArray, home: int) -> None:
    """Note that a table holds no frame of another home any more."""
    h[home + TABLE_GUESTS] -= 1
    end_home(h, home)


@jit
def add_share(h: IntArray, table: int, home: int, row: int) -> None:
    """Note that a table holds the frames of a home that a row names; nothing is counted."""
    h[home + TABLE_GUESTS] += 1
    if h[table + TABLE_BASE] == 0:
        h[table + TABLE_BASE] = home
        copy_row(h, row, row_of(h, table, BASE))
        return
    share = take(h, SHARE)
    h[share + SHARE_HOME] = home
    copy_row(h, row, share + SHARE_ROW)
    h[share + SHARE_NEXT] = h[table + TABLE_SHARES]
    h[table + TABLE_SHARES] = share
    shares = 0
    while share:
        shares += 1
        share = h[share + SHARE_NEXT]
    if shares > h[MOST_SHARES]:
        h[MOST_SHARES] = shares
        h[ROOM_FOR_PAGE] = h[SIZE]  # no longer known, see room


@jit
def copy_shares(h: IntArray, source: int, target: int) -> None:
    """Let a new table hold every frame that another one holds."""
    own = row_of(h, source, OWN)
    if not is_empty(h, own):
        hold(h, source, own)
        add_share(h, target, source, own)
    if h[source + TABLE_BASE]:
        hold(h, h[source + TABLE_BASE], row_of(h, source, BASE))
        add_share(h, target, h[source + TABLE_BASE], row_of(h, source, BASE))
    share = h[source + TABLE_SHARES]
    while share:
        hold(h, h[share + SHARE_HOME], share + SHARE_ROW)
        add_share(h, target, h[share + SHARE_HOME], share + SHARE_ROW)
        share = h[share + SHARE_NEXT]


@unit
def release(h: IntArray, table: int, row: int, words: tuple[int, int]) -> int:
    """Let a table hold the frames behind some of its ptes no longer; returns how many nobody holds any more."""
    free = 0
    part = mask(h, PART)
    if _take_part(h, row_of(h, table, OWN), row, words):
        free += let_go(h, table, part, words)
    home = h[table + TABLE_BASE]
    if home and _take_part(h, row_of(h, table, BASE), row, words):
        free += let_go(h, home, part, words)
        if is_empty(h, row_of(h, table, BASE)):
            h[table + TABLE_BASE] = 0
            leave_home(h, home)
    link = table + TABLE_SHARES
    while h[link]:
        share = h[link]
        home = h[share + SHARE_HOME]
        gone = False
        if _take_part(h, share + SHARE_ROW, row, words):
            free += let_go(h, home, part, words)
            gone = is_empty(h, share + SHARE_ROW)
        if gone:
            h[link] = h[share + SHARE_NEXT]
            give(h, SHARE, share)
            leave_home(h, home)
        else:
            link = share + SHARE_NEXT
    return free


@jit
def _take_part(h: IntArray, held: int, row: int, words: tuple[int, int]) -> bool:
    """Move what two rows have in common from ``held`` to the scratch row PART; returns whether that is anything."""
    part = mask(h, PART)
    found = 0
    for word in range(words[0], words[1]):
        both = h[held + word] & h[row + word]
        h[part + word] = both
        h[held + word] &= ~both
        found |= both
    return found != 0


@unit
def find_shared(h: IntArray, table: int, words: tuple[int, int]) -> None:
    """Set the scratch row SHARED to the ptes of a table behind which are frames that other tables hold too."""
    shared = mask(h, SHARED)
    for word in range(words[0], words[1]):
        h[shared + word] = 0
    _find_in_home(h, table, row_of(h, table, OWN), words)
    if h[table + TABLE_BASE]:
        _find_in_home(h, h[table + TABLE_BASE], row_of(h, table, BASE), words)
    share = h[table + TABLE_SHARES]
    while share:
        _find_in_home(h, h[share + SHARE_HOME], share + SHARE_ROW, words)
        share = h[share + SHARE_NEXT]


@jit
def _find_in_home(h: IntArray, home: int, held: int, words: tuple[int, int]) -> None:
    """Add to the scratch row SHARED which of the held frames of a home have other holders."""
    shared = mask(h, SHARED)
    if h[home + TABLE_FOLIO]:
        if not _holds_folio(h, home, held):
            for word in range(words[0], words[1]):
                h[shared + word] |= h[held + word]
        return
    at = h[home + TABLE_SLICES]
    while at:
        for word in range(words[0], words[1]):
            h[shared + word] |= h[at + SLICE_ROW + word] & h[held + word]
        at = h[at + SLICE_NEXT]


@jit
def _holds_folio(h: IntArray, home: int, held: int) -> bool:
    """Return whether the frames of a huge page that anybody holds are those of a row, and held once each."""
    pages, shared = 0, 0
    for word in range(h[ROW]):
        pages += popcount(h[held + word])
    at = h[home + TABLE_SLICES]
    while at:
        for word in range(h[ROW]):
            shared |= h[at + SLICE_ROW + word]
        at = h[at + SLICE_NEXT]
    return shared == 0 and pages == h[home + TABLE_FOLIO]


@unit
def new_frames(h: IntArray, table: int, row: int, words: tuple[int, int]) -> None:
    """Give a table new frames for some of its ptes: from its own home where the index is free there."""
    own, used = row_of(h, table, OWN), row_of(h, table, USED)
    left = 0
    part = mask(h, PART)
    for word in range(words[0], words[1]):
        mine = h[row + word] & ~h[used + word]
        h[own + word] |= mine
        h[used + word] |= mine
        h[part + word] = h[row + word] & ~mine
        left |= h[part + word]
    if left:
        _frames_elsewhere(h, table, words)


@jit
def _frames_elsewhere(h: IntArray, table: int, words: tuple[int, int]) -> None:
    """Give a table new frames for the ptes of the scratch row PART: from homes it holds frames of, else a new home."""
    part = mask(h, PART)
    home, held, share = h[table + TABLE_BASE], row_of(h, table, BASE), h[table + TABLE_SHARES]
    while home or share:
        if home == 0:
            home, held, share = h[share + SHARE_HOME], share + SHARE_ROW, h[share + SHARE_NEXT]
        used = row_of(h, home, USED)
        left = 0
        for word in range(words[0], words[1]):
            found = h[part + word] & ~h[used + word]
            h[held + word] |= found
            h[used + word] |= found
            h[part + word] &= ~found
            left |= h[part + word]
        if left == 0:
            return
        home = 0
    home = new_record(h)
    h[home + TABLE_COUNT] = 0
    row = mask(h, CARRY)
    clear_row(h, row)
    for word in range(words[0], words[1]):
        h[row + word] = h[part + word]
    copy_row(h, row, row_of(h, home, USED))
    add_share(h, table, home, row)


@jit
def new_record(h: IntArray) -> int:
    """Return a table record with nothing in it, and one slot that points to it."""
    table = take(h, TABLE)
    for word in range(TABLE_ROWS + N_TABLE_ROWS * h[ROW]):
        h[table + word] = 0
    h[table + TABLE_COUNT] = 1
    return table


@jit
def home_of(h: IntArray, table: int, index: int) -> int:
    """Return the home of the frame behind an anonymous pte of a table, 0 if there is none."""
    word, bit = word_of(index), bit_of(index)
    if h[row_of(h, table, OWN) + word] & bit:
        return table
    if h[table + TABLE_BASE] and h[row_of(h, table, BASE) + word] & bit:
        return h[table + TABLE_BASE]
    share = h[table + TABLE_SHARES]
    while share:
        if h[share + SHARE_ROW + word] & bit:
            return h[share + SHARE_HOME]
        share = h[share + SHARE_NEXT]
    return 0


@jit
def alike(h: IntArray, table: int, rest: int, words: tuple[int, int], index: int) -> int:
    """Find the ptes of a row ``rest`` whose frames have the home and the number of holders of that at an index.

    They move from ``rest`` to the scratch row FRESH; returns the number of holders.
    """
    word, bit, equal = word_of(index), bit_of(index), mask(h, FRESH)
    home, held, share = table, row_of(h, table, OWN), h[table + TABLE_SHARES]
    if h[held + word] & bit == 0:
        home, held = h[table + TABLE_BASE], row_of(h, table, BASE)
    while h[held + word] & bit == 0:
        home, held, share = h[share + SHARE_HOME], share + SHARE_ROW, h[share + SHARE_NEXT]
    for each in range(words[0], words[1]):
        h[equal + each] = h[rest + each] & h[held + each]
    found, weight = 1, 1
    at = h[home + TABLE_SLICES]
    while at:
        differs = -1 if h[at + SLICE_ROW + word] & bit == 0 else 0
        for each in range(words[0], words[1]):
            h[equal + each] &= h[at + SLICE_ROW + each] ^ differs
        found += weight & ~differs
        weight *= 2
        at = h[at + SLICE_NEXT]
    for each in range(words[0], words[1]):
        h[rest + each] ^= h[equal + each]
    return found


@jit
def holders(h: IntArray, home: int, row: int) -> int:
    """Return how many tables hold the frames of a home that a row names, summed over the frames."""
    total = 0
    for word in range(h[ROW]):
        total += popcount(h[row + word])
    weight = 1
    at = h[home + TABLE_SLICES]
    while at:
        for word in range(h[ROW]):
            total += weight * popcount(h[at + SLICE_ROW + word] & h[row + word])
        weight *= 2
        at = h[at + SLICE_NEXT]
    return total
