"""madvise(DONTNEED): contents go, vmas stay, and what becomes of the table is the design's business."""

import pytest
from story import ANON, FILE, SHM, Story

from simcore import DESIGNS, Mapping, tiny_geometry

KEEPS = [name for name, row in DESIGNS.items() if row.dontneed == "keeps_tables"]
FREES = [name for name, row in DESIGNS.items() if row.dontneed == "frees_covered"]
HEEDS = [name for name in KEEPS if DESIGNS[name].fork == "link"]


def three_pages(design: str) -> Story:
    """Map four pages in one table and write three of them."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


# a table of one's own


def test_private_memory__is_zero_again():
    """Four entries are looked at, three cleared, three pages freed; the table stays, and a read finds zeroes."""
    three_pages("linux24").dontneed(0, 0, 4).costs(
        madvises=1, ptes_visited_zap=4, ptes_zapped=3, refs_dropped=3, pages_freed=3, tlb_flush_range=1, tlb_mms_reached=1
    ).read(0, 0).costs(faults_zero_page=1).end()  # fmt: skip


@pytest.mark.parametrize("design", KEEPS)
def test_keeps_tables__even_empty_ones(design):
    """What was written is a new page in the old table."""
    story = three_pages(design).dontneed(0, 0, 4).among(leaf_tables_freed=0)
    story.write(0, 0).among(faults_anon=1, leaf_tables_allocated=0)
    story.end()


@pytest.mark.parametrize("design", FREES)
def test_frees_covered__a_table_that_the_range_covers_is_freed(design):
    """[0, 8) covers two tables: both go with their entries. [1, 8) covers the second alone."""
    story = Story(design).mmap(0, Mapping(0, 8, ANON)).write(0, 0, 8)
    story.dontneed(0, 0, 8).among(ptes_zapped=8, leaf_tables_freed=2, pmds_written=2)
    story.write(0, 0, 8).dontneed(0, 1, 7).among(ptes_zapped=7, leaf_tables_freed=1, pmds_written=1)
    story.end()


def test_frees_covered__not_by_halves():
    """Each call looks at its own range: a table that two calls emptied stays."""
    story = three_pages("mainline").dontneed(0, 0, 2).among(leaf_tables_freed=0)
    story.dontneed(0, 2, 2).among(leaf_tables_freed=0)
    story.end()


@pytest.mark.parametrize("second", [ANON, None])
def test_frees_covered__not_where_no_single_vma_covers_the_table(second):
    """One call, but it goes vma by vma: a table in two vmas' hands, or with a hole in it, stays.

    Measured on Linux 6.18: VmPTE stays where it was in both cases.
    """
    story = Story("mainline").mmap(0, Mapping(0, 2, ANON)).write(0, 0, 2)
    if second is not None:
        story.mmap(0, Mapping(2, 2, second)).write(0, 2, 2)
    story.dontneed(0, 0, 4).among(ptes_zapped=2 if second is None else 4, leaf_tables_freed=0)
    story.end()


def test_frees_covered__upper_tables_stay_for_the_vma():
    """Only the leaf table is given back; the vma still needs the way to the next one."""
    story = Story("mainline", tiny_geometry(4, 3)).mmap(0, Mapping(0, 4, ANON)).write(0, 0)
    story.dontneed(0, 0, 4).among(leaf_tables_freed=1, upper_tables_freed=0)
    story.end()


def test_range__passes_over_holes_and_untouched_vmas():
    """Nothing is mapped in the first table, nothing present in the second: the call alone."""
    story = Story("mainline").mmap(0, Mapping(4, 4, ANON)).dontneed(0, 0, 16).costs(madvises=1)
    story.end()


def test_file_pages__come_back_from_the_page_cache():
    """The private copy of page 0 is lost, pages 1 to 3 only unmapped; all four are found again in the cache."""
    story = Story("linux24").mmap(0, Mapping(0, 4, FILE, file=0)).write(0, 0).read(0, 1, 3).dontneed(0, 0, 4)
    story.among(ptes_zapped=4, refs_dropped=4, pages_freed=1)
    story.read(0, 0, 4).costs(faults_file_map=4, refs_taken=4)
    story.end()


def test_shm_pages__stay_in_their_object():
    """Only the ptes go: the same two pages are mapped again, none is made."""
    story = Story("linux24").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2).dontneed(0, 0, 4)
    story.among(ptes_zapped=2, pages_freed=0)
    story.write(0, 0, 2).costs(faults_file_map=2, refs_taken=2)
    story.end()


def test_swap_entry__is_given_back_without_a_reference():
    """Page 0 is on swap: three entries are cleared, two of them present; a read finds zeroes, not the old page."""
    story = three_pages("linux24").reclaim(1).dontneed(0, 0, 4)
    story.among(ptes_zapped=3, refs_dropped=2, pages_freed=2)
    story.read(0, 0).costs(faults_zero_page=1)
    story.end()


# linked tables


@pytest.mark.parametrize("design", HEEDS)
def test_linked__the_whole_is_dropped(design):
    """One vma that covers the table, one range that covers the vma: the child leaves the table to its parent."""
    by_sharer = DESIGNS[design].page_refs == "per_sharer"
    story = three_pages(design).fork(0, 1).dontneed(1, 0, 4)
    story.among(
        leaf_tables_dropped=1, leaf_tables_unshared=0, ptes_visited_zap=4 * by_sharer, tlb_flush_range=1
    )
    story.read(1, 0).among(faults_zero_page=1, leaf_tables_allocated=1)
    story.read(0, 0, 3).costs()
    assert story.end().levels["rss_pages"] == 3


@pytest.mark.parametrize("design", HEEDS)
def test_linked__for_a_part_it_is_unshared(design):
    """Two of three pages go from the child's copy; the parent, the last sharer, loses nothing."""
    story = three_pages(design).fork(0, 1).dontneed(1, 0, 2)
    story.among(
        leaf_tables_dropped=0, leaf_tables_unshared=1, ptes_visited_zap=2, ptes_zapped=2, pages_freed=0
    )
    story.read(1, 0).among(faults_zero_page=1)
    story.read(0, 0, 3).costs()
    story.end()


@pytest.mark.parametrize("design", [name for name in HEEDS if DESIGNS[name].links == "every"])
def test_linked__a_small_vma_does_not_take_its_neighbour_along(design):
    """The range covers one of the table's two vmas: the neighbour's page must stay with both mms."""
    story = Story(design).mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, ANON)).write(0, 0, 4).fork(0, 1)
    story.dontneed(1, 0, 2).among(leaf_tables_dropped=0, leaf_tables_unshared=1, ptes_zapped=2)
    story.read(1, 2, 2).costs()
    story.read(0, 0, 4).costs()
    story.end()


@pytest.mark.parametrize(("design", "dropped", "unshared"), [("phillips", 0, 1), ("linus_pmd", 1, 0)])
def test_linked__two_vmas_at_once_are_edges_or_a_whole(design, dropped, unshared):
    """Vma by vma the table is copied and cleared; in one pass it is dropped."""
    story = Story(design).mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, ANON)).write(0, 0, 4).fork(0, 1)
    story.dontneed(1, 0, 4).among(
        leaf_tables_dropped=dropped, leaf_tables_unshared=unshared, ptes_zapped=4 * unshared
    )
    story.end()


def test_closed_entry__stays_closed_over_a_part():
    """The last sharer clears a page in place; its next write reopens the entry for the other two."""
    story = three_pages("linus_pmd").fork(0, 1).exit(1).dontneed(0, 0, 1)
    story.costs(
        madvises=1, ptes_visited_zap=1, ptes_zapped=1, refs_dropped=1, pages_freed=1, tlb_flush_range=1, tlb_mms_reached=1
    )  # fmt: skip
    story.write(0, 1, 2).costs(
        faults_table_only=1, leaf_tables_reused=1, pmds_written=1, tlb_flush_page=1, tlb_mms_reached=1
    )
    story.end()
