"""Designs against a baseline: paired by trace, never pooled."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from pipeline.analysis import best, paired, population, typical, worst
from pipeline.errors import RefusedError


def cells(*rows, **columns):
    """Return a frame of (trace, design, total_ns) with cell ids in order."""
    frame = pd.DataFrame(rows, columns=["trace_id", "design", "total_ns"])
    return frame.assign(cell_id=[f"c{number}" for number in range(len(frame))], **columns)


TWO = cells(
    ("t1", "base", 100), ("t2", "base", 10), ("t1", "new", 50), ("t2", "new", 20), ("t3", "new", 7)
)  # fmt: skip


def test_paired__divides_by_the_baseline_on_the_same_trace():
    """Each row is compared with the baseline's row of its trace; a trace without one has no ratio."""
    ratio = paired(TWO, "total_ns", "base")
    assert ratio.tolist()[:4] == [1.0, 1.0, 0.5, 2.0]
    assert math.isnan(ratio.iloc[4])


def test_paired__keeps_the_index_of_a_selection():
    """A selection of rows in any order keeps its own index, so that the result can be assigned back."""
    chosen = TWO.iloc[[3, 1, 2, 0]]
    assert paired(chosen, "total_ns", "base").to_dict() == {3: 2.0, 1: 1.0, 2: 0.5, 0: 1.0}


def test_paired__has_no_ratio_to_nothing():
    """A baseline of 0 gives no ratio rather than infinity."""
    frame = cells(("t1", "base", 0), ("t1", "new", 5))
    assert paired(frame, "total_ns", "base").isna().all()


def test_paired__refuses_an_unknown_metric():
    """A metric that is no column is refused with the nearest name."""
    with pytest.raises(RefusedError, match="did you mean 'total_ns'"):
        paired(TWO, "totel_ns", "base")


def test_typical__takes_medians_of_pairs_not_pairs_of_medians():
    """The ratio is the median of the paired ratios; losing counts the cells in which the design is dearer."""
    frame = cells(
        ("t1", "base", 1), ("t2", "base", 10), ("t3", "base", 100),
        ("t1", "new", 3), ("t2", "new", 5), ("t3", "new", 90),
    )  # fmt: skip
    found = typical(frame, "total_ns", "base").loc["new"]
    assert found["ratio"] == 0.9
    assert found["value"] == 5
    assert found["difference"] == -5
    assert math.isclose(found["losing"], 1 / 3)


def test_typical__is_the_measured_tree_where_there_is_one():
    """Cells of a measured tree stand for the typical case, others do not."""
    frame = cells(
        ("t1", "base", 1), ("t2", "base", 1), ("t1", "new", 2), ("t2", "new", 9),
        tree=["mail", "depth 1", "mail", "depth 1"], tree_measured=[True, False, True, False],
        workload="tree",
    )  # fmt: skip
    found = typical(frame, "total_ns", "base")
    assert found.loc["new", ["cells", "ratio"]].tolist() == [1, 2.0]
    assert found.attrs["population"] == "cells with the measured tree mail"


def test_population__is_every_cell_where_no_tree_was_measured():
    """Without a measured tree all cells count, and the phrase says so."""
    chosen, phrase = population(TWO)
    assert len(chosen) == len(TWO)
    assert "no measured tree" in phrase


def test_worst_and_best__name_the_cell():
    """The highest and lowest paired ratio of each design, with the cell and how many were compared."""
    assert worst(TWO, "total_ns", "base").loc["new", ["cell_id", "ratio", "cells"]].tolist() == ["c3", 2.0, 2]
    assert best(TWO, "total_ns", "base").loc["new", ["cell_id", "ratio", "cells"]].tolist() == ["c2", 0.5, 2]


def test_worst__settles_ties_by_cell_id():
    """Equal ratios name the same cell whatever the order of rows."""
    frame = cells(("t1", "base", 1), ("t2", "base", 1), ("t1", "new", 2), ("t2", "new", 2))
    backwards = frame.iloc[::-1]
    assert worst(frame, "total_ns", "base").loc["new", "cell_id"] == "c2"
    assert worst(backwards, "total_ns", "base").loc["new", "cell_id"] == "c2"


def test_worst__leaves_out_a_design_that_was_never_compared():
    """A design that shares no trace with the baseline has no worst case against it."""
    frame = cells(("t1", "base", 1), ("t2", "new", 2))
    assert worst(frame, "total_ns", "base").index.tolist() == ["base"]
