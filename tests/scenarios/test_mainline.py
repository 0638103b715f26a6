"""Mainline: fork copies what faults could not rebuild, read faults map around, tables go with their last vma."""

import pytest
from story import ANON, FILE, FILE_SHARED, SHM, Story, charged

from simcore import GEOMETRIES, Mapping, tiny_geometry
from simcore.designs import DESIGNS

NO_COPY = {"forks": 1, "upper_tables_allocated": 1, "tlb_flush_mm": 1, "tlb_mms_reached": 1}
UNFAULTABLE = [name for name, row in DESIGNS.items() if row.inherit == "unfaultable"]
AROUND = [name for name, row in DESIGNS.items() if row.fault_around == "64_kib"]

WIDE = tiny_geometry(32, 2)  # tables of 32 entries hold two blocks of 16 pages


# R1: which vmas are copied


@pytest.mark.parametrize("design", UNFAULTABLE)
def test_fork__leaves_out_anonymous_memory_that_was_only_read(design):
    """The zero page needs no copy: the child gets a pgd and a vma, and its own faults."""
    story = Story(design).mmap(0, Mapping(0, 4, ANON)).read(0, 0, 4)
    story.fork(0, 1).costs(**NO_COPY, vmas_copied=1)
    story.read(1, 0).costs(faults_zero_page=1, leaf_tables_allocated=1, pmds_written=1)
    story.end()


@pytest.mark.parametrize("design", UNFAULTABLE)
@pytest.mark.parametrize("kind", [FILE_SHARED, SHM])
def test_fork__leaves_out_shared_mappings_even_written(design, kind):
    """The child's first touch finds the page in the file; nothing was copied or protected."""
    story = Story(design).mmap(0, Mapping(0, 2, kind, file=0)).write(0, 0)
    story.fork(0, 1).costs(**NO_COPY, vmas_copied=1)
    story.write(1, 0).costs(
        faults_file_map=1, refs_taken=1, rmap_added=1, leaf_tables_allocated=1, pmds_written=1
    )
    story.write(0, 0).costs()
    story.end()


def test_fork__leaves_out_a_private_file_until_it_is_written_anywhere():
    """Two tables of file pages, all present. One private write gives the vma its anon_vma: then all 8 are copied."""
    story = Story("mainline").mmap(0, Mapping(0, 8, FILE, file=0)).read(0, 0).read(0, 4)
    story.fork(0, 1).costs(**NO_COPY, vmas_copied=1)
    story.write(0, 5).among(faults_cow_copy=1)
    story.fork(0, 2).among(
        leaf_tables_allocated=2, ptes_visited_fork=8, ptes_copied_fork=8, ptes_wrprotected_fork=1
    )
    story.end()


def test_anon_vma__is_inherited_by_a_child_that_never_wrote():
    """The child's vma came with the parent's anon_vma, so the child's own fork copies as well."""
    story = Story("mainline").mmap(0, Mapping(0, 4, ANON)).write(0, 0).fork(0, 1).fork(1, 2)
    story.among(leaf_tables_allocated=1, ptes_copied_fork=1).end()


def test_anon_vma__is_kept_by_both_parts_of_a_split_vma():
    """The written page and the zero pages are in two vmas now; those that were only read are copied too."""
    story = Story("mainline").mmap(0, Mapping(0, 8, ANON)).write(0, 0).read(0, 4, 2).munmap(0, 2, 2)
    story.fork(0, 1).among(
        vmas_copied=2, leaf_tables_allocated=2, ptes_visited_fork=2 + 4, ptes_copied_fork=1 + 2, refs_taken=1
    ).end()


def test_anon_vma__of_a_neighbour_does_not_count():
    """Two vmas side by side in one table: the one that was only read is not visited."""
    story = Story("mainline").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, ANON)).write(0, 0).read(0, 2)
    story.fork(0, 1).among(leaf_tables_allocated=1, ptes_visited_fork=2, ptes_copied_fork=1)
    story.read(1, 2).among(faults_zero_page=1)
    story.end()


# R2: which tables the child gets


def test_fork__gives_a_table_where_the_parent_has_one_for_whatever_vma():
    """The written vma reaches into a second table in which only its neighbour has a page: the child gets both tables.

    The neighbour's pages are not copied: 4 + 2 entries are visited, one is.
    """
    story = (
        Story("mainline").mmap(0, Mapping(0, 6, ANON)).mmap(0, Mapping(6, 2, FILE, writable=False, file=0))
    )
    story.write(0, 0).read(0, 6).fork(0, 1)
    story.among(leaf_tables_allocated=2, ptes_visited_fork=6, ptes_copied_fork=1, ptes_present_fork=1).end()


def test_fork__gives_no_table_where_the_parent_has_none():
    """The vma spans two tables, the parent populated one."""
    story = Story("mainline").mmap(0, Mapping(0, 8, ANON)).write(0, 0).fork(0, 1)
    story.among(leaf_tables_allocated=1, ptes_visited_fork=4).end()


def test_fork__upper_tables_follow_what_is_inherited():
    """Three levels: the middle table above the written vma is made for the child, that above the file is not."""
    story = Story("mainline", tiny_geometry(4, 3)).mmap(0, Mapping(0, 4, ANON))
    story.mmap(0, Mapping(16, 4, FILE, writable=False, file=0)).write(0, 0).read(0, 16)
    story.fork(0, 1).among(upper_tables_allocated=1 + 1, leaf_tables_allocated=1)
    assert charged(story.end()) == (2 + 2) + (1 + 1)


# R8, R9: writes after fork


def test_write__of_k_sharers_copies_for_all_but_the_last():
    """Three mms write one page: three faults, two copies, the last reuses."""
    story = Story("mainline").mmap(0, Mapping(0, 4, ANON)).write(0, 0).fork(0, 1).fork(0, 2)
    story.write(1, 0).among(faults_cow_copy=1)
    story.write(0, 0).among(faults_cow_copy=1)
    story.write(2, 0).among(faults_cow_reuse=1, faults_cow_copy=0)
    story.end()


def test_write__after_the_child_has_gone_is_a_fault_a_page():
    """Fork made three ptes read-only; nothing undoes that but the parent's own writes."""
    story = Story("mainline").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1).exit(1)
    story.write(0, 0, 3).costs(faults_cow_reuse=3, tlb_flush_page=3, tlb_mms_reached=3)
    story.write(0, 0, 3).costs()
    story.end()


def test_zero_page__write_after_read_is_two_faults():
    """The second is a copy of the zero page: a cleared page of one's own."""
    story = Story("mainline").mmap(0, Mapping(0, 4, ANON)).read(0, 0).write(0, 0)
    story.costs(
        faults_cow_copy=1, pages_allocated=1, pages_zeroed=1, rmap_added=1, tlb_flush_page=1, tlb_mms_reached=1
    ).end()  # fmt: skip


# R10, R11: fault-around


@pytest.mark.parametrize("design", AROUND)
def test_around__a_read_fills_the_aligned_block_of_64_kib(design):
    """A file of 64 pages, page 37 is read: pages 32 to 47, one fault and fifteen ptes around it."""
    story = Story(design, WIDE).mmap(0, Mapping(0, 64, FILE, file=0)).read(0, 37)
    story.costs(
        faults_file_map=1, ptes_mapped_around=15, refs_taken=16, rmap_added=16,
        leaf_tables_allocated=1, pmds_written=1,
    )  # fmt: skip
    story.read(0, 32, 16).costs()
    story.read(0, 48).among(faults_file_map=1, ptes_mapped_around=15)
    story.end()


@pytest.mark.parametrize(
    ("start", "count", "read", "first", "last"),
    [
        (18, 40, 20, 18, 31),  # the vma begins in the block: the table ends before 16 pages are full
        (5, 50, 6, 5, 20),  # the window begins with the vma and is as long as any other
        (5, 6, 6, 5, 10),  # the vma ends before the window
        (25, 30, 26, 25, 31),  # the table ends before the window
        (0, 20, 17, 16, 19),  # the vma ends in an aligned block
        (40, 8, 47, 40, 47),  # a vma inside one block
    ],
)
def test_around__is_clipped_to_vma_and_table(start, count, read, first, last):
    """The window is 16 pages from the aligned address or from where the vma begins; what ends first ends it.

    Measured on Linux 6.18: a vma from page 5 on, page 6 read, maps pages 5 to 20.
    """
    pages = range(first, last + 1)
    story = Story("mainline", WIDE).mmap(0, Mapping(start, count, FILE, writable=False, file=0)).read(0, read)
    story.among(faults_file_map=1, ptes_mapped_around=len(pages) - 1)
    state = story.end()
    [table] = state.tables.values()
    assert sorted(table.ptes) == [page % 32 for page in pages]


def test_around__small_tables_bound_it():
    """With 4 entries a table is less than a block: the other three pages of the table."""
    story = Story("mainline").mmap(0, Mapping(0, 16, FILE, file=0)).read(0, 5).among(ptes_mapped_around=3)
    story.read(0, 4, 4).costs()
    story.end()


def test_around__fills_empty_ptes_only():
    """A private copy and a page mapped before stay what they are: of 16 pages 14 are left to fill."""
    story = Story("mainline", WIDE).mmap(0, Mapping(0, 16, FILE, file=0)).write(0, 3)
    story.read(0, 0).among(faults_file_map=1, ptes_mapped_around=14, faults_cow_copy=0)
    story.write(0, 3).costs()
    assert story.end().levels["pages"] == 1


def test_around__a_private_write_copies_what_it_mapped():
    """Pages that came around are read-only as any: the write copies the cache's page."""
    story = Story("mainline").mmap(0, Mapping(0, 4, FILE, file=0)).read(0, 0).write(0, 1)
    story.costs(
        faults_cow_copy=1, pages_allocated=1, pages_copied=1, refs_dropped=1, rmap_added=1, rmap_removed=1,
        tlb_flush_page=1, tlb_mms_reached=1,
    ).end()  # fmt: skip


def test_around__a_write_fault_maps_one_page():
    """do_cow_fault and do_shared_fault do not look around."""
    for kind in (FILE, SHM):
        story = Story("mainline").mmap(0, Mapping(0, 4, kind, file=0)).write(0, 0)
        story.among(ptes_mapped_around=0).end()


def test_around__of_a_writable_shared_mapping_saves_the_write_faults():
    """As on tmpfs: read first, then no second fault, whichever page is written."""
    story = Story("mainline").mmap(0, Mapping(0, 4, FILE_SHARED, file=0)).read(0, 0).write(0, 0, 4)
    story.costs().end()


def test_around__of_a_shm_object_maps_the_pages_that_exist():
    """The parent made pages 0 and 2. The child's read of page 0 brings page 2; its read of page 1 makes that one."""
    story = Story("mainline").mmap(0, Mapping(0, 4, SHM, file=0)).write(0, 0).write(0, 2).fork(0, 1)
    story.read(1, 0).among(faults_file_map=1, ptes_mapped_around=1, pages_allocated=0)
    story.read(1, 2).costs()
    story.read(1, 1).among(faults_file_map=1, ptes_mapped_around=0, pages_allocated=1, pages_zeroed=1)
    story.end()


@pytest.mark.parametrize("design", ["linux24", "rmap25", "linux26", "phillips", "mccracken", "vfork"])
def test_around__came_later_than_these(design):
    """One pte a fault."""
    Story(design).mmap(0, Mapping(0, 4, FILE, file=0)).read(0, 0).among(
        faults_file_map=1, ptes_mapped_around=0
    ).end()


@pytest.mark.parametrize(
    ("geometry", "pages"), [("x86-64", 16), ("i386", 16), ("arm64-16k", 4), ("arm64-64k", 1)]
)
def test_around__64_kib_are_so_many_pages(geometry, pages):
    """With pages of 64 KiB there is nothing around."""
    start = 1 << 18
    story = Story("mainline", GEOMETRIES[geometry])
    story.mmap(0, Mapping(start, 64, FILE, writable=False, file=0)).read(0, start + 17)
    story.among(faults_file_map=1, ptes_mapped_around=pages - 1).end()


# R15, R16: tables come and go


def test_munmap__frees_a_table_when_no_vma_is_left_in_its_span():
    """Of two tables pages 1 to 6 go: a page is left in each. Then the rest, and with it both tables."""
    story = Story("mainline").mmap(0, Mapping(0, 8, ANON)).write(0, 0, 8)
    story.munmap(0, 1, 6).among(ptes_zapped=6, leaf_tables_freed=0)
    story.munmap(0, 0, 8).among(ptes_zapped=2, leaf_tables_freed=2)
    story.end()


def test_munmap__keeps_an_empty_table_for_a_vma_that_has_no_page_in_it():
    """What counts is the vma, not the ptes."""
    story = Story("mainline").mmap(0, Mapping(0, 2, ANON)).mmap(0, Mapping(2, 2, ANON)).write(0, 0)
    story.munmap(0, 0, 2).among(ptes_zapped=1, leaf_tables_freed=0)
    story.munmap(0, 2, 2).among(ptes_zapped=0, leaf_tables_freed=1)
    story.end()


def test_munmap__frees_upper_tables_by_the_same_rule():
    """Three levels: a middle table goes with the last vma in its 16 pages."""
    story = Story("mainline", tiny_geometry(4, 3)).mmap(0, Mapping(0, 16, ANON)).write(0, 0).write(0, 12)
    story.munmap(0, 0, 12).among(leaf_tables_freed=1, upper_tables_freed=0)
    story.munmap(0, 12, 4).among(leaf_tables_freed=1, upper_tables_freed=1)
    story.end()
