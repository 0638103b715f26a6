"""Huge pages of anonymous memory: one entry for a table's span, a table kept for it, split when a part is needed.

Tables have four entries here, so a huge page has four pages. The same rules were watched on a kernel: docs/truth.md.
"""

from dataclasses import replace

import pytest
from story import ANON, HEAP, STACK, Story, path

from simcore import DESIGNS, Mapping, tiny_geometry
from simcore.designs import derived
from simcore.errors import Refusal, TraceRefused
from simcore.simulate import start

ALWAYS, MADVISE = (replace(tiny_geometry(), thp=thp) for thp in ("always", "madvise"))
TABLE = {"leaf_tables_allocated": 1, "pmds_written": 1}
NEW = {"faults_huge": 1, "huge_pages_allocated": 1, "rmap_added": 1, **TABLE}
FLUSH = {"tlb_flush_page": 1, "tlb_mms_reached": 1}
RANGE = {"tlb_flush_range": 1, "tlb_mms_reached": 1}
COPY = {
    "faults_cow_copy": 1,
    "pages_allocated": 1,
    "pages_copied": 1,
    "refs_dropped": 1,
    "rmap_added": 1,
    "rmap_removed": 1,
}


def written(design: str = "mainline") -> Story:
    """Map two tables and write one page of the first: a huge page."""
    return Story(design, ALWAYS).mmap(0, Mapping(0, 8, ANON)).write(0, 1)


# the first touch


@pytest.mark.parametrize("kind", [ANON, HEAP, STACK])
def test_first_write__fills_the_span_of_a_table(kind):
    """One fault, one huge page, one table to keep; the other three pages do not fault."""
    story = Story("mainline", ALWAYS).mmap(0, Mapping(0, 8, kind)).write(0, 1).costs(**NEW)
    story.write(0, 0, 4).costs()
    state = story.end()
    assert state.levels["pages"] == state.levels["rss_pages"] == 4
    assert state.levels["leaf_tables"] == 1


def test_first_read__maps_the_huge_zero_page_and_a_write_replaces_it():
    """No page is resident until one is written; then all four are, in one fault."""
    story = (
        Story("mainline", ALWAYS).mmap(0, Mapping(0, 4, ANON)).read(0, 2).costs(faults_huge_zero=1, **TABLE)
    )
    story.read(0, 0, 4).costs()
    story.write(0, 3).costs(faults_huge=1, huge_pages_allocated=1, rmap_added=1, **FLUSH)
    story.write(0, 0, 4).costs()
    assert story.end().levels["rss_pages"] == 4


def test_memory_that_was_only_read__is_copied_by_fork_all_the_same():
    """The fault has given the vma an anon_vma; the child has the huge zero page without a fault."""
    story = Story("mainline", ALWAYS).mmap(0, Mapping(0, 4, ANON)).read(0, 0).fork(0, 1)
    story.among(huge_copied_fork=1, leaf_tables_allocated=1, refs_taken=0, rmap_added=0, ptes_visited_fork=0)
    story.read(1, 0, 4).costs()
    story.end()


@pytest.mark.parametrize(("start", "pages"), [(1, 4), (0, 3), (2, 6)])
def test_span_that_no_vma_covers__has_small_pages(start, pages):
    """The first page that is written lies in a table that the vma covers in part."""
    story = Story("mainline", ALWAYS).mmap(0, Mapping(start, pages, ANON)).write(0, start)
    story.among(faults_anon=1, faults_huge=0, pages_allocated=1).end()


def test_table_that_is_there__stays_one_of_small_pages():
    """A table was made for a shorter vma; what is mapped later beside it does not make it huge."""
    story = Story("mainline", ALWAYS).mmap(0, Mapping(0, 3, ANON)).write(0, 0).munmap(0, 1, 2)
    story.mmap(0, Mapping(1, 3, ANON)).write(0, 1).among(faults_anon=1, faults_huge=0).end()


def test_madvise__only_where_it_was_asked_for():
    """Of two vmas the advised one gets a huge page."""
    story = Story("mainline", MADVISE).mmap(0, Mapping(0, 4, ANON)).mmap(0, Mapping(4, 4, ANON, advised=True))
    story.write(0, 0).among(faults_anon=1).write(0, 4).costs(**NEW).end()


@pytest.mark.parametrize(("design", "geometry"), [("linux26", ALWAYS), ("mainline", tiny_geometry())])
def test_design_or_geometry_without__has_small_pages(design, geometry):
    """Advice alone is not enough."""
    story = Story(design, geometry).mmap(0, Mapping(0, 4, ANON, advised=True)).write(0, 0)
    story.among(faults_anon=1, faults_huge=0).end()


# fork and what comes after it


def test_fork__copies_the_entry_and_gives_the_child_a_table():
    """No pte is looked at; one reference, one mapcount for the huge page."""
    story = written().fork(0, 1)
    story.costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, huge_copied_fork=1, refs_taken=1, rmap_added=1,
        tlb_flush_mm=1, tlb_mms_reached=1, **TABLE,
    )  # fmt: skip
    assert story.end().levels["pages"] == 4


def test_write_after_fork__splits_and_copies_one_page():
    """The child's table comes to be used; the parent's entry stays huge, and is split by its own write."""
    story = written().fork(0, 1).write(1, 2).costs(huge_split=1, **COPY, **FLUSH)
    story.write(1, 3).costs(**COPY, **FLUSH)
    story.write(0, 0).costs(huge_split=1, **COPY, **FLUSH)
    state = story.end()
    assert state.levels["pages"] == 4 + 3
    assert path(state, 0, 1)[0] == path(state, 1, 1)[0]
    assert path(state, 0, 2)[0] != path(state, 1, 2)[0]


def test_write_after_the_child_has_gone__reuses_the_huge_page():
    """One fault for the whole span."""
    story = written().fork(0, 1).exit(1).write(0, 2).costs(faults_huge_reuse=1, **FLUSH)
    story.write(0, 0, 4).costs()
    story.end()


def test_page_of_a_split_huge_page__is_reused_once_nobody_else_maps_any_part():
    """The child has copied one page and holds three of the four; while the parent lives they are copied, then reused."""
    story = written().fork(0, 1).write(1, 0).write(1, 1).costs(**COPY, **FLUSH).exit(0)
    story.write(1, 2).costs(faults_cow_reuse=1, **FLUSH)
    state = story.end()
    assert state.levels["pages"] == 2 + 4  # the huge page is one: it is freed when all of it is


def test_three_mms__count_by_who_still_holds_a_part():
    """The grandchild alone is left with a page of it, so it may have that page for itself."""
    story = written().fork(0, 1).fork(1, 2).write(2, 0).write(1, 0).exit(0)
    story.write(2, 1).costs(**COPY, **FLUSH)
    story.exit(1).write(2, 3).costs(faults_cow_reuse=1, **FLUSH)
    story.end()


# what takes pages away, or changes permissions


def test_exit__frees_the_huge_page_with_its_table():
    """One entry is cleared, no pte looked at."""
    story = written().fork(0, 1).exit(0)
    story.among(huge_zapped=1, ptes_visited_zap=0, refs_dropped=1, rmap_removed=1, huge_pages_freed=0)
    story.exit(1).among(huge_zapped=1, huge_pages_freed=1, leaf_tables_freed=1, pages_freed=0)
    assert story.end().levels["pages"] == 0


@pytest.mark.parametrize("dontneed", ["frees_covered", "keeps_tables"])
def test_dontneed_of_the_whole__frees_the_table_that_was_kept(dontneed):
    """So it does in designs that keep tables of small pages; the next touch gets a huge page again."""
    design = derived("mine", DESIGNS["mainline"], {"dontneed": dontneed})
    story = Story(design, ALWAYS).mmap(0, Mapping(0, 4, ANON)).write(0, 0).dontneed(0, 0, 4)
    story.costs(
        madvises=1, huge_zapped=1, refs_dropped=1, rmap_removed=1, huge_pages_freed=1, leaf_tables_freed=1,
        pmds_written=1, **RANGE,
    )  # fmt: skip
    story.write(0, 3).costs(**NEW)
    story.end()


def test_hole__splits_first_and_the_rest_stays_writable():
    """One pte is cleared; the huge page is not freed while three ptes hold parts of it."""
    story = written().munmap(0, 1, 1)
    story.costs(
        munmaps=1, vmas_split=1, huge_split=1, ptes_visited_zap=1, ptes_zapped=1, refs_dropped=1, rmap_removed=1, **RANGE
    )  # fmt: skip
    story.write(0, 0).costs().write(0, 2, 2).costs()
    assert story.end().levels["pages"] == 4


def test_mprotect__changes_the_entry_and_reopens_it_while_it_is_exclusive():
    """Read-only and writable again, without a fault; after a fork the next write is one."""
    changed = {"mprotects": 1, "huge_changed_mprotect": 1, **RANGE}
    story = Story("mainline", ALWAYS).mmap(0, Mapping(0, 4, ANON)).write(0, 0)
    story.mprotect(0, 0, 4, writable=False).costs(**changed).mprotect(0, 0, 4, writable=True).costs(**changed)
    story.write(0, 0, 4).costs().fork(0, 1).mprotect(0, 0, 4, writable=False).costs(mprotects=1)
    story.mprotect(0, 0, 4, writable=True).costs(mprotects=1).exit(1)
    story.write(0, 0).costs(faults_huge_reuse=1, **FLUSH)
    story.end()


def test_mprotect_of_a_part__splits():
    """The part loses its permission, and gets it back without a fault: its page is exclusive."""
    story = written().mprotect(0, 0, 1, writable=False)
    story.costs(
        mprotects=1, vmas_split=1, huge_split=1, ptes_visited_mprotect=1, ptes_changed_mprotect=1, **RANGE
    )
    story.mprotect(0, 0, 1, writable=True).among(ptes_changed_mprotect=1).write(0, 0, 4).costs()
    story.end()


# what is refused


def test_reclaim__is_refused_with_the_reason():
    """Who has no huge pages may reclaim."""
    story = written()
    story.reclaim(1)
    for engine in ("oracle", "fast"):
        machine = start(story._builder.build(), DESIGNS["mainline"], ALWAYS, engine)
        with pytest.raises(TraceRefused, match="huge pages is not modelled; set thp to never") as refused:
            machine.run()
        assert refused.value.refusal == Refusal.HUGE_PAGES
        start(story._builder.build(), DESIGNS["linux26"], ALWAYS, engine).run()


@pytest.mark.parametrize("axes", [{"thp": "anon"}, {"mprotect": "reopens"}])
def test_designs_that_link__have_no_huge_pages_and_reopen_nothing(axes):
    """The reason is told."""
    with pytest.raises(ValueError, match="fork to 'copy'"):
        derived("mine", DESIGNS["odf"], axes)


def test_mappings__are_advised_if_anonymous_and_tracked_if_shared_files():
    """Everything else is malformed."""
    builder = Story("mainline")._builder
    builder.mmap(0, Mapping(0, 4, STACK, tracked=True))
    with pytest.raises(TraceRefused, match="not a mapping: kind, flags, file or offset is wrong"):
        start(builder.build(), DESIGNS["mainline"], ALWAYS)
