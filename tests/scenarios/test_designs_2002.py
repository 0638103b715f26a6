"""The designs of 2002 side by side: zap in one pass or many, exempt mappings, the source of a copy, small parents."""

import pytest
from story import ANON, FILE, SHM, Story, path

from simcore import Mapping

EDGES = ["phillips", "phillips_sole", "phillips_mark"]
WHOLE = ["phillips_drop", "linus_pmd"]


def small_process(design: str) -> Story:
    """Map text and data side by side in one table, as a shell has them, touch a page of each, and fork."""
    story = Story(design).mmap(0, Mapping(0, 2, FILE, writable=False, file=0)).mmap(0, Mapping(2, 2, ANON))
    return story.read(0, 0).write(0, 2).fork(0, 1)


def parent_with_three_pages(design: str) -> Story:
    """Map four pages in one table and write three of them."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


# zap: edges or the whole


@pytest.mark.parametrize("design", EDGES)
def test_edges__a_small_process_copies_a_table_only_to_throw_it_away(design):
    """No vma covers the table, so each is an edge: the child unshares, clears its copy and frees it.

    4 entries are looked at and 2 copied with a reference each, then 4 looked at and 2 cleared. Two writes of the
    entry.
    """
    small_process(design).exit(1).costs(
        exits=1, vmas_unmapped=2, upper_tables_freed=1,
        leaf_tables_unshared=1, leaf_tables_allocated=1, leaf_tables_freed=1, pmds_written=2,
        ptes_visited_unshare=4, ptes_copied_unshare=2, refs_taken=2,
        ptes_visited_zap=4, ptes_zapped=2, file_ptes_zapped=1, refs_dropped=2,
        tlb_flush_range=1, tlb_flush_mm=1, tlb_mms_reached=2,
    ).end()  # fmt: skip


def test_edges__with_chains_the_detour_costs_two_elements_more():
    """The copy adds an element for each of the two pages; clearing it removes them from chains of two."""
    small_process("phillips_rmap").exit(1).among(rmap_added=2, rmap_removed=2, rmap_walked=4).end()


@pytest.mark.parametrize("design", WHOLE)
def test_whole__a_small_process_drops_its_table(design):
    """In one pass over the address space nothing of the child is left in the span: no pte is looked at."""
    small_process(design).exit(1).costs(
        exits=1, vmas_unmapped=2, upper_tables_freed=1, leaf_tables_dropped=1, pmds_written=1,
        tlb_flush_mm=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


@pytest.mark.parametrize(("design", "dropped", "unshared"), [("phillips", 1, 1), ("phillips_drop", 2, 0)])
def test_edges__a_vma_that_covers_a_table_has_no_edge_in_it(design, dropped, unshared):
    """The first table belongs to one vma wholly and is dropped; two vmas meet in the second."""
    story = (
        Story(design).mmap(0, Mapping(0, 4, ANON)).mmap(0, Mapping(4, 2, ANON)).mmap(0, Mapping(6, 2, ANON))
    )
    story.write(0, 0, 8).fork(0, 1).exit(1)
    story.among(leaf_tables_dropped=dropped, leaf_tables_unshared=unshared, ptes_zapped=4 * unshared)
    assert story.end().levels["rss_pages"] == 8


@pytest.mark.parametrize(("design", "dropped", "unshared"), [("phillips", 0, 1), ("phillips_drop", 1, 0)])
def test_edges__a_munmap_over_two_vmas_is_told_from_one_over_one(design, dropped, unshared):
    """Both vmas of the table vanish at once; only who looks at the range as a whole sees that nothing is left."""
    story = small_process(design).munmap(1, 0, 4)
    story.among(
        leaf_tables_dropped=dropped,
        leaf_tables_unshared=unshared,
        vmas_unmapped=2,
        tlb_flush_range=1 + unshared,
    )
    state = story.end()
    assert not state.mms[state.tasks[1][0]].slots


@pytest.mark.parametrize("design", EDGES + WHOLE)
def test_zap__what_stays_in_the_table_is_an_edge_for_everybody(design):
    """One vma goes, its neighbour in the table stays: all unshare, and clear the one page of that vma."""
    story = small_process(design).munmap(1, 0, 2)
    story.among(leaf_tables_dropped=0, leaf_tables_unshared=1, ptes_visited_zap=2, ptes_zapped=1)
    story.read(1, 2).costs()
    assert story.end().levels["rss_pages"] == 2 + 1


# child of child


@pytest.mark.parametrize("design", EDGES + WHOLE)
def test_grandchild__shares_with_its_grandparent(design):
    """The child in between leaves a table of three; the grandchild copies it, the grandparent is the last sharer."""
    story = parent_with_three_pages(design).fork(0, 1).fork(1, 2).exit(1)
    story.write(2, 0).among(leaf_tables_unshared=1, faults_cow_copy=1)
    story.write(0, 0).among(leaf_tables_unshared=0, faults_cow_reuse=1)
    story.end()


def test_fork__again_writes_the_childs_entry_only():
    """The parent's entry has been write-protected since the first fork, and its child has gone: nothing reopened it."""
    story = parent_with_three_pages("linus_pmd").fork(0, 1).exit(1).fork(0, 2)
    story.costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=1,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.write(2, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=3)
    story.end()


# mccracken: shared mappings that cover the table are exempt


def test_exempt__a_covering_shared_mapping_is_linked_without_protection():
    """Only the child's entry is written, and open: it writes a present page without a fault."""
    story = Story("mccracken").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2).fork(0, 1)
    story.costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=1,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.write(1, 0).costs()
    story.end()


def test_exempt__a_write_fills_the_linked_table_for_both():
    """The child's first write to page 2 makes the shm page and leaves the table linked; the parent finds it there."""
    story = Story("mccracken").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2).fork(0, 1)
    story.write(1, 2).costs(faults_file_map=1, pages_allocated=1, pages_zeroed=1, refs_taken=1, rmap_added=1)
    story.write(0, 2).costs()
    levels = story.end().levels
    assert (levels["leaf_tables"], levels["rss_pages"]) == (1, 6)


def test_exempt__not_where_the_mapping_leaves_a_page_of_the_table():
    """Three of four entries are not all: fork protects both entries, and the first write copies the table."""
    story = Story("mccracken").mmap(0, Mapping(0, 3, SHM, file=0)).write(0, 0, 2)
    story.fork(0, 1).among(pmds_written=2)
    story.write(1, 0).among(faults_table_only=1, leaf_tables_unshared=1)
    story.end()


def test_exempt__not_where_the_mapping_is_read_only():
    """Nobody writes there; fork protects the table as any other, and reads go on filling it for both."""
    story = Story("mccracken").mmap(0, Mapping(0, 4, SHM, writable=False, file=0)).read(0, 0)
    story.fork(0, 1).among(pmds_written=2, leaf_tables_linked=1)
    story.read(1, 1).among(faults_file_map=1, leaf_tables_unshared=0)
    story.read(0, 1).costs()
    story.end()


# mccracken: the source of a copy


def test_source__of_two_sharers_is_protected():
    """At refcount 2 the one that stays will be alone and may reopen its entry: its three ptes become read-only."""
    story = parent_with_three_pages("mccracken").fork(0, 1)
    story.write(1, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=3)
    story.write(0, 1).among(leaf_tables_reused=1, faults_cow_copy=1)
    story.end()


def test_source__of_three_sharers_is_not_and_one_writes_what_another_maps():
    """The finding.

    A, B and C share. B unshares at 3: the source stays writable behind closed entries, and B's copy maps pages 1 and
    2 too. C goes. A is the last sharer, reopens its entry and writes page 1 in place, while B still maps that very
    frame.
    """
    story = parent_with_three_pages("mccracken").fork(0, 1).fork(0, 2)
    story.write(1, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=0, faults_cow_copy=1)
    story.exit(2)
    story.write(0, 1).costs(
        faults_table_only=1, leaf_tables_reused=1, pmds_written=1, tlb_flush_page=1, tlb_mms_reached=1
    )
    state = story.end()
    (ours, writable), (theirs, _) = path(state, 0, 1), path(state, 1, 1)
    assert writable
    assert ours == theirs


def test_source__always_protected_is_the_repair():
    """The same story: B's copy protects the source at 3, and A's write to page 1 is an ordinary COW copy."""
    story = parent_with_three_pages("mccracken_fixed").fork(0, 1).fork(0, 2)
    story.write(1, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=3)
    story.exit(2)
    story.write(0, 1).among(leaf_tables_reused=1, faults_cow_copy=1, pages_copied=1)
    state = story.end()
    assert path(state, 0, 1)[0] != path(state, 1, 1)[0]


# mccracken_gt3: small parents copy


@pytest.mark.parametrize(("tables", "linked"), [(3, 0), (4, 4)])
def test_more_than__three_tables_are_copied_and_four_linked(tables, linked):
    """Populated tables count, whatever is mapped."""
    story = Story("mccracken_gt3").mmap(0, Mapping(0, 16, ANON)).write(0, 0, tables, 4).fork(0, 1)
    story.among(leaf_tables_linked=linked, leaf_tables_allocated=tables - linked).end()


def test_more_than__a_linked_table_may_be_copied_later():
    """Four tables are linked; the parent gives one back and has three: its next fork copies.

    The ptes, writable behind closed entries so far, become read-only in the shared source and in the copy.
    """
    story = Story("mccracken_gt3").mmap(0, Mapping(0, 16, ANON)).write(0, 0, 4, 4).fork(0, 1)
    story.munmap(0, 12, 4).among(leaf_tables_dropped=1)
    story.fork(0, 2).among(
        leaf_tables_linked=0,
        leaf_tables_allocated=3,
        ptes_wrprotected_fork=3,
        ptes_copied_fork=3,
        refs_taken=3,
    )
    # The second child's table is its own: page 0 is copied because two tables hold it.
    story.write(2, 0).among(leaf_tables_unshared=0, leaf_tables_reused=0, faults_cow_copy=1)
    story.write(1, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=0, faults_cow_copy=1)
    story.write(0, 0).among(leaf_tables_reused=1, faults_cow_reuse=1)
    story.end()
