"""Run the engine and the oracle side by side and stop at the first difference."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from hybrids import ALL

from simcore import tiny_geometry
from simcore.errors import InvariantViolation, TraceRefused
from simcore.events import describe
from simcore.invariants import check_invariants
from simcore.simulate import start

if TYPE_CHECKING:
    from simcore import Design, Geometry, Result, Trace
    from simcore.engine.fast import Engine
    from simcore.oracle import Oracle

STATE = ("tasks", "mms", "tables", "frames", "frames that nothing maps", "levels, hand and evicted pages")


class Recipe(Protocol):
    """What makes a trace; its repr shows how."""

    def build(self) -> Trace:
        """Make the trace."""


@dataclass(eq=False)
class Pair:
    """The engine and the oracle behind the same event of one trace; what was refused on the way there last."""

    fast: Engine
    slow: Oracle
    refused: list[str] = field(default_factory=list)
    kept: bytes = b""  # the oracle's machine, by whoever copies the pair many times

    @classmethod
    def start(cls, trace: Trace, design: Design, geometry: Geometry) -> Pair:
        """Return both machines before the first event."""
        return cls(start(trace, design, geometry, "fast"), start(trace, design, geometry, "oracle"))

    def frozen(self) -> bytes:
        """Return the oracle's machine as bytes: copying by way of them takes half of deepcopy's time."""
        return pickle.dumps(self.slow.m, pickle.HIGHEST_PROTOCOL)

    def copied(self, frozen: bytes | None = None) -> Pair:
        """Return the same two machines once more, to run on by themselves; ``frozen`` spares many copies some work."""
        fast, slow = copy.copy(self.fast), copy.copy(self.slow)
        fast._h = self.fast._h.copy()
        slow.m = pickle.loads(self.frozen() if frozen is None else frozen)  # noqa: S301 - our own bytes
        slow.seen = {}  # what reads saw so far concerns the laws, not the machines
        slow._writes, slow._highest = self.slow._writes.copy(), self.slow._highest.copy()
        slow._vectors = self.slow._vectors.copy()
        return Pair(fast, slow)

    def step_to(self, stop: int, *, state: bool = True) -> str:
        """Run both up to an event and return what differs then, or nothing.

        Without ``state`` only refusals, counts and act vectors are compared.
        """
        try:
            self.refused, others = advance(self.fast, stop), advance(self.slow, stop)
            if self.refused != others:
                return f"refused were {self.refused} and {others}"
            return difference_of_results(self.fast.result(), self.slow.result()) or (
                self._difference_of_states() if state else ""
            )
        except InvariantViolation as violation:
            return str(violation)

    def _difference_of_states(self) -> str:
        """Return how the states differ; where they do not, which invariant does not hold."""
        state = self.fast.snapshot()
        parts = zip(STATE, state.canonical(), self.slow.snapshot().canonical(), strict=True)
        for name, one, other in parts:
            if one != other:
                return f"{name} are\n  {one}\nand\n  {other}"
        for task in state.tasks:
            accounts = self.fast.account(task), self.slow.account(task)
            if accounts[0] != accounts[1]:
                return f"accounts of task {task} are\n  {accounts[0]}\nand\n  {accounts[1]}"
        check_invariants(state, self.slow.m.design, self.slow.m.geometry)  # of the oracle too: they are equal
        return ""


def assert_lockstep(
    trace: Trace, design: Design, geometry: Geometry, every: int = 1, recipe: Recipe | None = None
) -> Result:
    """Assert that engine and oracle agree on refusals, and on state and counts every so many events; return the counts.

    A message names the first event after which they do not and, if the recipe of the trace is given, how to replay it.
    """
    pair = Pair.start(trace, design, geometry)
    found = compare(pair, every)
    if found is not None:
        at, what = found
        raise AssertionError(
            told(design, geometry, trace, at, what) + replay_line(design, geometry, recipe, at)
        )
    return pair.slow.result()


def compare(pair: Pair, every: int = 1) -> tuple[int, str] | None:
    """Run two machines to the end of their trace; return the first event after which they differ, and how."""
    length = len(pair.fast._trace)
    done = 0
    for stop in [*range(every, length, every), length]:
        pair.slow.seen.clear()
        agreed = pair.copied() if every > 1 else pair
        what = pair.step_to(stop)
        if what:
            return bisected(agreed, done, stop) if every > 1 else (stop - 1, what)
        done = stop
    return None


def bisected(agreed: Pair, done: int, stop: int) -> tuple[int, str]:
    """Return the first event after which two machines differ, and how.

    They agree before event ``done`` and do not before event ``stop``. Differences stay, because counts add up, so
    halving the events between finds where they begin.
    """
    while stop - done > 1:
        middle = (done + stop) // 2
        probe = agreed.copied()
        if probe.step_to(middle):
            stop = middle
        else:
            agreed, done = probe, middle
    return done, agreed.step_to(stop)


def told(design: Design, geometry: Geometry, trace: Trace, at: int, what: str) -> str:
    """Return a sentence about a difference."""
    where = f"{design.name} on {geometry.name}"
    return f"{where}: engine and oracle differ after event {at}, {describe(trace.events[at])}: {what}"


def replay_line(design: Design, geometry: Geometry, recipe: Recipe | None, at: int) -> str:
    """Return the command that shows a difference again."""
    if recipe is None:
        return ""
    shape = (geometry.entries, geometry.levels)
    code = f"from lockstep import *; from traces import *; replay('{design.name}', {shape}, {recipe!r}, {at})"
    return f'\nreplay: PYTHONPATH=tests .venv/bin/python -c "{code}"'


def replay(design: str, shape: tuple[int, int], recipe: Recipe, at: int) -> None:
    """Run a trace up to an event, then that event, and say how the machines differ before and after it."""
    trace = recipe.build()
    pair = Pair.start(trace, ALL[design], tiny_geometry(*shape))
    print("before:", pair.step_to(at) or "equal")
    print(f"event {at}, {describe(pair.fast._trace.events[at])}")
    print("after:", pair.step_to(at + 1) or "equal")


def advance(machine: Engine | Oracle, stop: int) -> list[str]:
    """Run a machine up to an event, over refused events; return what was refused."""
    refused = []
    while True:
        try:
            machine.run(stop)
        except TraceRefused as refusal:
            refused.append(str(refusal))
        else:
            return refused


def difference_of_results(one: Result, other: Result) -> str:
    """Return how two results differ in acts, gauges, events, touches or act vectors."""
    if not (np.array_equal(one.acts, other.acts) and np.array_equal(one.gauges, other.gauges)):
        others = other.counts()
        differing = {
            name: (mine, others[name]) for name, mine in one.counts().items() if mine != others[name]
        }
        return f"counts are {differing}"
    if (one.events, one.touches) != (other.events, other.touches):
        return f"events and touches are {one.events, one.touches} and {other.events, other.touches}"
    mine, its = one.vectors, other.vectors
    pairs = (mine.kinds, its.kinds), (mine.times, its.times), (mine.acts, its.acts)
    return "" if all(np.array_equal(*pair) for pair in pairs) else "totals are equal, act vectors are not"


def assert_equal_results(one: Result, other: Result) -> None:
    """Assert that two results agree on every act, gauge and act vector."""
    assert difference_of_results(one, other) == ""
