"""The workload tree: its traces obey the machine, and its parameters do what they say."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tree_entries import trees as checked_trees
from pipeline.values import Place
from pipeline.values import parameter as checked_value
from simcore.events import KIND_MASK, WRITABLE, Op, Trace, VmaKind
from simcore.geometry import GEOMETRIES, Geometry
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

TREE = WORKLOADS["tree"]
I386 = GEOMETRIES["i386"]
SMALL = Geometry("small", 4096, 16, 3, 4096, 8, 1024, 4096, 8)


def make(geometry: Geometry = I386, seed: int = 1, **wanted) -> Trace:
    """Return a trace with default parameters but for the wanted ones."""
    return TREE.make(defaults(TREE) | wanted, geometry, np.random.default_rng(seed))


class Checker:
    """The machine's rules for events, written down once more: who is alive, what is mapped, what may be written."""

    def __init__(self, trace: Trace, geometry: Geometry) -> None:
        self.trace = trace
        self.geometry = geometry
        self.vmas: dict[int, dict[int, bool]] = {0: {}}  # per task: page -> writable
        self.kinds: dict[int, int] = {}  # per file: its kind
        self.forks = self.execs = 0

    def run(self) -> Checker:
        """Replay the trace; an assertion fails at the first event that breaks a rule."""
        for event in self.trace.events:
            assert event["task"] in self.vmas, "the task is not alive"
            getattr(self, Op(event["op"]).name.lower())(int(event["task"]), event)
        return self

    def mmap(self, task, row) -> None:
        """Map pages that are not mapped yet."""
        start, count = int(row["start"]), int(row["count"])
        assert count >= 1
        assert 0 <= start <= start + count <= self.geometry.user_pages
        backed = int(row["arg"]) & KIND_MASK == VmaKind.FILE_PRIVATE
        assert (row["file"] >= 0) == backed
        pages = dict.fromkeys(range(start, start + count), bool(row["arg"] & WRITABLE))
        assert not pages.keys() & self.vmas[task].keys(), "the pages are mapped already"
        self.vmas[task] |= pages

    def touched(self, task, event) -> dict[int, bool]:
        """Return the pages of a read or write; each must be mapped."""
        pages = range(event["start"], event["start"] + event["count"] * event["stride"], event["stride"])
        assert len(pages) == event["count"] >= 1
        return {page: self.vmas[task][page] for page in pages}

    def read(self, task, event) -> None:
        """Read mapped pages."""
        self.touched(task, event)

    def write(self, task, event) -> None:
        """Write writable pages."""
        assert all(self.touched(task, event).values()), "a page is read-only"

    def fork(self, task, event) -> None:
        """Copy the parent's vmas to a task that is not alive."""
        assert event["arg"] not in self.vmas
        self.vmas[int(event["arg"])] = dict(self.vmas[task])
        self.forks += 1

    def exec(self, task, event) -> None:
        """Replace all vmas by the image's."""
        starts = self.trace.image_starts
        self.vmas[task] = {}
        for row in self.trace.image_rows[starts[event["arg"]] : starts[event["arg"] + 1]]:
            self.mmap(task, row)
        self.execs += 1

    def exit(self, task, _event) -> None:
        """End the task."""
        del self.vmas[task]


FRACTIONS = st.sampled_from([0.0, 0.3, 0.5, 1.0])
SMALL_PARAMS = st.fixed_dictionaries(
    {
        "tree": st.one_of(
            st.builds(dict, depth=st.integers(0, 3), fan_out=st.integers(1, 3)),
            st.lists(st.integers(0, 100), max_size=6).map(
                lambda raw: {
                    "label": "random",
                    "parents": [-1, *(number % (index + 1) for index, number in enumerate(raw))],
                    "names": ["ab"[number % 2] for number in [0, *raw]],
                }
            ),
        ),
        "library_sharing": FRACTIONS,
        "library_inherited": FRACTIONS,
        "exec_ratio": FRACTIONS,
        "anon_pages": st.integers(1, 60),
        "anon_tables": st.integers(1, 20),
        "file_pages": st.integers(0, 60),
        "file_tables": st.integers(1, 20),
        "archive_pages": st.integers(0, 60),
        "written_before_exec": st.integers(0, 70),
        "written_after": st.integers(0, 70),
        "parent_writes": st.integers(0, 70),
        "first": st.sampled_from(["child", "parent"]),
        "short_lived": FRACTIONS,
    }
)


@settings(deadline=None)
@given(SMALL_PARAMS, st.integers(0, 3))
def test_every_trace__obeys_the_machine(params, seed):
    """Whatever the parameters, no event is refused, each process is forked once, and nobody is left at the end."""
    checker = Checker(make(SMALL, seed, **params), SMALL).run()
    tree = params["tree"]
    processes = (
        len(tree["parents"])
        if "parents" in tree
        else sum(tree["fan_out"] ** level for level in range(tree["depth"] + 1))
    )
    assert checker.forks == processes - 1
    assert checker.vmas == {}


@settings(deadline=None)
@given(SMALL_PARAMS, st.integers(0, 3))
def test_same_seed__same_trace(params, seed):
    """Equal parameters and an equally seeded generator give the identical trace."""
    once, again = make(SMALL, seed, **params), make(SMALL, seed, **params)
    assert np.array_equal(once.events, again.events)
    assert np.array_equal(once.image_rows, again.image_rows)
    assert np.array_equal(once.image_starts, again.image_starts)


def executing(trace: Trace) -> set[int]:
    """Return the tasks that exec."""
    return set(trace.events["task"][trace.events["op"] == Op.EXEC].tolist())


def test_exec_ratio__higher_ratios_add_children_and_drop_none():
    """One number per child decides for every ratio, so the children that exec grow as a set, from none to all."""
    tree = {"depth": 5, "fan_out": 2}
    ratios = [0.0, 0.2, 0.5, 0.8, 1.0]
    sets = [executing(make(tree=tree, exec_ratio=ratio)) for ratio in ratios]
    assert all(low <= high for low, high in itertools.pairwise(sets))
    assert sets[0] == {0}
    assert sets[-1] == set(range(63))
    assert 0.3 * 62 < len(sets[2]) - 1 < 0.7 * 62


def test_random_numbers__do_not_depend_on_other_parameters():
    """The same children exec whatever their size, so that a sweep compares like with like."""
    tree = {"depth": 4, "fan_out": 2}
    plain = executing(make(tree=tree))
    changed = {"anon_pages": 500, "library_sharing": 0.1, "first": "parent", "short_lived": 1.0}
    assert executing(make(tree=tree, **changed)) == plain


def test_default_process__is_a_small_shell():
    """220 pages in three leaf tables on i386, of which a child writes 22 before it execs, some in each.

    The tables are those of text and heap, of the libraries, and of the stack.
    """
    trace = make(tree={"depth": 1, "fan_out": 1}, exec_ratio=1.0)
    events = trace.events
    fork = int(np.flatnonzero(events["op"] == Op.FORK)[0])
    child_exec = int(np.flatnonzero((events["op"] == Op.EXEC) & (events["task"] == 1))[0])
    resident = touched_pages(events[:fork])
    before_exec = touched_pages(events[fork:child_exec])
    assert len(resident) == 220
    assert {page // 1024 for page in resident} == {0x08048 // 1024, 0x40000 // 1024, 0xBFFFF // 1024}
    assert len(before_exec) == 22
    assert {page // 1024 for page in before_exec} == {page // 1024 for page in resident}
    assert before_exec <= resident


def touched_pages(events) -> set[int]:
    """Return the pages that reads and writes touch."""
    pages: set[int] = set()
    for event in events[np.isin(events["op"], (Op.READ, Op.WRITE))]:
        pages.update((event["start"] + event["stride"] * np.arange(event["count"])).tolist())
    return pages


@pytest.mark.parametrize(
    "wanted",
    [{"anon_tables": 16, "anon_pages": 3000}, {"file_tables": 16, "file_pages": 800, "anon_pages": 400}],
)
def test_spread__fills_the_tables_and_the_child_writes_in_each(wanted):
    """Heap or libraries spread over 16 leaf tables make 18 with the others, and 60 early writes reach them all."""
    wanted = wanted | {"written_before_exec": 60, "written_tables": 16}
    trace = make(tree={"depth": 1, "fan_out": 1}, exec_ratio=1.0, **wanted)
    events = trace.events
    fork = int(np.flatnonzero(events["op"] == Op.FORK)[0])
    child_exec = int(np.flatnonzero((events["op"] == Op.EXEC) & (events["task"] == 1))[0])
    resident = touched_pages(events[:fork])
    assert len(resident) == wanted["anon_pages"] + wanted.get("file_pages", 160)
    assert len({page // 1024 for page in resident}) == 18
    assert {page // 1024 for page in touched_pages(events[fork:child_exec])} == {
        page // 1024 for page in resident
    }


@pytest.mark.parametrize(("reach", "tables"), [(1, 3), (2, 4), (5, 7)])
def test_written_tables__bounds_the_heap_tables_that_a_child_writes(reach, tables):
    """Of a heap of 16 leaf tables, the first with text and data, early writes reach so many; and two others."""
    params = {"anon_tables": 16, "anon_pages": 3000, "written_before_exec": 60, "written_tables": reach}
    trace = make(tree={"depth": 1, "fan_out": 1}, exec_ratio=1.0, **params)
    events = trace.events
    fork = int(np.flatnonzero(events["op"] == Op.FORK)[0])
    child_exec = int(np.flatnonzero((events["op"] == Op.EXEC) & (events["task"] == 1))[0])
    before_exec = touched_pages(events[fork:child_exec])
    assert len(before_exec) == 60
    assert len({page // 1024 for page in before_exec}) == tables


def test_first__orders_the_parents_writes_and_the_childs_start():
    """With the child first the parent writes after the child's exec and touches, with the parent first before."""
    for first, expected in (("parent", [0, 1]), ("child", [1, 0])):
        events = make(tree={"depth": 1, "fan_out": 1}, first=first).events
        fork = int(np.flatnonzero(events["op"] == Op.FORK)[0])
        actors = events["task"][fork + 1 :]
        assert list(dict.fromkeys(actors[:-2].tolist())) == expected


def test_short_lived__leaves_exit_before_the_next_fork():
    """If all leaves are short-lived, each is gone when its sibling is forked; inner processes live to the end."""
    events = make(tree={"depth": 2, "fan_out": 2}, short_lived=1.0).events
    story = [
        (Op(event["op"]).name, int(event["arg"] if event["op"] == Op.FORK else event["task"]))
        for event in events[np.isin(events["op"], (Op.FORK, Op.EXIT))]
    ]
    assert story == [
        ("FORK", 1), ("FORK", 3), ("EXIT", 3), ("FORK", 4), ("EXIT", 4),
        ("FORK", 2), ("FORK", 5), ("EXIT", 5), ("FORK", 6), ("EXIT", 6),
        ("EXIT", 2), ("EXIT", 1), ("EXIT", 0),
    ]  # fmt: skip


def test_long_lived__processes_are_all_there_when_the_first_exits():
    """Without short lives the whole tree stands, then goes leaves first: each child before its parent."""
    events = make(tree={"depth": 3, "fan_out": 2}, short_lived=0.0).events
    last_fork = int(np.flatnonzero(events["op"] == Op.FORK)[-1])
    exits = np.flatnonzero(events["op"] == Op.EXIT)
    assert exits[0] > last_fork
    order = events["task"][exits].tolist()
    assert all(order.index(child) < order.index((child - 1) // 2) for child in range(1, 15))


def test_library_inherited__late_libraries_are_mapped_after_the_last_child():
    """Library pages that the image does not map are mapped by each process itself, when its children are there."""
    trace = make(tree={"depth": 1, "fan_out": 2}, library_inherited=0.25)
    events = trace.events
    maps = events[events["op"] == Op.MMAP]
    assert maps["task"].tolist() == [1, 2, 0]
    assert maps["count"].tolist() == [90, 90, 90]
    assert len(set(maps["file"].tolist())) == 1
    last_fork = int(np.flatnonzero(events["op"] == Op.FORK)[-1])
    assert int(np.flatnonzero((events["op"] == Op.MMAP) & (events["task"] == 0))[0]) > last_fork
    assert not (make(library_inherited=1.0).events["op"] == Op.MMAP).any()


def test_library_sharing__divides_file_pages_between_common_and_own_files():
    """Every image maps the common library file; text comes from a file per program name."""
    tree = {"label": "t", "parents": [-1, 0, 0, 0], "names": ["init", "sh", "sh", "vi"]}
    trace = make(tree=tree, library_sharing=0.4)
    assert len(trace.image_starts) - 1 == 3
    texts = trace.image_rows[trace.image_rows["arg"] == VmaKind.FILE_PRIVATE]
    common = texts[texts["count"] == 64]
    own = texts[texts["count"] == 96]
    assert len(set(common["file"].tolist())) == 1
    assert len(set(own["file"].tolist())) == 3
    assert not set(common["file"].tolist()) & set(own["file"].tolist())


def test_archive__is_mapped_and_read_by_every_program():
    """A large file is in every image, at the beginning of a leaf table, and every process reads all of it."""
    trace = make(tree={"depth": 2, "fan_out": 1}, archive_pages=3000, exec_ratio=1.0)
    archives = trace.image_rows[trace.image_rows["count"] == 3000]
    assert len(archives) == 3
    assert len(set(archives["file"].tolist())) == len(set(archives["start"].tolist())) == 1
    assert (archives["start"] % 1024 == 0).all()
    assert not (archives["arg"] & WRITABLE).any()
    reads = trace.events[(trace.events["op"] == Op.READ) & (trace.events["start"] == archives["start"][0])]
    assert (reads["task"].tolist(), reads["count"].tolist()) == ([0, 1, 2], [3000] * 3)


def test_fork_without_exec__keeps_the_parents_program():
    """A child that never execs reads what it inherited and writes only written_after pages."""
    events = make(tree={"depth": 1, "fan_out": 1}, exec_ratio=0.0, written_after=10).events
    own = events[(events["task"] == 1)]
    assert Op.EXEC not in own["op"]
    assert own["count"][own["op"] == Op.WRITE].sum() == 10
    assert own["count"][own["op"] == Op.READ].sum() == 160


def test_deep_tree__needs_no_recursion():
    """A chain of a thousand processes is written like any other."""
    trace = make(tree={"depth": 999, "fan_out": 1})
    assert (trace.events["op"] == Op.FORK).sum() == 999
    assert len(trace) < 20 * 1000


def test_small_address_space__is_refused():
    """A process that does not fit is refused with what was found, what fits and what to do."""
    narrow = Geometry("narrow", 4096, 16, 2, 256, 0, 128, 256, 8)
    with pytest.raises(
        ValueError, match=r"geometry 'narrow': text, data and heap take 514 pages; 128 are allowed"
    ):
        make(narrow, anon_pages=512, library_sharing=0.0, file_pages=10)
    with pytest.raises(ValueError, match=r"geometry 'narrow': a library takes \d+ pages; 16 are allowed"):
        make(narrow, file_pages=200, library_sharing=1.0)
    with pytest.raises(
        ValueError, match=r"geometry 'narrow': the stack begins at page 248 but .* end at page 25\d"
    ):
        make(narrow, file_pages=100, library_sharing=1.0, anon_pages=100)


def test_too_large_tree__is_refused():
    """A tree of more processes than a trace can carry is refused before anything is made."""
    with pytest.raises(ValueError, match="more than 100000 processes"):
        make(tree={"depth": 12, "fan_out": 9})


@pytest.mark.parametrize("parameter", TREE.parameters, ids=lambda parameter: parameter.name)
def test_parameters__have_allowed_defaults_and_a_meaning(parameter):
    """Each default passes the check that a study's value must pass, and each parameter says what it means."""
    place = Place()
    if parameter.kind == "tree":
        checked_trees(parameter.default, Path(), place)
    else:
        checked_value(parameter.default, parameter, place)
    assert place.faults == []
    assert len(parameter.meaning) > 20
