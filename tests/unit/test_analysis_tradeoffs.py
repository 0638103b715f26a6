"""What no design beats, where two change sides, and tails as far as the events go."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from report_datasets import make_dataset

from pipeline import analysis, store
from pipeline.errors import RefusedError


def cells(**designs):
    """Return a frame with a trace for each pair of (fork, memory) of each design."""
    rows = [
        (f"t{number}", f"{name}{number}", name, *pair)
        for name, pairs in designs.items()
        for number, pair in enumerate(pairs)
    ]
    return pd.DataFrame(rows, columns=["trace_id", "cell_id", "design", "fork", "memory"])


def test_pareto__keeps_what_nobody_beats():
    """Cheap or small is efficient; what is dearer and no smaller is beaten, by those named; equals both stay."""
    frame = cells(cheap=[(1, 9)], small=[(9, 1)], both=[(5, 5)], bad=[(9, 5)], twin=[(5, 5)])
    found = analysis.pareto(frame, ["fork", "memory"])
    assert found.index[found["efficient"]].tolist() == ["cheap", "small", "both", "twin"]
    assert found["dominated_by"].to_dict()["bad"] == "small, both, twin"
    assert found.attrs["traces"] == 1


def test_pareto__takes_the_worst_cell_if_asked_and_pairs_with_a_baseline():
    """A median hides the second cell; as a multiple of the baseline on its trace it is no longer the largest."""
    frame = cells(base=[(10, 1), (1000, 1), (10, 1)], new=[(20, 1), (1100, 1), (5, 1)])
    plain = analysis.pareto(frame, ["fork", "worst:fork"])
    assert plain.loc["new", ["fork", "worst:fork"]].tolist() == [20, 1100]
    paired = analysis.pareto(frame, ["fork", "worst:fork"], baseline="base")
    assert paired.loc["new", ["fork", "worst:fork"]].tolist() == [1.1, 2.0]


def test_pareto__compares_on_shared_traces_alone():
    """A design that skipped the dear trace is not the better for it."""
    frame = cells(one=[(1, 1), (100, 1), (100, 1)], other=[(2, 1)])
    assert analysis.pareto(frame, ["fork"])["fork"].to_dict() == {"one": 1, "other": 2}
    apart = frame[~((frame["design"] == "one") & (frame["trace_id"] == "t0"))]
    with pytest.raises(RefusedError, match="no trace was run under all of"):
        analysis.pareto(apart, ["fork"])


def test_pareto__refuses_unknown_names_all_at_once():
    """Metrics and designs that are not there, each with the nearest name."""
    with pytest.raises(RefusedError) as refused:
        analysis.pareto(cells(one=[(1, 1)]), ["forks", "worst:memry"], designs=["on"])
    assert [line.split("; did")[0] for line in str(refused.value).splitlines()[1:]] == [
        "  metrics: 'forks' is not a column",
        "  metrics: 'memry' is not a column",
        "  designs: 'on' is none of the designs",
    ]


def grid():
    """Return cells whose ratio is size * exec / 8, on a grid of 3 by 2."""
    points = [(size, share) for size in (4.0, 8.0, 16.0) for share in (0.5, 1.0)]
    rows = [
        (f"t{number}", design, size, share, 100.0 * (size * share / 8 if design == "new" else 1))
        for number, (size, share) in enumerate(points)
        for design in ("base", "new")
    ]
    return pd.DataFrame(rows, columns=["trace_id", "design", "size", "share", "ns"])


def test_crossover__maps_ratios_over_two_axes():
    """Each point of the grid has the median of its cells."""
    found = analysis.crossover(grid(), "ns", "base", "size", "share")
    assert found["ratio"].tolist() == [0.25, 0.5, 0.5, 1.0, 1.0, 2.0]
    assert found["cells"].tolist() == [1] * 6
    assert found["low"].equals(found["high"])


def test_crossings__lie_where_the_logarithm_is_nothing():
    """A ratio of 0.8 at 10 and 1.25 at 20 crosses half-way; where the map touches 1 without passing nothing does."""
    frame = pd.DataFrame({"design": "new", "x": [10.0, 20.0], "y": 1.0, "ratio": [0.8, 1.25]})
    frame.attrs = {"x": "x", "y": "y"}
    [row] = analysis.crossings(frame).to_dict("records")
    assert (row["x"], row["after"], row["before"], row["wins"]) == (pytest.approx(15), 10, 20, "below")
    with pytest.raises(RefusedError, match=r"has to be what .* returned"):
        analysis.crossings(frame.drop(columns="ratio"))


def test_crossover__refuses_axes_on_which_nothing_changes():
    """An axis that is not there, and one with a single value."""
    with pytest.raises(RefusedError, match="x: 'depth' is not a column") as refused:
        analysis.crossover(grid().assign(one=1), "ns", "base", "depth", "one")
    assert "y: 'one' has 1 values" in str(refused.value)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a small dataset."""
    return make_dataset(tmp_path_factory.mktemp("tails"))


@pytest.mark.parametrize("event", ["fork", "fault"])
def test_tail__is_the_share_of_all_events_that_took_longer(dataset, event):
    """Against the list of every single event of a design."""
    found = analysis.tail(dataset, "pc-2002", event)
    mine = found[found["design"] == "phillips"]
    every = np.repeat(mine["ns"], mine["times"])
    assert mine["ccdf"].tolist() == pytest.approx([float((every > ns).mean()) for ns in mine["ns"]])
    assert mine["longer"].iloc[-1] == 0
    assert len(every) == analysis.latency(dataset, "pc-2002", event).loc["phillips", "events"]
    assert mine["cells"].iloc[0] == len(store.read(dataset).to_pandas().query("design == 'phillips'"))
    assert mine["cells"].is_monotonic_decreasing


def test_tail_quantiles__refuse_what_the_events_do_not_support(dataset):
    """Up to the highest supported quantile there are figures, beyond it reasons; the slowest event is a maximum."""
    found = analysis.tail(dataset, "pc-2002", "fork")
    told = analysis.tail_quantiles(found, [0.5, 0.9, 0.9999]).query("design == 'phillips'").set_index("q")
    events = int(told["events"].iloc[0])
    assert found.attrs["highest"]["phillips"] < 0.9999
    assert told.loc[0.9999, "why"] == f"{events} forks cannot bound the 0.9999 quantile at 95 %; 36,887 can"
    assert math.isnan(told.loc[0.9999, "ns"])
    slowest = analysis.latency(dataset, "pc-2002", "fork", q=[0.5, 1.0]).loc["phillips"]
    assert told.loc[[0.5, 1.0], "ns"].tolist() == slowest[["ns_q0.5", "ns_q1"]].tolist()
    assert told.loc[1.0, ["beyond", "why"]].tolist() == [0, ""]


def test_quantile__gives_one_or_refuses(dataset):
    """A single quantile is a number, or an error with the reason and what can be asked for."""
    found = analysis.tail(dataset, "pc-2002", "fork")
    assert analysis.quantile(found, "phillips", 0.5) > 0
    highest = found.attrs["highest"]["phillips"]
    with pytest.raises(RefusedError, match=f"cannot bound the 0.99999 quantile .* ask for {highest} or less"):
        analysis.quantile(found, "phillips", 0.99999)
    with pytest.raises(RefusedError, match="did you mean 'phillips'"):
        analysis.quantile(found, "philips", 0.5)
    with pytest.raises(RefusedError, match="q: 2 is not above 0 and below 1"):
        analysis.tail_quantiles(found, [2])
