"""Traces of the profiles, small enough for the oracle, and what they hold."""

from __future__ import annotations

import numpy as np

from simcore import DESIGNS
from simcore.events import Op
from simcore.geometry import GEOMETRIES
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

X86_64 = GEOMETRIES["x86-64"]

# Of each profile an instance with few children and little memory; parameters that are not named have their defaults.
FEW = {
    "forktime": {"forks": 3, "pages": 50},
    "build": {"objects": 2, "commands": 1, "compiler_pages": 20},
    "prefork": {"workers": 3, "requests": 8, "anon_pages": 60, "exit_ratio": 0.3},
    "zygote": {"children": 5, "alive": 2, "anon_pages": 60, "file_pages": 40, "written": 20, "read_pages": 9},
    "postgres": {
        "backends": 4, "connected": 2, "anon_pages": 50, "file_pages": 20, "written": 30, "shared_buffers": 700,
        "buffers_prepared": 20, "buffers_touched": 30,
    },
    "forkserver": {"inputs": 3, "anon_pages": 600, "written": 20},
    "worker_pool": {"workers": 3, "tasks": 2, "written": 90, "anon_pages": 40, "file_pages": 10, "image": "sh"},
    "daemon_spawn": {"helpers": 2, "anon_pages": 700},
    "fork_exit": {"children": 3},
    "fork_exec": {"children": 2},
    "fork_sh": {"children": 2},
}  # fmt: skip


def make(name, geometry=X86_64, seed=1, **wanted):
    """Return a small trace of a profile with the wanted parameters."""
    workload = WORKLOADS[name]
    return workload.make(defaults(workload) | FEW[name] | wanted, geometry, np.random.default_rng(seed))


def counts(name, design="linux24", **wanted):
    """Return the counts of a small trace under a design."""
    return simulate(make(name, **wanted), DESIGNS[design], X86_64).counts()


def pages_of(trace, event):
    """Return the pages that a read or write touches."""
    start, count, stride = (int(event[name]) for name in ("start", "count", "stride"))
    if stride == 0:
        return trace.pages[start : start + count].tolist()
    return [start + stride * step for step in range(count)]


def steps(trace):
    """Return (what, task, number of pages) of each event, neighbours of one kind and task added up."""
    told = []
    for event in trace.events:
        what, task = Op(event["op"]).name.lower(), int(event["task"])
        pages = len(pages_of(trace, event)) if event["op"] in (Op.READ, Op.WRITE) else 0
        if pages and told and told[-1][:2] == (what, task):
            told[-1] = (what, task, told[-1][2] + pages)
        else:
            told.append((what, task, pages))
    return told


def behind_start(trace):
    """Return the steps from the first creation on."""
    told = steps(trace)
    first = next(at for at, step in enumerate(told) if step[0] in ("fork", "vfork"))
    return told[first:]


def written(trace, task, since=Op.FORK):
    """Return the pages of each write of a task from the first event of a kind on, a list for each event."""
    first = int(np.flatnonzero(trace.events["op"] == since)[0])
    return [
        pages_of(trace, event)
        for event in trace.events[first:]
        if event["op"] == Op.WRITE and event["task"] == task
    ]
