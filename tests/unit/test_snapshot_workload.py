"""The workload snapshot: its traces can happen, and its parameters do what they say."""

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

SNAPSHOT = WORKLOADS["snapshot"]
SMALL = Geometry("small", 4096, 16, 3, 4096, 8, 1024, 4096, 8)
FIRST, TOP = 1024, 4096  # of the mapping; above the stack
SETUP = 5  # events: exec, read, write of the stack, mmap, write of everything
FEW = {"children": 3, "anon_pages": 40, "child_writes": 5}


def make(seed=1, **wanted):
    """Return a trace of few children on a small geometry, with the wanted parameters."""
    return SNAPSHOT.make(defaults(SNAPSHOT) | FEW | wanted, SMALL, np.random.default_rng(seed))


def steps(trace):
    """Return (what, task) of the events behind the set-up, writes of the mapping with their number of pages."""
    told = []
    for event in trace.events[SETUP:]:
        mapping = event["op"] == Op.WRITE and (event["stride"] == 0 or FIRST <= event["start"] < TOP - 32)
        name = Op(event["op"]).name.lower()
        told.append((f"{name} {event['count']}" if mapping else name, int(event["task"])))
    return told


def written(trace, task):
    """Return the pages of the mapping that a task writes, one list for each event behind the set-up."""
    lists = []
    for event in trace.events[SETUP:]:
        if event["op"] == Op.WRITE and event["task"] == task:
            first, count, stride = (int(event[name]) for name in ("start", "count", "stride"))
            pages = trace.pages[first : first + count] if stride == 0 else first + stride * np.arange(count)
            if pages[0] < TOP - 32:
                lists.append(pages.tolist())
    return lists


PARAMS = st.fixed_dictionaries(
    {
        "children": st.integers(1, 4),
        "anon_pages": st.integers(1, 60),
        "child_writes": st.integers(0, 70),
        "parent_writes": st.integers(0, 70),
        "parent_writes_after": st.integers(0, 70),
        "spread": st.sampled_from(["random", "contiguous"]),
        "exec_ratio": st.sampled_from([0.0, 0.5, 1.0]),
        "first": st.sampled_from(["child", "parent"]),
    }
)


@settings(deadline=None)
@given(PARAMS, st.integers(0, 3))
def test_every_trace__can_happen(params, seed):
    """Whatever the parameters, no event is refused, each child is forked once, and nobody is left at the end."""
    trace = make(seed, **params)
    counts = simulate(trace, DESIGNS["linux24"], SMALL, engine="oracle").counts()
    assert counts["forks"] == params["children"]
    assert counts["exits"] == params["children"] + 1
    assert (counts["mms_end"], counts["pages_end"], counts["mms_max"]) == (0, 0, 2)


@settings(deadline=None)
@given(PARAMS, st.integers(0, 3))
def test_same_seed__same_trace(params, seed):
    """Equal parameters and an equally seeded generator give the identical trace."""
    once, again = make(seed, **params), make(seed, **params)
    assert np.array_equal(once.events, again.events)
    assert np.array_equal(once.pages, again.pages)


def test_story__of_a_child_that_exits():
    """Fork; the child writes its stack and its pages; the parent its own; the child exits; the parent writes on."""
    trace = make(children=1, parent_writes=3, parent_writes_after=7)
    assert steps(trace) == [
        ("fork", 0), ("write", 1), ("write 5", 1), ("write", 0), ("write 3", 0), ("exit", 1), ("write 7", 0),
        ("exit", 0),
    ]  # fmt: skip


def test_story__of_a_child_that_execs():
    """The child execs when it has written, and its program reads two pages of text and writes two of its stack."""
    trace = make(children=1, exec_ratio=1.0)
    assert steps(trace) == [
        ("fork", 0), ("write", 1), ("write 5", 1), ("exec", 1), ("read", 1), ("write", 1), ("write", 0), ("exit", 1),
        ("exit", 0),
    ]  # fmt: skip


def test_first__lets_the_parent_write_before_the_child():
    """With the parent first its writes come right behind the fork."""
    trace = make(children=1, first="parent", parent_writes=3)
    assert steps(trace)[:5] == [
        ("fork", 0), ("write", 0), ("write 3", 0), ("write", 1), ("write 5", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("spread", ["random", "contiguous"])
def test_spread__draws_other_pages_for_each_child(spread):
    """Each child writes five pages of the mapping, none twice; contiguous ones are neighbours."""
    lists = written(make(children=20, spread=spread), 1)
    assert len(lists) == 20
    assert all(len(set(pages)) == 5 for pages in lists)
    assert all(FIRST <= page < FIRST + 40 for pages in lists for page in pages)
    assert len({tuple(pages) for pages in lists}) > 10
    assert all(np.ptp(pages) == 4 for pages in lists) == (spread == "contiguous")


@pytest.mark.parametrize("spread", ["random", "contiguous"])
def test_writes__of_more_than_there_is_are_writes_of_all(spread):
    """Who asks for more pages than the mapping has writes each once."""
    trace = make(children=1, child_writes=41, parent_writes=1000, parent_writes_after=40, spread=spread)
    everything = list(range(FIRST, FIRST + 40))
    assert [sorted(pages) for pages in [*written(trace, 1), *written(trace, 0)]] == [everything] * 3


def test_exec_ratio__higher_ratios_add_children_and_drop_none():
    """One number per child decides for every ratio, whatever it writes."""
    ratios = [0.0, 0.3, 0.7, 1.0]
    found = [
        (make(children=30, exec_ratio=ratio, child_writes=writes).events["op"] == Op.EXEC).sum()
        for ratio in ratios
        for writes in (1, 9)
    ]
    assert found == sorted(found)
    assert found[::2] == found[1::2]
    assert (found[0], found[-1]) == (1, 31)


def test_exec_ratio__changes_no_page():
    """The pages that are written do not depend on who execs."""
    assert np.array_equal(make(exec_ratio=0.0).pages, make(exec_ratio=1.0).pages)


def test_mapping__that_does_not_fit_is_refused():
    """A mapping that would reach into the stack is refused with what fits, by make and by fits."""
    params = defaults(SNAPSHOT) | {"anon_pages": 3041}
    assert SNAPSHOT.fits(params | {"anon_pages": 3040}, SMALL) is None
    with pytest.raises(ValueError, match="the mapping takes 3041 pages; 3040 are allowed below the stack"):
        make(anon_pages=3041)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=lambda geometry: geometry.name)
def test_mapping__begins_with_a_leaf_table(geometry):
    """On every machine the mapping has leaf tables of its own."""
    trace = SNAPSHOT.make(defaults(SNAPSHOT) | FEW, geometry, np.random.default_rng(0))
    [start] = trace.events["start"][trace.events["op"] == Op.MMAP]
    assert start % geometry.entries == 0


@pytest.mark.parametrize("parameter", SNAPSHOT.parameters, ids=lambda parameter: parameter.name)
def test_parameters__have_allowed_defaults_and_a_meaning(parameter):
    """Each default passes the check that a study's value must pass, and each parameter says what it means."""
    place = Place()
    checked_value(parameter.default, parameter, place)
    assert place.faults == []
    assert len(parameter.meaning) > 20
