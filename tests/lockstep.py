"""Run the engine and the oracle side by side and stop at the first difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.errors import TraceRefused
from simcore.invariants import check_invariants
from simcore.simulate import start

if TYPE_CHECKING:
    from simcore import Design, Geometry, Result, Trace


def assert_lockstep(trace: Trace, design: Design, geometry: Geometry, every: int = 1) -> None:
    """Assert that engine and oracle agree on refusals, and on state and counts every so many events."""
    fast, slow = start(trace, design, geometry, "fast"), start(trace, design, geometry, "oracle")
    for stop in [*range(every, len(trace), every), len(trace)]:
        assert advance(fast, stop) == advance(slow, stop), (
            f"{design.name}: refusals differ before event {stop}"
        )
        state = fast.snapshot()
        assert state.canonical() == slow.snapshot().canonical(), (
            f"{design.name}: states differ before event {stop}"
        )
        check_invariants(state, design, geometry)  # holds for the oracle too then: the states are equal
        assert_equal_results(fast.result(), slow.result())


def advance(machine: object, stop: int) -> list[str]:
    """Run a machine up to an event, over refused events; return what was refused."""
    refused = []
    while True:
        try:
            machine.run(stop)
        except TraceRefused as refusal:
            refused.append(str(refusal))
        else:
            return refused


def assert_equal_results(one: Result, other: Result) -> None:
    """Assert that two results agree on every act, gauge and act vector."""
    assert one.counts() == other.counts()
    assert (one.events, one.touches) == (other.events, other.touches)
    np.testing.assert_array_equal(one.vectors.kinds, other.vectors.kinds)
    np.testing.assert_array_equal(one.vectors.times, other.vectors.times)
    np.testing.assert_array_equal(one.vectors.acts, other.vectors.acts)
