"""Steps that the simulator is known to count otherwise than a kernel did, each with the mechanism that is missing."""

from __future__ import annotations

from typing import NamedTuple

_FOLIOS = "the file lay in the page cache in large folios, which fault-around maps whole; the model has pages of one size"
_LOST = "a fault of that kernel: it drops a whole shared table, and the neighbours' pages; the design is modelled without"


class LeftOut(NamedTuple):
    """Steps of a script, by number from 0, and why they are not compared."""

    script: str
    steps: tuple[int, ...]
    reason: str


LEFT_OUT: dict[str, tuple[LeftOut, ...]] = {
    "linux-6.18.44": (
        LeftOut("filepriv_4M_read", (2, 5), _FOLIOS),
        LeftOut("filepriv_64M_read", (2, 5), _FOLIOS),
        LeftOut("filepriv_64M_write1", (2,), _FOLIOS),
        LeftOut("filero_4M_read", (2, 5), _FOLIOS),
        LeftOut("fileshared_4M", (2, 6), _FOLIOS),
    ),
    "linux-6.0.6-sharing": (
        LeftOut("chk_mprotect_parent", (6, 9, 10), _LOST),
        LeftOut("chk_partial_dontneed_parent", (5, 6), _LOST),
    ),
}
