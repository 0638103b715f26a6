"""Reclaim: what a scan of mms looks at, what the reverse mapping leads to, and one pte of a linked table for all."""

import pytest
from story import ANON, FILE, SHM, Story

from simcore import DESIGNS, Mapping

BY_RMAP = [name for name, row in DESIGNS.items() if row.reclaim == "rmap"]
BY_SCAN = [name for name, row in DESIGNS.items() if row.reclaim == "scan"]


def three_pages(design: str) -> Story:
    """Map four pages in one table and write three of them."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


# by scanning


def test_scan__unmaps_the_first_page_it_meets_and_frees_it():
    """One pte is looked at: a swap entry takes its place, the page is written out and its frame given back."""
    three_pages("linux24").reclaim(1).costs(
        reclaims=1, ptes_visited_reclaim=1, ptes_unmapped_reclaim=1, pages_reclaimed=1, pages_swapped_out=1,
        pages_freed=1, refs_dropped=1, tlb_flush_page=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


def test_scan__goes_on_where_it_stopped_and_round_again():
    """The hand stands behind page 0: page 1 is next, then page 2, and page 3, written meanwhile.

    More is wanted than is left: the scan begins once more, passes four swap entries and gives up.
    """
    story = three_pages("linux24").reclaim(1)
    story.reclaim(1).among(ptes_visited_reclaim=1, pages_reclaimed=1)
    story.write(0, 3)
    story.reclaim(1).among(ptes_visited_reclaim=1, pages_reclaimed=1)
    story.reclaim(5).among(ptes_visited_reclaim=1 + 4, pages_reclaimed=1)
    story.end()


def test_scan__needs_every_mms_pte_to_free_a_page():
    """After a fork page 0 has two ptes.

    The scan unmaps the parent's three, sees its empty one, and then the child's first: only now a page is free. 5
    entries looked at, 4 ptes unmapped, one page.
    """
    three_pages("linux24").fork(0, 1).reclaim(1).costs(
        reclaims=1, ptes_visited_reclaim=5, ptes_unmapped_reclaim=4, pages_reclaimed=1, pages_swapped_out=1,
        pages_freed=1, refs_dropped=4, tlb_flush_page=4, tlb_mms_reached=4,
    ).end()  # fmt: skip


def test_scan__skips_where_there_is_no_table():
    """A vma of three tables with a page in the last: four entries are passed, the first two slots are empty."""
    story = Story("linux24").mmap(0, Mapping(0, 12, ANON)).write(0, 11).reclaim(1)
    story.among(ptes_visited_reclaim=4, pages_reclaimed=1).end()


def test_scan__of_a_linked_table_meets_one_pte_for_both_mms():
    """The parent's scan unmaps page 0 for the child as well: the page is free, one flush reaches both."""
    three_pages("phillips").fork(0, 1).reclaim(1).costs(
        reclaims=1, ptes_visited_reclaim=1, ptes_unmapped_reclaim=1, pages_reclaimed=1, pages_swapped_out=1,
        pages_freed=1, refs_dropped=1, tlb_flush_page=1, tlb_mms_reached=2,
    ).end()  # fmt: skip


def test_scan__walks_a_linked_table_once_for_each_mm():
    """There is more to look at than to find: both mms' entries are passed, three pages go, and a last round."""
    story = three_pages("phillips").fork(0, 1).reclaim(9)
    story.among(ptes_visited_reclaim=2 * (4 + 4), ptes_unmapped_reclaim=3, pages_reclaimed=3).end()


def test_scan__of_a_borrowed_mm_looks_at_each_entry_once():
    """A vfork child has no tables of its own: 4 entries are passed, and 4 by the round that finds nothing more."""
    three_pages("linux24").vfork(0, 1).reclaim(9).among(ptes_visited_reclaim=4 + 4, pages_reclaimed=3).end()


# by reverse mapping


def test_chain__unmaps_a_page_from_every_mm_at_once():
    """Page 0 has a chain of two: both elements are walked and removed, both ptes unmapped, the page is free.

    Two flushes, one mm each: the tables are private.
    """
    three_pages("rmap25").fork(0, 1).reclaim(1).costs(
        reclaims=1, ptes_visited_reclaim=2, ptes_unmapped_reclaim=2, pages_reclaimed=1, pages_swapped_out=1,
        pages_freed=1, refs_dropped=2, rmap_walked=2, rmap_removed=2, tlb_flush_page=2, tlb_mms_reached=2,
    ).end()  # fmt: skip


@pytest.mark.parametrize("sharers", [2, 3, 5])
@pytest.mark.parametrize("design", ["phillips_rmap", "linus_rmap", "mccracken", "mccracken_fixed"])
def test_chain__of_a_linked_table_has_one_element_and_reaches_every_sharer(design, sharers):
    """One element, one pte, one reference; the flush of that one page concerns every mm that uses the table."""
    story = three_pages(design)
    for child in range(1, sharers):
        story.fork(0, child)
    story.reclaim(1).costs(
        reclaims=1, ptes_visited_reclaim=1, ptes_unmapped_reclaim=1, pages_reclaimed=1, pages_swapped_out=1,
        pages_freed=1, refs_dropped=1, rmap_walked=1, rmap_removed=1, tlb_flush_page=1, tlb_mms_reached=sharers,
    )  # fmt: skip
    assert story.end().levels["rss_pages"] == 2 * sharers


def test_chain__after_unsharing_has_an_element_for_each_table():
    """The child has copied the table and page 0; page 1 is in both: two elements, two ptes, one mm each."""
    story = three_pages("phillips_rmap").fork(0, 1).write(1, 0).reclaim(1)
    story.among(pages_reclaimed=1, ptes_unmapped_reclaim=1, rmap_walked=1)
    story.reclaim(1).among(pages_reclaimed=1, ptes_unmapped_reclaim=2, rmap_walked=2, tlb_mms_reached=2)
    story.end()


def test_object__walks_the_vmas_of_the_anon_vma():
    """Parent and child have vmas of one anon_vma: two are looked at for page 0, and both have it."""
    three_pages("linux26").fork(0, 1).reclaim(1).costs(
        reclaims=1, ptes_visited_reclaim=2, ptes_unmapped_reclaim=2, pages_reclaimed=1, pages_swapped_out=1,
        pages_freed=1, refs_dropped=2, rmap_walked=2, rmap_removed=2, tlb_flush_page=2, tlb_mms_reached=2,
    ).end()  # fmt: skip


def test_object__looks_in_vain_where_a_page_was_copied():
    """The child wrote page 0: its vma is still looked at for the parent's page, its pte holds another."""
    story = three_pages("linux26").fork(0, 1).write(1, 0).reclaim(1)
    story.among(rmap_walked=2, ptes_visited_reclaim=2, ptes_unmapped_reclaim=1, pages_reclaimed=1).end()


def test_object__does_not_look_where_the_vma_was_cut():
    """The child has unmapped pages 0 and 1: its vma begins at 2, so one vma may hold page 0 and two page 2."""
    story = three_pages("linux26").fork(0, 1).munmap(1, 0, 2)
    story.reclaim(1).among(rmap_walked=1, ptes_unmapped_reclaim=1)
    story.reclaim(1).among(rmap_walked=1, ptes_unmapped_reclaim=1)
    story.reclaim(1).among(rmap_walked=2, ptes_unmapped_reclaim=2)
    story.end()


def test_object__an_unrelated_vma_at_the_same_place_is_not_looked_at():
    """The child wrote first, the parent later: two anon_vmas, though the vmas came from one."""
    story = Story("linux26").mmap(0, Mapping(0, 4, ANON)).fork(0, 1).write(0, 0).write(1, 0)
    story.reclaim(1).among(rmap_walked=1, ptes_unmapped_reclaim=1).end()


def test_object__of_a_file_page_walks_the_vmas_that_map_it():
    """Page 2 of the file: the first vma has it at 2, the second at 8 and untouched, the third begins behind it."""
    story = Story("linux26").mmap(0, Mapping(0, 4, FILE, file=0))
    story.mmap(0, Mapping(8, 4, FILE, file=0, offset=2)).mmap(0, Mapping(12, 4, FILE, file=0, offset=3))
    story.read(0, 2).reclaim(1).costs(
        reclaims=1, ptes_visited_reclaim=2, ptes_unmapped_reclaim=1, pages_reclaimed=1, refs_dropped=1,
        rmap_walked=2, rmap_removed=1, tlb_flush_page=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.end()


def test_object__of_a_linked_table_looks_once_for_each_vma_and_finds_one_pte():
    """Three mms share the table: three vmas are looked at, the first has the pte, for the others it has gone."""
    story = three_pages("cow_pte").fork(0, 1).fork(0, 2).reclaim(1)
    story.costs(
        reclaims=1, ptes_visited_reclaim=3, ptes_unmapped_reclaim=1, pages_reclaimed=1, pages_swapped_out=1,
        pages_freed=1, refs_dropped=1, rmap_walked=3, rmap_removed=1, tlb_flush_page=1, tlb_mms_reached=3,
    )  # fmt: skip
    story.end()


def test_per_sharer__each_mms_reference_is_dropped_with_the_one_pte():
    """cow_pte_v5: two mms hold page 0 through one pte, with a reference and a reverse mapping each."""
    three_pages("cow_pte_v5").fork(0, 1).reclaim(1).among(
        ptes_unmapped_reclaim=1, refs_dropped=2, rmap_removed=2, pages_reclaimed=1, tlb_mms_reached=2
    ).end()


def test_file_table__one_pte_serves_every_mm_that_found_it():
    """A table shared through the file: the page leaves both mms with one flush."""
    story = Story("shared_mmap").mmap(0, Mapping(0, 4, FILE, writable=False, file=0)).read(0, 0).fork(0, 1)
    story.read(1, 0).reclaim(1)
    story.among(ptes_unmapped_reclaim=1, pages_reclaimed=1, tlb_flush_page=1, tlb_mms_reached=2)
    assert story.end().levels["rss_pages"] == 2 * 3


def test_reverse_mapping__passes_by_what_it_cannot_take():
    """The reverse mapping leads to the one page that can be taken; a scan looks at two zero pages before it."""
    for design, visited in (("rmap25", 1), ("linux24", 3)):
        story = Story(design).mmap(0, Mapping(0, 4, ANON)).read(0, 0, 2).write(0, 2).reclaim(1)
        story.among(ptes_visited_reclaim=visited, pages_reclaimed=1).end()


@pytest.mark.parametrize("design", ["linux24", "rmap25", "linux26", "mainline"])
def test_shm_and_zero_page__stay(design):
    """Nothing is unmapped; a scan looks at every entry once and gives up."""
    story = (
        Story(design)
        .mmap(0, Mapping(0, 4, SHM, file=0))
        .mmap(0, Mapping(4, 4, ANON))
        .write(0, 0, 2)
        .read(0, 4)
    )
    story.reclaim(3).costs(reclaims=1, ptes_visited_reclaim=8 if DESIGNS[design].reclaim == "scan" else 0)
    story.write(0, 0, 2).costs()
    story.end()


@pytest.mark.parametrize("design", DESIGNS)
def test_everything__may_be_reclaimed_and_read_back(design):
    """More is wanted than there is: all three pages go, the rss is nothing; reads bring each back."""
    story = three_pages(design).fork(0, 1).reclaim(40).among(pages_reclaimed=3, pages_swapped_out=3)
    story.read(0, 0, 3).among(faults_swap=3, pages_read_back=3)
    story.read(1, 0, 3).among(pages_read_back=0)
    assert story.end().levels["pages"] == 3


def test_kinds__every_design_reclaims_one_way_or_the_other():
    """Those without a reverse mapping scan; all others follow it."""
    assert {DESIGNS[name].rmap for name in BY_SCAN} == {"none"}
    assert {DESIGNS[name].rmap for name in BY_RMAP} == {"pte_chain", "object"}


def test_nobody__has_a_page():
    """An empty machine: the event alone."""
    Story("linux24").reclaim(7).costs(reclaims=1).end()
