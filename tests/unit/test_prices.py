"""Rows of several designs are priced each by its own, in every view: totals, latencies, shares of assumed costs."""

from __future__ import annotations

import numpy as np
import pytest
from report_datasets import make_dataset

from pipeline import analysis, store
from pipeline.latency import distribution
from pipeline.prices import assumed_ns, by_rmap, spent
from pipeline.report.page import read_digest
from pipeline.report.tables import _support, act_groups, costs, makes_the_difference
from simcore.acts import ACT
from simcore.costs import COST_MODELS, Cost, CostModel

NAMES = [
    "linux24",
    "rmap25",
    "linux26",
    "mainline",
    "cow_pte",
    {"mine": {"base": "linux26", "inherit": "unfaultable"}},
]
KEPT = {
    "linux24": "none", "rmap25": "pte_chain", "linux26": "object", "mainline": "object", "cow_pte": "object",
    "mine": "object",
}  # fmt: skip
CHEAP = CostModel(
    "cheap", "", {"rmap_added": Cost(100.0, "there"), "rmap_removed": Cost(10.0, "there")},
    object_rmap={"rmap_added": Cost(1.0, "ASSUMED: a count")},
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a small dataset of designs with all three sorts of reverse mappings, one of them the study's own."""
    return make_dataset(tmp_path_factory.mktemp("prices"), designs=NAMES, baseline="mainline", floor=None)


@pytest.fixture(scope="module")
def df(dataset):
    """Return it as a frame."""
    return analysis.load(dataset)


def test_by_rmap__knows_shipped_designs_and_the_studys_own(df):
    """Each row belongs to one sort, its design's."""
    found = by_rmap(df)
    assert set(found) == {"none", "object", "pte_chain"}
    assert np.sum(list(found.values()), axis=0).tolist() == [1] * len(df)
    for rmap, mine in found.items():
        assert {KEPT[name] for name in df.loc[mine, "design"]} == {rmap}


def test_by_rmap__takes_an_unknown_design_for_one_without(df):
    """Without the study's definition, what a name means is not known."""
    lost = df.copy()
    lost.attrs = {}
    assert lost.loc[by_rmap(lost)["none"], "design"].unique().tolist().count("mine") == 1


@pytest.mark.parametrize("model", [CHEAP, *COST_MODELS.values()], ids=lambda model: model.name)
def test_recost__prices_each_row_by_its_design(df, model):
    """The total of a row is the product of its counts and the costs that hold for its design."""
    again = analysis.recost(df, model)
    for name, rmap in KEPT.items():
        rows = again[again["design"] == name]
        expected = rows[list(ACT)].to_numpy(float) @ model.vector(rmap)
        assert np.allclose(rows["total_ns"], expected, rtol=1e-12)


def test_recost__leaves_counts_alone(df):
    """What is stored are the same acts whatever they cost."""
    counts = [column for column in df.columns if "_ns" not in column]
    assert analysis.recost(df, CHEAP)[counts].equals(df[counts])


def test_spent__adds_up_to_the_total(df):
    """The acts of a row take its time between them, and the assumed ones a part of it."""
    for model in COST_MODELS.values():
        again = analysis.recost(df, model)
        assert np.allclose(sum(spent(df, model).values()), again["total_ns"], rtol=1e-12)
        assert (assumed_ns(df, model) < again["total_ns"]).all()
    counts = df[df["design"] == "mine"]
    assert np.allclose(assumed_ns(counts, CHEAP), counts["rmap_added"])
    assert not assumed_ns(df[df["design"] == "rmap25"], CHEAP).any()


@pytest.mark.parametrize("source", ["path", "table", "frame"])
def test_latency__prices_each_event_by_its_design(dataset, df, source):
    """From a path, a table or vectors: the times of all events of a design add up to those of its cells."""
    given = {"path": dataset, "table": store.read(dataset), "frame": analysis.vectors(dataset)}[source]
    again = analysis.recost(df, CHEAP)
    for kind in ("fork", "exit"):
        timed = distribution(given, CHEAP, kind)
        found = (timed["ns"] * timed["times"]).groupby(timed["design"]).sum().to_dict()
        expected = again.groupby("design")[f"{kind}_ns_total"].sum().to_dict()
        assert {name: value for name, value in found.items() if value} == pytest.approx(
            {name: value for name, value in expected.items() if value}
        )


def test_report__says_which_costs_hold_for_object_rmap(dataset):
    """The cost table has both prices; a table of differences says assumed or sourced by the designs in it."""
    digest = read_digest(dataset, None)
    named = [row[0] for row in costs(digest.model).rows]
    assert "`rmap_added`" in named
    assert "`rmap_added` (object rmap)" in named
    [difference] = makes_the_difference(digest)
    assert "more than under mainline" in difference.caption
    assert {row[0]: row[-1] for row in difference.rows}["`rmap_added`"] == "assumed"
    assert _support(digest, "rmap_added", ["mainline", "rmap25"]) == "assumed or sourced"
    assert len(act_groups(digest).rows) == len(KEPT)
