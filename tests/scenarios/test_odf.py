"""On-demand fork: what is linked, who unshares, what the last sharer still pays, and in whose VmPTE a table counts."""

import pytest
from story import ANON, FILE, HEAP, SHM, STACK, Story, charged

from simcore import Mapping


def parent_with_three_pages(design: str) -> Story:
    """Map four pages in one table and write three of them."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


# what is linked


def test_whole_anon__links_one_table_of_four():
    """The first table lies wholly inside one anonymous vma.

    The second is half of one, the third heap, the fourth stack: copied, with 2 + 4 + 4 entries visited, a page each,
    and no directory entry of the parent's written.
    """
    story = Story("odf").mmap(0, Mapping(0, 4, ANON)).mmap(0, Mapping(4, 2, ANON))
    story.mmap(0, Mapping(8, 4, HEAP)).mmap(0, Mapping(12, 4, STACK)).write(0, 0, 4, 4).fork(0, 1)
    story.costs(
        forks=1, vmas_copied=4, upper_tables_allocated=1, leaf_tables_linked=1, leaf_tables_allocated=3,
        pmds_written=2 + 3, ptes_visited_fork=10, ptes_present_fork=3, ptes_copied_fork=3, ptes_wrprotected_fork=3,
        refs_taken=3, rmap_added=3, tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.end()


def test_whole_anon__two_vmas_that_fill_a_table_are_copied():
    """The table is wholly anonymous, but not wholly inside one vma."""
    story = Story("odf").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, ANON)).write(0, 0, 4)
    story.fork(0, 1).among(leaf_tables_linked=0, leaf_tables_allocated=1, ptes_copied_fork=4).end()


@pytest.mark.parametrize(("kind", "tables"), [(FILE, 1), (SHM, 0)])
def test_whole_anon__other_mappings_are_as_in_mainline(kind, tables):
    """A private file mapping that was written is copied; a shared one is left to faults."""
    story = Story("odf").mmap(0, Mapping(0, 4, kind, file=0)).write(0, 0, 2)
    story.fork(0, 1).among(
        leaf_tables_linked=0, leaf_tables_allocated=tables, ptes_copied_fork=2 * tables
    ).end()


@pytest.mark.parametrize("kind", [ANON, HEAP, STACK, FILE, SHM])
def test_paper__links_the_tables_of_every_vma(kind):
    """odf_paper takes every vma, written or only read."""
    story = Story("odf_paper").mmap(0, Mapping(0, 3, kind, file=0 if kind in (FILE, SHM) else -1)).read(0, 0)
    story.fork(0, 1).costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=2,
        tlb_flush_mm=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


# who unshares


@pytest.mark.parametrize("design", ["odf", "odf_paper"])
def test_read_fault__in_a_linked_table_unshares_it(design):
    """The child reads the absent page: it copies the table, protects the source's ptes and fills its own.

    Its reads of present pages cost nothing before and after.
    """
    story = parent_with_three_pages(design).fork(0, 1)
    story.read(1, 0, 3).costs()
    story.read(1, 3).costs(
        faults_zero_page=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=3, ptes_wrprotected_unshare=3, refs_taken=3, rmap_added=3,
        tlb_flush_range=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.read(1, 0, 4).costs()
    story.read(0, 3).among(faults_zero_page=1, leaf_tables_unshared=0)
    story.end()


@pytest.mark.parametrize("design", ["odf", "odf_paper"])
def test_read_fault__of_the_last_sharer_leaves_its_entry_closed(design):
    """Nobody else is there to unshare from; the entry stays protected until the first write."""
    story = parent_with_three_pages(design).fork(0, 1).exit(1)
    story.read(0, 3).costs(faults_zero_page=1)
    story.write(0, 0).among(leaf_tables_reused=1)
    story.end()


# the last sharer


def test_reuse__odf_pays_one_fault_a_page():
    """The first write makes the three ptes read-only, opens the entry and takes the page back.

    The next two pages are a fault each, though nobody but the parent was left with them.
    """
    story = parent_with_three_pages("odf").fork(0, 1).exit(1)
    story.write(0, 0).costs(
        faults_cow_reuse=1, leaf_tables_reused=1, pmds_written=1, ptes_visited_unshare=4, ptes_wrprotected_unshare=3,
        tlb_flush_page=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.write(0, 0, 3).costs(faults_cow_reuse=2, tlb_flush_page=2, tlb_mms_reached=2)
    story.write(0, 0, 3).costs()
    story.end()


def test_reuse__odf_paper_pays_one_fault_a_table():
    """Used in place: the ptes were never made read-only."""
    story = parent_with_three_pages("odf_paper").fork(0, 1).exit(1)
    story.write(0, 0, 3).costs(
        faults_table_only=1, leaf_tables_reused=1, pmds_written=1, tlb_flush_page=1, tlb_mms_reached=1
    )
    story.end()


def test_reuse__a_first_touch_by_the_last_sharer_protects_the_table_as_well():
    """The fault on the empty fourth page is the one that opens the entry; the other three pages fault later."""
    story = parent_with_three_pages("odf").fork(0, 1).exit(1)
    story.write(0, 3).costs(
        faults_anon=1, pages_allocated=1, pages_zeroed=1, rmap_added=1,
        leaf_tables_reused=1, pmds_written=1, ptes_visited_unshare=4, ptes_wrprotected_unshare=3,
    )  # fmt: skip
    story.write(0, 0, 4).costs(faults_cow_reuse=3, tlb_flush_page=3, tlb_mms_reached=3)
    story.end()


def test_faults__of_the_child_are_mainlines():
    """Whoever writes a page pays one fault for it under both, the unsharing included."""
    for design in ("odf", "mainline"):
        story = Story(design).mmap(0, Mapping(0, 16, ANON)).write(0, 0, 16).fork(0, 1)
        story.write(1, 2, 5, 3).among(faults_cow_copy=5, faults_cow_reuse=0, faults_table_only=0)
        story.end()


# VmPTE


@pytest.mark.parametrize(("design", "tables"), [("odf", 1), ("odf_paper", 2)])
def test_charge__a_linked_table_counts_for_the_forker_alone(design, tables):
    """The child's VmPTE leaves the table out; the paper is taken to count it for both."""
    assert charged(parent_with_three_pages(design).fork(0, 1).end()) == tables


def test_charge__the_childs_copy_counts_for_the_child():
    """It allocated that one itself."""
    assert charged(parent_with_three_pages("odf").fork(0, 1).write(1, 0).end()) == 2


def test_charge__a_forker_pays_for_a_table_that_it_has_left_until_it_ends():
    """Its write copies the linked table: it is charged for the copy and for the one it left, whoever frees that."""
    story = parent_with_three_pages("odf").fork(0, 1).write(0, 0)
    assert charged(story.end()) == 2
    story.exit(1)
    state = story.end()
    assert state.levels["leaf_tables"] == 1
    assert charged(state) == 2
    story.exit(0)
    assert charged(story.end()) == 0


def test_charge__a_forker_that_unmaps_pays_on():
    """Its munmap copies the linked table and frees the copy; the one that the child keeps stays charged to it."""
    story = parent_with_three_pages("odf").fork(0, 1).munmap(0, 0, 4)
    state = story.end()
    assert state.levels["leaf_tables"] == 1
    assert charged(state) == 1


def test_mprotect__changes_a_linked_table_in_place():
    """Nobody gains a permission by it; the child, which may still write, copies the table when it does."""
    story = parent_with_three_pages("odf").fork(0, 1).mprotect(0, 0, 4, writable=False)
    story.among(ptes_changed_mprotect=3, leaf_tables_unshared=0)
    assert charged(story.end()) == 1
    story.write(1, 0, 3).among(leaf_tables_unshared=1, faults_cow_copy=3)
    story.read(0, 0, 3).among(faults_zero_page=0)
    story.end()


def test_charge__a_last_sharer_is_never_charged_for_what_it_took_over():
    """The forker has gone and its VmPTE with it; the child reopens the table, uses it, and pays for none."""
    story = parent_with_three_pages("odf").fork(0, 1).exit(0).write(1, 0, 3)
    story.among(leaf_tables_reused=1, faults_cow_reuse=3)
    state = story.end()
    assert state.levels["leaf_tables"] == 1
    assert charged(state) == 0


def test_dontneed__does_nothing():
    """As measured: the call is counted, the contents stay."""
    story = parent_with_three_pages("odf").dontneed(0, 0, 4).costs(madvises=1)
    story.write(0, 0, 3).costs()
    assert story.end().levels["pages"] == 3
