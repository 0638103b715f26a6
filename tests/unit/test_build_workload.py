"""The workload build: who creates whom, and that its counts are those of the build that was traced."""

from __future__ import annotations

import numpy as np
import pytest
from profiles import X86_64, behind_start, counts, make

from simcore import DESIGNS
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

BUILD = WORKLOADS["build"]
SURE = {"fork_ratio": 0.0, "exec_ratio": 1.0}


def creations(trace):
    """Return (how, who, of which depth) of each creation and exit."""
    return [step[:2] for step in behind_start(trace) if step[0] in ("fork", "vfork", "exit")]


def test_story__of_one_object():
    """Two makes, a shell, one small command, then the compiler and its stages; at the end the linker."""
    told = creations(make("build", objects=1, make_depth=2, **SURE))
    command = [("vfork", 2), ("exit", 3)]
    compiler = [("vfork", 2), ("vfork", 3), ("exit", 4), ("vfork", 3), ("exit", 4), ("exit", 3)]
    linker = [
        ("vfork", 1),
        ("vfork", 2),
        ("vfork", 3),
        ("vfork", 4),
        ("exit", 5),
        ("exit", 4),
        ("exit", 3),
        ("exit", 2),
    ]
    assert told == [
        ("vfork", 0), ("vfork", 1), *command, *compiler, ("exit", 2), *linker, ("exit", 1), ("exit", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(("objects", "commands", "depth"), [(1, 0, 1), (2, 3, 1), (5, 4, 4)])
def test_creations__by_hand(objects, commands, depth):
    """An object takes a shell, its commands, the driver and two stages; linking takes four; a make more takes one."""
    found = counts("build", objects=objects, commands=commands, make_depth=depth, **SURE)
    expected = objects * (4 + commands) + 4 + depth - 1
    assert (found["vforks"], found["forks"], found["execs"]) == (expected, 0, expected + 1)


def test_fork_ratio__changes_how_and_not_what():
    """At 1 every command is forked, and each child writes 17 pages before it execs; at 0 none is."""
    forked, borrowed = (counts("build", fork_ratio=ratio, exec_ratio=1.0) for ratio in (1.0, 0.0))
    assert forked["forks"] == borrowed["vforks"]
    assert (forked["vforks"], borrowed["forks"]) == (0, 0)
    assert borrowed["ptes_copied_fork"] == 0
    ratios = [
        counts("build", fork_ratio=ratio, objects=9, exec_ratio=1.0)["forks"]
        for ratio in (0.0, 0.2, 0.6, 1.0)
    ]
    assert ratios == sorted(ratios)


def test_exec_ratio__is_the_share_of_children_that_exec():
    """Subshells come on top: at one half there is one for each command, at 1 there is none."""
    half, whole = (counts("build", exec_ratio=ratio, fork_ratio=0.0) for ratio in (0.5, 1.0))
    assert half["forks"] == half["vforks"] == whole["vforks"]
    assert whole["forks"] == 0
    many = counts("build", objects=100, commands=8, exec_ratio=0.8)
    assert (many["execs"] - 1) / (many["forks"] + many["vforks"]) == pytest.approx(0.8, abs=0.02)


def test_defaults__come_out_like_the_build_that_was_traced():
    """For each object about 8.5 creations, 7 % of them forks, and 11,800 minor faults; at most 7 deep."""
    trace = BUILD.make(defaults(BUILD) | {"objects": 60}, X86_64, np.random.default_rng(3))
    found = simulate(trace, DESIGNS["mainline"], X86_64).counts()
    created = found["forks"] + found["vforks"]
    assert created / 60 == pytest.approx(8.5, abs=0.5)
    assert found["forks"] / created == pytest.approx(0.07, abs=0.02)
    faults = sum(count for name, count in found.items() if name.startswith("faults_"))
    assert faults / 60 == pytest.approx(11_800, rel=0.05)
    assert trace.events["task"].max() <= 7
