"""Where a process lies: spreads, divisions and ranges by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore.geometry import GEOMETRIES, Geometry
from simcore.workloads.layout import Needs, even_steps, lay_out, ranges_of

SMALL = Geometry("small", 4096, 16, 3, 4096, 8, 1024, 4096, 8)


def needs(**wanted: int) -> Needs:
    """Return the needs of a small process but for the wanted ones."""
    usual = {"text": 10, "library": 30, "late": 0, "anon": 30, "heap_tables": 1, "library_tables": 1}
    return Needs(**(usual | {"archive": 0} | wanted))


def test_lay_out__by_hand_on_i386():
    """A small shell: 40 pages of text, 120 of libraries, 60 anonymous.

    Of the 60 a tenth is stack, a sixth data, an eighth library data (7); 37 are left for the heap, dense behind the
    data. Text begins at 0x8048, the libraries at 1 GiB with their data behind them; the stack ends at 3 GiB.
    """
    layout = lay_out(Needs(40, 120, 0, 60, 1, 1, 0), GEOMETRIES["i386"])
    assert [(int(mapping.start), mapping.npages, mapping.writable) for mapping in layout.image(0)] == [
        (0x8048, 40, False),
        (0x8048 + 40, 10, True),
        (0x8048 + 50, 37, True),
        (0xC0000 - 6, 6, True),
        (0x40000, 120, False),
        (0x40000 + 120, 7, True),
    ]
    assert [(mapping.file, mapping.offset) for mapping in layout.image(5)] == [
        (8, 0), (8, 40), (-1, 0), (-1, 0), (0, 0), (0, 120),
    ]  # fmt: skip


def test_archive__has_leaf_tables_of_its_own():
    """40 pages of one file in tables of 16: two whole tables and half of a third, behind the libraries' two."""
    layout = lay_out(needs(library_tables=2, archive=40), SMALL)
    [archive] = layout.archive_mappings
    assert (archive.start % 16, archive.npages, archive.writable) == (0, 40, False)
    assert archive.start // 16 == 1 + max(vma.start // 16 for vma in layout.library_mappings)
    assert archive in layout.image(3)
    assert archive.file not in {vma.file for vma in layout.library_mappings + layout.image(0)[:2]}


def test_heap__spreads_to_the_end_of_the_last_table():
    """20 heap pages that begin at page 23 of 16-entry tables, over 4 tables: the last is page 79, the end of table 4."""
    layout = lay_out(needs(anon=28, heap_tables=4), SMALL)
    heap = layout.heap
    assert (int(heap[0]) // 16, int(heap[-1]) // 16) == (1, 4)
    assert int(heap[-1]) == 5 * 16 - 1
    assert layout.tables(heap) == 4


@pytest.mark.parametrize(("tables", "expected"), [(1, 2), (2, 2), (3, 3), (15, 15), (1000, 18)])
def test_heap__is_clipped_to_what_is_possible(tables, expected):
    """18 pages from page 21 on touch two tables if they are dense and 18 at most, one page in each."""
    layout = lay_out(needs(anon=23, library=0, heap_tables=tables), SMALL)
    assert len(layout.heap) == 18
    assert layout.tables(layout.heap) == expected


NEEDS = st.builds(
    Needs,
    text=st.integers(0, 100),
    library=st.integers(0, 100),
    late=st.integers(0, 100),
    anon=st.integers(1, 200),
    heap_tables=st.integers(1, 60),
    library_tables=st.integers(1, 60),
    archive=st.integers(0, 100),
    sorts=st.none(),
)


@settings(deadline=None)
@given(NEEDS)
def test_lay_out__places_every_page_once(wanted):
    """Whatever is asked for, each page is there once, in a mapping of its own sort, and no two mappings overlap."""
    layout = lay_out(wanted, SMALL)
    written = np.concatenate([layout.data, layout.heap, layout.library_data, layout.stack])
    read = np.concatenate([layout.text, layout.library, layout.late, layout.archive])
    pages = np.concatenate([read, written])
    assert len(np.unique(pages)) == len(pages)
    assert len(layout.text) == wanted.text
    assert len(layout.library) == wanted.library
    assert len(layout.late) == wanted.late
    assert len(layout.archive) == wanted.archive
    assert len(written) == wanted.anon
    mappings = sorted(layout.image(0) + layout.late_mappings)
    assert all(left.start + left.npages <= right.start for left, right in itertools.pairwise(mappings))
    writable = {
        page for each in mappings if each.writable for page in range(each.start, each.start + each.npages)
    }
    readable = {page for each in mappings for page in range(each.start, each.start + each.npages)} - writable
    assert set(written.tolist()) <= writable
    assert set(read.tolist()) == readable


@settings(deadline=None)
@given(NEEDS)
def test_libraries__have_a_leaf_table_each(wanted):
    """There are as many as asked unless pages are too few or too many; none reaches into another's leaf table."""
    layout = lay_out(wanted, SMALL)
    vmas = layout.library_mappings + layout.late_mappings
    tables = {vma.start // 16 for vma in vmas}
    assert all((vma.start + vma.npages - 1) // 16 == vma.start // 16 for vma in vmas)
    pages = wanted.library + wanted.late
    assert len(tables) >= min(wanted.library_tables, pages)
    assert len(tables) == min(wanted.library_tables, pages) or len(tables) * 16 < 2 * (pages + wanted.anon)


@given(st.integers(1, 200), st.integers(0, 500))
def test_even_steps__reach_the_end_in_two_strides(count, reach):
    """From 0 to the reach, rising, in steps that differ by at most one."""
    steps = even_steps(count, reach)
    assert len(steps) == count
    assert steps[0] == 0
    assert count == 1 or steps[-1] == reach
    assert len(set(np.diff(steps).tolist())) <= 2
    assert np.ptp(np.diff(steps)) <= 1 if count > 1 else True


@given(st.lists(st.integers(0, 60), max_size=40))
def test_ranges_of__hold_the_pages_in_order(pages):
    """Ranges written out give the pages again, whatever their order."""
    ranges = ranges_of(np.array(pages, np.int64))
    written_out = [each.start + each.stride * index for each in ranges for index in range(each.npages)]
    assert written_out == pages
    assert all(each.stride >= 1 and each.npages >= 1 for each in ranges)


def test_ranges_of__finds_the_long_ranges():
    """Three ranges with a jump back and a change of stride come out as three."""
    pages = np.array([7, 8, 9, 10, 0, 5, 10, 15, 16, 17, 18])
    assert ranges_of(pages) == [(7, 4, 1), (0, 4, 5), (16, 3, 1)]
