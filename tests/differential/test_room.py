"""Does the engine stay inside its heap, and is it the same machine in a larger one?"""

import pytest
from hybrids import ALL
from lockstep import advance, difference_of_results
from traces import Recipe
from walk import tighten

from simcore import Mapping, TraceBuilder, VmaKind, tiny_geometry
from simcore.simulate import simulate, start


@pytest.mark.parametrize("design", ALL)
def test_growth__changes_nothing(design):
    """A heap with no word to spare before any event grows at nearly every event, and gives the same counts."""
    trace, geometry = Recipe(3, 300, wild=0.0).build(), tiny_geometry(8, 2)
    tight, grown = start(trace, ALL[design], geometry), 0
    for stop in range(1, len(trace) + 1):
        tighten(tight, 0)
        heap = tight._h
        assert advance(tight, stop) == []
        grown += tight._h is not heap
    assert difference_of_results(tight.result(), simulate(trace, ALL[design], geometry)) == ""
    assert grown > 0.9 * len(trace)


@pytest.mark.parametrize("design", ALL)
def test_room__the_most_that_an_event_can_take_is_set_aside(design):
    """Events that take all they may do not run over the heap, whatever there is to spare: the engine checks after each.

    Private file pages are written (a cache page and a copy each, a table for each slot); an mmap, a stack that grows,
    an mprotect and a munmap unshare; reclaim leaves swap entries, and those who fork and write copy them.
    """
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 600, VmaKind.FILE_PRIVATE, writable=True, file=0))
    builder.mmap(0, Mapping(608, 2, VmaKind.ANON))
    builder.mmap(0, Mapping(626, 2, VmaKind.STACK))
    builder.write(0, 0, 600)
    builder.fork(0, 1)
    builder.fork(0, 2)
    builder.mmap(1, Mapping(602, 4, VmaKind.ANON))
    builder.munmap(1, 3, 594)
    builder.write(2, 0, 600)
    builder.grow(2, 612)
    builder.fork(2, 3)
    builder.mprotect(3, 1, 598, writable=False)
    builder.reclaim(700)
    builder.fork(2, 4)
    builder.write(4, 0, 600)
    builder.dontneed(2, 5, 590)
    builder.reclaim(100_000)
    builder.read(4, 0, 600)
    trace = builder.build()
    geometry = tiny_geometry(8, 4)
    slow = simulate(trace, ALL[design], geometry, "oracle")
    for spare in range(0, 4000, 500):
        machine = start(trace, ALL[design], geometry)
        tighten(machine, spare)
        machine.run()
        assert difference_of_results(machine.result(), slow) == ""
