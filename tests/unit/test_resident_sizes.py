"""Processes with sizes of their own: measured ones are taken, others drawn, and the trace has their pages."""

from __future__ import annotations

import numpy as np
import pytest

from simcore import DESIGNS, GEOMETRIES
from simcore.events import Op
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults
from simcore.workloads.resident import (
    DRAWN_KIB_MAX,
    LOG10_KIB_MEAN,
    LOG10_KIB_SD,
    SAME_NAMED_CHILD,
    anon_pages,
    most_anon_pages,
    resident_kib,
)
from simcore.workloads.shape import Shape, shape_of, tree_fault

TREE = WORKLOADS["tree"]
I386 = GEOMETRIES["i386"]
CHAIN = {"label": "chain", "parents": [-1, 0, 1, 1], "names": ["init", "httpd", "httpd", "cgi"]}


def make(seed: int = 1, geometry=I386, **wanted):
    """Return a trace with default parameters but for the wanted ones."""
    return TREE.make(defaults(TREE) | wanted, geometry, np.random.default_rng(seed))


def pages_written(trace, task: int) -> int:
    """Return how many pages a process writes between its exec and the next fork, its own or another's."""
    rows = list(trace.events)
    at = next(index for index, row in enumerate(rows) if row["op"] == Op.EXEC and row["task"] == task)
    written = 0
    for row in rows[at + 1 :]:
        if row["op"] not in (Op.READ, Op.WRITE) or row["task"] != task:
            break
        written += int(row["count"]) if row["op"] == Op.WRITE else 0
    return written


def test_measured_sizes__are_taken():
    """A size that is known is the process's, whatever is drawn; 10 MiB are 2,560 pages, 160 of them file pages."""
    tree = CHAIN | {"resident_kib": [4_000, 10_240, 8_000, 1_000]}
    trace = make(tree=tree, exec_ratio=1.0)
    assert [pages_written(trace, task) for task in range(4)] == [
        1000 - 160,
        2560 - 160,
        2000 - 160,
        250 - 160,
    ]


def test_small_processes__are_a_tenth_anonymous():
    """Where a size is less than the file pages, a tenth of it is anonymous, one page at least."""
    kib = np.array([1, 4, 100, 640, 680, 8000])
    assert anon_pages(kib, 160, I386).tolist() == [1, 1, 3, 16, 17, 1840]
    assert anon_pages(kib, 0, GEOMETRIES["arm64-64k"]).tolist() == [1, 1, 1, 10, 10, 125]


def test_same_named_child__has_a_part_of_its_parents_size():
    """An unknown size below a process of the same name is 0.77 of that one's; other unknown sizes are drawn."""
    sizes = resident_kib(
        Shape([-1, 0, 1, 1], CHAIN["names"], [1_000, 10_000, None, None]), np.random.default_rng(3)
    )
    assert sizes[:3].tolist() == [1_000, 10_000, round(SAME_NAMED_CHILD * 10_000)]
    drawn = 10 ** np.random.default_rng(3).normal(LOG10_KIB_MEAN, LOG10_KIB_SD, 4)
    assert sizes[3] == round(drawn[3])


def test_drawn_sizes__follow_the_fitted_distribution():
    """Of 20,000 drawn sizes the logarithms have the fitted mean and spread, but for the cut; none is larger."""
    count = 20_000
    shape = Shape([-1] + [0] * (count - 1), [f"p{number}" for number in range(count)], [None] * count)
    logs = np.log10(resident_kib(shape, np.random.default_rng(1)))
    assert logs.mean() == pytest.approx(LOG10_KIB_MEAN, abs=0.02)
    assert np.quantile(logs, 0.84) - np.median(logs) == pytest.approx(LOG10_KIB_SD, abs=0.03)
    assert logs.max() == pytest.approx(np.log10(DRAWN_KIB_MAX))
    assert np.mean(logs >= np.log10(DRAWN_KIB_MAX)) < 0.01


def test_equal_sizes__give_the_trace_of_a_fixed_one():
    """Sizes that leave 60 anonymous pages beside 160 file pages give the very trace of ``anon_pages: 60``."""
    fixed = make(tree=CHAIN, anon_pages=60)
    sized = make(tree=CHAIN | {"resident_kib": [880] * 4}, anon_pages=7)
    assert np.array_equal(fixed.events, sized.events)
    assert np.array_equal(fixed.image_starts, sized.image_starts)


def test_sizes__are_the_same_for_equal_seeds_and_all_exec_ratios():
    """What is drawn depends on the seed alone: a process that execs has its size at every ratio."""
    tree = CHAIN | {"resident_kib": [None] * 4}
    assert np.array_equal(make(tree=tree).events, make(tree=tree).events)
    assert not np.array_equal(make(tree=tree).events, make(seed=2, tree=tree).events)
    whole, none = make(tree=tree, exec_ratio=1.0), make(tree=tree, exec_ratio=0.0)
    assert pages_written(whole, 0) == pages_written(none, 0)


def test_child_that_never_execs__keeps_its_parents_image():
    """Without exec the child's own size is of no account: one image is made, and all write in it."""
    trace = make(tree=CHAIN | {"resident_kib": [2_000, 90_000, 4_000, 900]}, exec_ratio=0.0)
    assert sum(row["op"] == Op.EXEC for row in trace.events) == 1
    written = [int(row["count"]) for row in trace.events if row["op"] == Op.WRITE]
    assert max(written) <= 500


@pytest.mark.parametrize("design", ["linux24", "linus_pmd", "mainline", "vfork"])
def test_sized_trees__are_simulated(design):
    """A tree with measured and drawn sizes is simulated in geometries of 32 and 64 bits."""
    tree = CHAIN | {"resident_kib": [None, 20_000, None, None]}
    for geometry in (I386, GEOMETRIES["x86-64"]):
        result = simulate(make(tree=tree, geometry=geometry, exec_ratio=1.0), DESIGNS[design], geometry)
        assert result.counts()["pages_zeroed"] >= 20_000 // 4 - 160  # httpd's at least


def test_fits__refuses_what_cannot_be_laid_out_and_lets_everything_drawn_pass():
    """The largest size that can be drawn fits into every geometry; a larger measured one is refused where it does not."""
    params = defaults(TREE) | {"tree": CHAIN | {"resident_kib": [None] * 4}}
    assert all(TREE.fits(params, geometry) is None for geometry in GEOMETRIES.values())
    params["tree"] = CHAIN | {"resident_kib": [None, None, None, 2_000_000]}
    assert "text, data and heap take" in TREE.fits(params, I386)
    assert TREE.fits(params, GEOMETRIES["x86-64"]) is None
    assert most_anon_pages([None, 5], 0, I386) == DRAWN_KIB_MAX // 4


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([1], ("1 sizes", "4 in all", "null")),
        ("big", ("'big'", "a list with one size per process")),
        ([1, 2, 3, 0], ("resident_kib[3] is 0", "from 1 to")),
        ([1, 2, True, 4], ("resident_kib[2] is True",)),
        ([1, 2.5, None, 4], ("resident_kib[1] is 2.5",)),
    ],
)
def test_wrong_sizes__are_refused(sizes, parts):
    """A list of sizes has one for each process, whole numbers of KiB or null."""
    said = tree_fault(CHAIN | {"resident_kib": sizes})
    assert said is not None
    assert all(part in said for part in parts), said
    assert said.count(";") >= 2


def test_shape__carries_the_sizes():
    """A measured tree with sizes keeps them, one without has none."""
    assert shape_of(CHAIN | {"resident_kib": [1, None, 3, 4]}).resident_kib == [1, None, 3, 4]
    assert shape_of(CHAIN).resident_kib is None
