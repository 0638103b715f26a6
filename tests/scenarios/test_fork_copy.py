"""Eager copy: what fork, the child's writes and the parent's writes cost, derived by hand."""

from story import ANON, FILE, Story

from simcore import Mapping


def parent_with_three_pages(design: str) -> Story:
    """Map four pages in one table and write three of them."""
    story = Story(design).mmap(0, Mapping(0, 4, ANON))
    return story.write(0, 0, 3)


def test_fork__copies_each_present_pte_and_visits_the_empty_one():
    """The vma covers all 4 entries: 4 visited, 3 present ones copied, made read-only, each with a reference."""
    story = parent_with_three_pages("linux24").fork(0, 1)
    story.costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_fork=4, ptes_present_fork=3, ptes_copied_fork=3, ptes_wrprotected_fork=3, refs_taken=3,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.end()


def test_fork__adds_a_chain_element_for_each_copied_pte():
    """rmap25 is linux24 and one page_add_rmap for each copied pte."""
    story = parent_with_three_pages("rmap25").fork(0, 1)
    story.costs(
        forks=1, vmas_copied=1, upper_tables_allocated=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_fork=4, ptes_present_fork=3, ptes_copied_fork=3, ptes_wrprotected_fork=3, refs_taken=3, rmap_added=3,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.end()


def test_write_after_fork__first_writer_copies_and_the_other_reuses():
    """Page 0 has mapcount 2: the first write copies it and drops a reference; then the other pte is alone."""
    story = parent_with_three_pages("linux24").fork(0, 1)
    story.write(1, 0).costs(
        faults_cow_copy=1,
        pages_allocated=1,
        pages_copied=1,
        refs_dropped=1,
        tlb_flush_page=1,
        tlb_mms_reached=1,
    )
    story.write(0, 0).costs(faults_cow_reuse=1, tlb_flush_page=1, tlb_mms_reached=1)
    story.write(0, 0).costs()
    story.end()


def test_fork__copies_a_table_even_if_the_vma_has_no_pte_in_it():
    """Two vmas share a table; only the second has a present pte, but the loop visits the first's entries too."""
    story = Story("linux24").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, ANON)).write(0, 3)
    story.fork(0, 1).among(ptes_visited_fork=4, ptes_copied_fork=1, leaf_tables_allocated=1, vmas_copied=2)
    story.end()


def test_zero_page__is_copied_without_reference_or_protection():
    """A pte of the zero page is read-only already and its page has no references worth counting."""
    story = Story("rmap25").mmap(0, Mapping(0, 2, ANON))
    story.read(0, 0).costs(faults_zero_page=1, leaf_tables_allocated=1, pmds_written=1)
    story.fork(0, 1).among(ptes_copied_fork=1, refs_taken=0, ptes_wrprotected_fork=0, rmap_added=0)
    story.write(1, 0).costs(
        faults_cow_copy=1,
        pages_allocated=1,
        pages_zeroed=1,
        rmap_added=1,
        tlb_flush_page=1,
        tlb_mms_reached=1,
    )
    story.end()


def test_private_file__first_write_copies_the_cache_page():
    """do_cow_fault: the page cache keeps its page, the mm gets a copy at once."""
    story = Story("linux24").mmap(0, Mapping(0, 2, FILE, writable=True, file=0))
    story.write(0, 0).costs(
        faults_cow_copy=1, pages_allocated=1, pages_copied=1, leaf_tables_allocated=1, pmds_written=1
    )
    story.read(0, 1).costs(faults_file_map=1, refs_taken=1)
    story.write(0, 1).costs(
        faults_cow_copy=1,
        pages_allocated=1,
        pages_copied=1,
        refs_dropped=1,
        tlb_flush_page=1,
        tlb_mms_reached=1,
    )
    story.end()


def test_exit__zaps_what_the_vma_covers_and_frees_what_nobody_holds():
    """The child's own copy is freed; the two pages it still shares with its parent only lose a reference."""
    story = parent_with_three_pages("linux24").fork(0, 1).write(1, 0).exit(1)
    story.costs(
        exits=1, vmas_unmapped=1, ptes_visited_zap=4, ptes_zapped=3, refs_dropped=3, pages_freed=1,
        leaf_tables_freed=1, pmds_written=1, upper_tables_freed=1, tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.end()
