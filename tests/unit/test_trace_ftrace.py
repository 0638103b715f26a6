"""The text of trace_pipe, line by line, with moments derived by hand."""

from pipeline.traces import moments as what
from pipeline.traces.ftrace_text import FtraceText, base_name

PREFIX = "              sh-13330   [000] d.... 25804.{micro:06d}: "


def read(*events, task="sh-13330"):
    """Return the moments of events, a microsecond apart, and the reader."""
    lines = [
        PREFIX.format(micro=number).replace("sh-13330", task) + event + "\n"
        for number, event in enumerate(events)
    ]
    reader = FtraceText(4096)
    return [moment._replace(time_us=0) for moment in reader.moments(lines)], reader


def test_faults__tell_page_and_write():
    """Bit 1 of the error code is a write; addresses of the kernel are nobody's pages."""
    found, reader = read(
        "page_fault_user: address=0x7fbb9db0fe06 ip=0x7fbb9daf77ad error_code=0x6",
        "page_fault_kernel: address=0x55eef98a2128 ip=elf_load error_code=0x2",
        "page_fault_user: address=0x5000 ip=0x5000 error_code=0x14",
        "page_fault_kernel: address=0xffff888000000000 ip=copy error_code=0x0",
    )
    assert found == [
        what.Touched(0, 13330, 0x7FBB9DB0F, write=True),
        what.Touched(0, 13330, 0x55EEF98A2, write=True),
        what.Touched(0, 13330, 5, write=False),
    ]
    assert reader.unread == 0


def test_processes__come_and_go():
    """clone_flags tell threads (0x10000), borrowed mms (0x100) and vfork (0x4000)."""
    found, _ = read(
        "task_newtask: pid=7 comm=my prog clone_flags=1200000 oom_score_adj=0",
        "task_newtask: pid=8 comm=sh clone_flags=4100 oom_score_adj=0",
        "task_newtask: pid=9 comm=sh clone_flags=3d0f00 oom_score_adj=0",
        "sched_process_exit: comm=sh pid=13330 prio=120",
    )
    assert found == [
        what.Created(0, 13330, 7, thread=False, borrows=False, waits=False),
        what.Created(0, 13330, 8, thread=False, borrows=True, waits=True),
        what.Created(0, 13330, 9, thread=True, borrows=True, waits=False),
        what.Exited(0, 13330),
    ]


def test_exec__counts_when_the_old_memory_goes():
    """Where sched_prepare_exec is told, it is the exec; sched_process_exec, behind the loader, is not another."""
    found, _ = read(
        "sched_prepare_exec: interp=/usr/bin/dash filename=./configure pid=13330 comm=sh",
        "page_fault_kernel: address=0x1000 ip=elf_load error_code=0x2",
        "sched_process_exec: filename=/usr/bin/dash pid=13330 old_pid=13330",
        "sched_process_exec: filename=/usr/bin/env pid=13330 old_pid=13330",
    )
    assert found == [
        what.Executed(0, 13330, "dash"),
        what.Touched(0, 13330, 1, write=True),
        what.Executed(0, 13330, "env"),
    ]


def test_exec__of_a_thread_takes_the_number_of_its_process():
    """old_pid tells which thread it was."""
    found, _ = read("sched_process_exec: filename=/bin/x pid=13330 old_pid=13335")
    assert found == [what.Renamed(0, 13335, 13330), what.Executed(0, 13330, "x")]


def test_calls__count_when_they_have_succeeded():
    """Arguments come from the entry, addresses from the return; an errno is no address."""
    found, reader = read(
        "sys_mmap(addr: 0, len: 0x9767, prot: 1, flags: 2, fd: 3, off: 0)",
        "sys_mmap -> 0x7fbb9dac8000",
        "sys_mmap(addr: 0, len: 0x2000, prot: 0, flags: 0x8021, fd: 0xffffffff, off: 0)",
        "sys_mmap -> 0x10000",
        "sys_mmap(addr: 0, len: 0x2000, prot: 3, flags: 0x22, fd: 0xffffffff, off: 0)",
        "sys_mmap -> 0xfffffffffffffff4",
        "sys_munmap(addr: 0x10000, len: 0x1001)",
        "sys_munmap -> 0x0",
        "sys_mprotect(start: 0x10000, len: 0x1000, prot: 1)",
        "sys_mprotect -> 0x0",
        "sys_madvise(start: 0x10000, len_in: 0x1000, behavior: 4)",
        "sys_madvise -> 0x0",
        "sys_madvise(start: 0x10000, len_in: 0x1000, behavior: 8)",
        "sys_madvise -> 0x0",
        "sys_brk(brk: 0)",
        "sys_brk -> 0x20001",
        "sys_mremap(addr: 0x10000, old_len: 0x1000, new_len: 0x3000, flags: 1, new_addr: 0)",
        "sys_mremap -> 0x40000",
    )
    assert found == [
        what.Mapped(0, 13330, 0x7FBB9DAC8, 0x9767, True, False, False, "", 0, False),
        what.Mapped(0, 13330, 16, 0x2000, False, False, True, None, 0, True),
        what.Unmapped(0, 13330, 16, 2),
        what.Protected(0, 13330, 16, 1, accessible=True, writable=False),
        what.Discarded(0, 13330, 16, 1),
        what.HeapMoved(0, 13330, 33),
        what.Moved(0, 13330, 16, 1, 64, 3),
    ]
    assert reader.unread == 0


def test_calls__that_began_before_the_recording_are_passed_over():
    """A return without its entry says nothing."""
    assert read("sys_mmap -> 0x7fbb9dac8000")[0] == []


def test_lost_events__are_counted():
    """The kernel says how many it could not keep; comments are no lines, what is none of the format is counted."""
    reader = FtraceText(4096)
    assert list(reader.moments(["CPU:1 [LOST 123 EVENTS]\n", "# tracer: nop\n", "\n", "hello\n"])) == []
    assert (reader.lost, reader.unread) == (123, 1)


def test_names__of_tasks_may_hold_anything():
    """A task called "a-1 [0] b" has the pid behind the last hyphen before the processor."""
    found, _ = read("sched_process_exit: comm=x pid=5 prio=120", task="my prog-x-77")
    assert found == [what.Exited(0, 77)]


def test_base_name__is_all_that_is_kept_of_a_path():
    """Nothing before the last slash."""
    assert [base_name(path) for path in ("/usr/bin/sh", "./configure", "sh", "/a/b/")] == [
        "sh",
        "configure",
        "sh",
        "b",
    ]
