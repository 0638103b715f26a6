"""What reclaim took comes back: swap entries, who shares them, and file pages that left the page cache."""

import pytest
from story import ANON, FILE, Story, path

from simcore import DESIGNS, Mapping


def first_of_three_on_swap(design: str) -> Story:
    """Map four pages in one table, write three of them, and let the first be reclaimed."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).reclaim(1)


# one mm


def test_read__brings_the_page_back_read_only():
    """A frame is allocated and filled from swap; whoever reads holds its first reference. A write is a fault more."""
    story = first_of_three_on_swap("linux24").read(0, 0)
    story.costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    story.write(0, 0).costs(faults_cow_reuse=1, tlb_flush_page=1, tlb_mms_reached=1)
    story.end()


def test_write__brings_the_page_back_writable():
    """No other entry leads to the page: one fault is enough."""
    story = first_of_three_on_swap("linux24").write(0, 0)
    story.costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    story.write(0, 0).costs()
    story.end()


@pytest.mark.parametrize("design", ["rmap25", "linux26", "mainline"])
def test_read__adds_the_reverse_mapping_again(design):
    """The pte holds a page once more."""
    first_of_three_on_swap(design).read(0, 0).costs(
        faults_swap=1, pages_read_back=1, pages_allocated=1, rmap_added=1
    ).end()  # fmt: skip


def test_exit__gives_a_swap_entry_back():
    """Three entries are cleared, two pages freed: the third was in no frame."""
    first_of_three_on_swap("linux24").exit(0).among(ptes_zapped=3, refs_dropped=2, pages_freed=2).end()


# copied by fork


def test_fork__copies_the_entry_without_a_reference():
    """Three ptes are copied, two references taken; the entry leads to the page from two tables now."""
    story = first_of_three_on_swap("linux24").fork(0, 1)
    story.among(ptes_present_fork=3, ptes_copied_fork=3, refs_taken=2, ptes_wrprotected_fork=2)
    story.read(0, 0).costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    # The page is in memory: the child's fault reads nothing, it takes a reference.
    story.read(1, 0).costs(faults_swap=1, refs_taken=1)
    state = story.end()
    assert path(state, 0, 0)[0] == path(state, 1, 0)[0]


def test_write__where_another_entry_leads_to_the_page_copies_it_at_once():
    """The page is read back, copied, and has no pte left: it goes where it came from, for the parent's entry."""
    story = first_of_three_on_swap("linux24").fork(0, 1).write(1, 0)
    story.costs(
        faults_swap=1, pages_read_back=1, pages_allocated=2, pages_copied=1, refs_dropped=1, pages_freed=1
    )  # fmt: skip
    story.write(0, 0).costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    story.end()


def test_write__to_a_page_in_memory_that_an_entry_leads_to_is_a_copy():
    """The parent read the page back; the child still has the entry, so the parent may not write in place."""
    story = first_of_three_on_swap("linux24").fork(0, 1).read(0, 0).write(0, 0)
    story.among(faults_cow_copy=1, pages_copied=1, pages_freed=1)
    story.read(1, 0).costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    story.end()


def test_scan__half_way_through_leaves_a_page_both_ways():
    """Only the parent's pte was unmapped so far: the child reads on, the parent's entry leads to a page in memory.

    The scan wanted one page and took the parent's three ptes and the child's first: page 0 is free, 1 and 2 are not.
    """
    story = Story("linux24").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1).reclaim(1)
    story.read(1, 1, 2).costs()
    story.read(0, 1).costs(faults_swap=1, refs_taken=1)
    story.read(0, 0).costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    story.end()


def test_vma__that_was_swapped_out_has_its_anon_vma_still():
    """Mainline's fork copies the entries: no fault could find that page for the child."""
    story = Story("mainline").mmap(0, Mapping(0, 4, ANON)).write(0, 0).reclaim(1).fork(0, 1)
    story.among(leaf_tables_allocated=1, ptes_copied_fork=1, refs_taken=0)
    story.read(1, 0).among(faults_swap=1, pages_read_back=1)
    story.end()


# in linked tables


@pytest.mark.parametrize("design", ["phillips", "linus_pmd", "mccracken_fixed"])
def test_linked__a_read_brings_the_page_back_for_everybody(design):
    """The shared table's entry becomes present again: one fault for both, nothing is unshared."""
    story = Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1).reclaim(1).read(1, 0)
    story.among(faults_swap=1, pages_read_back=1, leaf_tables_unshared=0)
    story.read(0, 0).costs()
    assert story.end().levels["rss_pages"] == 6


@pytest.mark.parametrize("design", ["odf", "odf_paper", "cow_pte", "cow_pte_v5"])
def test_linked__a_read_unshares_where_read_faults_do(design):
    """The entry is copied with the table: the child reads the page back, the parent's fault finds it in memory."""
    story = Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1).reclaim(1).read(1, 0)
    story.among(faults_swap=1, pages_read_back=1, leaf_tables_unshared=1, ptes_copied_unshare=3)
    story.read(0, 0).among(faults_swap=1, pages_read_back=0, leaf_tables_unshared=0, refs_taken=1)
    story.end()


def test_linked__a_write_unshares_and_finds_a_second_entry():
    """The copy of the table has a copy of the entry: two lead to the page, so the write copies what it read back."""
    story = first_of_three_on_swap("phillips").fork(0, 1).write(1, 0)
    story.costs(
        faults_swap=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1, ptes_visited_unshare=4,
        ptes_copied_unshare=3, refs_taken=2, pages_read_back=1, pages_allocated=2, pages_copied=1, refs_dropped=1,
        pages_freed=1, tlb_flush_range=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.write(0, 0).costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    story.end()


def test_linked__the_last_sharer_writes_it_back_to_itself():
    """The child has gone: the entry is closed, one fault reopens it and reads the page back writable."""
    story = first_of_three_on_swap("linus_pmd").fork(0, 1).exit(1).write(0, 0)
    story.costs(faults_swap=1, leaf_tables_reused=1, pmds_written=1, pages_read_back=1, pages_allocated=1)
    story.write(0, 0, 3).costs()
    story.end()


def test_dropped__with_the_table_nothing_happens_to_the_entry():
    """A linked table's entry is one entry, whoever leaves."""
    story = first_of_three_on_swap("linus_pmd").fork(0, 1).exit(1).read(0, 0)
    story.among(faults_swap=1, pages_read_back=1).end()


def test_deferred__the_child_copies_entries_too():
    """Before it runs it takes over a swap entry and two pages; the fault on the entry is its own."""
    story = first_of_three_on_swap("async_fork").fork(0, 1).read(1, 0)
    story.among(leaf_tables_unshared=1, ptes_copied_unshare=3, refs_taken=2, faults_swap=1, pages_read_back=1)
    story.write(0, 0).among(faults_swap=1, pages_read_back=0, pages_copied=1, leaf_tables_reused=1)
    story.end()


def test_mark__goes_with_a_page_that_comes_back_writable():
    """The table was marked by the fork; the last sharer's write makes a pte writable, so the next fork looks again."""
    story = first_of_three_on_swap("phillips_mark").fork(0, 1).exit(1).write(0, 0)
    story.fork(0, 2).among(ptes_visited_fork=4, ptes_wrprotected_fork=1)
    story.end()


def test_mark__stays_when_a_page_comes_back_read_only():
    """A read makes no pte writable."""
    story = first_of_three_on_swap("phillips_mark").fork(0, 1).exit(1).read(0, 0)
    story.fork(0, 2).among(ptes_visited_fork=0)
    story.end()


# files


def test_file_page__is_read_again_from_its_file():
    """Reclaim takes it from the page cache: no swap, no frame of anonymous memory; the next touch reads it back."""
    story = Story("linux24").mmap(0, Mapping(0, 4, FILE, file=0)).read(0, 0, 2).reclaim(1)
    story.costs(
        reclaims=1, ptes_visited_reclaim=1, ptes_unmapped_reclaim=1, pages_reclaimed=1, refs_dropped=1,
        tlb_flush_page=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.read(0, 0).costs(faults_file_map=1, refs_taken=1, pages_read_back=1)
    assert story.end().levels["cache_pages"] == 2


def test_file_page__a_private_write_reads_it_back_to_copy_it():
    """do_cow_fault needs the cache's page first: it stays there, the copy is the mm's."""
    story = Story("linux24").mmap(0, Mapping(0, 4, FILE, file=0)).read(0, 0).reclaim(1).write(0, 0)
    story.costs(faults_cow_copy=1, pages_read_back=1, pages_allocated=1, pages_copied=1)
    assert story.end().levels["cache_pages"] == 1


def test_file_page__that_left_the_cache_is_not_mapped_around():
    """Pages 0 and 1 of four are gone: a fault on 0 reads that one back and finds nothing to fill beside it.

    The fault on page 1 has no empty neighbour left.
    """
    story = Story("mainline").mmap(0, Mapping(0, 4, FILE, writable=False, file=0)).read(0, 0).reclaim(2)
    story.among(pages_reclaimed=2)
    story.read(0, 0).costs(faults_file_map=1, refs_taken=1, rmap_added=1, pages_read_back=1)
    story.read(0, 1).costs(faults_file_map=1, refs_taken=1, rmap_added=1, pages_read_back=1)
    story.end()


def test_file_page__a_second_mm_finds_it_when_the_first_has_read_it_back():
    """One major fault, one minor."""
    story = (
        Story("linux24").mmap(0, Mapping(0, 4, FILE, writable=False, file=0)).read(0, 0).fork(0, 1).reclaim(1)
    )
    story.read(1, 0).among(faults_file_map=1, pages_read_back=1)
    story.read(0, 0).among(faults_file_map=1, pages_read_back=0)
    story.end()


def test_private_copy__of_a_file_page_goes_to_swap():
    """It is anonymous memory by now: what comes back is the copy, not the file."""
    story = Story("linux24").mmap(0, Mapping(0, 4, FILE, file=0)).write(0, 0).reclaim(1)
    story.among(pages_swapped_out=1, pages_freed=1)
    story.read(0, 0).costs(faults_swap=1, pages_read_back=1, pages_allocated=1)
    story.end()


@pytest.mark.parametrize("design", DESIGNS)
def test_vfork__a_borrower_meets_the_lenders_entries(design):
    """The mm is the parent's, and so is the fault that brings the page back."""
    story = first_of_three_on_swap(design).vfork(0, 1).read(1, 0).among(faults_swap=1, pages_read_back=1)
    story.exit(1).read(0, 0).costs()
    story.end()
