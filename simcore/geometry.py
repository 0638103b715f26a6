"""Geometries: page size, table size, levels, and where programs put things.

A virtual page number (vpn) is split from the right: the index in the leaf table,
then one index per upper level. With ``entries = E``::

      vpn   =  ... | upper index | ... | slot within upper | index in leaf table
                      (E values)                               (E values)
      slot  =  vpn // E            which leaf table of the address space
      upper =  slot // E**k        which table k levels above the leaf tables, k = 1 ... levels - 2

The topmost level (the pgd) is one page per mm and is always there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """The shape of an address space, and the layout that programs have in it.

    Parameters
    ----------
    name : str
        What a study calls it.
    page_bytes : int
        Bytes of a page, and of a table at any level.
    entries : int
        Entries of a leaf table, and of every upper table.
    levels : int
        Table levels, leaf and pgd included; 2 to 5.
    user_pages : int
        Virtual pages that a program may map: vpn 0 to ``user_pages - 1``.
    text_vpn, mmap_vpn, stack_top_vpn : int
        First page of a program's text; first page of the area for libraries and mappings; first page
        above the stack. Only workloads use them.
    pointer_bytes : int
        Bytes of a pointer; a pte_chain element is two of them.
    """

    name: str
    page_bytes: int
    entries: int
    levels: int
    user_pages: int
    text_vpn: int
    mmap_vpn: int
    stack_top_vpn: int
    pointer_bytes: int

    def __post_init__(self) -> None:
        """Refuse a shape that no machine could have."""
        if not 2 <= self.levels <= 5:
            raise ValueError(f"geometry {self.name!r}: levels is {self.levels}; 2 to 5 are allowed")
        if self.entries < 2 or self.page_bytes < 1:
            raise ValueError(
                f"geometry {self.name!r}: entries is {self.entries} and page_bytes {self.page_bytes}; "
                "at least 2 entries and 1 byte are needed"
            )
        if not 0 < self.user_pages <= self.entries**self.levels:
            raise ValueError(
                f"geometry {self.name!r}: user_pages is {self.user_pages}; "
                f"1 to {self.entries**self.levels} pages can be reached"
            )

    @property
    def rmap_element_bytes(self) -> int:
        """Bytes of one pte_chain element: a next pointer and a pte pointer (2.5.27, mm/rmap.c)."""
        return 2 * self.pointer_bytes


# 4 KiB pages. i386: 3 GiB of user space; text at 0x08048000, mappings from TASK_UNMAPPED_BASE (1 GiB), stack
# below 3 GiB: include/asm-i386/processor.h of 2.4. x86-64: 128 TiB; non-PIE text at 0x400000, mappings
# from one third of the space as in the bottom-up layout, stack at the top: arch/x86/mm/mmap.c.
GEOMETRIES: dict[str, Geometry] = {
    "i386": Geometry("i386", 4096, 1024, 2, 0xC0000, 0x08048, 0x40000, 0xC0000, 4),
    "x86-64": Geometry("x86-64", 4096, 512, 4, 1 << 35, 0x400, (1 << 35) // 3 // 512 * 512, 1 << 35, 8),
}


def tiny_geometry(entries: int = 4, levels: int = 2, user_pages: int | None = None) -> Geometry:
    """Return a small geometry for tests: a handful of entries per table.

    Parameters
    ----------
    entries : int
        Entries per table, at least 2.
    levels : int
        2 to 5.
    user_pages : int, optional
        Defaults to everything the levels reach.
    """
    pages = entries**levels if user_pages is None else user_pages
    return Geometry(f"tiny-{entries}x{levels}", 4096, entries, levels, pages, 0, pages // 2, pages, 8)
