"""Does the engine equal the oracle, event by event?"""

import pytest
from lockstep import assert_equal_results, assert_lockstep
from traces import RandomTrace, all_traces

from simcore import DESIGNS, Mapping, TraceBuilder, VmaKind, tiny_geometry
from simcore.simulate import simulate


@pytest.mark.parametrize("design", DESIGNS)
def test_all_traces_of_length_three__are_equal(design):
    """Every sequence of three events from an alphabet of 17, behind one beginning: 4,913 traces a design.

    Each trace is compared as a whole: all counts, and the final state.
    """
    geometry = tiny_geometry()
    for trace in all_traces(3):
        assert_lockstep(trace, DESIGNS[design], geometry, every=len(trace))


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("levels", [2, 3, 4])
def test_random_traces__are_equal_after_every_event(design, levels):
    """Random events, refused ones among them, in lockstep with a comparison after each."""
    geometry = tiny_geometry(8, 2) if levels == 2 else tiny_geometry(4, levels)
    for seed in range(4):
        trace = RandomTrace(seed, shared=seed % 2 == 0).build(150)
        assert_lockstep(trace, DESIGNS[design], geometry)


@pytest.mark.parametrize("design", DESIGNS)
def test_long_random_trace__is_equal(design):
    """A trace of 100,000 events over eight tasks: states, counts and act vectors every 1,000 events."""
    trace = RandomTrace(2002, tasks=8).build(100_000)
    assert_lockstep(trace, DESIGNS[design], tiny_geometry(8, 2), every=1_000)


@pytest.mark.parametrize("design", DESIGNS)
def test_crowd__is_equal(design):
    """Many live sharers of few tables: 60 tasks hammer 32 pages."""
    trace = RandomTrace(7, tasks=60, wild=0.0).build(4_000)
    geometry = tiny_geometry(8, 2)
    assert_lockstep(trace, DESIGNS[design], geometry, every=500)


@pytest.mark.parametrize("design", DESIGNS)
def test_growth__changes_nothing(design, monkeypatch):
    """A heap that starts with no spare word grows at nearly every event, and gives the same counts."""
    trace = RandomTrace(3, wild=0.0).build(300)
    roomy = simulate(trace, DESIGNS[design], tiny_geometry(8, 2))
    monkeypatch.setattr("simcore.engine.layout.SPARE_WORDS", 64)
    assert_equal_results(simulate(trace, DESIGNS[design], tiny_geometry(8, 2)), roomy)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("spare", range(0, 4000, 500))
def test_room__the_most_that_an_event_can_take_is_set_aside(design, spare, monkeypatch):
    """Events that take all they may do not run over the heap: the engine checks after each.

    Private file pages are written (a cache page and a copy each, a table for each slot); an mmap and a munmap unshare.
    """
    monkeypatch.setattr("simcore.engine.layout.SPARE_WORDS", spare)
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 600, VmaKind.FILE_PRIVATE, writable=True, file=0))
    builder.mmap(0, Mapping(608, 2, VmaKind.ANON))
    builder.write(0, 0, 600)
    builder.fork(0, 1)
    builder.fork(0, 2)
    builder.mmap(1, Mapping(602, 4, VmaKind.ANON))
    builder.munmap(1, 3, 594)
    builder.write(2, 0, 600)
    trace = builder.build()
    geometry = tiny_geometry(8, 4)
    assert_equal_results(
        simulate(trace, DESIGNS[design], geometry), simulate(trace, DESIGNS[design], geometry, "oracle")
    )
