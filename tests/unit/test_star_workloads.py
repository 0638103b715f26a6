"""The workloads of stars, and of a daemon: who forks when, and what a child writes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from profiles import FEW, X86_64, behind_start, counts, make, written

from simcore.events import Op
from simcore.workloads.footprints import FOOTPRINTS

STARS = ["prefork", "zygote", "postgres", "forkserver", "worker_pool"]


def alive_at_most(trace):
    """Return how many children live at a time, at most."""
    change = (trace.events["op"] == Op.FORK).astype(int) - (trace.events["op"] == Op.EXIT)
    return int(np.cumsum(change).max())


def test_forkserver__story():
    """Each input: fork, the child writes 20 pages, the server two, the child exits."""
    once = [("fork", 0, 0), ("write", 1, 20), ("write", 0, 2), ("exit", 1, 0)]
    assert behind_start(make("forkserver")) == [*once * 3, ("exit", 0, 0)]


def test_forkserver__copies_what_is_written():
    """Each fork copies the mapping's 600 ptes, and those of sleep: what it has written and its file pages.

    A child's 20 writes are 20 copies, and so are the server's two while the child lives that shares them.
    """
    sleep = FOOTPRINTS["sleep"]
    start = sleep.data + sleep.library_data  # written by the server before it forks: copies of file pages
    children, server = (
        counts("forkserver", inputs=5, written=written, parent_writes=own)
        for written, own in ((20, 0), (0, 2))
    )
    assert children["ptes_copied_fork"] == 5 * (600 + sleep.anon_pages + sleep.file_pages)
    assert children["faults_cow_copy"] == start + 5 * 20
    assert server["faults_cow_copy"] == start + 5 * 2


def test_zygote__children_come_and_go():
    """Of five children two live at a time; the oldest exits before the next is forked."""
    trace = make("zygote", parent_writes=0)
    child = [("write", 20), ("read", 9)]
    expected = []
    for number in range(5):
        task = 1 + number % 2
        expected += [("exit", task, 0)] if number > 1 else []
        expected += [("fork", 0, 0), *((what, task, pages) for what, pages in child)]
    assert behind_start(trace) == [*expected, ("exit", 2, 0), ("exit", 1, 0), ("exit", 0, 0)]
    assert alive_at_most(trace) == 2
    assert alive_at_most(make("zygote", alive=100)) == 5


def test_zygote__reads_pages_of_the_file():
    """Each child reads nine pages of the file, none twice; the file holds 40 pages besides those of sleep."""
    trace = make("zygote")
    reads = [event for event in trace.events if event["op"] == Op.READ and event["task"] > 0]
    drawn = [trace.pages[event["start"] : event["start"] + event["count"]] for event in reads]
    assert [len(set(pages.tolist())) for pages in drawn] == [9] * 5
    assert np.ptp(np.concatenate(drawn)) < 40 + FOOTPRINTS["sleep"].archive


def test_postgres__never_copies_the_buffers():
    """A backend's 30 own writes are copies; the buffers' pages are mapped anew in each, and copied in none.

    They have tables of their own: 700 pages, two leaf tables.
    """
    git = FOOTPRINTS["git"]
    found = counts("postgres", parent_writes=0)
    assert found["faults_cow_copy"] == git.data + git.library_data + 4 * 30
    trace = make("postgres")
    buffers = [pages for backend in (1, 2) for pages in written(trace, backend)[1::2]]
    assert [len(set(pages)) for pages in buffers] == [30] * 4
    [shared] = [event for event in trace.events if event["op"] == Op.MMAP and event["file"] >= 0]
    assert (shared["start"] % 512, shared["count"]) == (0, 700)
    assert all(shared["start"] <= page < shared["start"] + 700 for pages in buffers for page in pages)


def test_prefork__workers_serve_and_are_replaced():
    """Three workers get ready with 100 writes each; eight requests of 20 pages; who exits is replaced at once."""
    trace = make("prefork", anon_pages=600, parent_writes=0)
    sizes = Counter(len(pages) for worker in (1, 2, 3) for pages in written(trace, worker))
    exits = int((trace.events["op"] == Op.EXIT).sum()) - 4
    assert exits > 0
    assert sizes == {100: 3 + exits, 20: 8}
    assert alive_at_most(trace) == 3
    assert counts("prefork", exit_ratio=0.0)["forks"] == 3
    assert counts("prefork", exit_ratio=1.0)["forks"] == 3 + 8


def test_worker_pool__divides_what_a_worker_writes():
    """A worker's 90 pages are written in two tasks of 45, none twice, in turn with the others'."""
    trace = make("worker_pool", anon_pages=300)
    for worker in (1, 2, 3):
        tasks = written(trace, worker)
        assert [len(pages) for pages in tasks] == [45, 45]
        assert len({page for pages in tasks for page in pages}) == 90
    tail = behind_start(trace)[-10:-4]
    assert tail == [("write", worker, 45) for worker in (1, 2, 3)] * 2


def test_worker_pool__may_start_anew():
    """With exec ratio 1 each worker writes, execs the program and makes the mapping itself; the ratio drops none."""
    found = [counts("worker_pool", exec_ratio=ratio, workers=9)["execs"] for ratio in (0.0, 0.4, 1.0)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (1, 10)
    trace = make("worker_pool", exec_ratio=1.0)
    assert int((trace.events["op"] == Op.MMAP).sum()) == 4
    assert next(step for step in behind_start(trace) if step[1] == 1) == ("write", 1, 17)


@pytest.mark.parametrize("name", STARS)
def test_first__orders_child_and_parent(name):
    """With the parent first its writes come right behind the fork."""
    key = {"prefork": "requests", "worker_pool": "exec_ratio"}.get(name)
    more = {key: 0 if key == "requests" else 1.0} if key else {}
    for first, task in (("parent", 0), ("child", 1)):
        told = behind_start(make(name, first=first, **more))
        assert told[1][1] == task


@pytest.mark.parametrize("name", [*STARS, "daemon_spawn"])
def test_region__has_leaf_tables_of_its_own(name):
    """The private anonymous mapping begins with a leaf table behind all that the program maps, and is all written."""
    trace = make(name, anon_pages=512)
    region = next(event for event in trace.events if event["op"] == Op.MMAP and event["file"] < 0)
    assert (region["start"] % 512, region["count"]) == (0, 512)
    ends = trace.image_rows["start"] + trace.image_rows["count"]
    assert region["start"] >= max(end for end in ends if end < X86_64.stack_top_vpn)


def test_children__write_stack_data_and_library_data_first():
    """Whoever writes three pages writes one of each; the next are drawn from all others, region included."""
    trace = make("forkserver", written=3)
    few = {tuple(pages) for pages in written(trace, 1)}
    assert len(few) == 1
    assert len({page // 512 for page in next(iter(few))}) == 3
    many = written(make("forkserver", written=300), 1)
    assert all(len(set(pages)) == 300 for pages in many)
    assert len({tuple(pages) for pages in many}) == 3
    assert set(next(iter(few))) <= set(many[0])


def test_daemon_spawn__by_fork_and_by_vfork():
    """The child writes 17 pages and execs the helper, which touches its own; the daemon writes 14.

    A fork copies the mapping's 700 ptes and all of sleep; a vfork none.
    """
    sh, sleep = FOOTPRINTS["sh"], FOOTPRINTS["sleep"]
    for creation, copied in (("fork", 2 * (700 + sleep.anon_pages + sleep.file_pages)), ("vfork", 0)):
        told = behind_start(make("daemon_spawn", creation=creation))
        once = [
            (creation, 0, 0), ("write", 1, 17), ("exec", 1, 0), ("read", 1, sh.file_pages), ("write", 1, sh.anon_pages),
            ("write", 0, 14), ("exit", 1, 0),
        ]  # fmt: skip
        assert told == [*once * 2, ("exit", 0, 0)]
        assert counts("daemon_spawn", creation=creation)["ptes_copied_fork"] == copied
    assert FEW["daemon_spawn"]["anon_pages"] == 700
