"""Records of the heap: taken from a list of free ones or from the top, given back to the list.

Nothing here can fail: before each event ``loop`` makes sure that the heap has room for whatever it may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.heap import FREE, TOP, WORDS
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def take(h: IntArray, kind: int) -> int:
    """Return a record of a kind; its words are whatever they were."""
    record = h[FREE + kind]
    if record:
        h[FREE + kind] = h[record]
    else:
        record = h[TOP]
        h[TOP] = record + h[WORDS + kind]
    return record


@jit
def give(h: IntArray, kind: int, record: int) -> None:
    """Give a record back."""
    h[record] = h[FREE + kind]
    h[FREE + kind] = record
