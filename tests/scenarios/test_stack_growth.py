"""A stack grows down: an event without a fault, that reaches into whatever table lies below."""

import pytest
from story import ANON, STACK, Story

from simcore import DESIGNS, Mapping, tiny_geometry
from simcore.designs import derived

LINKING = [name for name, row in DESIGNS.items() if row.fork == "link" and row.links == "every"]


def small_stack(design) -> Story:
    """Map a stack of two pages at the top of the last table and write both."""
    return Story(design).mmap(0, Mapping(14, 2, STACK)).write(0, 14, 2)


@pytest.mark.parametrize("design", ["linux24", "phillips", "linus_pmd", "mainline", "odf", "async_fork"])
def test_grow__costs_the_vma_alone(design):
    """expand_stack moves vm_start; no table, no page. The new pages are ordinary first touches."""
    story = small_stack(design).grow(0, 9).costs(stack_grows=1)
    story.write(0, 13).among(faults_anon=1, leaf_tables_allocated=0)
    story.write(0, 9).among(faults_anon=1, leaf_tables_allocated=1)
    state = story.end()
    assert [(vma.start, vma.end) for vma in state.mms[state.tasks[0][0]].vmas] == [(9, 16)]


@pytest.mark.parametrize("design", LINKING)
def test_grow__unshares_the_table_it_reaches_into(design):
    """Else the new page would appear in the other mm, whose stack has not grown."""
    story = small_stack(design).fork(0, 1).grow(1, 13).among(stack_grows=1, leaf_tables_unshared=1)
    story.write(1, 13).among(faults_anon=1, leaf_tables_unshared=0)
    story.end()


def test_grow__under_pmd_protection_costs_what_an_mmap_there_would():
    """Four entries are looked at, two copied with a reference each and protected in the source."""
    small_stack("linus_pmd").fork(0, 1).grow(1, 13).costs(
        stack_grows=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1, ptes_visited_unshare=4,
        ptes_copied_unshare=2, ptes_wrprotected_unshare=2, refs_taken=2, tlb_flush_range=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


def test_grow__leaves_alone_what_it_does_not_reach():
    """The stack grows into the table below, where somebody else's page lies: that one is unshared alone."""
    story = (
        Story("linus_pmd")
        .mmap(0, Mapping(8, 2, ANON))
        .mmap(0, Mapping(12, 4, STACK))
        .write(0, 8)
        .write(0, 12)
    )
    story.fork(0, 1).grow(1, 11).among(leaf_tables_unshared=1, ptes_copied_unshare=1)
    assert story.end().levels["leaf_tables"] == 3


def test_grow__over_a_table_nobody_has_unshares_nothing():
    """Below the stack there is nothing yet."""
    story = Story("linus_pmd").mmap(0, Mapping(12, 4, STACK)).write(0, 12).fork(0, 1)
    story.grow(1, 8).costs(stack_grows=1)
    story.end()


def test_grow__the_parent_of_a_waiting_child_copies_for_it_first():
    """Deferred copying: the child gets its table before the parent reaches into it."""
    small_stack("async_fork").fork(0, 1).grow(0, 13).among(leaf_tables_unshared=1, leaf_tables_reused=0).end()


def test_grow__keeps_the_anon_vma():
    """The written stack is one vma still: mainline copies the new part's table too, and its page."""
    story = Story("mainline").mmap(0, Mapping(12, 4, STACK)).write(0, 12).grow(0, 10).read(0, 10)
    story.fork(0, 1).among(leaf_tables_allocated=2, ptes_visited_fork=4 + 2, ptes_copied_fork=2)
    story.end()


def test_grow__below_a_split_stack_extends_its_lowest_part():
    """mprotect has cut off the lowest page: that part grows, with its own permission."""
    story = small_stack("linux24").mprotect(0, 14, 1, writable=False).grow(0, 13).read(0, 13)
    story.among(faults_zero_page=1)
    state = story.end()
    parts = [(vma.start, vma.end, vma.writable) for vma in state.mms[state.tasks[0][0]].vmas]
    assert parts == [(13, 15, False), (15, 16, True)]


def test_all_but_stack__copies_the_tables_in_which_the_stack_lies():
    """A design of one's own: three tables, the stack in two of them, one shared with data; those two are copied."""
    design = derived("mine", DESIGNS["linus_pmd"], {"links": "all_but_stack"})
    story = Story(design, tiny_geometry(4, 2)).mmap(0, Mapping(0, 4, ANON)).mmap(0, Mapping(8, 2, ANON))
    story.mmap(0, Mapping(11, 5, STACK)).write(0, 0).write(0, 8).write(0, 12).fork(0, 1)
    story.among(
        leaf_tables_linked=1, leaf_tables_allocated=2, ptes_visited_fork=2 + 1 + 4, ptes_copied_fork=2
    ).end()


def test_all_but_stack__a_stack_that_grew_into_a_table_keeps_it_from_being_linked():
    """The data's table is linked by the first fork; then the stack reaches into it, and the second fork copies it."""
    design = derived("mine", DESIGNS["linus_pmd"], {"links": "all_but_stack"})
    story = Story(design).mmap(0, Mapping(8, 2, ANON)).mmap(0, Mapping(12, 4, STACK)).write(0, 8)
    story.fork(0, 1).among(leaf_tables_linked=1)
    story.grow(0, 11).among(leaf_tables_unshared=1)
    story.fork(0, 2).among(leaf_tables_linked=0, leaf_tables_allocated=1)
    story.end()
