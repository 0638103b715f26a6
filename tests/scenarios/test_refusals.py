"""What cannot happen is refused with a sentence: which event, what was found, what is allowed, what to do."""

import re

import pytest
from story import ANON, FILE, SHM, STACK

from simcore import DESIGNS, GEOMETRIES, Mapping, TraceBuilder, tiny_geometry
from simcore.errors import Refusal, TraceRefused
from simcore.events import STACK_GROWTH_PAGES, Op
from simcore.simulate import start

ENGINES = ["oracle", "fast"]


def beginning() -> TraceBuilder:
    """Map data, read-only text and a stack, with a hole before the stack, write and fork: five events."""
    builder = TraceBuilder()
    builder.image([])
    builder.mmap(0, Mapping(0, 4, ANON))
    builder.mmap(0, Mapping(4, 4, FILE, writable=False, file=0))
    builder.mmap(0, Mapping(14, 2, STACK))
    builder.write(0, 0, 3)
    builder.fork(0, 1)
    return builder


REFUSED = {
    "no such task": (lambda b: b.read(7, 0), Refusal.NO_SUCH_TASK, "the task does not exist"),
    "task alive": (lambda b: b.fork(0, 1), Refusal.TASK_ALIVE, "the child's task number is in use"),
    "overlap": (lambda b: b.mmap(1, Mapping(3, 1, ANON)), Refusal.OVERLAP, "the pages are mapped already"),
    "write to text": (lambda b: b.write(1, 4), Refusal.NOT_WRITABLE, "a page lies in a read-only vma"),
    "read of a hole": (lambda b: b.read(0, 8), Refusal.NOT_MAPPED, "a page lies in no vma"),
    "mprotect over a hole": (
        lambda b: b.mprotect(0, 6, 4, writable=True),
        Refusal.NOT_MAPPED,
        "a page lies in no vma",
    ),
    "mprotect of nothing": (
        lambda b: b.mprotect(1, 9, 2, writable=False),
        Refusal.NOT_MAPPED,
        "a page lies in no vma",
    ),
    "growth to a mapped page": (lambda b: b.grow(0, 5), Refusal.OVERLAP, "the pages are mapped already"),
    "growth within the stack": (lambda b: b.grow(1, 14), Refusal.OVERLAP, "the pages are mapped already"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("design", ["linux24", "linus_pmd", "mainline", "async_fork"])
def test_event__is_refused_with_its_reason_and_leaves_the_machine_whole(case, design, engine):
    """Event 5 is named with what it wanted; the state after it is the state before it."""
    tell, refusal, reason = REFUSED[case]
    builder = beginning()
    tell(builder)
    machine = start(builder.build(), DESIGNS[design], tiny_geometry(), engine)
    machine.run(5)
    before = machine.snapshot().canonical()
    with pytest.raises(TraceRefused, match=rf"^event 5: \w+ by task \d.*: {re.escape(reason)}") as refused:
        machine.run()
    assert (refused.value.event, refused.value.refusal) == (5, refusal)
    assert machine.snapshot().canonical() == before


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("above", [None, ANON, SHM])
def test_growth__needs_a_stack_above(above, engine):
    """Above the hole lies nothing, or something that does not grow."""
    builder = TraceBuilder()
    if above is not None:
        builder.mmap(0, Mapping(8, 2, above, file=0 if above == SHM else -1))
        builder.mmap(0, Mapping(12, 4, STACK))
    builder.grow(0, 6)
    machine = start(builder.build(), DESIGNS["linux24"], tiny_geometry(), engine)
    with pytest.raises(
        TraceRefused, match=r"grow by task 0, start 6: no stack begins within 1,048,576 pages above it"
    ):
        machine.run()


@pytest.mark.parametrize("engine", ENGINES)
def test_growth__has_a_limit(engine):
    """A stack may be extended by so many pages at once and by not one more; then it may go on from there."""
    top = GEOMETRIES["x86-64"].stack_top_vpn
    for pages, allowed in ((STACK_GROWTH_PAGES, True), (STACK_GROWTH_PAGES + 1, False)):
        builder = TraceBuilder()
        builder.mmap(0, Mapping(top - 1, 1, STACK))
        builder.grow(0, top - 1 - pages)
        builder.grow(0, top - 2 - pages)
        machine = start(builder.build(), DESIGNS["linux24"], GEOMETRIES["x86-64"], engine)
        if allowed:
            machine.run()
            continue
        with pytest.raises(
            TraceRefused,
            match=r"^event 1: grow .*no stack begins within 1,048,576 pages above it; only a stack",
        ):
            machine.run()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "verb",
    [
        lambda b: b.mmap(1, Mapping(8, 1, ANON)),
        lambda b: b.munmap(1, 0, 1),
        lambda b: b.mprotect(1, 0, 1, writable=False),
        lambda b: b.dontneed(1, 0, 1),
        lambda b: b.grow(1, 13),
        lambda b: b.fork(1, 2),
        lambda b: b.vfork(1, 2),
    ],
)
def test_borrower__may_not_change_what_is_not_its_own(verb, engine):
    """A vfork child may read, write, exec and exit; its parent may do nothing until then."""
    for task, refusal in ((1, Refusal.BORROWS), (0, Refusal.WAITS)):
        builder = TraceBuilder()
        builder.mmap(0, Mapping(0, 4, ANON))
        builder.mmap(0, Mapping(14, 2, STACK))
        builder.vfork(0, 1)
        verb(builder)
        trace = builder.build()
        trace.events["task"][-1] = task
        machine = start(trace, DESIGNS["linux24"], tiny_geometry(), engine)
        with pytest.raises(
            TraceRefused, match="task borrows" if task else "waits for its vfork child"
        ) as refused:
            machine.run()
        assert refused.value.refusal == refusal


@pytest.mark.parametrize("engine", ENGINES)
def test_reclaim__is_nobodys_and_never_refused(engine):
    """Even while a parent waits; where nothing can be taken nothing is."""
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 4, ANON))
    builder.vfork(0, 1)
    builder.reclaim(3)
    builder.exit(1)
    builder.exit(0)
    builder.reclaim(1)
    machine = start(builder.build(), DESIGNS["linux24"], tiny_geometry(), engine)
    machine.run()
    assert machine.result().counts()["reclaims"] == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_waiting_child__whose_event_is_refused_has_not_run(engine):
    """Deferred copying: the refused event copies nothing; the next one does."""
    builder = beginning()
    builder.write(1, 4)
    builder.read(1, 0)
    machine = start(builder.build(), DESIGNS["async_fork"], tiny_geometry(), engine)
    with pytest.raises(TraceRefused):
        machine.run()
    assert machine.result().counts()["leaf_tables_unshared"] == 0
    machine.run()
    assert machine.result().counts()["leaf_tables_unshared"] == 1


# malformed events: seen before anything runs

MALFORMED = {
    "mprotect of no page": (
        lambda b: b.mprotect(0, 0, 0, writable=True),
        "range empty or not within pages 0 to 15",
    ),
    "mprotect past the end": (
        lambda b: b.mprotect(0, 12, 5, writable=True),
        "range empty or not within pages 0 to 15",
    ),
    "dontneed of no page": (lambda b: b.dontneed(0, 0, 0), "range empty or not within pages 0 to 15"),
    "dontneed past the end": (lambda b: b.dontneed(0, 15, 2), "range empty or not within pages 0 to 15"),
    "growth below zero": (lambda b: b.grow(0, -1), "page not within 0 to 15"),
    "growth past the end": (lambda b: b.grow(0, 16), "page not within 0 to 15"),
    "reclaim of nothing": (lambda b: b.reclaim(0), "count below 1; reclaim takes at least one page"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed__is_seen_before_the_machine_starts(case):
    """The message names the event and what is allowed."""
    tell, what = MALFORMED[case]
    builder = beginning()
    tell(builder)
    with pytest.raises(TraceRefused, match=rf"^event 5: the trace is malformed: event 5: {re.escape(what)}$"):
        start(builder.build(), DESIGNS["linux24"], tiny_geometry(), "oracle")


def test_malformed__a_permission_is_one_of_two():
    """Neither writable nor read-only."""
    builder = beginning()
    builder.mprotect(0, 0, 4, writable=True)
    trace = builder.build()
    trace.events["arg"][-1] = 2
    with pytest.raises(TraceRefused, match=r"event 5: arg is neither 0 \(read-only\) nor 1 \(writable\)"):
        start(trace, DESIGNS["linux24"], tiny_geometry(), "oracle")


def test_malformed__an_unknown_operation_names_the_known_ones():
    """One more than the last."""
    builder = beginning()
    builder.reclaim(1)
    trace = builder.build()
    trace.events["op"][-1] = len(Op)
    with pytest.raises(TraceRefused, match=rf"event 5: unknown operation; 0 to {len(Op) - 1} are known"):
        start(trace, DESIGNS["linux24"], tiny_geometry(), "oracle")
