"""Logs of strace, written by hand, and damaged ones: moments, stories, refusals."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from traces import DEEP

from pipeline.errors import RefusedError
from pipeline.traces import moments as what
from pipeline.traces.footprint_touches import PARENT_WRITES, WRITTEN_BEFORE_EXEC, footprint_of
from pipeline.traces.replay import forks_of
from pipeline.traces.strace_log import told_of_log
from pipeline.traces.strace_text import StraceError, read_strace
from simcore import DESIGNS, GEOMETRIES
from simcore.simulate import simulate
from simcore.workloads.footprints import FOOTPRINTS
from simcore.workloads.recorded import trace_of

# A shell vforks true, whose lines come before the call that made it is done; then it forks a subshell.
LOG = """\
100 1795744472.000000 execve("/usr/bin/sh", ["sh", "-c"...], 0x7ffe9c097688 /* 35 vars */) = 0
100 1795744472.000100 brk(NULL)             = 0x55b0c447c000
100 1795744472.000200 mmap(NULL, 38759, PROT_READ, MAP_PRIVATE, 3</etc/ld.so.cache>, 0) = 0x7f8de1346000
100 1795744472.000300 mmap(NULL, 1974096, PROT_READ, MAP_PRIVATE|MAP_DENYWRITE, 3</usr/lib/libc.so.6>, 0) = 0x7f8de1164000
100 1795744472.000400 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f8de1350000
100 1795744472.000500 munmap(0x7f8de1346000, 38759) = 0
100 1795744472.000600 vfork( <unfinished ...>
101 1795744472.000700 execve("/bin/true", ["/bin/true"], 0x55b0c447cad8 /* 35 vars */ <unfinished ...>
100 1795744472.000800 <... vfork resumed>) = 101
100 1795744472.000850 wait4(-1,  <unfinished ...>
101 1795744472.000900 <... execve resumed>) = 0
101 1795744472.001000 exit_group(0)         = ?
101 1795744472.001100 +++ exited with 0 +++
100 1795744472.001200 <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 101
100 1795744472.001300 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=101} ---
100 1795744472.001400 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 102
102 1795744472.001500 exit_group(3)         = ?
102 1795744472.001600 +++ exited with 3 +++
100 1795744472.001700 +++ killed by SIGKILL (core dumped) +++
"""


def test_log__is_read_in_the_order_in_which_things_happen():
    """The vforked child is made before its own lines; libraries are left out, since footprints have them."""
    log = read_strace(LOG, 4096)
    kinds = [(type(moment).__name__, moment.tid) for moment in log.moments]
    assert kinds == [
        ("Executed", 100), ("HeapMoved", 100), ("Mapped", 100), ("Mapped", 100), ("Unmapped", 100), ("Created", 100),
        ("Executed", 101), ("Exited", 101), ("Created", 100), ("Exited", 102), ("Exited", 100),
    ]  # fmt: skip
    assert log.unread == 0
    made = [moment for moment in log.moments if isinstance(moment, what.Created)]
    assert [(each.child, each.borrows, each.waits, each.thread) for each in made] == [
        (101, True, True, False), (102, False, False, False),
    ]  # fmt: skip
    assert log.moments[2][2:] == (0x7F8DE1346, 38759, True, False, False, "/etc/ld.so.cache", 0, False)


def test_log__becomes_a_trace_with_touches_of_footprints():
    """The forked subshell writes 22 pages; no fault was recorded; the trace runs."""
    told = told_of_log(LOG.encode(), 4096)
    assert [(each.parent, each.how, each.faults) for each in told.processes] == [
        (-1, "first", 0), (0, "vfork", 0), (0, "fork", 0),
    ]  # fmt: skip
    assert [each.programs for each in told.processes] == [[[0, "sh"]], [[700, "true"]], []]
    (fork,) = forks_of(told.recording)
    assert len(fork.pages) == WRITTEN_BEFORE_EXEC
    assert fork.parent_copies + fork.parent_reuses == PARENT_WRITES
    result = simulate(trace_of(told.recording), DESIGNS["mainline"], GEOMETRIES["x86-64"])
    assert result.counts()["forks"] == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [("1795744472.", "12:34:56."), ("179574447", ""), ("100 ", ""), ("100 ", "[pid   100] ")],
    ids=["clock", "relative", "first without pid", "brackets"],
)
def test_log__may_be_written_otherwise(old, new):
    """Other time stamps, and pids as strace writes them to a terminal, tell the same story."""
    told = told_of_log(LOG.replace(old, new).encode(), 4096)
    assert [(each.parent, each.how) for each in told.processes] == [(-1, "first"), (0, "vfork"), (0, "fork")]


def test_log__without_its_beginning_begins_with_a_shell():
    """A log of strace -p: the first process is there already."""
    text = "\n".join(LOG.splitlines()[13:])
    assert told_of_log(text.encode(), 4096).processes[0].programs == [[0, "sh"]]


def test_threads__and_clone3_are_told_by_their_flags():
    """clone3 has its flags in braces."""
    text = (
        '7 execve("/bin/x", [], 0x0 /* 0 vars */) = 0\n'
        "7 clone3({flags=CLONE_VM|CLONE_THREAD|CLONE_SIGHAND, exit_signal=0}, 88) = 8\n"
        "7 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88) = 9\n"
        "7 clone(child_stack=NULL, flags=SIGCHLD) = -1 EAGAIN (Resource temporarily unavailable)\n"
    )
    made = [moment[2:] for moment in read_strace(text, 4096).moments if isinstance(moment, what.Created)]
    assert made == [(8, True, True, False), (9, False, True, True)]


def test_memory__beyond_the_footprint_is_written():
    """A program whose footprint has N pages of heap and anonymous memory maps 1,000: it writes 1,000 - N of them."""
    text = (
        '7 execve("/bin/ls", [], 0x0 /* 0 vars */) = 0\n'
        "7 mmap(NULL, 4096000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n"
    )
    rows = told_of_log(text.encode(), 4096).recording.rows
    beyond = (rows["start"] >= 0x7F0000000) & (rows["op"] == 3) & (rows["start"] < 0x7F0000000 + 1000)
    assert beyond.sum() == 1000 - FOOTPRINTS["ls"].heap - FOOTPRINTS["ls"].anon


@pytest.mark.parametrize(
    ("name", "footprint"),
    [
        ("dash", "sh"),
        ("x86_64-linux-gnu-gcc-12", "cc"),
        ("python3.11", "python3"),
        ("cc1plus", "cc1"),
        ("rm", "ls"),
    ],
)
def test_footprint__of_programs_under_other_names(name, footprint):
    """A program that was not measured is told as a small one."""
    assert footprint_of(name) == footprint


@pytest.mark.parametrize("text", ["", "hello\n", "Dear all,\nplease find\n" * 20, "\x00\x01\x02"])
def test_text__that_is_no_log_is_refused(text):
    """The message says what is needed and how to make it."""
    with pytest.raises(StraceError, match=r"strace -f -ttt"):
        read_strace(text, 4096)


def test_text__with_too_much_else_in_it_is_refused():
    """A log within a mail, say."""
    with pytest.raises(StraceError, match="line 1"):
        read_strace("hello there\n" * 30 + LOG, 4096)


LINES = LOG.splitlines()
damage = st.lists(
    st.one_of(
        st.tuples(st.just("drop"), st.integers(0, len(LINES) - 1), st.just(0)),
        st.tuples(st.just("twice"), st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1)),
        st.tuples(st.just("cut"), st.integers(0, len(LINES) - 1), st.integers(0, 80)),
        st.tuples(st.just("digit"), st.integers(0, len(LINES) - 1), st.integers(0, 90)),
        st.tuples(st.just("swap"), st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1)),
    ),
    max_size=6,
)


def damaged(steps):
    """Return the log with some damage done to it."""
    lines = LINES.copy()
    for kind, where, what_else in steps:
        at, other = where % len(lines), what_else if kind in ("cut", "digit") else what_else % len(lines)
        if kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "twice":
            lines.insert(other, lines[at])
        elif kind == "cut":
            lines[at] = lines[at][:other]
        elif kind == "digit" and other < len(lines[at]):
            lines[at] = lines[at][:other] + "9" + lines[at][other + 1 :]
        elif kind == "swap":
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


@settings(max_examples=300 if DEEP else 30)
@given(damage)
@example([("swap", 7, 18), ("twice", 16, 7)])  # a parent that is killed while its vforked child lives
def test_damaged_log__is_a_trace_that_runs_or_a_refusal(steps):
    """Whatever is dropped, doubled, cut or changed: never anything but a trace that the simulator runs, or a refusal."""
    try:
        told = told_of_log(damaged(steps).encode(), 4096)
    except RefusedError:
        return
    trace = trace_of(told.recording)
    # Addresses that were damaged may lie outside of the address space, which the workload refuses by itself.
    if int((trace.events["start"] + trace.events["count"])[trace.events["op"] < 2].max(initial=0)) < 1 << 35:
        simulate(trace, DESIGNS["mainline"], GEOMETRIES["x86-64"])
