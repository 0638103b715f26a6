"""Every trace of a declared length over a declared alphabet, on tables of a few entries: the highest value of each cost.

What an event costs follows from the state that it meets. So words of letters that lead to one state are walked on from it
once (``simcore.engine.fingerprints`` says which states are one), and what a run costs in all is found by going through
the states layer by layer with the highest sum so far. That is every trace, though each is not simulated by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simcore.adversaries.costs import Weighing
from simcore.adversaries.spaces import WAYS, first_page, map_all
from simcore.engine.branching import BranchingEngine
from simcore.events import TraceBuilder, describe

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.adversaries.constructed import Size
    from simcore.adversaries.costs import Cost
    from simcore.designs import Design
    from simcore.events import Trace
    from simcore.geometry import Geometry

    Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Declared:
    """What is searched: all words of up to ``length`` letters, behind each way to map the tables.

    Parameters
    ----------
    size : Size
        Tables, processes, vmas a table.
    geometry : Geometry
        A tiny one.
    length : int
        Events behind the mappings.
    ends, pressed : bool
        Whether there are exits and reclaim among the letters.
    """

    size: Size
    geometry: Geometry
    length: int
    ends: bool = True
    pressed: bool = False

    def spaces(self) -> list[list[str]]:
        """Return the ways in which tables are mapped: any two of WAYS, the second for every table but the first."""
        others = self.size.tables - 1
        return [[one, *[other] * others] for one, other in product(WAYS, repeat=2)]

    def letters(self, builder: TraceBuilder, design: Design) -> None:
        """Write each letter once."""
        first, entries = first_page(self.geometry), self.geometry.entries
        pages = self.size.tables * entries
        for task in range(self.size.processes):
            for touch in (builder.write, builder.read):
                touch(task, first, pages)
                touch(task, first, 1)
            builder.write(task, first, (design.more_than or self.size.tables - 1) * entries)
        for parent in range(self.size.processes - 1):
            for child in range(max(1, parent + 1), self.size.processes):
                builder.fork(parent, child)
        builder.vfork(0, 1)
        if self.ends:
            for task in range(1, self.size.processes):
                builder.exit(task)
        if self.pressed:
            builder.reclaim(1)
            builder.reclaim(pages)

    def told(self, design: Design) -> list[str]:
        """Return the letters in words."""
        builder = TraceBuilder()
        self.letters(builder, design)
        return [describe(event) for event in builder.build().events]


class Maximum(NamedTuple):
    """The highest value of a cost, and the first trace that was found to have it: how it maps, and its events."""

    value: float
    space: list[str]
    events: list[str]


class Found(NamedTuple):
    """What an exhaustive search gives.

    Parameters
    ----------
    maxima : dict of str to Maximum
        By name of the cost.
    traces, states, simulated : int
        Traces of events that do something; distinct states that they lead through; events that were simulated.
    """

    maxima: dict[str, Maximum]
    traces: int
    states: int
    simulated: int


class Edge(NamedTuple):
    """An event from a state: its letter, the state behind it (-1: not looked at), its costs, table bytes behind it."""

    letter: int
    state: int
    costs: Values
    pgtable_bytes: int


def search(declared: Declared, design: Design, costs: tuple[Cost, ...]) -> Found:
    """Try every trace that is declared and return the highest value of each cost.

    A trace under the design ``vfork`` is a trace in which some forks are vforks: as vfork is among the letters, all
    schedules are tried.
    """
    plain = replace(design, creation="fork")
    best: dict[str, Maximum] = {}
    traces = states = simulated = 0
    for space in declared.spaces():
        graph = StateGraph.grown(declared, plain, space, costs)
        traces += graph.highest(best)
        states += len(graph.edges)
        simulated += graph.simulated
    return Found(best, traces, states, simulated)


class StateGraph:
    """The states behind one way to map the tables, and what leads from one to the next.

    Attributes
    ----------
    edges : list of list of Edge
        From each state; none where it is as far from the start as traces are long.
    simulated : int
        Events.
    """

    def __init__(self, trace: Trace, space: list[str], costs: tuple[Cost, ...], length: int) -> None:
        self.trace, self.space, self.length = trace, space, length
        self.costs = tuple(cost for cost in costs if not cost.is_gauge)
        self.gauge = next((cost for cost in costs if cost.is_gauge), None)
        self.edges: list[list[Edge]] = [[]]
        self.simulated = 0
        self.mapped = 0

    @classmethod
    def grown(
        cls, declared: Declared, design: Design, space: list[str], costs: tuple[Cost, ...]
    ) -> StateGraph:
        """Simulate every event from every state that is less far from the start than traces are long."""
        builder = TraceBuilder()
        map_all(builder, space, declared.size.vmas, declared.geometry)
        mapped = len(builder)
        declared.letters(builder, design)
        graph = cls(builder.build(), space, costs, declared.length)
        graph.mapped = mapped
        graph._grow(design, declared.geometry)
        return graph

    def _grow(self, design: Design, geometry: Geometry) -> None:
        """Go from layer to layer."""
        weighing = Weighing(self.costs, design)
        machine = BranchingEngine(self.trace, design, geometry)
        machine.tighten()
        self.start = np.zeros(len(self.costs))
        for event in range(self.mapped):
            done = machine.after(event)
            assert done is not None  # noqa: S101 - an mmap of what is not mapped
            machine, rows = done
            costs = weighing.of(rows)
            self.start = np.where(weighing.summed, self.start + costs, np.maximum(self.start, costs))
        self.start_bytes = machine.pgtable_bytes
        known, layer = {machine.state(): 0}, [(0, machine)]
        for depth in range(self.length):
            last, behind = depth + 1 == self.length, []
            for state, at in layer:
                for letter in range(self.mapped, len(self.trace)):
                    self.simulated += 1
                    done = at.after(letter)
                    if done is None or not len(done[1]):
                        continue  # it cannot happen, or changes nothing: the trace without it is tried
                    number = -1 if last else self._number(done[0].state(), known)
                    if number == len(self.edges):
                        self.edges.append([])
                        behind.append((number, done[0]))
                    self.edges[state].append(
                        Edge(letter, number, weighing.of(done[1]), done[0].pgtable_bytes)
                    )
            layer = behind

    @staticmethod
    def _number(state: bytes, known: dict[bytes, int]) -> int:
        """Return the number of a state; a new one gets the next."""
        return known.setdefault(state, len(known))

    def highest(self, best: dict[str, Maximum]) -> int:
        """Raise maxima to what these states have; returns how many traces there are."""
        summed = np.array([cost.summed for cost in self.costs], np.bool_)
        here = {0: Reached(self.start, [()] * len(self.costs), 1)}
        self._note(best, here[0], self.start_bytes)
        traces = 0
        for _ in range(self.length):
            behind: dict[int, Reached] = {}
            for state, reached in here.items():
                for edge in self.edges[state]:
                    new = reached.through(edge, summed)
                    traces += new.traces
                    self._note(best, new, edge.pgtable_bytes)
                    if edge.state >= 0:
                        old = behind.get(edge.state)
                        behind[edge.state] = new if old is None else old.joined(new)
            here = behind
        return traces

    def _note(self, best: dict[str, Maximum], reached: Reached, pgtable_bytes: int) -> None:
        """Raise the maxima to what a trace comes to."""
        for index, cost in enumerate(self.costs):
            self._raise(best, cost, float(reached.costs[index]), reached.words[index])
        if self.gauge is not None:
            word = reached.words[0] if reached.words else ()
            self._raise(best, self.gauge, float(pgtable_bytes), word)

    def _raise(self, best: dict[str, Maximum], cost: Cost, value: float, word: tuple[int, ...]) -> None:
        """Raise one maximum."""
        if cost.name not in best or value > best[cost.name].value:
            events = [describe(self.trace.events[letter]) for letter in word]
            best[cost.name] = Maximum(value, self.space, events)


class Reached(NamedTuple):
    """What traces that end in one state come to: the highest of each cost, a word that has it, how many there are."""

    costs: Values
    words: list[tuple[int, ...]]
    traces: int

    def through(self, edge: Edge, summed: npt.NDArray[np.bool_]) -> Reached:
        """Return the same behind one more event."""
        costs = np.where(summed, self.costs + edge.costs, np.maximum(self.costs, edge.costs))
        return Reached(costs, [(*word, edge.letter) for word in self.words], self.traces)

    def joined(self, other: Reached) -> Reached:
        """Return what both come to."""
        higher = other.costs > self.costs
        words = [
            theirs if more else mine
            for mine, theirs, more in zip(self.words, other.words, higher, strict=True)
        ]
        return Reached(np.maximum(self.costs, other.costs), words, self.traces + other.traces)
