"""mprotect: which ptes change at once, which wait for a fault, and what a linked table has to do with it."""

import pytest
from story import ANON, FILE, FILE_SHARED, SHM, Story, path

from simcore import DESIGNS, Mapping

LINKING = [name for name, row in DESIGNS.items() if row.fork == "link"]


def three_pages(design: str) -> Story:
    """Map four pages in one table and write three of them."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


# a table of one's own


def test_read_only__makes_present_ptes_read_only():
    """Four entries are looked at, three changed, one range flushed; no vma is split."""
    story = three_pages("linux24").mprotect(0, 0, 4, writable=False)
    story.costs(
        mprotects=1, ptes_visited_mprotect=4, ptes_changed_mprotect=3, tlb_flush_range=1, tlb_mms_reached=1
    )  # fmt: skip
    story.read(0, 0, 3).costs()
    assert not path(story.end(), 0, 0)[1]


def test_same_permission__does_nothing():
    """The event alone: no pte is looked at, no vma split."""
    story = three_pages("linux24").mprotect(0, 1, 2, writable=True).costs(mprotects=1)
    story.end()


def test_middle__splits_the_vma_in_three():
    """Only the middle's entry is looked at; its neighbours are written as before."""
    story = three_pages("linux24").mprotect(0, 1, 1, writable=False)
    story.costs(
        mprotects=1, vmas_split=2, ptes_visited_mprotect=1, ptes_changed_mprotect=1, tlb_flush_range=1, tlb_mms_reached=1
    )  # fmt: skip
    story.write(0, 0).costs()
    story.write(0, 2).costs()
    state = story.end()
    parts = [(vma.start, vma.end, vma.writable) for vma in state.mms[state.tasks[0][0]].vmas]
    assert parts == [(0, 1, True), (1, 2, False), (2, 4, True)]


def test_range__takes_only_the_vmas_that_change():
    """Three vmas, the middle one read-only already: two are looked at, over a table's edge; holes are refused."""
    story = Story("linux24").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 4, FILE, writable=False, file=0))
    story.mmap(0, Mapping(6, 2, ANON)).write(0, 0, 2).read(0, 2, 4).write(0, 6, 2)
    story.mprotect(0, 0, 8, writable=False)
    story.among(vmas_split=0, ptes_visited_mprotect=4, ptes_changed_mprotect=4)
    story.end()


def test_no_table__no_pte_to_look_at():
    """The vma has never been touched."""
    Story("linux24").mmap(0, Mapping(0, 4, ANON)).mprotect(0, 0, 4, writable=False).costs(mprotects=1).end()


def test_writable__private_ptes_wait_for_the_next_write():
    """vm_page_prot of a private mapping has no write bit: entries are looked at, none changed, nothing flushed."""
    story = three_pages("linux24").mprotect(0, 0, 4, writable=False).mprotect(0, 0, 4, writable=True)
    story.costs(mprotects=1, ptes_visited_mprotect=4)
    story.write(0, 0).costs(faults_cow_reuse=1, tlb_flush_page=1, tlb_mms_reached=1)
    story.end()


@pytest.mark.parametrize("kind", [SHM, FILE_SHARED])
def test_writable__ptes_of_shared_mappings_become_writable_at_once(kind):
    """Read while read-only, then made writable: present pages are written without a fault."""
    story = Story("linux24").mmap(0, Mapping(0, 4, kind, writable=False, file=0)).read(0, 0, 2)
    story.mprotect(0, 0, 4, writable=True).costs(
        mprotects=1, ptes_visited_mprotect=4, ptes_changed_mprotect=2, tlb_flush_range=1, tlb_mms_reached=1
    )  # fmt: skip
    story.write(0, 0, 2).costs()
    story.end()


def test_zero_page__stays_as_it_is():
    """Its pte is read-only in any case."""
    story = Story("linux24").mmap(0, Mapping(0, 4, ANON)).read(0, 0).mprotect(0, 0, 4, writable=False)
    story.costs(mprotects=1, ptes_visited_mprotect=4)
    story.mprotect(0, 0, 4, writable=True).costs(mprotects=1, ptes_visited_mprotect=4)
    story.write(0, 0).among(faults_cow_copy=1, pages_zeroed=1)
    story.end()


def test_swap_entry__has_no_permission_to_change():
    """Page 0 is on swap: four entries are looked at, the two present ones changed; its contents come back."""
    story = three_pages("linux24").reclaim(1).mprotect(0, 0, 4, writable=False)
    story.among(ptes_visited_mprotect=4, ptes_changed_mprotect=2)
    story.read(0, 0).among(faults_swap=1, pages_read_back=1)
    story.end()


def test_private_file__made_writable_is_copied_by_its_first_write():
    """Program text that a debugger writes."""
    story = Story("linux24").mmap(0, Mapping(0, 4, FILE, writable=False, file=0)).read(0, 0)
    story.mprotect(0, 0, 4, writable=True).among(ptes_changed_mprotect=0)
    story.write(0, 0).among(faults_cow_copy=1, pages_copied=1)
    story.end()


# linked tables


def test_linked__is_unshared_first_and_protected_there():
    """The child's copy has read-only ptes already; the parent's side keeps its vma and is the last sharer."""
    story = three_pages("linus_pmd").fork(0, 1).mprotect(1, 0, 4, writable=False)
    story.costs(
        mprotects=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1, ptes_visited_unshare=4,
        ptes_copied_unshare=3, ptes_wrprotected_unshare=3, refs_taken=3, ptes_visited_mprotect=4,
        tlb_flush_range=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.write(0, 0).among(leaf_tables_reused=1, faults_cow_copy=1)
    story.read(1, 0, 3).costs()
    story.end()


@pytest.mark.parametrize("design", LINKING)
def test_linked__the_other_mm_keeps_its_permission(design):
    """Either may be the one that protects: the other writes on. Where ptes change in place, it is who copies."""
    in_place = DESIGNS[design].links == "whole_anon"
    for one, other in ((0, 1), (1, 0)):
        story = three_pages(design).fork(0, 1).mprotect(one, 0, 4, writable=False)
        story.among(leaf_tables_unshared=not in_place)
        story.write(other, 0, 3).among(faults_cow_copy=3, leaf_tables_unshared=in_place)
        story.read(one, 0, 3).costs()
        story.end()


@pytest.mark.parametrize("design", LINKING)
def test_linked__a_part_that_changes_nothing_leaves_it_linked(design):
    """mprotect to what is there already is no reason to copy a table."""
    story = three_pages(design).fork(0, 1).mprotect(1, 0, 4, writable=True).costs(mprotects=1)
    assert story.end().levels["leaf_tables"] == 1


def test_linked__only_the_tables_in_the_range_are_unshared():
    """The vma spans two tables, half of the second becomes read-only: the first stays linked."""
    story = Story("linus_pmd").mmap(0, Mapping(0, 8, ANON)).write(0, 0, 8).fork(0, 1)
    story.mprotect(1, 6, 2, writable=False).among(
        leaf_tables_unshared=1, vmas_split=1, ptes_visited_mprotect=2
    )
    assert story.end().levels["leaf_tables"] == 3


@pytest.mark.parametrize("design", ["linus_pmd", "linus_rmap", "mccracken", "mccracken_fixed"])
def test_closed_entry__stays_closed_over_a_change_of_permission(design):
    """The child has gone, the parent's entry is still protected: mprotect changes its three writable ptes in place.

    Made writable again, the next write reopens the entry and takes the page back in one fault.
    """
    story = three_pages(design).fork(0, 1).exit(1).mprotect(0, 0, 4, writable=False)
    story.costs(
        mprotects=1, ptes_visited_mprotect=4, ptes_changed_mprotect=3, tlb_flush_range=1, tlb_mms_reached=1
    )  # fmt: skip
    story.mprotect(0, 0, 4, writable=True)
    story.write(0, 0).costs(
        faults_cow_reuse=1, leaf_tables_reused=1, pmds_written=1, tlb_flush_page=1, tlb_mms_reached=1
    )  # fmt: skip
    story.end()


def test_shared_mapping__in_a_linked_table_changes_in_the_copy():
    """The child's copy has two writable shm ptes, which become read-only there: two flushes, of copy and change."""
    story = Story("linus_pmd").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2).fork(0, 1)
    story.mprotect(1, 0, 4, writable=False)
    story.among(
        leaf_tables_unshared=1, ptes_wrprotected_unshare=0, ptes_changed_mprotect=2, tlb_flush_range=2
    )
    story.write(0, 0).among(faults_table_only=1, leaf_tables_reused=1)
    story.end()


def test_exempt__ends_with_the_permission():
    """The child of an exempt mapping makes it read-only: it gets a copy; the parent writes on without a fault."""
    story = Story("mccracken").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2).fork(0, 1)
    story.mprotect(1, 0, 4, writable=False).among(leaf_tables_unshared=1, ptes_changed_mprotect=2)
    story.write(0, 0, 2).costs()
    story.read(1, 0, 2).costs()
    story.end()


def test_mark__survives_because_no_private_pte_becomes_writable():
    """Read-only and back: all CoWable ptes are still read-only, and the next fork skips the table."""
    story = three_pages("phillips_mark").fork(0, 1).exit(1)
    story.mprotect(0, 0, 4, writable=False).mprotect(0, 0, 4, writable=True)
    story.fork(0, 2).among(ptes_visited_fork=0)
    story.end()
