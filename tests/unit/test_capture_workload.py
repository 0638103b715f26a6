"""The workload capture: its trace gives each process what it was found with."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcore import DESIGNS, GEOMETRIES, Mapping, VmaKind
from simcore.events import Op
from simcore.geometry import Geometry
from simcore.simulate import levels, simulate, start
from simcore.workloads import WORKLOADS
from simcore.workloads.capture import tell
from simcore.workloads.found import found_in, holes, kept_ranges, runs_of
from simcore.workloads.spaces import Page, Run, Space, Spaces, packed, spaces_of, unpacked

CAPTURE = WORKLOADS["capture"]
SMALL = Geometry("small", 4096, 16, 3, 4096, 8, 1024, 4096, 8)
NO_WRITES = {"written_before_exec": 0, "parent_writes": 0}
LIBRARY = Mapping(32, 20, VmaKind.FILE_PRIVATE, writable=False, file=0)
HEAP = Mapping(64, 40, VmaKind.HEAP)
STACK = Mapping(4000, 16, VmaKind.STACK)


def value(*spaces):
    """Return address spaces as a study has them."""
    return {"label": "a test", "processes": len(spaces), "packed": packed(Spaces(4096, list(spaces)))}


def params(*spaces, **wanted):
    """Return the parameters of a trace of these processes."""
    return {"file": value(*spaces)} | NO_WRITES | wanted


def at_rest(design, *spaces, **wanted):
    """Return (leaf and upper tables but for pgds, resident pages) of each process when all have what they have."""
    told = tell(params(*spaces, **wanted), SMALL)
    machine = start(told.trace, DESIGNS[design], SMALL)
    machine.run(told.at_rest)
    found = {}
    for event in range(told.at_rest, len(told.trace)):
        before = levels(machine)
        machine.run(event + 1)
        after = levels(machine)
        gone = [before[name] - after[name] for name in ("pgtable_charged_bytes", "rss_pages")]
        found[int(told.trace.events["task"][event])] = (gone[0] // 4096, gone[1])
    return [found[number] for number in range(len(spaces))]


def steps(*spaces, **wanted):
    """Return the events of a trace: operation, task, and the range of pages if there is one."""
    trace = tell(params(*spaces, **wanted), SMALL).trace
    return [
        (Op(row["op"]).name.lower(), int(row["task"]), int(row["start"]), int(row["count"]))
        for row in trace.events
    ]


ROOT = Space(-1)
SHELL = Space(
    0,
    forked=False,
    vmas=[LIBRARY, HEAP, STACK],
    runs=[Run(32, 8, Page.FILE), Run(64, 20, Page.ANON), Run(84, 2, Page.SHARED), Run(4014, 2, Page.ANON)],
)
SUBSHELL = replace(
    SHELL, parent=1, forked=True, runs=[Run(32, 4, Page.FILE), Run(70, 3, Page.ANON), Run(84, 2, Page.SHARED)]
)


def test_process__has_the_tables_and_pages_that_it_was_found_with():
    """One that exec'ed: library, heap over two tables, stack, and one upper table above each half; by hand 5 + 2."""
    assert at_rest("linux26", ROOT, SHELL) == [(0, 0), (4 + 2, 32)]


def test_child_that_never_execs__gives_back_what_it_was_not_found_with():
    """It keeps 2 shared pages and 3 that it wrote; its heap's tables came through fork."""
    assert at_rest("linux26", ROOT, SHELL, SUBSHELL)[2] == (4, 9)


def test_forked_children__come_before_the_rest_is_touched():
    """A shell has only what its subshell has too when it forks it, and the rest when it forks a command."""
    command = Space(1, vmas=[STACK], runs=[Run(4015, 1, Page.ANON)])
    told = steps(ROOT, SHELL, command, SUBSHELL)
    forks = [index for index, step in enumerate(told) if step[:2] == ("fork", 1)]
    before = {
        page
        for what, task, first, n in told[: forks[0]]
        if (what, task) == ("write", 1)
        for page in range(first, first + n)
    }
    assert before == {70, 71, 72, 84, 85}
    between = {
        page
        for what, task, first, n in told[forks[0] : forks[1]]
        if (what, task) == ("write", 1)
        for page in range(first, first + n)
    }
    assert between == {*range(64, 84), 4014, 4015} - before
    assert [step[0] for step in told[-4:]] == ["exit"] * 4


def test_shared_pages__are_not_written_by_a_child_that_got_them():
    """What was found to be mapped by others too is left to be so."""
    written = [step[2:] for step in steps(ROOT, SHELL, SUBSHELL) if step[:2] == ("write", 2)]
    assert written == [(70, 3)]


def test_vma_that_can_no_longer_be_written__is_written_first_then_protected():
    """As the relocated data of a library are."""
    data = Mapping(52, 4, VmaKind.FILE_PRIVATE, writable=False, file=0, offset=20)
    told = steps(ROOT, Space(0, vmas=[data], runs=[Run(52, 2, Page.ANON), Run(54, 1, Page.FILE)]))
    own = [step for step in told if step[1] == 1 and step[0] in ("read", "write", "mprotect")]
    assert own == [("read", 1, 54, 1), ("write", 1, 52, 2), ("mprotect", 1, 52, 4)]


def test_pages_around_a_fork__are_the_last_of_each_table():
    """A child writes so many pages before it execs, going round its parent's tables; its parent pages of its own."""
    command = Space(1, vmas=[STACK])
    told = steps(ROOT, SHELL, command, written_before_exec=3, parent_writes=2)
    assert [step[2:] for step in told if step[:2] == ("write", 2)] == [(79, 1), (85, 1), (4015, 1)]
    behind = told[[step[:2] for step in told].index(("fork", 1)) :]
    assert [step[2:] for step in behind if step[:2] == ("write", 1)] == [(79, 1), (83, 1)]


def test_memory_that_no_fork_gave__is_mapped_by_the_child():
    """A child maps what it has besides, and unmaps what it has no longer, page by page."""
    grown = replace(SUBSHELL, vmas=[LIBRARY, HEAP._replace(npages=50), Mapping(200, 4, VmaKind.ANON)])
    told = steps(ROOT, SHELL, grown)
    assert ("mmap", 2, 104, 10) in told
    assert ("mmap", 2, 200, 4) in told
    assert ("munmap", 2, 4000, 16) in told


def test_large_vma__is_mapped_where_it_has_pages():
    """Programs reserve terabytes; of more than 512 tables only those with pages are mapped."""
    large = Mapping(0, 16 * 600, VmaKind.FILE_SHARED, file=3, offset=10)
    (found,) = found_in(Spaces(4096, [Space(-1, vmas=[large], runs=[Run(170, 10, Page.FILE)])]), 16)
    assert [(vma.start, vma.npages) for vma in found.vmas] == [(160, 32)]


def test_pages_of_files__move_together_by_whole_tables():
    """What no vma maps is left out; places within a table stay, as do overlaps."""
    vmas = [
        Mapping(0, 4, VmaKind.FILE_SHARED, file=3, offset=1_000_005),
        Mapping(8, 4, VmaKind.FILE_SHARED, file=3, offset=1_000_007),
        Mapping(16, 4, VmaKind.FILE_SHARED, file=3, offset=5_000_000_000),
    ]
    (found,) = found_in(Spaces(4096, [Space(-1, vmas=vmas)]), 16)
    moved = [vma.offset for vma in found.vmas]
    assert moved[0] == 1_000_005 % 16
    assert moved[1] == moved[0] + 2
    assert moved[2] % 16 == 5_000_000_000 % 16
    assert moved[1] + 4 <= moved[2] < 64


def test_ranges__are_cut_and_joined():
    """The small sums below."""
    assert runs_of(np.array([1, 2, 3, 7, 9, 10])) == [(1, 3), (7, 1), (9, 2)]
    assert holes((0, 10), [(2, 3), (5, 1), (8, 9)]) == [(0, 2), (6, 2)]
    assert holes((4, 4), [(0, 5), (7, 9)]) == [(5, 2)]
    one, two = found_in(
        Spaces(4096, [Space(-1, vmas=[LIBRARY, HEAP]), Space(0, vmas=[LIBRARY._replace(offset=1), HEAP])]), 16
    )
    assert [part[:2] for part in kept_ranges(one, two)] == [(64, 40)]


@pytest.mark.parametrize(
    "design", ["linux26", "mainline", "linus_pmd", "phillips", "cow_pte", "vfork", "async_fork"]
)
def test_designs__are_simulated_as_the_oracle_says(design):
    """Engine and oracle count the same on a capture."""
    trace = CAPTURE.make(
        params(ROOT, SHELL, SUBSHELL, replace(SUBSHELL, parent=2), written_before_exec=4, parent_writes=4),
        SMALL,
        np.random.default_rng(0),
    )
    assert (
        simulate(trace, DESIGNS[design], SMALL).counts()
        == simulate(trace, DESIGNS[design], SMALL, "oracle").counts()
    )


def test_levels__are_those_that_a_result_ends_with():
    """In engine and oracle, at any event."""
    trace = tell(params(ROOT, SHELL, SUBSHELL), SMALL).trace
    for stop in (3, len(trace) // 2):
        machines = [start(trace, DESIGNS["linus_pmd"], SMALL, engine) for engine in ("fast", "oracle")]
        for machine in machines:
            machine.run(stop)
        counts = machines[0].result().counts()
        wanted = {name: counts[f"{name}_end"] for name in levels(machines[0])}
        assert [levels(machine) for machine in machines] == [wanted, wanted]


@st.composite
def machines(draw):
    """Return up to five processes with vmas on a grid, so that a child's are often like its parent's."""
    spaces = [ROOT]
    for number in range(1, draw(st.integers(2, 5))):
        vmas, runs = [], []
        for cell in range(6):
            if not draw(st.integers(0, 3)):
                continue
            kind = [
                VmaKind.ANON,
                VmaKind.FILE_PRIVATE,
                VmaKind.FILE_SHARED,
                VmaKind.SHM,
                VmaKind.HEAP,
                VmaKind.STACK,
            ][cell]
            backed = kind in (VmaKind.FILE_PRIVATE, VmaKind.FILE_SHARED, VmaKind.SHM)
            first = 100 * cell + draw(st.integers(0, 2)) * 5
            file, offset = (cell, first - 100 * cell) if backed else (-1, 0)
            vma = Mapping(first, draw(st.integers(10, 40)), kind, draw(st.booleans()), file, offset)
            vmas.append(vma)
            private = kind not in (VmaKind.FILE_SHARED, VmaKind.SHM)
            sorts = [Page.FILE] if not private else [Page.ANON, Page.SHARED, Page.SWAP]
            at = first
            while at < first + vma.npages and draw(st.booleans()):
                length = draw(st.integers(1, min(9, first + vma.npages - at)))
                runs.append(Run(at, length, draw(st.sampled_from(sorts))))
                at += length + draw(st.integers(0, 3))
        spaces.append(Space(draw(st.integers(0, number - 1)), draw(st.booleans()) and number > 1, vmas, runs))
    return spaces


@settings(deadline=None)
@given(machines())
def test_any_machine__comes_to_rest_with_the_pages_that_were_found(spaces):
    """Without fault-around each process has exactly its pages, and at least the tables that they need."""
    rest = at_rest("linux26", *spaces)
    assert [pages for _, pages in rest] == [sum(run.npages for run in space.runs) for space in spaces]
    for (tables, _), space in zip(rest, spaces, strict=True):
        needed = {page // 16 for run in space.runs for page in range(run.start, run.start + run.npages)}
        assert tables >= len(needed) + len({slot // 16 for slot in needed})


@given(machines())
def test_packing__loses_nothing(spaces):
    """What is packed is unpacked."""
    assert unpacked(packed(Spaces(4096, spaces))) == Spaces(4096, spaces)


def test_geometry__has_to_be_the_machines():
    """Pages of another size, or an address space that ends too early, are refused with what to do."""
    wanted = params(ROOT, SHELL)
    assert CAPTURE.fits(wanted, SMALL) is None
    assert "pages of 4096 bytes, geometry 'arm64-64k' of 65536" in CAPTURE.fits(
        wanted, GEOMETRIES["arm64-64k"]
    )
    high = params(replace(ROOT, vmas=[STACK._replace(start=1 << 34)]))
    assert "geometry 'i386' ends at 786431" in CAPTURE.fits(high, GEOMETRIES["i386"])
    with pytest.raises(ValueError, match="no capture is given"):
        CAPTURE.make({"file": None} | NO_WRITES, SMALL, np.random.default_rng(0))


def text_of(**changed):
    """Return packed rows of one process that are not as ``packed`` makes them."""
    row = [-1, 0, [[4, 4, 0, 1, -1, 0]], [[4, 1, 1]]]
    document = {"page_bytes": 4096, "spaces": [changed.get("row", row)]} | changed.get("document", {})
    return b64encode(zlib.compress(json.dumps(document).encode())).decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("no base64", "cannot be read"),
        (text_of()[:40], "cannot be read"),
        (text_of(row=[0, 0, [], []]), "child of 0; -1 to -1 is allowed"),
        (text_of(row=[-1, 0, [[4, 0, 0, 1, -1, 0]], []]), "maps 0 pages at 4"),
        (text_of(row=[-1, 0, [[4, 4, 0, 1, 7, 0]], []]), "file 7"),
        (text_of(row=[-1, 0, [[4, 4, 9, 1, -1, 0]], []]), "9 is not a valid VmaKind"),
        (text_of(row=[-1, 0, [[4, 4.5, 0, 1, -1, 0]], []]), "4.5 is no whole number"),
        (text_of(row=[-1, 0, [[4, 4, 0, 1, -1, 0]], [[7, 2, 1]]]), "pages outside its vmas"),
        (text_of(document={"spaces": []}), "0 processes"),
    ],
)
def test_text_that_is_no_capture__is_refused(text, message):
    """Whatever it is; the message says what to do."""
    with pytest.raises(ValueError, match=f"{message}.*; capture again"):
        spaces_of({"label": "x", "processes": 1, "packed": text})
