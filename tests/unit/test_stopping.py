"""Processes are stopped when they begin, exec and exit, and not at all where there is none."""

from __future__ import annotations

import sys

import pytest

from pipeline.footprints import memory, stopping

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ptrace and /proc are Linux's")


def moments(tmp_path, *command):
    """Return the exit code of a command, and (moment, name) of each stop."""
    seen = []

    def look(pid, moment):
        seen.append((moment, memory.name_of(pid)))

    code = stopping.run(command, tmp_path, {"PATH": "/usr/bin:/bin"}, look)
    if code == 127 and command[0] == "sh":
        pytest.skip("this system lets nobody trace processes")
    return code, seen


def test_command__is_seen_whole(tmp_path):
    """A shell that runs a program: it begins, its child begins and execs, both exit; the exit code is the shell's."""
    code, seen = moments(tmp_path, "sh", "-c", "sleep 0; exit 3")
    assert code == 3
    assert seen[0] == (stopping.BEGIN, "sh")
    assert [step for step in seen if step[0] == stopping.EXIT] == [("exit", "sleep"), ("exit", "sh")]
    assert (stopping.EXEC, "sleep") in seen


def test_signals__reach_the_command(tmp_path):
    """What is sent to a stopped process is passed on: one that ends by a signal is told so."""
    code, _ = moments(tmp_path, "sh", "-c", "kill -TERM $$")
    assert code == -15


def test_command__that_is_not_there(tmp_path):
    """Nothing is seen, and the code is that of a shell."""
    assert moments(tmp_path, "no-such-program") == (127, [])
