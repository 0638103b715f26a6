"""A table that is not one vma's alone: visits per vma, per private vma and per table are told apart.

The table of 4 entries holds private pages 0 and 1, one shm page 2 and a hole at 3; page 1 is never touched.
"""

import pytest
from story import ANON, FILE, SHM, Story

from simcore import DESIGNS, Mapping

LINKING = [name for name, design in DESIGNS.items() if design.fork == "link" and design.links == "every"]
BY_PTE = ["phillips", "phillips_sole", "phillips_mark"]


def parent(design: str) -> Story:
    """Return the parent: pages 0 (anonymous) and 2 (shm) are present and writable."""
    story = Story(design).mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 1, SHM, writable=True, file=0))
    return story.write(0, 0).write(0, 2)


def test_copy__visits_every_vma_and_no_hole():
    """Entries 0, 1 and 2 are visited; the shm pte is copied but stays writable."""
    parent("linux24").fork(0, 1).costs(
        forks=1, vmas_copied=2, upper_tables_allocated=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_fork=3, ptes_present_fork=2, ptes_copied_fork=2, ptes_wrprotected_fork=1, refs_taken=2,
        tlb_flush_mm=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


@pytest.mark.parametrize("design", BY_PTE)
def test_link__visits_private_vmas_only(design):
    """Entries 0 and 1 are visited, one of them is present; the shm pte is not CoWable, the hole nobody's."""
    parent(design).fork(0, 1).costs(
        forks=1, vmas_copied=2, upper_tables_allocated=1, leaf_tables_linked=1, pmds_written=1,
        ptes_visited_fork=2, ptes_present_fork=1, ptes_wrprotected_fork=1, tlb_flush_mm=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


@pytest.mark.parametrize("design", BY_PTE)
def test_unshare__looks_at_the_whole_table(design):
    """All 4 entries, whoever's they are; 2 are copied; then page 1 is a first touch."""
    parent(design).fork(0, 1).write(1, 1).costs(
        faults_anon=1, pages_allocated=1, pages_zeroed=1,
        leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=2, refs_taken=2, tlb_flush_range=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


@pytest.mark.parametrize("design", LINKING)
def test_mmap_unshare__costs_a_table_and_a_flush(design):
    """Mapping the hole in the child: its table is copied first; under pmd protection the source is protected."""
    by_pmd = DESIGNS[design].wrprotect == "pmd"
    taken = 0 if DESIGNS[design].page_refs == "per_sharer" else 2  # else the mm brings its references along
    mappings = 0 if DESIGNS[design].rmap == "none" else taken
    parent(design).fork(0, 1).mmap(1, Mapping(3, 1, ANON)).costs(
        mmaps=1, vmas_mapped=1, leaf_tables_unshared=1, leaf_tables_allocated=1, pmds_written=1,
        ptes_visited_unshare=4, ptes_copied_unshare=2, ptes_wrprotected_unshare=int(by_pmd), refs_taken=taken,
        rmap_added=mappings, tlb_flush_range=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


def test_munmap__of_a_part_of_a_sole_table_zaps_and_flushes():
    """Page 0 goes, its vma is cut, not unmapped; the table stays for the rest."""
    parent("linux24").munmap(0, 0, 1).costs(
        munmaps=1, ptes_visited_zap=1, ptes_zapped=1, refs_dropped=1, pages_freed=1,
        tlb_flush_range=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


def test_munmap__of_the_middle_splits_a_vma():
    """Two vmas are left of one: it is neither mapped anew nor unmapped. Nothing was present, nothing is flushed."""
    story = Story("linux24").mmap(0, Mapping(0, 4, ANON)).munmap(0, 1, 2).costs(munmaps=1, vmas_split=1)
    story.exit(0).among(vmas_unmapped=2)
    story.end()


def test_munmap__that_drops_a_shared_table_flushes_once():
    """The child unmaps all that it has in the table: one drop, one range flush, no pte is looked at."""
    story = Story("phillips").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 2).fork(0, 1)
    story.munmap(1, 0, 4).costs(
        munmaps=1,
        vmas_unmapped=1,
        leaf_tables_dropped=1,
        pmds_written=1,
        tlb_flush_range=1,
        tlb_mms_reached=1,
    )
    story.end()


def test_munmap__of_a_part_by_the_sole_user_leaves_the_directory_entry_closed():
    """After the child's exit the parent's entry is still write-protected; a munmap in its vma does not reopen it."""
    story = Story("linus_pmd").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1).exit(1)
    story.munmap(0, 2, 1).costs(
        munmaps=1, vmas_split=1, ptes_visited_zap=1, ptes_zapped=1, refs_dropped=1, pages_freed=1,
        tlb_flush_range=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.write(0, 0).among(faults_table_only=1, leaf_tables_reused=1, pmds_written=1)
    story.end()


def test_mark__survives_a_read_fault_and_goes_into_the_copy():
    """A file page read into a marked table is read-only: no reason to visit it again. A copy is as marked."""
    story = (
        Story("phillips_mark")
        .mmap(0, Mapping(0, 2, ANON))
        .mmap(0, Mapping(2, 2, FILE, writable=True, file=0))
    )
    story.write(0, 0).fork(0, 1).among(ptes_visited_fork=4)
    story.read(1, 2).among(faults_file_map=1)
    story.fork(0, 2).among(ptes_visited_fork=0)
    # Task 1 maps nothing new but leaves a part: its table is copied, and nothing in the copy is writable.
    story.munmap(1, 3, 1).among(leaf_tables_unshared=1)
    story.fork(1, 3).among(ptes_visited_fork=0)
    story.end()


def test_chain__is_walked_as_far_as_it_is_long():
    """A page in three mms has a chain of three under rmap25: the exits meet chains of three and two."""
    story = Story("rmap25").mmap(0, Mapping(0, 4, ANON)).write(0, 0).fork(0, 1).fork(0, 2)
    story.exit(1).among(rmap_removed=1, rmap_walked=3)
    story.exit(2).among(rmap_removed=1, rmap_walked=2)
    story.end()
