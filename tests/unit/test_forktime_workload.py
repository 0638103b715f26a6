"""The workload forktime: its events are those of the program, and its counts come out by hand."""

from __future__ import annotations

from profiles import behind_start, counts, make, steps

from simcore import DESIGNS
from simcore.geometry import GEOMETRIES
from simcore.simulate import simulate

I386 = GEOMETRIES["i386"]


def test_story__of_three_forks():
    """The program reads 156 pages and writes 18, maps and writes its 50; then fork, three writes, exit, three times."""
    told = steps(make("forktime"))
    assert told[:5] == [("exec", 0, 0), ("read", 0, 156), ("write", 0, 18), ("mmap", 0, 0), ("write", 0, 50)]
    assert behind_start(make("forktime")) == [
        *[("fork", 0, 0), ("write", 0, 3), ("exit", 1, 0)] * 3,
        ("exit", 0, 0),
    ]


def test_fork__copies_the_program_and_the_mapping_in_three_tables():
    """On i386: 156 file pages, 18 written ones and the mapping lie in three leaf tables, all copied by each fork.

    The mapping begins 320 pages into libc's table, which has room for 704 of its pages; with 705 there are four.
    """
    for pages, tables in ((50, 3), (704, 3), (705, 4), (704 + 1024, 4)):
        result = simulate(make("forktime", I386, pages=pages, forks=5), DESIGNS["linux24"], I386)
        fork = dict(zip(result.counts(), result.by_kind("fork"), strict=False))
        assert fork["ptes_copied_fork"] == 5 * (156 + 18 + pages)
        assert fork["leaf_tables_allocated"] == 5 * tables


def test_parent__copies_three_pages_a_fork():
    """The child lives when the parent writes: each of its three writes copies a page."""
    found = counts("forktime", forks=7)
    assert (found["forks"], found["execs"], found["exits"]) == (7, 1, 8)
    # three written pages of libc's and the program's data are copies of file pages, the other writes are new memory
    assert found["faults_cow_copy"] == 7 * 3 + 3 + 12
    assert found["faults_anon"] == 3 + 50
