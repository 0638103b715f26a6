"""Permissions that come back, and first writes that a file system is told of."""

import pytest
from story import ANON, FILE_SHARED, Story

from simcore import DESIGNS, Mapping

RANGE = {"tlb_flush_range": 1, "tlb_mms_reached": 1}
FLUSH = {"tlb_flush_page": 1, "tlb_mms_reached": 1}
NOTIFYING = [name for name, row in DESIGNS.items() if row.dirty_tracking == "notify"]
UNTOLD = [name for name, row in DESIGNS.items() if row.dirty_tracking == "none"]


def protected(design: str) -> Story:
    """Map a table, write two pages, make it read-only."""
    return Story(design).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 2).mprotect(0, 0, 4, writable=False)


# private memory


def test_exclusive_pages__are_writable_again_at_once():
    """Two ptes change, and the writes do not fault; the third page is new."""
    story = protected("mainline").mprotect(0, 0, 4, writable=True)
    story.costs(mprotects=1, ptes_visited_mprotect=4, ptes_changed_mprotect=2, **RANGE)
    story.write(0, 0, 2).costs().write(0, 2).among(faults_anon=1)
    story.end()


@pytest.mark.parametrize("design", ["linux24", "linux26", "shared_mmap", "cow_pte"])
def test_designs_that_do_not_know__wait_for_the_fault(design):
    """No pte changes; each page's write makes it writable."""
    story = protected(design).mprotect(0, 0, 4, writable=True).costs(mprotects=1, ptes_visited_mprotect=4)
    story.write(0, 0).costs(faults_cow_reuse=1, **FLUSH)
    story.end()


@pytest.mark.parametrize("ends", [True, False])
def test_page_that_fork_copied__is_not_known_to_be_exclusive(ends):
    """Not even when the child is gone: its next write is a fault, and makes it exclusive again."""
    story = Story("mainline").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 2).fork(0, 1)
    if ends:
        story.exit(1)
    story.write(0, 0).mprotect(0, 0, 4, writable=False).mprotect(0, 0, 4, writable=True)
    story.among(ptes_changed_mprotect=1)
    story.write(0, 0).costs().write(0, 1).among(faults_cow_reuse=int(ends), faults_cow_copy=int(not ends))
    story.end()


def test_fork_between__forgets_what_could_be_reopened():
    """The child's copy of the pte makes the page no longer exclusive, on either side."""
    story = (
        protected("mainline")
        .fork(0, 1)
        .mprotect(0, 0, 4, writable=True)
        .costs(mprotects=1, ptes_visited_mprotect=4)
    )
    story.mprotect(1, 0, 4, writable=True).costs(mprotects=1, ptes_visited_mprotect=4)
    story.write(1, 0).among(faults_cow_copy=1).write(0, 0).among(faults_cow_reuse=1)
    story.end()


def test_page_read_back_from_swap__is_exclusive_if_nobody_else_has_it():
    """It comes back read-only; once its vma was closed and opened it is writable."""
    story = (
        Story("mainline").mmap(0, Mapping(0, 2, ANON)).write(0, 0).reclaim(1).read(0, 0).among(faults_swap=1)
    )
    story.mprotect(0, 0, 2, writable=False).costs(mprotects=1, ptes_visited_mprotect=2)
    story.mprotect(0, 0, 2, writable=True).among(ptes_changed_mprotect=1).write(0, 0).costs()
    story.end()


# shared mappings of files whose first writes are told


def mapped(design: str, *, tracked: bool = True) -> Story:
    """Map four pages of a file shared."""
    return Story(design).mmap(0, Mapping(0, 4, FILE_SHARED, file=0, tracked=tracked))


@pytest.mark.parametrize("design", NOTIFYING)
def test_page_that_was_read__is_told_at_its_first_write(design):
    """A fault that only makes the pte writable; the second write is none."""
    story = mapped(design).read(0, 0).among(faults_file_map=1)
    story.write(0, 0).costs(faults_cow_reuse=1, **FLUSH)
    story.write(0, 0).costs()
    story.end()


@pytest.mark.parametrize("design", NOTIFYING)
def test_page_that_is_written_first__takes_one_fault(design):
    """Nothing is mapped around a write, and the page is writable at once."""
    story = mapped(design).write(0, 1).among(faults_file_map=1, ptes_mapped_around=0).write(0, 1).costs()
    story.read(0, 0).among(faults_file_map=1).write(0, 3).among(faults_cow_reuse=1)
    story.end()


@pytest.mark.parametrize("design", UNTOLD)
def test_designs_before_that__write_to_mapped_pages(design):
    """As everybody does where the file system does not ask."""
    story = mapped(design).read(0, 0).write(0, 0).costs()
    story.end()


def test_file_system_that_does_not_ask__is_not_told():
    """tmpfs, for one."""
    mapped("mainline", tracked=False).read(0, 0).write(0, 0, 4).costs().end()


def test_dirty_page__is_reopened_with_its_vma():
    """The dirty one of two becomes writable again; the clean one's write is told."""
    story = mapped("mainline").read(0, 0).write(0, 1).mprotect(0, 0, 4, writable=False)
    story.among(ptes_changed_mprotect=1).mprotect(0, 0, 4, writable=True).among(ptes_changed_mprotect=1)
    story.write(0, 1).costs().write(0, 0).costs(faults_cow_reuse=1, **FLUSH)
    story.end()
