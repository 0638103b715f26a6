"""Moments -> events: stories told by hand, with the rows that they become."""

from pipeline.traces import moments as what
from pipeline.traces.sight import Image, Seen
from pipeline.traces.story import Story
from simcore import DESIGNS, GEOMETRIES
from simcore.events import WRITABLE, Op, VmaKind
from simcore.simulate import simulate
from simcore.workloads.recorded import trace_of

TEXT = Seen(16, 48, VmaKind.FILE_PRIVATE, writable=False, file="sh", offset=0)
STACK = Seen(60000, 60010, VmaKind.STACK, writable=True, file=None, offset=0)
IMAGE = Image((STACK, TEXT), filled=(60009,))


class Fake:
    """Every exec maps IMAGE; what was seen at the end is told, process by process."""

    def __init__(self, ends=(), image=IMAGE):
        self.ends, self.what = dict(ends), image

    def born(self, tid):
        pass

    def image(self, tid):
        return self.what

    def at_end(self, tid, page):
        return next((seen for seen in self.ends.get(tid, ()) if seen.start <= page < seen.end), None)

    def minor_faults(self, tid):
        return 100 + tid


def tell(*moments, sight=None):
    """Return the story of moments that begin with an exec of task 0 by thread 1; it runs under mainline, too."""
    first = what.Executed(10, 1, "sh")
    told = Story(sight or Fake(), 4096).tell([first, *moments])
    simulate(trace_of(told.recording), DESIGNS["mainline"], GEOMETRIES["x86-64"])
    return told


def rows(told):
    """Return rows as (op, task, start, count, arg), without the exec of the beginning and the page that it fills."""
    found = told.recording.rows[["op", "task", "start", "count", "arg"]].tolist()
    assert found[:2] == [(Op.EXEC, 0, 0, 0, 0), (Op.WRITE, 0, 60009, 1, 0)]
    return [(Op(op).name, *rest) for op, *rest in found[2:]]


def touch(page, tid=1, *, write=True):
    """Return a fault."""
    return what.Touched(20, tid, page, write=write)


def fork(child, tid=1, **kinds):
    """Return a new process; kinds say that it is something else."""
    return what.Created(20, tid, child, **(dict.fromkeys(("thread", "borrows", "waits"), False) | kinds))


def test_fork_and_exec__are_told_and_everybody_exits():
    """A child writes, execs the same image, and exits; the parent lives to the end and exits there."""
    told = tell(
        fork(2), touch(60008, 2), what.Executed(30, 2, "ls"), touch(20, 2, write=False), what.Exited(40, 2)
    )
    assert rows(told) == [
        ("FORK", 0, 0, 0, 1), ("WRITE", 1, 60008, 1, 0), ("EXEC", 1, 0, 0, 0), ("WRITE", 1, 60009, 1, 0),
        ("READ", 1, 20, 1, 0), ("EXIT", 1, 0, 0, 0), ("EXIT", 0, 0, 0, 0),
    ]  # fmt: skip
    parent, child = told.processes
    assert (child.parent, child.how, child.born_us, child.ended_us) == (0, "fork", 10, 30)
    assert (child.programs, child.faults, child.minor_faults) == ([[20, "ls"]], 2, 102)
    assert (parent.how, parent.ended_us, parent.minor_faults) == ("first", None, None)
    assert told.notes == {"processes alive at the end of the recording": 1}


def test_read_of_a_file__tells_the_block_around_it():
    """Page 20 lies in the block 16 to 31, page 47 in that of 32 to 47; anonymous memory has none."""
    told = tell(touch(20, write=False), touch(47, write=False), touch(60001, write=False))
    found = told.recording.rows[2:5]
    assert found["file"].tolist() == [-4, -15, 0]
    assert found["offset"].tolist() == [16, 16, 0]


def test_thread__is_folded_into_its_process():
    """What a thread does its process does, and the process lives until its last thread is gone."""
    told = tell(
        fork(5, thread=True, borrows=True),
        touch(60001, 5),
        what.Exited(30, 1),
        touch(60002, 5),
        what.Exited(40, 5),
    )
    assert rows(told) == [("WRITE", 0, 60001, 1, 0), ("WRITE", 0, 60002, 1, 0), ("EXIT", 0, 0, 0, 0)]
    assert [process.threads for process in told.processes] == [2]


def test_vfork__lets_the_parent_wait():
    """What another thread of the parent does while the child borrows comes behind the child's exec."""
    told = tell(
        fork(5, thread=True, borrows=True), fork(2, borrows=True, waits=True), touch(60001, 2), touch(60002, 5),
        what.Executed(30, 2, "ls"), what.Exited(40, 2),
    )  # fmt: skip
    assert rows(told) == [
        ("VFORK", 0, 0, 0, 1), ("WRITE", 1, 60001, 1, 0), ("EXEC", 1, 0, 0, 0), ("WRITE", 0, 60002, 1, 0),
        ("WRITE", 1, 60009, 1, 0), ("EXIT", 1, 0, 0, 0), ("EXIT", 0, 0, 0, 0),
    ]  # fmt: skip


def test_vfork__what_the_child_maps_is_its_parents():
    """A borrower may not map: the map, and touches of it, are the lender's when it is free again."""
    told = tell(
        fork(2, borrows=True, waits=True), what.Mapped(20, 2, 200, 4096, True, True, False, None, 0), touch(200, 2),
        what.Exited(40, 2),
    )  # fmt: skip
    anon = int(VmaKind.ANON) | WRITABLE
    assert rows(told) == [
        ("VFORK", 0, 0, 0, 1), ("EXIT", 1, 0, 0, 0), ("MMAP", 0, 200, 1, anon), ("WRITE", 0, 200, 1, 0),
        ("EXIT", 0, 0, 0, 0),
    ]  # fmt: skip


def test_vfork__of_a_parent_that_is_killed_as_it_waits():
    """Its mm lives on with the child, which maps and touches; the parent's exit comes behind that."""
    told = tell(
        fork(2, borrows=True, waits=True), what.Exited(30, 1), what.Mapped(31, 2, 200, 4096, True, True, False, None, 0),
        touch(200, 2), touch(60001, 2), what.Executed(40, 2, "ls"), what.Exited(50, 2),
    )  # fmt: skip
    anon = int(VmaKind.ANON) | WRITABLE
    assert rows(told) == [
        ("VFORK", 0, 0, 0, 1), ("EXEC", 1, 0, 0, 0), ("MMAP", 0, 200, 1, anon), ("WRITE", 0, 200, 1, 0),
        ("WRITE", 0, 60001, 1, 0), ("EXIT", 0, 0, 0, 0), ("WRITE", 1, 60009, 1, 0), ("EXIT", 1, 0, 0, 0),
    ]  # fmt: skip
    assert [process.ended_us for process in told.processes] == [20, 40]
    assert not told.notes


def test_vfork__by_a_process_that_waits_is_a_fork():
    """Two threads that vfork at once: the simulator lends an mm once, so that the second child gets a copy."""
    told = tell(
        fork(5, thread=True, borrows=True), fork(2, borrows=True, waits=True), fork(3, 5, borrows=True, waits=True),
        what.Executed(30, 3, "ls"), what.Executed(31, 2, "ls"),
    )  # fmt: skip
    assert [name for name, *_ in rows(told)][:4] == ["VFORK", "EXEC", "FORK", "EXEC"]
    assert told.notes["vforks of processes that waited already, told as forks"] == 1
    assert [process.how for process in told.processes] == ["first", "vfork", "vfork"]


def test_shared_mm_without_vfork__is_folded_until_it_execs():
    """CLONE_VM alone: a child that runs beside its parent in one mm."""
    told = tell(fork(2, borrows=True), touch(60001, 2), what.Executed(30, 2, "ls"), what.Exited(40, 2))
    assert [row[:2] for row in rows(told)] == [
        ("WRITE", 0), ("VFORK", 0), ("EXEC", 1), ("WRITE", 1), ("EXIT", 1), ("EXIT", 0),
    ]  # fmt: skip


def test_faults__that_the_simulator_would_refuse_are_left_out():
    """Page 500 is not mapped, the text not writable, reserved memory not accessible: a signal or EFAULT came of it."""
    reserved = what.Mapped(20, 1, 600, 8192, False, False, False, None, 0)
    told = tell(touch(500), touch(20), reserved, touch(600))
    assert rows(told) == [("EXIT", 0, 0, 0, 0)]
    assert told.processes[0].left_out == 3
    assert told.notes["faults where nothing is known to be mapped"] == 2
    assert told.notes["faults that wrote to read-only memory"] == 1


def test_reserved_memory__is_mapped_when_it_may_be_accessed():
    """PROT_NONE reserves; mprotect maps the part that it opens, and protects it once it is mapped."""
    told = tell(
        what.Mapped(20, 1, 600, 16 * 4096, False, False, False, None, 0),
        what.Protected(21, 1, 604, 4, accessible=True, writable=True),
        touch(605),
        what.Protected(22, 1, 604, 2, accessible=True, writable=False),
    )
    anon = int(VmaKind.ANON) | WRITABLE
    assert rows(told)[:-1] == [("MMAP", 0, 604, 4, anon), ("WRITE", 0, 605, 1, 0), ("MPROTECT", 0, 604, 2, 0)]


def test_map_over_a_map__unmaps_first():
    """MAP_FIXED: as the dynamic linker maps a library's data over the library."""
    told = tell(
        what.Mapped(20, 1, 600, 8 * 4096, True, False, False, "libc", 0),
        what.Mapped(21, 1, 604, 2 * 4096, True, True, False, None, 0),
        what.Unmapped(22, 1, 600, 8),
    )
    assert [row[0] for row in rows(told)] == ["MMAP", "MUNMAP", "MMAP", "MUNMAP", "EXIT"]


def test_heap__is_mapped_once_as_long_as_it_becomes():
    """brk from 100 to 104, by the child to 110, by the parent back to 102: one vma of 10 pages, then pages given back."""
    told = tell(
        what.HeapMoved(20, 1, 100), what.HeapMoved(21, 1, 104), touch(103), fork(2), what.HeapMoved(22, 2, 110),
        touch(109, 2), what.HeapMoved(23, 1, 102), touch(103),
    )  # fmt: skip
    heap = int(VmaKind.HEAP) | WRITABLE
    assert rows(told)[:5] == [
        ("MMAP", 0, 100, 10, heap), ("WRITE", 0, 103, 1, 0), ("FORK", 0, 0, 0, 1), ("WRITE", 1, 109, 1, 0),
        ("DONTNEED", 0, 102, 2, 0),
    ]  # fmt: skip
    assert told.processes[0].left_out == 1


def test_stack__grows_to_a_fault_below_it():
    """The kernel extends the stack's vma; so does the trace."""
    assert rows(tell(touch(59990), touch(59995)))[:3] == [
        ("GROW", 0, 59990, 0, 0), ("WRITE", 0, 59990, 1, 0), ("WRITE", 0, 59995, 1, 0),
    ]  # fmt: skip


def test_vma_seen_at_the_end__is_mapped_where_a_fault_asks_for_it():
    """Memory that no call told of, as that of shmat; and the file of a map that tells none."""
    late = Seen(2000, 2004, VmaKind.SHM, writable=True, file="segment", offset=0)
    library = Seen(3000, 3004, VmaKind.FILE_PRIVATE, writable=False, file="lib", offset=5)
    told = tell(
        touch(2001),
        what.Mapped(20, 1, 3000, 16384, True, False, False, "", 5),
        sight=Fake({1: (late, library)}),
    )
    assert rows(told)[:2] == [("MMAP", 0, 2000, 4, int(VmaKind.SHM) | WRITABLE), ("WRITE", 0, 2001, 1, 0)]
    assert told.notes["vmas that were seen at the end only"] == 1
    assert len({*told.recording.rows["file"][told.recording.rows["op"] == Op.MMAP].tolist()}) == 2


def test_mremap__moves_pages_by_touching_them_again():
    """Two of four pages were written; they are written again where they were moved to."""
    told = tell(
        what.Mapped(20, 1, 600, 4 * 4096, True, True, False, None, 0), touch(601), touch(603),
        what.Moved(21, 1, 600, 4, 700, 8), what.Moved(22, 1, 700, 8, 700, 10), what.Moved(23, 1, 700, 10, 700, 2),
    )  # fmt: skip
    assert [row[:4] for row in rows(told)[3:9]] == [
        ("MUNMAP", 0, 600, 4), ("MMAP", 0, 700, 8), ("WRITE", 0, 701, 1), ("WRITE", 0, 703, 1),
        ("MMAP", 0, 708, 2), ("MUNMAP", 0, 702, 8),
    ]  # fmt: skip
    assert told.notes["pages moved by mremap, touched again"] == 2


def test_exec_that_nobody_saw__maps_what_the_same_program_mapped_before():
    """Without any image before it maps nothing, and its faults are left out."""
    told = Story(Fake(image=None), 4096).tell([what.Executed(0, 1, "sh"), touch(60001)])
    assert told.notes["execs of which nobody saw what they mapped"] == 1
    assert told.processes[0].left_out == 1


def test_exec__by_a_thread_takes_its_process_along():
    """The thread goes by the number of its process from then on."""
    told = tell(
        fork(5, thread=True, borrows=True), what.Executed(30, 5, "ls"), what.Exited(31, 1), what.Renamed(32, 5, 1),
        touch(60001), what.Exited(40, 1),
    )  # fmt: skip
    assert rows(told) == [
        ("EXEC", 0, 0, 0, 0), ("WRITE", 0, 60009, 1, 0), ("WRITE", 0, 60001, 1, 0), ("EXIT", 0, 0, 0, 0),
    ]  # fmt: skip


def test_others__than_the_command_are_not_told_of():
    """A process that the recording met before the command's exec is none of it."""
    told = Story(Fake(), 4096, root=7).tell(
        [what.Executed(0, 1, "cron"), touch(60001), what.Executed(1, 7, "sh")]
    )
    assert [process.programs for process in told.processes] == [[[0, "sh"]]]
