"""Footprints: what /proc tells is summed rightly, and the shipped figures are whole."""

from __future__ import annotations

import pytest

from pipeline.footprints.memory import Vma, kind_of, summed, vmas_in
from simcore.workloads.footprints import FOOTPRINTS, PROVENANCE, document, read

SMAPS = """\
00400000-00404000 r-xp 00000000 08:01 17                                 /opt/some prog
Size:                 16 kB
Rss:                  12 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00404000-00406000 rw-p 00004000 08:01 17                                 /opt/some prog
Rss:                   8 kB
Anonymous:             4 kB
01000000-01021000 rw-p 00000000 00:00 0                                  [heap]
Rss:                  20 kB
Anonymous:            20 kB
7f0000000000-7f0000010000 r--p 00000000 08:01 18                         /lib/libc.so.6
Rss:                  64 kB
Anonymous:             0 kB
7f0000010000-7f0000012000 rw-p 00010000 08:01 18                         /lib/libc.so.6
Rss:                   8 kB
Anonymous:             8 kB
7f0000012000-7f0000014000 rw-p 00000000 00:00 0 
Rss:                   4 kB
Anonymous:             4 kB
7f0000014000-7f0000100000 r--p 00000000 08:01 19                         /usr/lib/locale/archive (deleted)
Rss:                  40 kB
Anonymous:             0 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Rss:                  12 kB
Anonymous:            12 kB
7ffc00030000-7ffc00032000 r-xp 00000000 00:00 0                          [vdso]
Rss:                   4 kB
Anonymous:             0 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   0 kB
Anonymous:             0 kB
"""  # noqa: W291 - as the kernel writes it
OWN = "/opt/some prog"


def test_smaps__by_hand():
    """Nine mappings, the gate page not counted: pages are Rss and Anonymous in kB over four."""
    vmas = vmas_in(SMAPS)
    assert len(vmas) == 9
    assert vmas[1] == Vma(0x404, 0x406, OWN, 2, 1)
    assert [kind_of(vma, OWN) for vma in vmas] == [
        "program", "program", "heap", "library", "library", "anon", "archive", "stack", "kernel",
    ]  # fmt: skip


def test_sums__by_hand():
    """Of the program 4 pages are clean and 1 written, of libc 16 and 2; both lie in one table with what is beside."""
    tables = [{2}, {2}, {8}, {100}, {100}, {100}, {100, 101}, {900}, {900}]
    found = summed(vmas_in(SMAPS), OWN, tables)
    assert (found.vmas, found.text, found.data, found.heap) == (9, 4, 1, 5)
    assert (found.library, found.library_data, found.archive, found.anon, found.stack) == (16, 2, 10, 1, 3)
    assert (found.leaf_tables, found.library_tables, found.heap_tables) == (5, 1, 1)
    assert found.libraries == {"libc.so.6": 18}
    assert (found.anon_pages, found.file_pages) == (12, 30)


@pytest.mark.parametrize("name", FOOTPRINTS)
def test_shipped__is_whole(name):
    """Every program has text, libraries and a stack, faults at least once for each page of its own, and no path."""
    each = FOOTPRINTS[name]
    assert each.name == name
    assert min(each.vmas, each.text, each.library, each.data, each.stack, each.library_tables) > 0
    assert each.minor_faults > each.anon_pages // 2
    assert each.library_tables < each.leaf_tables <= each.page_table_kib // 4
    assert "/" not in "".join([each.run, each.version, *each.libraries])
    # a page may be counted twice, never more: as library text, and as library data once it is written
    assert sum(each.libraries.values()) >= each.library


def test_document__is_read_back():
    """A file that is written holds the same again; each program is one line."""
    text = document(FOOTPRINTS, PROVENANCE)
    assert read(text) == (FOOTPRINTS, PROVENANCE)
    assert len(text.splitlines()) == len(FOOTPRINTS) + 5
    assert set(PROVENANCE) == {"kernel", "machine", "date"}
    assert all(PROVENANCE.values())
