"""Is a constructed worst case the worst? Beside the maximum of every short trace."""

from dataclasses import replace

import numpy as np
import pytest
from traces import DEEP

from simcore import DESIGNS, GEOMETRIES, tiny_geometry
from simcore.adversaries import ADVERSARIES, Size
from simcore.adversaries.costs import BYTES_COSTS, FAULT_COSTS, FORK_COSTS, REACH_COSTS, TOTAL_COSTS, Weighing
from simcore.adversaries.exhaustive import Declared, search
from simcore.adversaries.proof import evidence
from simcore.adversaries.spaces import map_all
from simcore.engine.branching import BranchingEngine
from simcore.errors import TraceRefused
from simcore.events import TraceBuilder
from simcore.every_trace import walk
from simcore.simulate import simulate, start
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

QUICK = ("linux24", "phillips_mark", "linus_pmd", "odf", "cow_pte_v5", "async_fork")
LONG = ("linus_pmd", "mccracken_gt3")  # minutes each
COSTS = FORK_COSTS + FAULT_COSTS + TOTAL_COSTS + BYTES_COSTS
TINY = tiny_geometry()


def beaten(found):
    """Return what a short trace is worse than."""
    return [(one.adversary, one.cost.name, one.value, one.maximum) for one in found if not one.proven]


@pytest.mark.parametrize("design", DESIGNS if DEEP else QUICK)
def test_adversaries__reach_the_maximum_of_every_short_trace(design):
    """Three events behind the mappings, 25 ways to map two tables; in the deep run five for the LONG ones."""
    found = evidence(DESIGNS[design], processes=3 if DEEP and design in LONG else 2)
    assert {one.adversary for one in found} == set(ADVERSARIES)
    assert beaten(found) == []
    assert min(one.found.traces for one in found) > 3_000


@pytest.mark.parametrize("design", DESIGNS if DEEP else ("rmap25", "odf"))
def test_adversaries__reach_the_maximum_with_upper_tables(design):
    """Tables of two entries on three levels, where a write may need a table above too."""
    processes = 3 if DEEP and design == "mccracken_gt3" else 2
    assert beaten(evidence(DESIGNS[design], processes=processes, geometry=tiny_geometry(2, 3))) == []


class Plainly:
    """Walk every trace as a tree, without joining states, and keep the highest of each cost."""

    def __init__(self, costs, design, mapped):
        self.weighing, self.mapped = Weighing(costs, design), mapped
        self.best, self.traces = np.full(len(costs), -1.0), 0

    def before(self, node):
        pass

    def further(self, node, event):
        done = node[0].after(event)
        if done is None or not len(done[1]):
            return None
        costs = self.weighing.of(done[1])
        total = np.where(self.weighing.summed, node[1] + costs, np.maximum(node[1], costs))
        self.best = np.maximum(self.best, total)
        return done[0], total

    def step(self, node, path, *, last):
        after = self.further(node, self.mapped + path[-1])
        self.traces += after is not None
        return after


@pytest.mark.parametrize("design", ["phillips", "cow_pte"])
def test_joining_states__changes_no_maximum_and_no_count(design):
    """The search goes on from each state once; walking every trace by itself gives the same maxima and as many traces."""
    declared = Declared(Size(2, 3), TINY, 3, pressed=True)
    costs = FORK_COSTS + FAULT_COSTS + TOTAL_COSTS + REACH_COSTS
    joined = search(declared, DESIGNS[design], costs)
    best, traces = np.full(len(costs), -1.0), 0
    for space in declared.spaces():
        builder = TraceBuilder()
        map_all(builder, space, 2, TINY)
        plainly = Plainly(costs, DESIGNS[design], len(builder))
        declared.letters(builder, DESIGNS[design])
        trace = builder.build()
        machine = BranchingEngine(trace, DESIGNS[design], TINY)
        machine.tighten()
        node = machine, np.zeros(len(costs))
        for event in range(plainly.mapped):
            node = plainly.further(node, event)
        walk(plainly, node, range(len(trace) - plainly.mapped), 3)
        best, traces = np.maximum(best, plainly.best), traces + plainly.traces
    assert traces == joined.traces
    assert [joined.maxima[cost.name].value for cost in costs] == pytest.approx(list(best))


@pytest.mark.parametrize("design", ["linux24", "mccracken", "odf", "shared_mmap"])
def test_fingerprints__are_equal_only_for_equal_states(design):
    """Two machines behind different words with one fingerprint have one canonical state."""
    declared = Declared(Size(2, 3), TINY, 3, pressed=True)
    builder = TraceBuilder()
    map_all(builder, ["anon_cut", "shared"], 2, TINY)
    mapped = len(builder)
    declared.letters(builder, DESIGNS[design])
    machine = BranchingEngine(builder.build(), DESIGNS[design], TINY)
    machine.tighten()
    for event in range(mapped):
        machine, _ = machine.after(event)
    layer, seen, met_again = [machine], {}, 0
    for _ in range(3):
        behind = []
        for node in layer:
            for letter in range(mapped, len(builder)):
                done = node.after(letter)
                if done is None or not len(done[1]):
                    continue
                state = done[0].state()
                if state in seen and met_again < 150:
                    met_again += 1
                    assert done[0].snapshot().canonical() == seen[state].snapshot().canonical()
                elif state not in seen:
                    seen[state] = done[0]
                    behind.append(done[0])
        layer = behind
    assert met_again == 150


def test_branching_engine__records_what_the_oracle_counts():
    """The rows of all events of a trace add up to the oracle's acts."""
    trace = ADVERSARIES["tlb_reach"].trace(DESIGNS["phillips"], Size(3, 4), TINY)
    machine = BranchingEngine(trace, DESIGNS["phillips"], TINY)
    machine.tighten()
    acts = 0
    for event in range(len(trace)):
        machine, rows = machine.after(event)
        acts = acts + rows[:, 1] @ rows[:, 2:]
    oracle = start(trace, DESIGNS["phillips"], TINY, "oracle")
    oracle.run()
    assert np.array_equal(acts, oracle.result().acts)


def test_evidence__notices_a_construction_that_is_not_the_worst():
    """An adversary that forks without having written is beaten, and the trace that beats it is told."""

    def tell(story, _design):
        """Fork."""
        story.fork(1)

    lazy = replace(ADVERSARIES["fork"], tell=tell)
    found = evidence(DESIGNS["linux24"], (lazy,))
    assert not any(one.proven for one in found)
    assert found[0].maximum.events[-1] == "fork by task 0, arg 1"


@pytest.mark.parametrize("name", ADVERSARIES)
def test_adversaries__say_why(name):
    """Each has an argument, and a trace at realistic size of which no event is refused, under every design."""
    adversary = ADVERSARIES[name]
    assert len(adversary.argument) > 200
    for design in DESIGNS.values():
        size = Size(20, 4, 3)
        trace = adversary.trace(design, size, GEOMETRIES["x86-64"])
        run = simulate(trace, design, GEOMETRIES["x86-64"])
        assert run.events == len(trace)
        assert all(cost.of(run, design) > 0 or cost.acts for cost in adversary.costs)


def test_pgtable_bytes__are_those_of_no_sharing_at_all():
    """n processes have n times pgd, upper tables and leaf tables, under every design: 4 * (1 + 2 + 20) pages."""
    size, geometry = Size(20, 4), GEOMETRIES["x86-64"]
    for design in DESIGNS.values():
        run = simulate(ADVERSARIES["pgtable_bytes"].trace(design, size, geometry), design, geometry)
        assert run.counts()["pgtable_bytes_max"] == 4 * (1 + 2 + 20) * 4096


def test_workload__is_the_adversary_and_refuses_what_does_not_fit():
    """A study gets the same trace; too many tables or vmas are refused with the reason."""
    workload, geometry = WORKLOADS["adversary"], GEOMETRIES["i386"]
    params = defaults(workload) | {"name": "fault", "against": "odf", "tables": 5}
    trace = workload.make(params, geometry, np.random.default_rng(0))
    expected = ADVERSARIES["fault"].trace(DESIGNS["odf"], Size(5, 3), geometry)
    assert np.array_equal(trace.events, expected.events)
    assert "room for" in workload.fits(params | {"tables": 100_000}, geometry)
    assert "entries" in workload.fits(params | {"vmas": 513}, GEOMETRIES["x86-64"])
    with pytest.raises(ValueError, match="room for"):
        workload.make(params | {"tables": 100_000}, geometry, np.random.default_rng(0))


def test_a_trace_that_asks_too_much__is_refused_by_no_adversary():
    """Letters that cannot happen are passed over: a child that does not exist does nothing."""
    builder = TraceBuilder()
    builder.write(1, 0)
    machine = BranchingEngine(builder.build(), DESIGNS["linux24"], TINY)
    machine.tighten()
    assert machine.after(0) is None
    with pytest.raises(TraceRefused):
        simulate(builder.build(), DESIGNS["linux24"], TINY)
