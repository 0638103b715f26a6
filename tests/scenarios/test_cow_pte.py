"""COW for page tables: any fault makes a table one's own, the last sharer reopens, accounting by owner or by sharer."""

import pytest
from story import ANON, FILE, SHM, Story, charged

from simcore import DESIGNS, GEOMETRIES, Mapping, tiny_geometry
from simcore.designs import derived

BOTH = ["cow_pte", "cow_pte_v5"]


def parent_with_three_pages(design: str = "cow_pte") -> Story:
    """Map four pages in one table and write three of them."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


# fork


def test_fork__links_what_mainline_would_copy():
    """Written anonymous and file memory is linked; a file only read and a shared mapping are left to faults.

    Two entries of each side are written, none of the others.
    """
    story = Story("cow_pte").mmap(0, Mapping(0, 4, ANON)).mmap(0, Mapping(4, 4, FILE, file=0))
    story.mmap(0, Mapping(8, 4, FILE, writable=False, file=1)).mmap(0, Mapping(12, 4, SHM, file=2))
    story.write(0, 0).write(0, 4).read(0, 8).write(0, 12).fork(0, 1)
    story.costs(
        forks=1, vmas_copied=4, upper_tables_allocated=1, leaf_tables_linked=2, pmds_written=4,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    state = story.end()
    assert sorted(state.mms[state.tasks[1][0]].slots) == [0, 1]


def test_fork__a_table_is_linked_with_the_neighbours_that_need_no_copy():
    """A file page that was only read lies beside written memory: the child has the whole table, that page too."""
    story = Story("cow_pte").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, FILE, writable=False, file=0))
    story.write(0, 0).read(0, 2).fork(0, 1).among(leaf_tables_linked=1)
    story.read(1, 2).costs()
    story.end()


# any fault


@pytest.mark.parametrize("design", BOTH)
def test_read_fault__of_an_absent_page_unshares(design):
    """Not the present pages: reading them needs nothing."""
    story = parent_with_three_pages(design).fork(0, 1)
    story.read(1, 0, 3).costs()
    story.read(1, 3).among(faults_zero_page=1, leaf_tables_unshared=1, ptes_wrprotected_unshare=3)
    story.end()


def test_read_fault__of_the_last_sharer_reopens_its_entry():
    """One fault for the absent page opens the table; its untouched ptes are writable at once."""
    story = parent_with_three_pages().fork(0, 1).exit(1)
    story.read(0, 3).costs(faults_zero_page=1, leaf_tables_reused=1, pmds_written=1)
    story.write(0, 0, 3).costs()
    story.end()


def test_write_fault__protects_both_copies():
    """The child's copy and the source: 3 ptes made read-only in the source, none writable in the copy."""
    story = parent_with_three_pages().fork(0, 1).write(1, 0)
    story.costs(
        faults_cow_copy=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=3, ptes_wrprotected_unshare=3, refs_taken=3,
        pages_allocated=1, pages_copied=1, refs_dropped=1, rmap_added=3 + 1, rmap_removed=1,
        tlb_flush_range=1, tlb_flush_page=1, tlb_mms_reached=2,
    )  # fmt: skip
    story.write(1, 1).costs(
        faults_cow_copy=1, pages_allocated=1, pages_copied=1, refs_dropped=1, rmap_added=1, rmap_removed=1,
        tlb_flush_page=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.end()


# the last sharer


def test_reuse__a_copied_table_costs_a_fault_a_page_the_others_one_a_table():
    """Eight full tables of 4; the child writes 3 pages of the first and exits.

    The parent writes all 32: 4 faults in the table whose ptes the copy made read-only, one for each of the other
    seven: 11. Each of the eight entries is reopened once.
    """
    story = Story("cow_pte", tiny_geometry(4, 3)).mmap(0, Mapping(0, 32, ANON)).write(0, 0, 32).fork(0, 1)
    story.write(1, 0, 3).exit(1)
    story.write(0, 0, 32).costs(
        faults_cow_reuse=4, faults_table_only=7, leaf_tables_reused=8, pmds_written=8,
        tlb_flush_page=11, tlb_mms_reached=11,
    )  # fmt: skip
    story.end()


def test_reuse__519_faults_as_measured():
    """On x86-64 a child writes 10 of 4096 pages in 8 tables and exits: 512 + 7 faults for the parent that rewrites."""
    pages = 8 * 512
    story = (
        Story("cow_pte", GEOMETRIES["x86-64"]).mmap(0, Mapping(1 << 28, pages, ANON)).write(0, 1 << 28, pages)
    )
    story.fork(0, 1).write(1, 1 << 28, 10).among(faults_cow_copy=10)
    story.exit(1).write(0, 1 << 28, pages).among(faults_cow_reuse=512, faults_table_only=7, faults_cow_copy=0)
    story.end()


# accounting: cow_pte counts a table for its owner


def test_charge__fork_charges_nobody_anew():
    """The forker goes on being charged; the child has its pgd alone, which is not charged."""
    assert charged(parent_with_three_pages().fork(0, 1).end()) == 1


def test_charge__an_owner_that_unshares_leaves_the_old_table_to_nobody():
    """Two tables exist, one is charged: the parent's new one."""
    state = parent_with_three_pages().fork(0, 1).write(0, 0).end()
    assert (state.levels["leaf_tables"], charged(state)) == (2, 1)


def test_charge__the_last_sharer_takes_the_table_over_when_it_reopens_it():
    """The parent copies the table, the child's write reopens the old one: each is charged for its own."""
    story = parent_with_three_pages().fork(0, 1).write(0, 0).write(1, 0).among(leaf_tables_reused=1)
    assert charged(story.end()) == 2


@pytest.mark.parametrize(("write", "tables"), [(False, 0), (True, 1)])
def test_charge__an_owner_that_exits_takes_its_charge_along(write, tables):
    """The child is left with the table for nothing until it reopens it."""
    story = parent_with_three_pages().fork(0, 1).exit(0)
    story = story.write(1, 0) if write else story.read(1, 0)
    assert charged(story.end()) == tables


def test_charge__a_child_that_exits_was_charged_for_nothing():
    """The parent's charge is untouched, and so is the table."""
    assert charged(parent_with_three_pages().fork(0, 1).exit(1).end()) == 1


def test_charge__upper_tables_are_each_mms_own():
    """Three levels: the child has a middle table of its own, charged to it; the leaf table stays the parent's."""
    story = Story("cow_pte", tiny_geometry(4, 3)).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1)
    assert charged(story.end()) == 2 + 1


# accounting: cow_pte_v5 counts everything for every sharer


def test_per_sharer__fork_visits_each_entry_and_takes_references():
    """4 entries, 3 present: a reference and a reverse mapping each, in the linked table's name; no pte is protected."""
    parent_with_three_pages("cow_pte_v5").fork(0, 1).costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=2,
        ptes_visited_fork=4, ptes_present_fork=3, refs_taken=3, rmap_added=3, tlb_flush_mm=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


def test_per_sharer__unsharing_moves_the_references_along():
    """The child brought its own three to the table and takes them with it; only the COW copy changes any."""
    parent_with_three_pages("cow_pte_v5").fork(0, 1).write(1, 0).costs(
        faults_cow_copy=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=3, ptes_wrprotected_unshare=3,
        pages_allocated=1, pages_copied=1, refs_dropped=1, rmap_added=1, rmap_removed=1,
        tlb_flush_range=1, tlb_flush_page=1, tlb_mms_reached=2,
    ).end()  # fmt: skip


def test_per_sharer__dropping_gives_them_back_pte_by_pte():
    """An exit drops the table without copying it, but 4 entries are looked at and 3 references go."""
    parent_with_three_pages("cow_pte_v5").fork(0, 1).exit(1).costs(
        exits=1, vmas_unmapped=1, upper_tables_freed=1, leaf_tables_dropped=1, pmds_written=1,
        ptes_visited_zap=4, refs_dropped=3, rmap_removed=3, tlb_flush_mm=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


def test_per_sharer__a_read_fault_in_a_linked_table_is_every_sharers():
    """A design of one's own that unshares on write only: the pte is filled for both, with a reference for each."""
    design = derived("mine", DESIGNS["cow_pte_v5"], {"unshare_on": "write"})
    story = (
        Story(design)
        .mmap(0, Mapping(0, 2, ANON))
        .mmap(0, Mapping(2, 2, FILE, writable=False, file=0))
        .write(0, 0)
    )
    story.fork(0, 1).read(1, 3).costs(faults_file_map=1, ptes_mapped_around=1, refs_taken=4, rmap_added=4)
    story.read(0, 2, 2).costs()
    story.exit(0).among(leaf_tables_dropped=1, refs_dropped=3, rmap_removed=3)
    story.end()


def test_per_sharer__each_mm_is_charged():
    """Version 5 counts a linked table in both."""
    assert charged(parent_with_three_pages("cow_pte_v5").fork(0, 1).end()) == 2
