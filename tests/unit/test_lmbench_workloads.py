"""The workloads fork_exit, fork_exec and fork_sh: one after another, and what each process touches."""

from __future__ import annotations

from profiles import behind_start, counts, make

from simcore.workloads.footprints import FOOTPRINTS

SLEEP, SH = FOOTPRINTS["sleep"], FOOTPRINTS["sh"]


def touches(task, program):
    """Return the steps of a process that starts a program."""
    return [("exec", task, 0), ("read", task, program.file_pages), ("write", task, program.anon_pages)]


def test_fork_exit__story():
    """Fork; the child writes three pages; the parent three; the child exits."""
    once = [("fork", 0, 0), ("write", 1, 3), ("write", 0, 3), ("exit", 1, 0)]
    assert behind_start(make("fork_exit")) == [*once * 3, ("exit", 0, 0)]


def test_fork_exec__story():
    """The child execs the program, which touches its pages."""
    once = [("fork", 0, 0), ("write", 1, 3), *touches(1, SLEEP), ("write", 0, 3), ("exit", 1, 0)]
    assert behind_start(make("fork_exec")) == [*once * 2, ("exit", 0, 0)]


def test_fork_sh__story():
    """The child execs the shell, which forks for the program: two forks and two execs a turn."""
    grandchild = [("fork", 1, 0), ("write", 2, 3), *touches(2, SLEEP), ("exit", 2, 0)]
    once = [("fork", 0, 0), ("write", 1, 3), *touches(1, SH), *grandchild, ("write", 0, 3), ("exit", 1, 0)]
    assert behind_start(make("fork_sh")) == [*once * 2, ("exit", 0, 0)]


def test_forks_and_execs__by_hand():
    """Of n turns: n forks and 1 exec; n and n + 1; 2 n and 2 n + 1. A fork copies each resident pte of its parent."""
    found = {name: counts(name, children=4) for name in ("fork_exit", "fork_exec", "fork_sh")}
    assert [(each["forks"], each["execs"]) for each in found.values()] == [(4, 1), (4, 5), (8, 9)]
    sleep, sh = SLEEP.anon_pages + SLEEP.file_pages, SH.anon_pages + SH.file_pages
    assert [each["ptes_copied_fork"] for each in found.values()] == [4 * sleep, 4 * sleep, 4 * (sleep + sh)]


def test_programs__may_be_others():
    """Parent, program and shell are parameters: bash copies more than sleep."""
    bash = FOOTPRINTS["bash"]
    assert counts("fork_exit", image="bash")["ptes_copied_fork"] == 3 * (bash.anon_pages + bash.file_pages)
