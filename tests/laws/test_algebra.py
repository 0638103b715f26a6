"""Do the numbers obey algebra? Closed forms, conservation and metamorphic relations."""

import numpy as np
import pytest
from lockstep import advance, assert_equal_results
from traces import RandomTrace

from simcore import DESIGNS, GEOMETRIES, Mapping, Trace, TraceBuilder, VmaKind, tiny_geometry
from simcore.acts import ACT, ACTS
from simcore.events import Op
from simcore.simulate import simulate, start

GEOMETRY = tiny_geometry(8, 2)
LINKING = [name for name, design in DESIGNS.items() if design.shares_tables]
RMAP_ACTS = {"rmap_added", "rmap_removed", "rmap_walked", "rmap_bytes_max", "rmap_bytes_end"}


def random_results(seeds=range(12), length=600):
    """Yield for random traces the results under all designs."""
    for seed in seeds:
        trace = RandomTrace(seed, wild=0.0).build(length)
        yield {name: simulate(trace, design, GEOMETRY) for name, design in DESIGNS.items()}


def test_marking__mark_visits_at_most_what_sole_visits_at_most_what_each_visits():
    """Ptes visited at fork: mark <= sole <= each on every trace, and each inequality is strict on some."""
    visits = [
        [
            results[name].acts[ACT["ptes_visited_fork"]]
            for name in ("phillips_mark", "phillips_sole", "phillips")
        ]
        for results in random_results(range(40))
    ]
    assert all(mark <= sole <= each for mark, sole, each in visits)
    assert any(mark < sole for mark, sole, _ in visits)
    assert any(sole < each for _, sole, each in visits)


def test_marking__changes_nothing_but_the_visits():
    """The three ways to mark differ in ptes looked at by fork alone: state, faults and copies are the same."""
    for results in random_results():
        counts = [results[name].counts() for name in ("phillips", "phillips_sole", "phillips_mark")]
        for count in counts:
            del count["ptes_visited_fork"]
            del count["ptes_present_fork"]
        assert counts[0] == counts[1] == counts[2]


def test_rmap__changes_nothing_but_chains():
    """A design and its twin with pte_chains differ in chain elements alone."""
    for results in random_results():
        for plain, chained in (
            ("linux24", "rmap25"),
            ("phillips", "phillips_rmap"),
            ("linus_pmd", "linus_rmap"),
        ):
            one, other = results[plain].counts(), results[chained].counts()
            assert {name for name in one if one[name] != other[name]} <= RMAP_ACTS


def test_single_mm__all_designs_cost_the_same():
    """With one mm and no fork there is nothing to share; chains apart, every count is equal."""
    trace = RandomTrace(5, tasks=1, wild=0.0).build(800)
    keep = np.isin(trace.events["op"], [Op.FORK, Op.VFORK], invert=True)
    alone = Trace(trace.events[keep], trace.pages, trace.image_rows, trace.image_starts)
    counts = [simulate(alone, design, GEOMETRY).counts() for design in DESIGNS.values()]
    for count in counts:
        assert {k: v for k, v in count.items() if k not in RMAP_ACTS} == {
            k: v for k, v in counts[0].items() if k not in RMAP_ACTS
        }


@pytest.mark.parametrize("design", DESIGNS)
def test_names__renaming_tasks_changes_nothing(design):
    """Task numbers are names: a permutation of them (task 0 stays) gives the same counts and act vectors."""
    trace = RandomTrace(11, tasks=7, wild=0.0).build(1_000)
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
    assert counts["leaf_tables_end"] == copies * tables
    assert counts["pgtable_charged_bytes_end"] == mms * (tables + geometry.levels - 2) * geometry.page_bytes
    assert counts["rss_pages_end"] == mms * tables * geometry.entries


def test_conservation__what_was_taken_is_held_or_was_dropped():
    """Allocated less freed is what exists; references taken are those of ptes and shm objects that remain."""
    for seed in range(12):
        trace = RandomTrace(seed, wild=0.0).build(500)
        for design in DESIGNS.values():
            machine = start(trace, design, GEOMETRY)
            machine.run()
            counts, state = machine.result().counts(), machine.snapshot()
            ptes = sum(view.pte_mapcount for view in state.frames.values())
            objects = sum(view.kind == "shm" for view in state.frames.values())
            assert counts["pages_allocated"] - counts["pages_freed"] == counts["pages_end"]
            assert counts["pages_allocated"] + counts["refs_taken"] - counts["refs_dropped"] == ptes + objects
            assert counts["leaf_tables_allocated"] - counts["leaf_tables_freed"] == counts["leaf_tables_end"]
            assert (
                counts["upper_tables_allocated"] - counts["upper_tables_freed"] + 1
                == counts["upper_tables_end"]
            )
            assert (counts["rmap_added"] - counts["rmap_removed"]) * 16 == counts["rmap_bytes_end"]
            assert counts["rmap_walked"] >= counts["rmap_removed"]
            vmas = sum(len(mm.vmas) for mm in state.mms.values())
            mapped = counts["vmas_mapped"] + counts["vmas_copied"] + counts["vmas_split"]
            assert mapped - counts["vmas_unmapped"] == vmas
            assert counts["tlb_mms_reached"] == sum(
                counts[f"tlb_flush_{kind}"] for kind in ("page", "range", "mm")
            )


def test_vectors__each_event_has_its_own_and_each_fault_one_class():
    """Every vector counts exactly one event of its kind or one fault; multiplicities add up to the totals."""
    classes = [act.name for act in ACTS if act.name.startswith("faults_")]
    for results in random_results(range(4)):
        for result in results.values():
            for kind in ("mmap", "munmap", "fork", "vfork", "exec", "exit"):
                total = result.by_kind(kind)[ACT[f"{kind}s"]]
                assert total == result.acts[ACT[f"{kind}s"]]
            faults = [result.by_kind(kind) for kind in ("read_fault", "write_fault")]
            assert sum(each[ACT[name]] for each in faults for name in classes) == sum(
                result.acts[ACT[name]] for name in classes
            )
            of_fault = result.vectors.acts[np.isin(result.vectors.kinds, [2, 3])]
            assert (of_fault[:, [ACT[name] for name in classes]].sum(axis=1) == 1).all()


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
