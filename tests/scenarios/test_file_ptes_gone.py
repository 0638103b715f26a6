"""Ptes of files and of shared memory that are cleared, and pages of shared memory that are freed: told apart."""

import pytest
from story import ANON, FILE, FILE_SHARED, SHM, Story

from simcore import Mapping

COPIES = ["linux24", "rmap25", "mainline", "cow_pte_v5"]  # a table of files is no linked one in any of them


@pytest.mark.parametrize("kind", [FILE, FILE_SHARED])
@pytest.mark.parametrize("design", COPIES)
def test_exit__file_ptes_among_anonymous_ones(design, kind):
    """Three anonymous pages and a file page: four ptes go, one of them a file's; the cache keeps its page."""
    story = Story(design).mmap(0, Mapping(0, 4, ANON)).mmap(0, Mapping(4, 1, kind, file=0))
    story.write(0, 0, 3).read(0, 4).exit(0)
    story.among(ptes_zapped=4, file_ptes_zapped=1, shm_pages_freed=0, pages_freed=3)
    story.end()


def test_private_copies__are_no_file_ptes():
    """Of two file pages one was written, and is a page of one's own; the zero page is none of a file either."""
    story = Story("linux24").mmap(0, Mapping(0, 2, FILE, file=0)).mmap(0, Mapping(2, 1, ANON))
    story.read(0, 0, 3).write(0, 0).exit(0)
    story.among(ptes_zapped=3, file_ptes_zapped=1, pages_freed=1)
    story.end()


@pytest.mark.parametrize("design", COPIES)
def test_shm__is_freed_with_its_last_vma(design):
    """Two pages of four exist. The child's exit clears its ptes; the parent's, that pages go with."""
    story = Story(design).mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2).fork(0, 1).read(1, 0, 2)
    story.exit(1).among(ptes_zapped=2, file_ptes_zapped=2, shm_pages_freed=0, pages_freed=0)
    story.exit(0).among(ptes_zapped=2, file_ptes_zapped=2, shm_pages_freed=2, pages_freed=2)
    story.end()


@pytest.mark.parametrize("design", COPIES)
def test_a_part__counts_its_own(design):
    """A munmap of two pages, then a DONTNEED of one: one file pte of the first, then the other."""
    story = Story(design).mmap(0, Mapping(0, 4, FILE_SHARED, file=0)).write(0, 1).write(0, 2)
    story.munmap(0, 0, 2).among(ptes_visited_zap=2, ptes_zapped=1, file_ptes_zapped=1)
    story.dontneed(0, 2, 1).among(ptes_zapped=1, file_ptes_zapped=1)
    story.exit(0).among(ptes_zapped=0, file_ptes_zapped=0)
    story.end()


def test_equal_tables__are_counted_for_each_mm():
    """Two children with the same three ptes, one of a file: each exit clears three."""
    story = Story("linux24").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, FILE_SHARED, file=0))
    story.write(0, 0, 3).fork(0, 1).fork(0, 2)
    for child in (1, 2):
        story.exit(child).among(ptes_zapped=3, file_ptes_zapped=1, pages_freed=0)
    story.end()


def test_swap_entries__are_none():
    """Reclaim puts both pages on swap: what exit clears are entries, and the file page is read once more."""
    story = Story("linux24").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(4, 1, FILE, file=0))
    story.write(0, 0, 2).reclaim(2).read(0, 4)
    story.exit(0).among(ptes_zapped=3, file_ptes_zapped=1)
    story.end()


def test_reclaim__clears_ptes_that_count_elsewhere():
    """What reclaim takes from a process is no zap."""
    story = Story("linux24").mmap(0, Mapping(0, 2, FILE, file=0)).read(0, 0, 2)
    story.reclaim(2).among(ptes_unmapped_reclaim=2, ptes_zapped=0, file_ptes_zapped=0)
    story.end()


def test_dropped_tables__clear_nothing():
    """A linked table is left as it is: the sharer that is left clears its file ptes."""
    story = Story("linus_pmd").mmap(0, Mapping(0, 4, FILE_SHARED, file=0)).write(0, 0, 2).fork(0, 1)
    story.exit(1).among(ptes_zapped=0, file_ptes_zapped=0, leaf_tables_dropped=1)
    story.exit(0).among(ptes_zapped=2, file_ptes_zapped=2)
    story.end()
