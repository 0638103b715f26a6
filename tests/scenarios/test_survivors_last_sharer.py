"""The last sharer who copies: no shipped design has it, so only these stories, told of derived ones, hold its rule."""

import pytest
from story import ANON, FILE, Story, charged, path

from simcore import DESIGNS, Mapping
from simcore.designs import derived

COPIES = {"last_sharer": "copies"}
PMD = derived("copying_pmd", DESIGNS["linus_pmd"], COPIES)
CHAIN = derived("copying_rmap", DESIGNS["linus_rmap"], COPIES)
V5 = derived("copying_v5", DESIGNS["cow_pte_v5"], COPIES)
V5_NO_RMAP = derived(
    "copying_v5_no_rmap", DESIGNS["cow_pte_v5"], COPIES | {"rmap": "none", "reclaim": "scan"}
)

# One table copied, the old one freed, by a write to a page that nobody else holds.
COPIED = {
    "leaf_tables_unshared": 1, "leaf_tables_allocated": 1, "leaf_tables_freed": 1, "pmds_written": 1,
    "ptes_visited_unshare": 4, "ptes_copied_unshare": 3, "ptes_wrprotected_unshare": 3,
    "faults_cow_reuse": 1, "tlb_flush_range": 1, "tlb_flush_page": 1, "tlb_mms_reached": 2,
}  # fmt: skip


def alone(design):
    """Begin: three pages of a table written, a child that shares it comes and goes; the entry stays closed."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1).exit(1)


def test_write__copies_the_table_and_frees_the_old_one():
    """Three references are taken for the copy, three dropped with the old table; then the page is found unshared."""
    state = alone(PMD).write(0, 0).costs(**COPIED, refs_taken=3, refs_dropped=3).end()
    assert path(state, 0, 0)[1]
    assert not path(state, 0, 1)[1]  # the copy is read-only but for the page just written
    assert (state.levels["leaf_tables"], state.levels["rss_pages"], charged(state)) == (1, 3, 1)


def test_write__once_copied_the_table_is_open():
    """The next write is an ordinary fault in a table of one's own."""
    story = alone(PMD).write(0, 0)
    story.write(0, 1).costs(faults_cow_reuse=1, tlb_flush_page=1, tlb_mms_reached=1)
    story.write(0, 0).costs().end()


def test_write__moves_chain_elements_one_by_one():
    """Each page has two elements for a moment; to remove the old one its chain of two is walked."""
    story = alone(CHAIN).write(0, 0)
    story.costs(**COPIED, refs_taken=3, refs_dropped=3, rmap_added=3, rmap_removed=3, rmap_walked=6)
    assert story.end().rmap_elements == 3


@pytest.mark.parametrize("design", [V5, V5_NO_RMAP], ids=lambda design: design.name)
def test_write__where_each_sharer_holds_references_they_move_along(design):
    """Nothing is taken or dropped: the mm's own references were there before and are there after."""
    state = alone(design).write(0, 0).costs(**COPIED).end()
    assert state.rmap_elements == (3 if design is V5 else 0)
    assert state.levels["rss_pages"] == 3


def test_write__copies_entries_that_hold_no_page_of_its_own():
    """A zero page and a file's page: the zero page takes no reference, the file's page takes and drops one."""
    story = Story(PMD).mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, FILE, file=0))
    story.read(0, 0).read(0, 2).write(0, 1).fork(0, 1).exit(1)
    story.write(0, 1).costs(**COPIED | {"ptes_wrprotected_unshare": 1}, refs_taken=2, refs_dropped=2)
    assert story.end().levels["rss_pages"] == 2


def test_write__swap_entries_are_copied_and_lead_to_the_same_page():
    """Three pages go to swap; the copy has three swap entries, of which the write brings one back, its alone."""
    story = alone(PMD).reclaim(3)
    story.write(0, 0).costs(
        leaf_tables_unshared=1, leaf_tables_allocated=1, leaf_tables_freed=1, pmds_written=1, ptes_visited_unshare=4,
        ptes_copied_unshare=3, faults_swap=1, pages_read_back=1, pages_allocated=1, tlb_flush_range=1, tlb_mms_reached=1,
    )  # fmt: skip
    state = story.end()
    assert sorted(view.swapcount for view in state.frames.values()) == [0, 1, 1]


def test_write__of_one_of_two_sharers_is_an_ordinary_unsharing():
    """The other sharer keeps the table; it is the last one now, and copies in its turn."""
    story = Story(PMD).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1)
    story.write(1, 0).among(
        leaf_tables_unshared=1, leaf_tables_allocated=1, leaf_tables_freed=0, faults_cow_copy=1
    )
    # page 0 is the parent's alone since the child has a copy; pages 1 and 2 are held by both tables
    story.write(0, 0).costs(**COPIED | {"ptes_wrprotected_unshare": 0}, refs_taken=3, refs_dropped=3)
    assert story.end().levels["leaf_tables"] == 2
