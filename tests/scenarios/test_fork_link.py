"""Shared tables: link, unshare, reuse, drop, and the rules that are easy to get wrong, derived by hand."""

import pytest
from story import ANON, FILE, FILE_SHARED, SHM, Story

from simcore import DESIGNS, Mapping, tiny_geometry

# Designs that link whatever the parent's size, and leave the copying to who writes; the others have stories of their own.
LINKING = [name for name, design in DESIGNS.items() if design.fork == "link"]
BY_PTE = [name for name in LINKING if DESIGNS[name].wrprotect != "pmd"]
IN_PLACE = [
    name for name in LINKING if DESIGNS[name].wrprotect == "pmd" and DESIGNS[name].last_sharer == "reuse"
]
FILLS_IN_PLACE = [name for name in LINKING if DESIGNS[name].unshare_on == "write"]


def parent_with_three_pages(design: str) -> Story:
    """Map four pages in one table and write three of them."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


def test_link__phillips_visits_each_pte_and_copies_none():
    """The child gets a pgd and one written slot; 4 entries are visited and 3 writable ones made read-only."""
    story = parent_with_three_pages("phillips").fork(0, 1)
    story.costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=1,
        ptes_visited_fork=4, ptes_present_fork=3, ptes_wrprotected_fork=3, tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.end()


def test_link__linus_writes_two_directory_entries_and_visits_no_pte():
    """The parent's entry is write-protected, the child's is written read-only: two writes, whatever is in the table."""
    story = parent_with_three_pages("linus_pmd").fork(0, 1)
    story.costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=2,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.fork(0, 2).among(pmds_written=1)
    story.end()


@pytest.mark.parametrize("design", ["phillips_rmap", "linus_rmap"])
def test_link__adds_no_chain_element(design):
    """One element for each table that holds a page: linking adds none, unsharing adds one for each present pte."""
    story = parent_with_three_pages(design).fork(0, 1).among(rmap_added=0, refs_taken=0)
    story.write(1, 0).among(rmap_added=3 + 1, rmap_removed=1, refs_taken=3, refs_dropped=1)
    story.end()


@pytest.mark.parametrize("design", ["phillips", "phillips_sole", "phillips_mark"])
def test_write__unshares_the_table_and_then_copies_the_page_in_one_fault(design):
    """All 4 entries are looked at, 3 copied with a reference each; then the ordinary COW copy of page 0."""
    story = parent_with_three_pages(design).fork(0, 1).write(1, 0)
    story.costs(
        faults_cow_copy=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=3, refs_taken=3, tlb_flush_range=1,
        pages_allocated=1, pages_copied=1, refs_dropped=1, tlb_flush_page=1, tlb_mms_reached=2,
    )  # fmt: skip
    story.end()


def test_write__linus_protects_the_source_while_copying():
    """The ptes were writable under a read-only directory entry; both copies must be read-only afterwards."""
    story = parent_with_three_pages("linus_pmd").fork(0, 1).write(1, 0)
    story.costs(
        faults_cow_copy=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=3, ptes_wrprotected_unshare=3, refs_taken=3, tlb_flush_range=1,
        pages_allocated=1, pages_copied=1, refs_dropped=1, tlb_flush_page=1, tlb_mms_reached=2,
    )  # fmt: skip
    # The parent is alone in its table: it reopens its entry, and page 0 is its own again.
    story.write(0, 0).costs(
        faults_cow_reuse=1, leaf_tables_reused=1, pmds_written=1, tlb_flush_page=1, tlb_mms_reached=1
    )
    story.write(0, 1).among(faults_cow_copy=1, leaf_tables_reused=0)
    story.end()


@pytest.mark.parametrize("design", LINKING)
def test_symmetry__whoever_writes_first_gets_the_new_table(design):
    """The parent writes first and gets the copy; the child is left with the old table and copies nothing."""
    story = parent_with_three_pages(design).fork(0, 1)
    story.write(0, 0).among(leaf_tables_unshared=1)
    story.write(1, 0).among(leaf_tables_unshared=0, faults_cow_reuse=1, pages_copied=0)
    state = story.end()
    assert all(table.refcount == 1 for table in state.tables.values())


@pytest.mark.parametrize("design", FILLS_IN_PLACE)
def test_read_fault__fills_the_shared_table_for_everybody(design):
    """The child's read of a new file page is the parent's page too: one fault for both, rss grows by two."""
    story = Story(design).mmap(0, Mapping(0, 4, FILE, writable=False, file=0)).read(0, 0).fork(0, 1)
    story.read(1, 1).among(faults_file_map=1, leaf_tables_unshared=0, leaf_tables_allocated=0)
    story.read(0, 1).costs()
    assert story.end().levels["rss_pages"] == 4


@pytest.mark.parametrize("design", IN_PLACE)
def test_reuse__by_pmd_the_last_sharer_pays_one_fault_a_table(design):
    """The ptes were never made read-only: after the child has gone, reopening the entry serves all three pages."""
    story = parent_with_three_pages(design).fork(0, 1).exit(1).write(0, 0, 3)
    story.costs(
        faults_table_only=1, leaf_tables_reused=1, pmds_written=1, tlb_flush_page=1, tlb_mms_reached=1
    )
    story.end()


@pytest.mark.parametrize("design", BY_PTE)
def test_reuse__by_pte_the_last_sharer_pays_one_fault_a_page(design):
    """Each pte was made read-only: after the child has gone, each page the parent writes is a fault."""
    story = parent_with_three_pages(design).fork(0, 1).exit(1).write(0, 0, 3)
    story.costs(faults_cow_reuse=3, tlb_flush_page=3, tlb_mms_reached=3)
    story.end()


@pytest.mark.parametrize(
    ("design", "second", "third"), [("phillips", 4, 4), ("phillips_sole", 0, 4), ("phillips_mark", 0, 0)]
)
def test_mark__saves_the_visit_after_a_sharer_left_without_a_write(design, second, third):
    """A shell forking in a loop: while a child lives sole and mark skip; after its exit only mark still does."""
    story = parent_with_three_pages(design).fork(0, 1).among(ptes_visited_fork=4)
    story.fork(0, 2).among(ptes_visited_fork=second)
    story.exit(1).exit(2).fork(0, 3).among(ptes_visited_fork=third)
    story.end()


def test_mark__goes_when_a_page_becomes_writable():
    """A write in place makes a pte writable, so the next fork must visit the table again."""
    story = parent_with_three_pages("phillips_mark").fork(0, 1).exit(1).write(0, 1)
    story.fork(0, 2).among(ptes_visited_fork=4, ptes_wrprotected_fork=1)
    story.end()


@pytest.mark.parametrize("design", ["phillips", "linus_pmd"])
def test_exit__drops_a_shared_table_without_looking_at_a_pte(design):
    """The parent keeps the table; the child's slot is cleared, its pgd freed, no reference is dropped."""
    story = parent_with_three_pages(design).fork(0, 1).exit(1)
    story.costs(
        exits=1, vmas_unmapped=1, leaf_tables_dropped=1, pmds_written=1, upper_tables_freed=1,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    assert story.end().levels["rss_pages"] == 3


@pytest.mark.parametrize("design", LINKING)
def test_munmap__unshares_at_the_edges_and_drops_what_it_covers(design):
    """Eight pages in two tables; pages 2 to 7 go: the first table is cut (unshared), the second dropped."""
    story = Story(design).mmap(0, Mapping(0, 8, ANON)).write(0, 0, 8).fork(0, 1)
    of_drop = 4 if DESIGNS[design].page_refs == "per_sharer" else 0  # the child's references go pte by pte
    story.munmap(1, 2, 6).among(
        leaf_tables_unshared=1,
        leaf_tables_dropped=1,
        ptes_visited_zap=2 + of_drop,
        ptes_zapped=2,
        tlb_flush_range=2,
    )
    state = story.end()
    assert state.levels["leaf_tables"] == 3
    assert state.levels["rss_pages"] == 8 + 2


@pytest.mark.parametrize("design", [name for name in LINKING if DESIGNS[name].links == "every"])
def test_mmap__unshares_a_linked_table_it_reaches_into(design):
    """Else a read in the new vma would put a page into the other mm, which has no vma there."""
    story = Story(design).mmap(0, Mapping(0, 2, ANON)).write(0, 0, 2).fork(0, 1)
    story.mmap(1, Mapping(2, 2, ANON)).among(leaf_tables_unshared=1, vmas_mapped=1)
    story.read(1, 2).among(faults_zero_page=1)
    story.end()


@pytest.mark.parametrize("kind", [SHM, FILE_SHARED])
def test_shared_mapping__present_ptes_are_written_without_a_fault_under_pte_protection(kind):
    """Fork leaves ptes of shared mappings writable, so a write through a linked table needs nothing."""
    story = Story("phillips").mmap(0, Mapping(0, 4, kind, writable=True, file=0)).write(0, 0, 2).fork(0, 1)
    story.write(1, 0).costs()
    story.write(1, 3).among(faults_file_map=1, leaf_tables_unshared=1)
    story.end()


def test_shared_mapping__a_write_unshares_under_pmd_protection():
    """The directory entry protects shared mappings as well: the first write copies the table, not the page."""
    story = Story("linus_pmd").mmap(0, Mapping(0, 4, SHM, writable=True, file=0)).write(0, 0, 2).fork(0, 1)
    story.write(1, 0).costs(
        faults_table_only=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=2, refs_taken=2,
        tlb_flush_range=1, tlb_flush_page=1, tlb_mms_reached=2,
    )  # fmt: skip
    story.end()


def test_three_sharers__source_is_protected_whatever_its_refcount():
    """A, B and C share; B unshares at 3, C exits, A then writes a page that B still maps: it must be copied."""
    story = parent_with_three_pages("linus_pmd").fork(0, 1).fork(0, 2)
    story.write(1, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=3)
    story.exit(2)
    story.write(0, 1).among(leaf_tables_reused=1, faults_cow_copy=1, pages_copied=1)
    story.end()


def test_upper_tables__are_counted_at_every_level():
    """Three levels of 4 entries: the first page needs a middle table, a page 16 further on needs another."""
    story = Story("phillips", tiny_geometry(4, 3)).mmap(0, Mapping(0, 20, ANON))
    story.write(0, 0).among(upper_tables_allocated=1, leaf_tables_allocated=1)
    story.write(0, 4).among(upper_tables_allocated=0, leaf_tables_allocated=1)
    story.write(0, 16).among(upper_tables_allocated=1, leaf_tables_allocated=1)
    story.fork(0, 1).among(upper_tables_allocated=3, leaf_tables_linked=3)
    story.munmap(0, 16, 4).among(upper_tables_freed=1, leaf_tables_dropped=1)
    levels = story.end().levels
    assert levels["pgtable_bytes"] == 4096 * (3 + 2 + 3)
    assert levels["pgtable_charged_bytes"] == 4096 * ((2 + 1) + (3 + 2))


def test_shared_tables__are_charged_to_each_mm_but_allocated_once():
    """VmPTE of both mms counts the table: charged is twice what is allocated for it."""
    levels = parent_with_three_pages("phillips").fork(0, 1).end().levels
    assert levels["leaf_tables"] == 1
    assert levels["pgtable_charged_bytes"] == 2 * 4096
    assert levels["pgtable_bytes"] == (1 + 2) * 4096
