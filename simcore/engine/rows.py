"""Rows: bit sets over the entries of a leaf table. The small words that everything else is said in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.heap import MASKS_AT, ROW
from simcore.jit import ENABLED, jit, lowest, popcount

if TYPE_CHECKING:
    from simcore.events import IntArray

# Tables, since shifting a one into bit 63 is no int64 where the JIT is off.
BIT = np.array([1 << bit for bit in range(63)] + [-(1 << 63)], np.int64)
BELOW = np.array([(1 << bits) - 1 for bits in range(63)] + [(1 << 63) - 1, -1], np.int64)  # the lowest bits
# For each size of blocks up to 64: the bits at which blocks of that size start in a word.
BLOCK_STARTS = np.array(
    [0] + [np.bitwise_or.reduce(BIT[::size]) for size in range(1, 65)],
    np.int64,
)


@jit
def mask(h: IntArray, number: int) -> int:
    """Return where a scratch row is."""
    return h[MASKS_AT] + number * h[ROW]


@jit
def word_of(index: int) -> int:
    """Return in which word of a row an entry's bit is."""
    return index >> 6


@jit
def bit_of(index: int) -> int:
    """Return the bit of an entry within its word."""
    if ENABLED:
        return 1 << (index & 63)
    return BIT[index & 63]


@jit
def rest_of(bits: int) -> int:
    """Return a word without its lowest set bit."""
    if ENABLED:  # where nothing is compiled, one less than the lowest number is no int64
        return bits & (bits - 1)
    return bits ^ BIT[lowest(bits)]


@jit
def within(word: int, low: int, high: int) -> int:
    """Return the bits of a row's word whose entries lie in [low, high)."""
    first, last = max(low - word * 64, 0), min(high - word * 64, 64)
    if first >= last:
        return 0
    if ENABLED:  # 64 bits wrap around
        return (2 * (1 << (last - 1)) - 1) & -(1 << first)
    return BELOW[last] & ~BELOW[first]


@jit
def words_of(low: int, high: int) -> tuple[int, int]:
    """Return the words [first, last) of a row that entries [low, high) lie in."""
    return low >> 6, (high + 63) >> 6


@jit
def clear_row(h: IntArray, row: int) -> None:
    """Make a row empty."""
    for word in range(h[ROW]):
        h[row + word] = 0


@jit
def copy_row(h: IntArray, source: int, target: int) -> None:
    """Copy a row."""
    for word in range(h[ROW]):
        h[target + word] = h[source + word]


@jit
def is_empty(h: IntArray, row: int) -> bool:
    """Return whether no bit of a row is set."""
    found = 0
    for word in range(h[ROW]):
        found |= h[row + word]
    return found == 0


@jit
def count_row(h: IntArray, row: int, low: int, high: int) -> int:
    """Return how many bits of a row are set for entries [low, high)."""
    found = 0
    first, last = words_of(low, high)
    for word in range(first, last):
        found += popcount(h[row + word] & within(word, low, high))
    return found
