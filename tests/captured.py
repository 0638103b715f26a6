"""Texts as the kernel writes them, for tests of captures: smaps, status and pagemap of processes that never were."""

from __future__ import annotations

import numpy as np

PRESENT, SWAPPED, OF_FILE, ALONE = (1 << bit for bit in (63, 62, 61, 56))
ANON, SHARED, FILE = PRESENT | ALONE, PRESENT, PRESENT | OF_FILE  # words of pagemap
PAGE = 4096


def smaps_entry(where, access="rw-p", name="", inode=0, offset=0, *, flags="rd wr mr mw me ac", **kib):
    """Return one vma of smaps: pages [start, end) and counters in KiB, those not given 0."""
    start, end = (page * PAGE for page in where)
    counters = {"Size": (end - start) // 1024, "KernelPageSize": 4, "MMUPageSize": 4, "Rss": 0, "Pss": 0}
    counters |= dict.fromkeys(
        ("Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous", "Swap"), 0
    )
    device = "fe:00" if inode else "00:00"
    head = f"{start:x}-{end:x} {access} {offset * PAGE:08x} {device} {inode} {name}".rstrip()
    lines = [head, *(f"{key + ':':<15} {value:>8} kB" for key, value in (counters | kib).items())]
    return "\n".join([*lines, "THPeligible:           0", f"VmFlags: {flags} "]) + "\n"


def status(kib):
    """Return a status with so much page-table memory; a task without memory for None."""
    return "Name:\tx\nState:\tS (sleeping)\n" + (f"VmPTE:\t{kib:>8} kB\n" if kib is not None else "")


class FakeProc:
    """A folder like /proc."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, pid, kib, smaps=None, words=None):
        """Add a process: VmPTE, smaps if it may be read, and page -> word of pagemap."""
        mine = self.folder / str(pid)
        mine.mkdir()
        (mine / "status").write_text(status(kib), encoding="utf-8")
        if smaps is not None:
            (mine / "smaps").write_text(smaps, encoding="utf-8")
        if words is not None:
            table = np.zeros(max([*words, 4095]) + 1, np.uint64)
            table[list(words)] = list(words.values())
            (mine / "pagemap").write_bytes(table.tobytes())
        return mine
