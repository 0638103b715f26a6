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

from dataclasses import dataclass, replace

_FAULT_AROUND_BYTES = 65536  # mm/memory.c
THP = ("never", "always", "madvise")


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
    thp : {"never", "always", "madvise"}
        Where anonymous memory may have transparent huge pages, as large as the span of a leaf table: nowhere, everywhere,
        or in mappings that are advised. As /sys/kernel/mm/transparent_hugepage/enabled; only designs that know them do.
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
    thp: str = "never"

    def __post_init__(self) -> None:
        """Refuse a shape that no machine could have."""
        if not 2 <= self.levels <= 5:
            raise ValueError(f"geometry {self.name!r}: levels is {self.levels}; 2 to 5 are allowed")
        if self.entries < 2 or self.page_bytes < 1:
            raise ValueError(
                f"geometry {self.name!r}: entries is {self.entries} and page_bytes {self.page_bytes}; "
                "at least 2 entries and 1 byte are needed"
            )
        if self.entries & (self.entries - 1):
            raise ValueError(
                f"geometry {self.name!r}: entries is {self.entries}; a table has a power of two of them, since address "
                "bits select one; write 512, 1024 or another power of two"
            )
        if self.thp not in THP:
            raise ValueError(f"geometry {self.name!r}: thp is {self.thp!r}; {', '.join(THP)} are allowed")
        if not 0 < self.user_pages <= self.entries**self.levels:
            raise ValueError(
                f"geometry {self.name!r}: user_pages is {self.user_pages}; "
                f"1 to {self.entries**self.levels} pages can be reached"
            )

    @property
    def rmap_element_bytes(self) -> int:
        """Bytes of one pte_chain element: a next pointer and a pte pointer (2.5.27, mm/rmap.c)."""
        return 2 * self.pointer_bytes

    @property
    def fault_around_pages(self) -> int:
        """Pages of the aligned block of 64 KiB that a read fault may map (mm/memory.c: fault_around_pages)."""
        return max(1, _FAULT_AROUND_BYTES // self.page_bytes)


# Where programs put things. i386: 3 GiB of user space; text at 0x08048000, mappings from TASK_UNMAPPED_BASE (1 GiB),
# stack below 3 GiB: include/asm-i386/processor.h of 2.4; PAE has the same. x86-64: 128 TiB, with five levels 64 PiB;
# non-PIE text at 0x400000, mappings from one third of the space as in the bottom-up layout, stack at the top:
# arch/x86/mm/mmap.c. arm64: 48 bits of address with 4 and 64 KiB pages, 47 with 16 KiB (Kconfig: ARM64_VA_BITS),
# mappings from a quarter of it: arch/arm64/include/asm/processor.h.
_X86_64, _LA57, _ARM_4, _ARM_16, _ARM_64 = 1 << 35, 1 << 44, 1 << 36, 1 << 33, 1 << 32
_KIB = 1024

GEOMETRIES: dict[str, Geometry] = {
    each.name: each
    for each in (
        Geometry("i386", 4 * _KIB, 1024, 2, 0xC0000, 0x08048, 0x40000, 0xC0000, 4),
        Geometry("i386-pae", 4 * _KIB, 512, 3, 0xC0000, 0x08048, 0x40000, 0xC0000, 4),
        Geometry("x86-64", 4 * _KIB, 512, 4, _X86_64, 0x400, _X86_64 // 3 // 512 * 512, _X86_64, 8),
        Geometry("x86-64-la57", 4 * _KIB, 512, 5, _LA57, 0x400, _LA57 // 3 // 512 * 512, _LA57, 8),
        Geometry("arm64-4k", 4 * _KIB, 512, 4, _ARM_4, 0x400, _ARM_4 // 4, _ARM_4, 8),
        Geometry("arm64-16k", 16 * _KIB, 2048, 3, _ARM_16, 0x100, _ARM_16 // 4, _ARM_16, 8),
        Geometry("arm64-64k", 64 * _KIB, 8192, 3, _ARM_64, 0x40, _ARM_64 // 4, _ARM_64, 8),
    )
}
_HAVE_THP = ("x86-64", "x86-64-la57", "arm64-4k")  # where a huge page has 2 MiB


def with_thp(name: str, thp: str) -> str:
    """Return the name of a geometry of GEOMETRIES with huge pages as said; KeyError where there is none."""
    found = name if thp == "never" else f"{name}-thp" if thp == "always" else f"{name}-thp-{thp}"
    return GEOMETRIES[found].name


GEOMETRIES |= {
    each.name: each
    for name in _HAVE_THP
    for each in (
        replace(GEOMETRIES[name], name=f"{name}-thp", thp="always"),
        replace(GEOMETRIES[name], name=f"{name}-thp-madvise", thp="madvise"),
    )
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
