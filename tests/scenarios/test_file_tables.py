"""Tables shared through the file: who finds which, who fills them for whom, and what makes a table one's own again."""

import pytest
from story import ANON, FILE, FILE_SHARED, SHM, Story, charged

from simcore import Mapping, tiny_geometry

PROGRAM = [Mapping(0, 4, FILE, writable=False, file=0), Mapping(8, 4, ANON)]
JOIN = {"faults_table_only": 1, "leaf_tables_linked": 1, "pmds_written": 1}  # a fault that finds all it needs


def two_mms(*mappings: Mapping, other: tuple[Mapping, ...] | None = None) -> Story:
    """Return a story in which tasks 0 and 1 exec images with these mappings; they have nothing else in common."""
    images = (list(mappings), list(mappings if other is None else other))
    return Story("shared_mmap", images=images).fork(0, 1).exec(0, 0).exec(1, 1)


# finding a table


def test_unrelated_mms__share_the_table_of_a_program():
    """The first reader makes the table and fills it: its page and three around.

    The second finds the table with the pages in it: one fault, one written entry, no reference, no flush.
    """
    story = two_mms(*PROGRAM).read(0, 1)
    story.costs(
        faults_file_map=1, ptes_mapped_around=3, refs_taken=4, rmap_added=4, leaf_tables_allocated=1, pmds_written=1
    )  # fmt: skip
    story.read(1, 2).costs(**JOIN)
    story.read(1, 0, 4).costs()
    levels = story.end().levels
    assert (levels["leaf_tables"], levels["rss_pages"], levels["cache_pages"]) == (1, 8, 4)


def test_fork__leaves_it_to_the_childs_first_fault():
    """Nothing is inherited: the child has the vma and finds the table."""
    story = Story("shared_mmap", images=(PROGRAM,)).exec(0, 0).read(0, 0).fork(0, 1)
    story.costs(forks=1, vmas_copied=2, upper_tables_allocated=1, tlb_flush_mm=1, tlb_mms_reached=1)
    story.read(1, 0).costs(**JOIN)
    story.end()


def test_fork__of_private_memory_is_mainlines():
    """Written anonymous memory is copied pte by pte."""
    story = Story("shared_mmap", images=(PROGRAM,)).exec(0, 0).write(0, 8, 2).read(0, 0).fork(0, 1)
    story.among(
        leaf_tables_allocated=1, leaf_tables_linked=0, ptes_copied_fork=2, ptes_wrprotected_fork=2
    ).end()


def test_upper_tables__are_each_mms_own():
    """The slot of the found table needs a middle table to stand in."""
    story = Story("shared_mmap", tiny_geometry(4, 3), images=(PROGRAM,)).exec(0, 0).read(0, 0).fork(0, 1)
    story.read(1, 0).costs(**JOIN, upper_tables_allocated=1)
    story.end()


def test_charge__each_mm_is_charged_for_the_table():
    """VmPTE of both counts it, as that of hugetlb's shared tables does."""
    assert charged(two_mms(*PROGRAM).read(0, 0).read(1, 0).end()) == 2


def test_same_pages__at_another_address_share_as_well():
    """What counts is which page of the file the table begins with, not where it is mapped."""
    story = two_mms(Mapping(0, 4, FILE_SHARED, file=0), other=(Mapping(8, 4, FILE_SHARED, file=0),))
    story.read(0, 0).read(1, 8).costs(**JOIN)
    story.end()


def test_mm__may_share_a_table_with_itself():
    """One mm maps a file twice: its two slots point to one table."""
    story = Story("shared_mmap").mmap(0, Mapping(0, 4, SHM, file=0)).mmap(0, Mapping(8, 4, SHM, file=0))
    story.write(0, 1).write(0, 9).costs(**JOIN)
    story.munmap(0, 0, 4).among(leaf_tables_dropped=1, ptes_zapped=0)
    story.munmap(0, 8, 4).among(leaf_tables_freed=1, ptes_zapped=1, pages_freed=1)
    story.end()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Mapping(0, 4, FILE_SHARED, file=0), Mapping(0, 4, FILE_SHARED, file=0, offset=4)),  # other pages
        (Mapping(0, 4, FILE_SHARED, file=0), Mapping(0, 4, FILE_SHARED, file=1)),  # another file
        (
            Mapping(0, 4, FILE_SHARED, file=0),
            Mapping(0, 4, FILE_SHARED, writable=False, file=0),
        ),  # other rights
        (Mapping(0, 4, FILE_SHARED, file=0), Mapping(0, 3, FILE_SHARED, file=0)),  # not the whole table
        (Mapping(0, 4, FILE_SHARED, file=0), Mapping(1, 3, FILE_SHARED, file=0, offset=1)),  # nor this
        (Mapping(0, 4, FILE, file=0), Mapping(0, 4, FILE, file=0)),  # private and writable
        (
            Mapping(0, 4, FILE_SHARED, file=0),
            Mapping(4, 8, FILE_SHARED, file=0, offset=2),
        ),  # another place in the table
    ],
)
def test_other_mappings__have_tables_of_their_own(one, other):
    """A table serves those alone for whom each of its entries would be the same."""
    story = two_mms(one, other=(other,)).read(0, 0)
    story.read(1, other.start).among(leaf_tables_allocated=1, leaf_tables_linked=0, faults_file_map=1)
    story.end()


def test_read_only__private_and_shared_mappings_share_one_table():
    """Nobody can write through either, so they are alike."""
    story = two_mms(
        Mapping(0, 4, FILE, writable=False, file=0),
        other=(Mapping(0, 4, FILE_SHARED, writable=False, file=0),),
    )
    story.read(0, 0).read(1, 0).costs(**JOIN)
    story.end()


# filling it


def test_write__of_one_fills_the_table_for_the_other():
    """The second mm finds page 0 and makes page 1; the first writes it without a fault."""
    story = two_mms(Mapping(0, 4, SHM, file=0)).write(0, 0).write(1, 0).costs(**JOIN)
    story.write(1, 1).costs(faults_file_map=1, pages_allocated=1, pages_zeroed=1, refs_taken=1, rmap_added=1)
    story.write(0, 1).costs()
    assert story.end().levels["rss_pages"] == 4


def test_absent_page__of_a_found_table_is_filled_in_the_same_fault():
    """The table is there, the page is not: one fault links the one and maps the other."""
    story = two_mms(Mapping(0, 4, SHM, file=0)).write(0, 0)
    story.write(1, 3).costs(
        faults_file_map=1, leaf_tables_linked=1, pmds_written=1, pages_allocated=1, pages_zeroed=1,
        refs_taken=1, rmap_added=1,
    )  # fmt: skip
    story.end()


# leaving it


def test_munmap__of_a_part_unshares_the_table():
    """The one that keeps a part gets its own copy, and clears what goes; the file's table stays for the other."""
    story = two_mms(Mapping(0, 4, SHM, file=0)).write(0, 0, 4).read(1, 0).munmap(1, 3, 1)
    story.costs(
        munmaps=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1, ptes_visited_unshare=4,
        ptes_copied_unshare=4, refs_taken=4, rmap_added=4, ptes_visited_zap=1, ptes_zapped=1, refs_dropped=1,
        file_ptes_zapped=1, rmap_removed=1, tlb_flush_range=2, tlb_mms_reached=2,
    )  # fmt: skip
    story.write(0, 3).costs()
    story.write(1, 0).costs()
    assert story.end().levels["rss_pages"] == 4 + 3


def test_munmap__of_the_whole_drops_the_table():
    """Nothing is looked at; the last to leave clears the ptes and frees it, and nobody finds it any more."""
    story = two_mms(Mapping(0, 4, FILE_SHARED, file=0)).read(0, 0).read(1, 0)
    story.munmap(1, 0, 4).costs(
        munmaps=1, vmas_unmapped=1, leaf_tables_dropped=1, pmds_written=1, tlb_flush_range=1, tlb_mms_reached=1
    )  # fmt: skip
    story.munmap(0, 0, 4).among(leaf_tables_freed=1, ptes_zapped=4)
    story.mmap(1, Mapping(0, 4, FILE_SHARED, file=0)).read(1, 0).among(
        leaf_tables_allocated=1, leaf_tables_linked=0
    )
    story.end()


def test_munmap__of_a_part_by_the_only_user_takes_the_table_from_the_file():
    """It no longer is what a covering mapping would need: the next mm makes a table of its own."""
    story = two_mms(Mapping(0, 4, FILE_SHARED, file=0)).read(0, 0)
    story.munmap(0, 3, 1).among(leaf_tables_unshared=0, ptes_zapped=1)
    story.read(1, 0).among(leaf_tables_allocated=1, leaf_tables_linked=0)
    story.end()


def test_exit__drops_it_like_any_shared_table():
    """Two leave: the first looks at no pte, the second clears four."""
    story = two_mms(Mapping(0, 4, FILE_SHARED, file=0)).read(0, 0).read(1, 0)
    story.exit(1).among(leaf_tables_dropped=1, ptes_visited_zap=0)
    story.exit(0).among(leaf_tables_freed=1, ptes_zapped=4, rmap_removed=4)
    story.end()


def test_mprotect__makes_the_table_ones_own():
    """A read-only private mapping becomes writable: its table is copied first, then a write copies the page."""
    story = two_mms(Mapping(0, 4, FILE, writable=False, file=0)).read(0, 0).read(1, 0)
    story.mprotect(1, 0, 4, writable=True).costs(
        mprotects=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1, ptes_visited_unshare=4,
        ptes_copied_unshare=4, refs_taken=4, rmap_added=4, ptes_visited_mprotect=4, tlb_flush_range=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.write(1, 0).among(faults_cow_copy=1, leaf_tables_unshared=0)
    story.read(0, 0, 4).costs()
    story.end()


def test_mprotect__by_the_only_user_takes_the_table_from_the_file():
    """Back to read-only it is as before for its mm, but not for others."""
    story = two_mms(Mapping(0, 4, FILE_SHARED, file=0)).read(0, 0)
    story.mprotect(0, 0, 4, writable=False).among(leaf_tables_unshared=0, ptes_changed_mprotect=4)
    story.mprotect(0, 0, 4, writable=True).among(ptes_changed_mprotect=4)
    story.read(1, 0).among(leaf_tables_allocated=1, leaf_tables_linked=0)
    story.end()


def test_mprotect__of_another_table_of_the_vma_leaves_this_one_shared():
    """The vma is split at the table's edge; the part that did not change still shares."""
    story = two_mms(Mapping(0, 8, FILE, writable=False, file=0)).read(0, 0).read(0, 4)
    story.mprotect(0, 4, 4, writable=True).among(vmas_split=1, leaf_tables_unshared=0)
    story.read(1, 0).costs(**JOIN)
    story.read(1, 4).among(leaf_tables_allocated=1)
    story.end()


def test_private_write__ends_sharing_for_tables_yet_to_come():
    """Writable, written once and read-only again: the vma has an anon_vma, so its next table is its own."""
    story = two_mms(Mapping(0, 8, FILE, writable=False, file=0)).mprotect(0, 0, 8, writable=True).write(0, 0)
    story.mprotect(0, 0, 8, writable=False).read(0, 4)
    story.read(1, 4).among(leaf_tables_allocated=1, leaf_tables_linked=0)
    story.end()


@pytest.mark.parametrize(
    ("start", "count", "dropped", "unshared"), [(0, 4, 1, 0), (0, 2, 0, 1), (1, 3, 0, 1), (0, 8, 1, 0)]
)
def test_dontneed__drops_the_whole_and_unshares_for_a_part(start, count, dropped, unshared):
    """The other mm keeps its pages; what was let go of is in the page cache and comes back with a fault."""
    story = two_mms(Mapping(0, 4, FILE_SHARED, file=0)).read(0, 0).read(1, 0).dontneed(1, start, count)
    story.among(leaf_tables_dropped=dropped, leaf_tables_unshared=unshared)
    story.read(0, 0, 4).costs()
    story.read(1, start).among(pages_read_back=0, leaf_tables_linked=dropped, faults_file_map=unshared)
    story.end()


def test_dontneed__by_the_only_user_frees_the_table():
    """As in mainline; nobody can find it any more."""
    story = two_mms(Mapping(0, 4, FILE_SHARED, file=0)).read(0, 0)
    story.dontneed(0, 0, 4).among(ptes_zapped=4, leaf_tables_freed=1)
    story.read(1, 0).among(leaf_tables_allocated=1, leaf_tables_linked=0)
    story.end()
