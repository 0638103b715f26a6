"""Cases beside the ordinary ones: pages half on swap, upper tables without a leaf table, windows at a table's edge."""

import pytest
from story import ANON, FILE, SHM, Story, path

from simcore import DESIGNS, Mapping, tiny_geometry
from simcore.designs import derived


def three_on_swap():
    """Begin: one page that three mms hold, each through a swap entry."""
    story = Story("linux24").mmap(0, Mapping(0, 4, ANON)).write(0, 0).fork(0, 1).fork(0, 2)
    return story.reclaim(1).among(pages_swapped_out=1, ptes_unmapped_reclaim=3)


def test_write__to_a_page_that_two_ptes_and_a_swap_entry_hold_copies_it():
    """Two mms have read it back: the writer's pte, another pte and a swap entry make three holders."""
    story = three_on_swap().read(0, 0).read(1, 0)
    story.write(0, 0).among(faults_cow_copy=1, faults_cow_reuse=0, pages_copied=1)
    state = story.end()
    assert path(state, 0, 0)[0] != path(state, 1, 0)[0]


def test_write__through_a_swap_entry_beside_a_pte_and_a_swap_entry_copies_at_once():
    """One mm has read it back, a second writes: the first's pte and the third's swap entry still hold the page."""
    story = three_on_swap().read(0, 0)
    story.write(1, 0).among(faults_swap=1, pages_read_back=0, pages_copied=1, pages_allocated=1)
    state = story.end()
    assert path(state, 0, 0)[0] != path(state, 1, 0)[0]


def test_fork__gives_upper_tables_that_an_inherited_vma_reaches_even_without_a_leaf_table():
    """Three levels: an upper table maps 16 pages.

    The written vma (pages 28 to 39) reaches the third, where only a vma that the child does not inherit has a leaf
    table: the child gets pgd, second and third, and one leaf table.
    """
    story = (
        Story("mainline", tiny_geometry(4, 3)).mmap(0, Mapping(28, 12, ANON)).mmap(0, Mapping(44, 4, ANON))
    )
    story.write(0, 28).read(0, 44)
    story.fork(0, 1).among(upper_tables_allocated=3, leaf_tables_allocated=1).end()


def test_fork__leaves_out_an_upper_table_whose_neighbour_is_inherited():
    """The first 16 pages were only read; the written vma lies in the second 16: pgd, one upper and one leaf table."""
    story = Story("mainline", tiny_geometry(4, 3)).mmap(0, Mapping(0, 4, ANON)).mmap(0, Mapping(20, 4, ANON))
    story.read(0, 0).write(0, 20)
    story.fork(0, 1).among(upper_tables_allocated=2, leaf_tables_allocated=1).end()


def test_fault_around__begins_no_earlier_than_the_table():
    """The window of 16 pages reaches over the first table; only pages 4 to 7, those of the second, are mapped."""
    story = Story("mainline").mmap(0, Mapping(0, 8, FILE, file=0))
    story.read(0, 5).among(faults_file_map=1, ptes_mapped_around=3)
    assert sorted(view.page for view in story.end().frames.values()) == [4, 5, 6, 7]


def test_fork__copies_ptes_of_a_shared_mapping_as_writable_as_they_are():
    """The child writes to shared memory without a fault."""
    story = Story("linux24").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0).fork(0, 1)
    story.write(1, 0).costs()
    state = story.end()
    assert path(state, 0, 0) == path(state, 1, 0)


def test_mprotect__of_a_part_keeps_the_count_of_who_maps_a_shm_object():
    """Two mms map it, one in three parts then; its two pages go with the last part of the last mm, not before."""
    story = Story("linux24").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2)
    story.mprotect(0, 1, 1, writable=False).among(vmas_split=2)
    story.munmap(0, 0, 2).among(pages_freed=0)
    story.munmap(0, 2, 2).among(pages_freed=2)
    assert story.end().levels["pages"] == 0


@pytest.mark.parametrize(("more_than", "linked"), [(0, 1), (1, 0)])
def test_fork__links_from_the_first_table_on_where_none_is_too_few(more_than, linked):
    """One populated table is more than none, and not more than one."""
    design = derived("small", DESIGNS["mccracken_gt3"], {"more_than": more_than})
    story = Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0)
    story.fork(0, 1).among(leaf_tables_linked=linked, leaf_tables_allocated=1 - linked).end()


def test_unshare__knows_which_ptes_of_a_table_are_cowable():
    """The second table holds private and shared memory, the first private: the shared page stays writable."""
    story = Story("linus_pmd").mmap(0, Mapping(0, 6, ANON)).mmap(0, Mapping(6, 2, SHM, file=0))
    story.write(0, 4).write(0, 6, 2).fork(0, 1)
    story.write(1, 4).among(leaf_tables_unshared=1, ptes_copied_unshare=3, ptes_wrprotected_unshare=1)
    story.write(1, 6, 2).costs()
    story.end()
