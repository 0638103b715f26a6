"""Do the numbers obey algebra? Closed forms, conservation, and what must change nothing."""

from functools import cache

import numpy as np
import pytest
from lockstep import advance, assert_equal_results
from traces import RandomTrace

from simcore import DESIGNS, GEOMETRIES, Mapping, Trace, TraceBuilder, VmaKind, tiny_geometry
from simcore.acts import ACT, ACTS, EVENT_KIND
from simcore.events import Op
from simcore.simulate import simulate, start

GEOMETRY = tiny_geometry(8, 2)
LINKING = [name for name, design in DESIGNS.items() if design.shares_tables]


@pytest.mark.parametrize("design", DESIGNS)
def test_names__renaming_tasks_changes_nothing(design):
    """Task numbers are names: a permutation of them (task 0 stays) gives the same counts and act vectors.

    Not where pages are reclaimed: the hand goes round in the order of task numbers.
    """
    trace = RandomTrace(11, tasks=7, wild=0.0, without=(Op.RECLAIM,)).build(1_000)
    names = np.array([0, 4, 6, 1, 3, 2, 5])
    events = trace.events.copy()
    events["task"] = names[events["task"]]
    births = np.isin(events["op"], [Op.FORK, Op.VFORK])
    events["arg"][births] = names[events["arg"][births]]
    renamed = Trace(events, trace.pages, trace.image_rows, trace.image_starts)
    assert_equal_results(
        simulate(renamed, DESIGNS[design], GEOMETRY), simulate(trace, DESIGNS[design], GEOMETRY)
    )


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("engine", ["fast", "oracle"])
def test_cut__a_trace_run_in_pieces_equals_the_whole(design, engine):
    """Stopping between two events leaves no trace."""
    trace = RandomTrace(13, wild=0.0).build(500)
    pieces = start(trace, DESIGNS[design], GEOMETRY, engine)
    for stop in (1, 17, 18, 250, 499, 500):
        pieces.run(min(stop, len(trace)))
    pieces.run()
    assert_equal_results(pieces.result(), simulate(trace, DESIGNS[design], GEOMETRY, engine))


@pytest.mark.parametrize("design", DESIGNS)
def test_fork_and_exit__restores_refcounts_and_mapcounts(design):
    """fork and immediate exit of the child: every table and page is held as before, nothing more exists."""
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 12, VmaKind.ANON))
    builder.mmap(0, Mapping(16, 5, VmaKind.FILE_PRIVATE, writable=True, file=0))
    builder.write(0, 0, 10)
    builder.read(0, 16, 5)
    builder.fork(0, 1)
    builder.exit(1)
    machine = start(builder.build(), DESIGNS[design], GEOMETRY, "fast")
    advance(machine, 4)
    before = machine.snapshot()
    machine.run()
    after = machine.snapshot()
    assert before.levels == after.levels
    assert sorted(view.refcount for view in before.tables.values()) == sorted(
        view.refcount for view in after.tables.values()
    )
    assert sorted(before.frames.values()) == sorted(after.frames.values())


@pytest.mark.parametrize("name", ["i386", "x86-64"])
@pytest.mark.parametrize("design", DESIGNS)
def test_tables__closed_form(design, name):
    """N mms over R aligned bytes need N * R / span leaf tables when private, R / span when linked."""
    geometry, mms, tables = GEOMETRIES[name], 5, 7
    start_page = geometry.mmap_vpn // geometry.entries * geometry.entries
    builder = TraceBuilder()
    builder.mmap(0, Mapping(start_page, tables * geometry.entries, VmaKind.ANON))
    builder.write(0, start_page, tables * geometry.entries)
    for child in range(1, mms):
        builder.fork(0, child)
    counts = simulate(builder.build(), DESIGNS[design], geometry).counts()
    copies = 1 if DESIGNS[design].shares_tables else mms
    payers = 1 if DESIGNS[design].charge in ("owner", "forker") else mms
    charged = payers * tables + mms * (geometry.levels - 2)
    assert counts["leaf_tables_end"] == copies * tables
    assert counts["pgtable_charged_bytes_end"] == charged * geometry.page_bytes
    assert counts["rss_pages_end"] == mms * tables * geometry.entries


@cache
def states(length=500, seeds=12):
    """Return the end of random traces under every design: the design, the counts, the state."""
    ends = []
    for seed in range(seeds):
        trace = RandomTrace(seed, wild=0.0).build(length)
        for design in DESIGNS.values():
            machine = start(trace, design, GEOMETRY)
            machine.run()
            ends.append((design, machine.result().counts(), machine.snapshot()))
    return ends


def held_by(state, design):
    """Return how many references ptes hold: one each, or one for each mm that reaches them."""
    each = design.page_refs == "per_sharer"
    return sum(
        view.refcount if each else 1
        for view in state.tables.values()
        for frame, _ in view.ptes.values()
        if frame
    )


def test_conservation__what_was_taken_is_held_or_was_dropped():
    """Allocated less freed is what exists; references taken are those of ptes and shm objects that remain.

    A page on swap is in no frame and has none.
    """
    for design, counts, state in states():
        held = held_by(state, design)
        objects = sum(view.kind == "shm" for view in state.frames.values())
        assert counts["pages_allocated"] - counts["pages_freed"] == counts["pages_end"]
        assert counts["pages_allocated"] + counts["refs_taken"] - counts["refs_dropped"] == held + objects
        mappings = 0 if design.rmap == "none" else held
        assert counts["rmap_added"] - counts["rmap_removed"] == mappings == state.rmap_elements
        assert counts["rmap_bytes_end"] == (16 * mappings if design.rmap == "pte_chain" else 0)
        assert design.rmap != "pte_chain" or counts["rmap_walked"] >= counts["rmap_removed"]


def test_conservation__tables_and_vmas():
    """Tables: allocated less freed. Slots beyond a table's first: linked less dropped and unshared. Vmas likewise."""
    for _, counts, state in states():
        assert counts["leaf_tables_allocated"] - counts["leaf_tables_freed"] == counts["leaf_tables_end"]
        upper = counts["upper_tables_allocated"] - counts["upper_tables_freed"] + 1
        assert upper == counts["upper_tables_end"]
        extra = sum(view.refcount - 1 for view in state.tables.values())
        left = counts["leaf_tables_dropped"] + counts["leaf_tables_unshared"]
        assert counts["leaf_tables_linked"] - left == extra
        vmas = sum(len(mm.vmas) for mm in state.mms.values())
        mapped = counts["vmas_mapped"] + counts["vmas_copied"] + counts["vmas_split"]
        assert mapped - counts["vmas_unmapped"] == vmas


def test_conservation__what_is_read_back_was_reclaimed():
    """Nothing comes back that did not go, and each page that does is a fault; each flush reaches an mm or more."""
    for design, counts, _ in states():
        assert counts["pages_swapped_out"] <= counts["pages_reclaimed"] <= counts["ptes_unmapped_reclaim"]
        faults = counts["faults_swap"] + counts["faults_file_map"] + counts["faults_cow_copy"]
        assert counts["pages_read_back"] <= (faults if counts["pages_reclaimed"] else 0)
        flushes = sum(counts[f"tlb_flush_{kind}"] for kind in ("page", "range", "mm"))
        shares = design.shares_tables or design.file_tables == "shared"
        assert counts["tlb_mms_reached"] == flushes or (shares and counts["tlb_mms_reached"] > flushes)


EVENTS = {
    "mmap": "mmaps", "munmap": "munmaps", "fork": "forks", "vfork": "vforks", "exec": "execs", "exit": "exits",
    "mprotect": "mprotects", "madvise": "madvises", "stack_grow": "stack_grows", "reclaim": "reclaims",
}  # fmt: skip


def test_vectors__each_event_has_its_own_and_each_fault_one_class():
    """Every vector counts exactly one event of its kind or one fault; multiplicities add up to the totals."""
    classes = [ACT[act.name] for act in ACTS if act.name.startswith("faults_")]
    touches = [EVENT_KIND["read_fault"], EVENT_KIND["write_fault"]]
    met = set()
    for seed in range(4):
        trace = RandomTrace(seed, wild=0.0).build(600)
        met |= set(trace.events["op"].tolist())
        for design in DESIGNS.values():
            result = simulate(trace, design, GEOMETRY)
            assert (result.vectors.times @ result.vectors.acts == result.acts).all()
            for kind, name in EVENTS.items():
                assert result.by_kind(kind)[ACT[name]] == result.acts[ACT[name]]
            is_fault = np.isin(result.vectors.kinds, touches)
            assert (result.vectors.acts[is_fault][:, classes].sum(axis=1) == 1).all()
            assert (result.vectors.acts[~is_fault][:, classes] == 0).all()
            deferred = result.vectors.acts[result.vectors.kinds == EVENT_KIND["deferred_copy"]]
            assert (len(deferred) > 0) == (design.fork == "deferred")
    assert met == set(Op)


@pytest.mark.parametrize("design", LINKING)
def test_floor__fork_and_exec_under_vfork_costs_no_more_of_anything(design):
    """A child that execs at once: vfork visits, copies, links and flushes nothing that a fork does."""
    builder = TraceBuilder()
    image = builder.image([Mapping(0, 4, VmaKind.ANON)])
    builder.mmap(0, Mapping(0, 30, VmaKind.ANON))
    builder.write(0, 0, 30)
    builder.fork(0, 1)
    builder.exec(1, image)
    builder.write(0, 0, 30)
    trace = builder.build()
    floor = simulate(trace, DESIGNS["vfork"], GEOMETRY)
    other = simulate(trace, DESIGNS[design], GEOMETRY)
    vforks = ACT["vforks"]
    assert (np.delete(floor.acts, vforks) <= np.delete(other.acts, vforks)).all()
    assert floor.counts()["tlb_flush_mm"] == 0
