"""The observational law: whatever the design, each read sees what was written last.

Each write stamps its page with the task and the number of its write; the oracle keeps what each read saw. One law
tests all designs, also those not yet invented.
"""

from functools import cache, lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lockstep import advance
from traces import RandomTrace, all_traces

from simcore import DESIGNS, Mapping, Trace, TraceBuilder, VmaKind, tiny_geometry
from simcore.events import Op
from simcore.simulate import start

GEOMETRY = tiny_geometry(8, 2)
SOUND = [name for name, design in DESIGNS.items() if design.sound]
UNSOUND = [name for name, design in DESIGNS.items() if not design.sound]


def observations(trace, design, geometry=GEOMETRY):
    """Return what each task's reads saw, in the task's order."""
    oracle = start(trace, DESIGNS[design], geometry, "oracle")
    assert advance(oracle, len(trace)) == []
    return oracle.seen


@cache
def eagerly(seed, without=()):
    """Return a random trace, every other one without shared mappings, and what is seen under eager copy."""
    trace = RandomTrace(seed, wild=0.0, shared=seed % 2 == 0, without=without).build(400)
    return trace, observations(trace, "linux24")


@pytest.mark.parametrize("design", [name for name in SOUND if name != "linux24"])
def test_reads__see_the_same_under_every_design(design):
    """Random traces of 400 events: each task's reads see the same stamps as under eager copy.

    A design that ignores madvise(DONTNEED) keeps what others forget: it is shown traces without.
    """
    without = (Op.DONTNEED,) if DESIGNS[design].dontneed == "ignored" else ()
    for seed in range(16):
        trace, seen = eagerly(seed, without)
        assert observations(trace, design) == seen, f"seed {seed}"


@pytest.mark.parametrize("design", SOUND)
def test_reads__see_nothing_of_reclaim(design):
    """Pages may go and come back at any time: a trace and itself without its reclaim events show the same."""
    for seed in range(100, 104):
        trace, _ = eagerly(seed)
        keep = trace.events["op"] != Op.RECLAIM
        calm = Trace(trace.events[keep], trace.pages, trace.image_rows, trace.image_starts)
        assert observations(trace, design) == observations(calm, design), f"seed {seed}"


@pytest.mark.parametrize("design", UNSOUND)
def test_finding__three_sharers_and_a_source_that_stays_writable(design):
    """mccracken's suspect case: B unshares at refcount 3, C exits, A writes in place, and B reads A's write.

    Four tables, so that the rule about small parents links as well. The repaired row and all others show B the past.
    """
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 16, VmaKind.ANON))
    builder.write(0, 0, 16)
    builder.fork(0, 1)
    builder.fork(0, 2)
    builder.write(1, 0)
    builder.exit(2)
    builder.write(0, 1)
    builder.read(1, 1)
    trace = builder.build()
    assert observations(trace, design, tiny_geometry())[1] == [(1, (0, 17))]
    for sound in SOUND:
        assert observations(trace, sound, tiny_geometry())[1] == [(1, (0, 2))]


@pytest.mark.parametrize("design", UNSOUND)
def test_finding__is_met_by_chance(design):
    """Among random traces some show it, and none needs more than forks, writes, exits and reads."""
    others = tuple(op for op in Op if op not in (Op.FORK, Op.WRITE, Op.EXIT, Op.READ, Op.MMAP))
    traces = [RandomTrace(seed, wild=0.0, shared=False, without=others).build(400) for seed in range(13, 34)]
    found = [observations(trace, design) != observations(trace, "linux24") for trace in traces]
    assert any(found)
    repaired = [observations(trace, "mccracken_fixed") != observations(trace, "linux24") for trace in traces]
    assert not any(repaired)


@pytest.mark.parametrize("design", DESIGNS)
def test_reads__see_the_same_for_every_short_trace(design):
    """All traces of two events from the alphabet; then what every task would read in each of its pages."""
    assert read_after_short_traces(design) == read_after_short_traces("linux24")


@lru_cache(maxsize=2)
def read_after_short_traces(design):
    """Return for every trace of two events what was read, and what every task would read in each of its pages."""
    found = []
    for trace in all_traces(2):
        oracle = start(trace, DESIGNS[design], tiny_geometry(), "oracle")
        advance(oracle, len(trace))
        found.append((oracle.seen, contents(oracle)))
    return found


def contents(oracle):
    """Return the stamp of every page that any task reaches, read through its own tables."""
    return {
        (number, vma.start + step): stamp_at(oracle, number, vma, step)
        for number, task in oracle.m.tasks.items()
        for vma in task.mm.vmas
        for step in range(vma.end - vma.start)
    }  # fmt: skip


def stamp_at(oracle, number, vma, step):
    """Return what a task would read in one page; an absent pte stands for what a fault would bring."""
    vpn = vma.start + step
    if vpn in oracle.m.tasks[number].scratch:
        return oracle.m.tasks[number].scratch[vpn]
    slot = oracle.m.tasks[number].mm.slots.get(vpn // oracle.m.geometry.entries)
    pte = slot.table.ptes.get(vpn % oracle.m.geometry.entries) if slot else None
    if pte is not None:
        return pte.page.stamp
    if vma.file < 0:
        return oracle.m.zero_page.stamp
    key = vma.file, vma.offset + step
    page = oracle.m.file_pages.get(key) or oracle.m.evicted.get(key)
    fresh = oracle.m.zero_page.stamp if vma.kind == VmaKind.SHM else (-2 - vma.file, vma.offset + step)
    return page.stamp if page else fresh


@pytest.mark.parametrize("design", SOUND)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_generations__each_sees_its_own_past(design, data):
    """Hypothesis draws a chain of forks with writes and reclaim between; each generation reads back its own history."""
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 6, VmaKind.ANON))
    alive = [0]
    for child in range(1, 6):
        for _ in range(data.draw(st.integers(0, 3))):
            builder.write(data.draw(st.sampled_from(alive)), data.draw(st.integers(0, 5)))
        if data.draw(st.booleans()):
            builder.reclaim(data.draw(st.integers(1, 8)))
        builder.fork(data.draw(st.sampled_from(alive)), child)
        alive.append(child)
        if len(alive) > 2 and data.draw(st.booleans()):
            builder.exit(alive.pop(data.draw(st.integers(0, len(alive) - 1))))
    for task in alive:
        builder.write(task, data.draw(st.integers(0, 5)))
        builder.read(task, 0, 6)
    trace = builder.build()
    assert observations(trace, design) == observations(trace, "linux24")
