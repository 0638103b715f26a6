"""Deferred copying: the child copies before it first runs, and whoever is in the way gives it its copy first."""

import pytest
from story import ANON, SHM, Story

from simcore import DESIGNS, Mapping, TraceBuilder, tiny_geometry
from simcore.acts import ACT
from simcore.simulate import simulate

COPY = {
    "leaf_tables_unshared": 1, "leaf_tables_allocated": 1, "ptes_visited_unshare": 4, "ptes_copied_unshare": 3,
    "ptes_wrprotected_unshare": 3, "refs_taken": 3, "tlb_flush_range": 1,
}  # fmt: skip


def parent_with_three_pages() -> Story:
    """Map four pages in one table and write three of them."""
    return Story("async_fork").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)


def test_fork__touches_directory_entries_only():
    """One entry closed, one written; the child has not run and still has everything to copy."""
    story = parent_with_three_pages().fork(0, 1).costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=2,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    state = story.end()
    assert state.mms[state.tasks[1][0]].pending
    assert state.levels["leaf_tables"] == 1


def test_child__copies_every_table_before_its_first_read():
    """The read itself is no fault. Both sides' ptes are read-only now: each page's first write is a copy."""
    story = parent_with_three_pages().fork(0, 1)
    story.read(1, 0).costs(**COPY, pmds_written=1, rmap_added=3, tlb_mms_reached=1)
    story.read(1, 1).costs()
    story.write(1, 0).among(faults_cow_copy=1, leaf_tables_unshared=0)
    story.write(0, 1).among(faults_cow_copy=1, leaf_tables_reused=1)
    state = story.end()
    assert not state.mms[state.tasks[1][0]].pending


@pytest.mark.parametrize("engine", ["oracle", "fast"])
def test_child__its_copying_is_a_kind_of_event_of_its_own(engine):
    """The copying stands under deferred_copy, not under the fork and not under the fault that follows."""
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 8, ANON))
    builder.write(0, 0, 8)
    builder.fork(0, 1)
    builder.write(1, 0)
    result = simulate(builder.build(), DESIGNS["async_fork"], tiny_geometry(), engine)
    unshared = ACT["leaf_tables_unshared"]
    assert result.by_kind("deferred_copy")[unshared] == 2
    assert result.by_kind("write_fault")[unshared] == 0
    assert result.by_kind("fork")[unshared] == 0


def test_child__without_tables_has_nothing_to_copy():
    """No page was touched: the first event is the child's own and no other."""
    story = Story("async_fork").mmap(0, Mapping(0, 4, ANON)).fork(0, 1)
    story.write(1, 0).costs(
        faults_anon=1,
        pages_allocated=1,
        pages_zeroed=1,
        rmap_added=1,
        leaf_tables_allocated=1,
        pmds_written=1,
    )
    story.end()


def test_parent__that_writes_first_copies_the_table_for_the_child():
    """The child's entry is set to its copy, the parent's is reopened: two writes.

    The page is copied in the same fault, because the child holds it too. Then there is nothing left for the child to
    do.
    """
    story = parent_with_three_pages().fork(0, 1).write(0, 0)
    story.costs(
        **COPY, pmds_written=2, leaf_tables_reused=1, faults_cow_copy=1, pages_allocated=1, pages_copied=1,
        refs_dropped=1, rmap_added=3 + 1, rmap_removed=1, tlb_flush_page=1, tlb_mms_reached=2,
    )  # fmt: skip
    story.read(1, 0).costs()
    story.end()


def test_parent__gives_each_waiting_child_its_copy():
    """Two forks, neither child has run: the parent's write makes two copies and keeps the old table."""
    story = parent_with_three_pages().fork(0, 1).fork(0, 2)
    story.write(0, 0).among(
        leaf_tables_unshared=2, leaf_tables_allocated=2, leaf_tables_reused=1, pmds_written=3
    )
    state = story.end()
    assert all(table.refcount == 1 for table in state.tables.values())


def test_parent__copies_only_the_table_that_it_writes():
    """Two tables: the child gets the first from the parent and copies the second itself."""
    story = Story("async_fork").mmap(0, Mapping(0, 8, ANON)).write(0, 0, 8).fork(0, 1)
    story.write(0, 0).among(leaf_tables_unshared=1)
    story.read(1, 0).among(leaf_tables_unshared=1, ptes_copied_unshare=4)
    story.end()


def test_parent__read_faults_fill_the_table_for_the_child_too():
    """Only what changes a pte that the child needs makes the parent copy: the child finds four ptes."""
    story = parent_with_three_pages().fork(0, 1)
    story.read(0, 3).costs(faults_zero_page=1)
    story.read(1, 3).among(leaf_tables_unshared=1, ptes_copied_unshare=4, faults_zero_page=0)
    story.end()


def test_siblings__one_that_runs_leaves_the_table_to_the_other_and_the_parent():
    """The first child copies at refcount 3, the second at 2; the parent reopens what is left to it alone."""
    story = parent_with_three_pages().fork(0, 1).fork(0, 2)
    story.read(1, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=3)
    story.read(2, 0).among(leaf_tables_unshared=1, ptes_wrprotected_unshare=0)
    story.write(0, 0).among(leaf_tables_unshared=0, leaf_tables_reused=1, faults_cow_copy=1)
    story.end()


@pytest.mark.parametrize(
    ("verb", "arguments", "zapped"),
    [
        ("munmap", (0, 0, 4), 3),
        ("munmap", (0, 2, 1), 1),
        ("dontneed", (0, 0, 4), 3),
        ("exit", (0,), 3),
        ("exec", (0, 0), 3),
    ],
)
def test_parent__that_takes_pages_away_copies_for_the_child_first(verb, arguments, zapped):
    """Whole tables and parts alike: nothing is dropped, the child keeps its three pages."""
    story = Story("async_fork", images=([],)).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1)
    getattr(story, verb)(*arguments)
    story.among(leaf_tables_unshared=1, leaf_tables_dropped=0, ptes_zapped=zapped)
    story.read(1, 0, 3).costs()
    story.end()


def test_parent__that_maps_or_protects_copies_for_the_child_first():
    """A new vma in the table would reach into the child's; a permission is one mm's own."""
    story = Story("async_fork").mmap(0, Mapping(0, 3, ANON)).write(0, 0, 3).fork(0, 1)
    story.mmap(0, Mapping(3, 1, ANON)).among(leaf_tables_unshared=1)
    story.fork(0, 2).mprotect(0, 0, 2, writable=False).among(leaf_tables_unshared=1, ptes_changed_mprotect=0)
    story.end()


def test_child__that_execs_at_once_copies_for_nothing():
    """It runs, so it copies: then the exec throws the copy away."""
    story = Story("async_fork", images=([],)).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1)
    story.exec(1, 0).among(execs=1, leaf_tables_unshared=1, ptes_zapped=3, leaf_tables_freed=1)
    story.end()


def test_child__that_forks_copies_first_and_links_to_its_own():
    """The grandchild waits for what the child has, not for what the parent had."""
    story = parent_with_three_pages().fork(0, 1).fork(1, 2)
    story.among(leaf_tables_unshared=1, leaf_tables_linked=1)
    story.write(0, 0).among(leaf_tables_unshared=0, leaf_tables_reused=1, faults_cow_copy=1)
    story.write(1, 0).among(leaf_tables_unshared=1, leaf_tables_reused=1)
    story.end()


def test_shared_mapping__is_left_to_faults():
    """It needs no copy: the child has no table there and waits for nothing."""
    story = Story("async_fork").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0, 2).fork(0, 1)
    story.among(leaf_tables_linked=0)
    story.write(1, 0).among(faults_file_map=1, leaf_tables_unshared=0, leaf_tables_allocated=1)
    story.end()
