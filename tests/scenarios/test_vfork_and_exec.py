"""Creation for exec: vfork, borrowed mms, exec and exit, derived by hand."""

from story import ANON, FILE, SHM, Story

from simcore import Mapping

PROGRAM = [Mapping(0, 4, FILE, writable=False, file=0), Mapping(8, 4, ANON)]


def test_vfork_design__a_child_for_exec_copies_nothing():
    """Fork becomes vfork; the child's write costs the parent nothing; the parent's ptes stay writable."""
    story = Story("vfork", images=(PROGRAM,)).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)
    story.fork(0, 1).costs(vforks=1)
    story.write(1, 0).costs()
    story.write(1, 3).costs(faults_anon=1, pages_allocated=1, pages_zeroed=1)
    story.exec(1, 0).costs(execs=1, vmas_mapped=2, upper_tables_allocated=1)
    story.write(0, 0, 4).costs()
    story.end()


def test_vfork_design__a_child_that_never_execs_is_forked():
    """Without exec there is no floor: eager copy, as linux24."""
    story = Story("vfork").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3).fork(0, 1)
    story.among(vforks=0, forks=1, ptes_copied_fork=3).exit(1)
    story.end()


def test_vfork__child_that_exits_gives_the_mm_back_whole():
    """Nothing is torn down: the mm is the parent's."""
    story = Story("linux24").mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)
    story.vfork(0, 1).costs(vforks=1)
    story.exit(1).costs(exits=1)
    assert story.write(0, 0, 3).costs().end().levels["mms"] == 1


def test_exec__tears_down_and_maps_the_image():
    """The old vma, its table and pgd go; a new pgd and two vmas come; no table until something is touched."""
    story = Story("linux24", images=(PROGRAM,)).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)
    story.exec(0, 0).costs(
        execs=1, vmas_unmapped=1, vmas_mapped=2, ptes_visited_zap=4, ptes_zapped=3, refs_dropped=3, pages_freed=3,
        leaf_tables_freed=1, pmds_written=1, upper_tables_allocated=1, upper_tables_freed=1,
        tlb_flush_mm=1, tlb_mms_reached=1,
    )  # fmt: skip
    story.read(0, 0, 4).costs(faults_file_map=4, refs_taken=4, leaf_tables_allocated=1, pmds_written=1)
    story.end()


def test_exec__of_a_sharer_leaves_the_table_to_the_parent():
    """fork and exec at once under a sharing design: one link, one drop, nothing copied."""
    story = Story("linus_pmd", images=(PROGRAM,)).mmap(0, Mapping(0, 4, ANON)).write(0, 0, 3)
    story.fork(0, 1).exec(1, 0).among(leaf_tables_dropped=1, leaf_tables_unshared=0, ptes_visited_zap=0)
    story.end()


def test_page_cache__is_shared_by_unrelated_mms():
    """Two execs of one program: the second finds the pages of the first in the cache."""
    story = Story("linux24", images=(PROGRAM,)).exec(0, 0).fork(0, 1).exec(1, 0)
    story.read(0, 0, 4).read(1, 0, 4).among(faults_file_map=4, pages_allocated=0)
    levels = story.end().levels
    assert (levels["cache_pages"], levels["rss_pages"], levels["pages"]) == (4, 8, 0)


def test_shm__lives_until_its_last_mapping_goes():
    """A page written by one mm is the other's page; the object's pages are freed with the last vma."""
    story = Story("linux24").mmap(0, Mapping(0, 4, SHM, writable=True, file=0)).write(0, 0, 2).fork(0, 1)
    story.munmap(0, 0, 4).among(pages_freed=0, ptes_zapped=2)
    story.exit(1).among(pages_freed=2, ptes_zapped=2, refs_dropped=2 + 2)
    story.end()
