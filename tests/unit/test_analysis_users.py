"""Over users: one listing counts once, the losing share has an interval, and what cannot be told is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.errors import RefusedError
from pipeline.intervals import quantile_interval, share_interval


def machines(ratios, cells=3):
    """Return a frame of listings m0, m1, ... whose cells under ``new`` need these multiples of ``base``."""
    rows = [
        (f"t{number}-{cell}", design, 100.0 * (cell + 1) * (ratio if design == "new" else 1.0), f"m{number}")
        for number, ratio in enumerate(ratios)
        for cell in range(cells)
        for design in ("base", "new")
    ]
    frame = pd.DataFrame(rows, columns=["trace_id", "design", "ns", "tree"])
    return frame.assign(
        cell_id=[f"c{number}" for number in range(len(frame))], tree_measured=True, workload="tree"
    )


FORTY = 0.90 + 0.005 * np.arange(40)  # 0.900 to 1.095: nineteen above 1, of which one by no more than 0.5 %


def test_users__count_once_however_many_cells_they_have():
    """A listing's ratio is the median over its cells; cells without a baseline and generated trees are nobody's."""
    frame = machines([0.9, 1.1])
    frame.loc[frame["tree"].eq("m0") & frame["design"].eq("new"), "ns"] = [50.0, 160.0, 600.0]
    extra = frame[(frame["tree"] == "m1")].assign(tree="depth 3", tree_measured=False, trace_id="g")
    both = pd.concat([frame, extra.drop_duplicates("design")])
    found = analysis.users(both, "ns", "base").set_index(["design", "user"])
    assert found.loc[("new", "m0"), ["cells", "value", "ratio", "difference"]].tolist() == [3, 160, 0.8, -40]
    assert found.loc[("new", "m1"), "ratio"] == pytest.approx(1.1)
    assert set(found.index.get_level_values("user")) == {"m0", "m1"}


def test_typical__has_an_interval_over_listings():
    """The median user and its interval are those of forty ratios, not of 120 cells."""
    found = analysis.typical(machines(FORTY), "ns", "base").loc["new"]
    assert (found["cells"], found["users"]) == (120, 40)
    assert found["user_ratio"] == pytest.approx(np.median(FORTY))
    assert (found["user_low"], found["user_high"]) == pytest.approx(quantile_interval(FORTY, 0.5))
    assert found["user_p90"] == pytest.approx(np.quantile(FORTY, 0.9))
    assert found["why"] == ""


def test_typical__says_what_few_listings_do_not_support():
    """Eight bound a median and no tail, five not even that; a sweep without listings has no users."""
    eight = analysis.typical(machines(FORTY[:8]), "ns", "base").loc["new"]
    assert eight[["user_low", "user_p10"]].isna().tolist() == [False, True]
    assert "8 listings cannot bound the 0.9 quantile at 95 %; 36 can" in eight["why"]
    five = analysis.typical(machines(FORTY[:5]), "ns", "base").loc["new"]
    assert five[["user_ratio", "user_low"]].isna().tolist() == [False, True]
    none = analysis.typical(machines(FORTY[:8]).drop(columns=["tree", "tree_measured"]), "ns", "base")
    assert none.loc["new", ["cells", "users", "why"]].tolist() == [
        24, 0, "no listings: cells of the sweep are nobody's machine",
    ]  # fmt: skip


def test_losers__are_a_share_of_users_with_an_interval():
    """Of forty ratios 0.005 apart eighteen are above 1.005; the losses are those of these, the worst named."""
    found = analysis.losers(machines(FORTY), "ns", "base", margin=0.0051).loc["new"]
    assert found[["users", "losers", "share"]].tolist() == [40, 18, 0.45]
    assert (found["low"], found["high"]) == pytest.approx(share_interval(18, 40))
    assert found["loss_median"] == pytest.approx(np.median(FORTY[22:] - 1))
    assert found["loss_max"] == pytest.approx(0.095)
    assert found["worst_user"] == "m39"
    assert found["why"] == "18 losers cannot bound the 0.9 quantile at 95 %; 36 can"


def test_losers__margin_decides_who_loses():
    """A higher margin leaves fewer losers; with none of them there are no losses, and still an interval."""
    frame = machines(FORTY)
    counts = [analysis.losers(frame, "ns", "base", margin).loc["new", "losers"] for margin in (0, 0.02, 0.2)]
    assert counts[0] > counts[1] > counts[2] == 0
    none = analysis.losers(frame, "ns", "base", 0.2).loc["new"]
    assert (none["share"], none["low"], none["worst_user"], none["why"]) == (0, 0, "", "")
    assert none["high"] == pytest.approx(share_interval(0, 40).high)


def test_losers__without_users_are_refused():
    """Cells of a sweep are nobody's machine; another column may tell users apart."""
    frame = machines(FORTY[:8]).rename(columns={"tree": "host"}).drop(columns="tree_measured")
    with pytest.raises(RefusedError, match=r"there are no users among its 48 rows.*with by="):
        analysis.losers(frame, "ns", "base")
    assert analysis.losers(frame, "ns", "base", by="host").loc["new", "users"] == 8


def test_effect__is_told_in_ratios_units_and_shares():
    """Median ratio and difference with intervals, shares better and worse, superiority, and all machines together."""
    found = analysis.effect(machines(FORTY), "ns", "base", margin=0.0051).loc["new"]
    assert found["ratio"] == pytest.approx(np.median(FORTY))
    assert (found["ratio_low"], found["ratio_high"]) == pytest.approx(quantile_interval(FORTY, 0.5))
    assert found["difference"] == pytest.approx(200 * (np.median(FORTY) - 1))
    assert (found["better"], found["worse"]) == (19 / 40, 18 / 40)
    assert found["superiority"] == pytest.approx((19 + 3 / 2) / 40)
    assert found["total_ratio"] == pytest.approx(FORTY.mean())


def test_bad_arguments__are_refused_all_at_once():
    """Metric, baseline, user column and margin are wrong: one message with four lines, each with what is right."""
    with pytest.raises(RefusedError) as refused:
        analysis.losers(machines([1.0]), "nss", "bass", -1, by="treee")
    assert str(refused.value).splitlines() == [
        "analysis.losers: 4 problems",
        "  metric: 'nss' is not a column; did you mean 'ns'?; df.columns lists them; choose one that holds numbers",
        "  baseline: 'bass' is none of the designs; did you mean 'base'?",
        "  by: 'treee' is not a column; did you mean 'tree'?",
        "  margin: -1 is not from 0 and below 10",
    ]


def test_two_versions_in_one_frame__are_refused():
    """Rows that cannot be paired without choosing one are not chosen from in silence."""
    frame = machines([0.9, 1.1])
    with pytest.raises(RefusedError, match=r"several rows of one design on one trace \(12 rows too many\)"):
        analysis.users(pd.concat([frame, frame]), "ns", "base")
    with pytest.raises(RefusedError, match="'tree' does not hold numbers"):
        analysis.worst(frame, "tree", "base")


def test_worst__lists_cells_with_rank_and_replay_line():
    """The three worst of twelve cells, the line that simulates each again, and words that say of how many."""
    frame = machines([0.9, 1.2, 1.1, 1.3])
    found = analysis.worst(frame, "ns", "base", count=3, dataset="my results").loc["new"]
    assert found["ratio"].tolist() == pytest.approx([1.3] * 3)
    assert found["said"].tolist() == ["worst of 12 cells", "rank 2 of 12 cells", "rank 3 of 12 cells"]
    first = found["cell_id"].iloc[0]
    assert found["replay"].iloc[0] == f"forkbench show {first} --results 'my results' --simulate"
    with pytest.raises(RefusedError, match="count: 0 is not a whole number from 1 on"):
        analysis.worst(frame, "ns", "base", count=0)


def test_worst__without_a_baseline_is_the_highest_value():
    """Ranked by the metric itself; there is no ratio then."""
    found = analysis.worst(machines([0.9, 2.0]), "ns", None)
    assert found.loc["new", "ns"] == 600
    assert found["ratio"].isna().all()


@pytest.mark.parametrize("listings", [20, 39])
def test_intervals__hold_median_and_losing_share_of_2000_sweeps(listings):
    """Of 2,000 simulated designs on the same listings, 93 to 97 % have their true median and losing share in them.

    Each design has a median of its own, from 20 % less to 20 % more, and listings lie about it by a factor; so what the
    functions that people call give is tested, not the formulas below them.
    """
    rng, sets, spread = np.random.default_rng(listings), 2_000, 0.08
    middle = rng.uniform(np.log(0.8), np.log(1.2), sets)
    base = rng.lognormal(9.0, 1.8, listings)
    ratios = np.exp(middle[:, None] + rng.normal(0, spread, (sets, listings)))
    number = np.arange(listings)
    frame = pd.DataFrame(
        {
            "design": np.repeat(["base", *(f"d{each:04}" for each in range(sets))], listings),
            "trace_id": np.tile([f"t{each}" for each in number], sets + 1),
            "tree": np.tile([f"m{each}" for each in number], sets + 1),
            "ns": np.concatenate([base, (ratios * base).ravel()]),
        }
    ).assign(tree_measured=True, workload="tree")
    usual = analysis.typical(frame, "ns", "base").drop("base")
    assert 0.93 <= _held(usual["user_low"], usual["user_high"], np.exp(middle)) <= 0.97
    lost = analysis.losers(frame, "ns", "base")
    truth = stats.norm.sf(np.log(1 + NO_DIFFERENCE), middle, spread)
    assert 0.93 <= _held(lost["low"], lost["high"], truth) <= 0.97


def _held(low, high, truth):
    """Return the share of intervals that hold the truth."""
    return float(((low.to_numpy() <= truth) & (truth <= high.to_numpy())).mean())
