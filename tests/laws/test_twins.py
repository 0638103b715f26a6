"""Designs that differ on one axis differ in what that axis is about, and in nothing else."""

import numpy as np
import pytest
from traces import RandomTrace

from simcore import DESIGNS, Trace, tiny_geometry
from simcore.designs import derived
from simcore.events import Op
from simcore.simulate import simulate

GEOMETRY = tiny_geometry(8, 2)
RMAP = {"rmap_added", "rmap_removed", "rmap_walked", "rmap_bytes_max", "rmap_bytes_end"}


def counted(*designs, seeds=range(12), length=600, without=()):
    """Yield for random traces the counts of designs, given by name or as rows."""
    rows = [DESIGNS[design] if isinstance(design, str) else design for design in designs]
    for seed in seeds:
        trace = RandomTrace(seed, wild=0.0, without=without).build(length)
        yield [simulate(trace, row, GEOMETRY).counts() for row in rows]


def different(one, other):
    """Return the names of the columns in which two runs differ."""
    return {name for name in one if one[name] != other[name]}


# marking


def test_marking__mark_visits_at_most_what_sole_visits_at_most_what_each_visits():
    """Ptes visited at fork: mark <= sole <= each on every trace, and each inequality is strict on some."""
    visits = [
        [counts["ptes_visited_fork"] for counts in runs]
        for runs in counted("phillips_mark", "phillips_sole", "phillips", seeds=range(24))
    ]
    assert all(mark <= sole <= each for mark, sole, each in visits)
    assert any(mark < sole for mark, sole, _ in visits)
    assert any(sole < each for _, sole, each in visits)


def test_marking__changes_nothing_but_the_visits():
    """The three ways to mark differ in ptes looked at by fork alone: state, faults and copies are the same."""
    for each, sole, mark in counted("phillips", "phillips_sole", "phillips_mark"):
        assert different(each, sole) | different(each, mark) <= {"ptes_visited_fork", "ptes_present_fork"}


# reverse mapping


@pytest.mark.parametrize(
    ("plain", "mapped"),
    [
        ("linux24", "rmap25"),
        ("linux24", "linux26"),
        ("phillips", "phillips_rmap"),
        ("linus_pmd", "linus_rmap"),
    ],
)
def test_rmap__changes_nothing_but_its_own_acts(plain, mapped):
    """A design and its twin with a reverse mapping differ in that alone, as long as nothing is reclaimed."""
    for one, other in counted(plain, mapped, without=(Op.RECLAIM,)):
        assert different(one, other) <= RMAP


@pytest.mark.parametrize("mapped", ["rmap25", "linux26"])
def test_rmap__that_reclaim_does_not_follow_changes_nothing_else_at_all(mapped):
    """Scanned like the twin without one, pages are reclaimed alike."""
    scanned = derived("scanned", DESIGNS[mapped], {"reclaim": "scan"})
    for one, other in counted("linux24", scanned):
        assert different(one, other) <= RMAP


def test_rmap__chains_and_objects_count_the_same_mappings():
    """What is added and removed is a matter of ptes; chains take memory and are walked at every removal."""
    for chained, counted_only in counted("rmap25", "linux26", without=(Op.RECLAIM,)):
        assert different(chained, counted_only) <= {"rmap_walked", "rmap_bytes_max", "rmap_bytes_end"}
        assert counted_only["rmap_walked"] == 0 < chained["rmap_walked"]


# zap


def test_zap__edges_are_a_detour_to_where_the_whole_goes_at_once():
    """Without madvise both ways of tearing down leave the same machine; edges cost no less of anything but drops.

    A madvise over two vmas leaves an empty table behind where it went vma by vma.
    """
    detours = 0
    for edges, whole in counted("phillips", "phillips_drop", without=(Op.DONTNEED,)):
        gauges = [name for name in edges if name.endswith(("_max", "_end"))]
        assert all(edges[name] == whole[name] for name in gauges)
        assert whole["leaf_tables_dropped"] >= edges["leaf_tables_dropped"]
        assert all(whole[name] <= edges[name] for name in edges if name != "leaf_tables_dropped")
        detours += whole["leaf_tables_unshared"] < edges["leaf_tables_unshared"]
    assert detours > 6


# the source of a copy


def test_source__the_repair_protects_no_less():
    """The patch looks at the source of a copy between two sharers only; on some trace that shows."""
    runs = list(counted("mccracken", "mccracken_fixed"))
    for asis, fixed in runs:
        assert asis["ptes_wrprotected_unshare"] <= fixed["ptes_wrprotected_unshare"]
    assert any(different(asis, fixed) for asis, fixed in runs)


# accounting


def test_page_refs__change_references_and_visits_only():
    """Version 5 of COW for page tables faults, copies and shares as version 2 does; it counts for each sharer."""
    allowed = {
        "refs_taken", "refs_dropped", "rmap_added", "rmap_removed", "ptes_visited_fork", "ptes_present_fork",
        "ptes_visited_zap", "pgtable_charged_bytes_max", "pgtable_charged_bytes_end",
    }  # fmt: skip
    for owner, sharer in counted("cow_pte", "cow_pte_v5"):
        assert different(owner, sharer) <= allowed
        assert owner["pgtable_charged_bytes_end"] <= sharer["pgtable_charged_bytes_end"]


@pytest.mark.parametrize("charge", ["owner", "forker"])
def test_charge__changes_the_charge_alone(charge):
    """Whoever pays for a table, the machine is the same; an owner alone never pays more than each sharer would.

    A forker can: it goes on paying for tables that it has left.
    """
    single = derived("single", DESIGNS["linus_pmd"], {"charge": charge})
    for each, one in counted("linus_pmd", single):
        assert different(each, one) <= {"pgtable_charged_bytes_max", "pgtable_charged_bytes_end"}
        if charge == "owner":
            assert one["pgtable_charged_bytes_end"] <= each["pgtable_charged_bytes_end"]


# one mm


@pytest.mark.parametrize("design", DESIGNS)
def test_single_mm__nothing_but_what_the_row_says_of_single_mms(design):
    """With one mm and no fork there is nothing to share.

    Each design costs what eager copy costs with the same reverse mapping, reclaim, fault-around, madvise and file
    tables.
    """
    row = DESIGNS[design]
    axes = (
        "rmap",
        "reclaim",
        "fault_around",
        "dontneed",
        "file_tables",
        "inherit",
        "mprotect",
        "dirty_tracking",
    )
    eager = derived("eager", DESIGNS["linux24"], {axis: getattr(row, axis) for axis in axes})
    for seed in range(3):
        alone = without_children(RandomTrace(seed, tasks=1, wild=0.0).build(800))
        assert simulate(alone, row, GEOMETRY).counts() == simulate(alone, eager, GEOMETRY).counts()


def test_single_mm__the_designs_of_2002_cost_the_same():
    """Chains apart, as long as nothing is reclaimed: they differ in what fork does and in nothing else."""
    early = [row for row in DESIGNS.values() if row.year <= 2002]
    alone = without_children(RandomTrace(5, tasks=1, wild=0.0, without=(Op.RECLAIM,)).build(800))
    first, *others = [simulate(alone, row, GEOMETRY).counts() for row in early]
    assert len(others) > 10
    for other in others:
        assert different(first, other) <= RMAP


def without_children(trace):
    """Return a trace without its forks and vforks."""
    keep = np.isin(trace.events["op"], [Op.FORK, Op.VFORK], invert=True)
    return Trace(trace.events[keep], trace.pages, trace.image_rows, trace.image_starts)


# vfork


def test_vfork__is_eager_copy_where_nothing_is_execed():
    """Without an exec no child borrows."""
    for eager, borrowed in counted("linux24", "vfork", without=(Op.EXEC,)):
        assert different(eager, borrowed) == set()
