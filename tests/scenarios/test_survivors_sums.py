"""What one event does in two places adds up: two tables, or two vmas in one table."""

import pytest
from story import ANON, Story

from simcore import DESIGNS, Mapping
from simcore.designs import derived

BY_PTE = {"wrprotect": "each_pte", "unshare_on": "write_and_read", "source": "read_only"}
V5_BY_PTE = derived("v5_each_pte", DESIGNS["cow_pte_v5"], BY_PTE)
V5_NO_RMAP = derived("v5_no_rmap", DESIGNS["cow_pte_v5"], {"rmap": "none", "reclaim": "scan"})


def two_tables(design):
    """Begin: one vma over two tables, three pages written in the first and two in the second; fork."""
    return Story(design).mmap(0, Mapping(0, 8, ANON)).write(0, 1, 5).fork(0, 1)


def test_fork__visits_the_ptes_of_both_vmas_of_a_table():
    """Two vmas of two pages: three ptes are present and become read-only, one is empty."""
    story = Story("phillips").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, ANON)).write(0, 0, 3)
    story.fork(0, 1).among(ptes_visited_fork=4, ptes_present_fork=3, ptes_wrprotected_fork=3).end()


def test_fork__one_pass_takes_references_and_protects():
    """Where each sharer holds references the pass that takes them protects too: four entries are visited once."""
    story = Story(V5_BY_PTE).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)
    story.fork(0, 1).among(
        ptes_visited_fork=4, ptes_present_fork=3, ptes_wrprotected_fork=3, refs_taken=3, rmap_added=3
    )
    story.end()


def test_fork__takes_the_references_of_both_tables():
    """Where each sharer holds references fork visits two tables and takes three references and two."""
    story = Story("cow_pte_v5").mmap(0, Mapping(0, 8, ANON)).write(0, 1, 5)
    story.fork(0, 1).among(
        leaf_tables_linked=2, ptes_visited_fork=8, ptes_present_fork=5, refs_taken=5, rmap_added=5
    )
    story.end()


def test_munmap__unshares_the_tables_at_both_edges():
    """Pages 2 to 5 go: the first table keeps 0 and 1, the second 6 and 7, so both are copied, five ptes in all."""
    story = two_tables("linus_pmd").munmap(1, 2, 4)
    story.among(
        leaf_tables_unshared=2, ptes_visited_unshare=8, ptes_copied_unshare=5, ptes_wrprotected_unshare=5,
        ptes_visited_zap=4, ptes_zapped=4, refs_dropped=4, vmas_split=1,
    )  # fmt: skip
    story.end()


@pytest.mark.parametrize("removed", ["object", "none"])
def test_exit__drops_the_references_of_both_tables(removed):
    """Three and two references, and as many reverse mappings if there are any."""
    story = two_tables("cow_pte_v5" if removed == "object" else V5_NO_RMAP).exit(1)
    mappings = 5 if removed == "object" else 0
    story.among(leaf_tables_dropped=2, ptes_visited_zap=8, refs_dropped=5, rmap_removed=mappings).end()
