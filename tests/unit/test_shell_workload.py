"""The workload shell: its traces can happen, and its parameters do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.values import Place
from pipeline.values import parameter as checked_value
from simcore import DESIGNS
from simcore.events import Op
from simcore.geometry import GEOMETRIES, Geometry
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

SHELL = WORKLOADS["shell"]
X86_64 = GEOMETRIES["x86-64"]
SMALL = Geometry("small", 4096, 16, 3, 4096, 8, 1024, 4096, 8)


def make(geometry=X86_64, seed=1, **wanted):
    """Return a trace with default parameters but for the wanted ones."""
    return SHELL.make(defaults(SHELL) | wanted, geometry, np.random.default_rng(seed))


def touched(events):
    """Return the pages that reads and writes touch."""
    pages = [
        event["start"] + event["stride"] * np.arange(event["count"])
        for event in events
        if event["op"] in (Op.READ, Op.WRITE)
    ]
    return set(np.concatenate([np.empty(0, np.int64), *pages]).tolist())


def first_child(trace):
    """Return the events between the first fork and the exit of its child."""
    fork, end = (int(np.flatnonzero(trace.events["op"] == op)[0]) for op in (Op.FORK, Op.EXIT))
    return trace.events[fork : end + 1]


PARAMS = st.fixed_dictionaries(
    {
        "children": st.integers(1, 4),
        "anon_pages": st.integers(1, 40),
        "file_pages": st.integers(0, 20),
        "written_before_exec": st.integers(0, 50),
        "parent_writes": st.integers(0, 50),
        "exec_ratio": st.sampled_from([0.0, 0.5, 1.0]),
        "first": st.sampled_from(["child", "parent"]),
    }
)


@settings(deadline=None)
@given(PARAMS, st.integers(0, 3))
def test_every_trace__can_happen(params, seed):
    """Whatever the parameters, no event is refused, each child is forked once, and nobody is left at the end."""
    counts = simulate(make(SMALL, seed, **params), DESIGNS["linux24"], SMALL, engine="oracle").counts()
    assert counts["forks"] == params["children"]
    assert counts["exits"] == params["children"] + 1
    assert (counts["mms_end"], counts["pages_end"], counts["mms_max"]) == (0, 0, 2)


@settings(deadline=None)
@given(PARAMS, st.integers(0, 3))
def test_same_seed__same_trace(params, seed):
    """Equal parameters and an equally seeded generator give the identical trace."""
    once, again = make(SMALL, seed, **params), make(SMALL, seed, **params)
    assert np.array_equal(once.events, again.events)
    assert np.array_equal(once.image_rows, again.image_rows)


def test_default_shell__is_that_of_the_workload_tree():
    """A shell and its command do what a tree of one short-lived child that execs does, page for page."""
    tree = WORKLOADS["tree"]
    params = defaults(tree) | {"tree": {"depth": 1, "fan_out": 1}, "exec_ratio": 1.0, "short_lived": 1.0}
    as_tree = tree.make(params, X86_64, np.random.default_rng(0))
    assert np.array_equal(make(children=1).events, as_tree.events)


def test_child__writes_in_every_leaf_table_before_it_execs():
    """Of 220 pages in three leaf tables a child writes 22 before it execs, some in each."""
    trace = make(children=1)
    events = first_child(trace)
    resident = touched(trace.events[: np.flatnonzero(trace.events["op"] == Op.FORK)[0]])
    before = touched(events[: np.flatnonzero(events["op"] == Op.EXEC)[0]])
    assert (len(resident), len(before)) == (220, 22)
    assert {page // 512 for page in before} == {page // 512 for page in resident}
    assert len({page // 512 for page in resident}) == 3


def test_command__reads_its_file_pages_and_writes_its_anonymous_ones():
    """Behind the exec the child touches as many pages as the shell has, 7 read and 9 written."""
    events = first_child(make(children=1, file_pages=7, anon_pages=9, parent_writes=0))
    program = events[np.flatnonzero(events["op"] == Op.EXEC)[0] :]
    assert len(touched(program[program["op"] == Op.READ])) == 7
    assert len(touched(program[program["op"] == Op.WRITE])) == 9


def test_subshell__writes_and_exits():
    """A child that does not exec writes what others write before they exec, and no more."""
    events = first_child(make(children=1, exec_ratio=0.0, parent_writes=0))
    assert set(events["op"].tolist()) == {Op.FORK, Op.WRITE, Op.EXIT}
    assert len(touched(events)) == 22


def test_first__orders_the_shells_writes_and_the_childs_start():
    """With the shell first its writes come right behind the fork, else behind the command's."""
    for first, expected in (("parent", [0, 1]), ("child", [1, 0])):
        actors = first_child(make(children=1, first=first))["task"][1:-1].tolist()
        assert list(dict.fromkeys(actors)) == expected


def test_parent_writes__are_the_shells_stack_first():
    """The shell writes three pages after each fork, those of its stack."""
    events = first_child(make(children=1, parent_writes=3))
    mine = touched(events[events["task"] == 0])
    assert len(mine) == 3
    assert max(mine) < X86_64.stack_top_vpn
    assert min(mine) >= X86_64.stack_top_vpn - 8


def test_exec_ratio__higher_ratios_add_children_and_drop_none():
    """One number per child decides for every ratio."""
    found = [
        (make(children=40, exec_ratio=ratio).events["op"] == Op.EXEC).sum() for ratio in (0, 0.3, 0.7, 1)
    ]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (1, 41)


def test_programs__share_libraries_and_nothing_else():
    """Shell and command map the same library pages; the text of each is its own."""
    rows = make(children=1).image_rows
    texts = rows[(rows["file"] >= 0) & (rows["count"] == 40)]
    libraries = rows[(rows["file"] >= 0) & (rows["count"] == 120)]
    assert len(set(texts["file"].tolist())) == 2
    assert len(set(libraries["file"].tolist())) == 1


def test_shell_that_does_not_fit__is_refused():
    """A process without room in the address space is refused with what fits, by make and by fits."""
    params = defaults(SHELL) | {"anon_pages": 2000}
    reason = SHELL.fits(params, SMALL)
    assert reason is not None
    assert "are allowed below the libraries" in reason
    with pytest.raises(ValueError, match="are allowed below the libraries"):
        make(SMALL, anon_pages=2000)
    assert SHELL.fits(defaults(SHELL), X86_64) is None


@pytest.mark.parametrize("parameter", SHELL.parameters, ids=lambda parameter: parameter.name)
def test_parameters__have_allowed_defaults_and_a_meaning(parameter):
    """Each default passes the check that a study's value must pass, and each parameter says what it means."""
    place = Place()
    checked_value(parameter.default, parameter, place)
    assert place.faults == []
    assert len(parameter.meaning) > 20
