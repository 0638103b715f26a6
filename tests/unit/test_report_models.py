"""The report under other cost models: the same counts, other prices; who wins, and which sides change."""

import pytest
from report_datasets import make_dataset

from pipeline import analysis
from pipeline.report import models, page
from pipeline.report.verdict import verdict
from simcore.costs import COST_MODELS, Cost, CostModel


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return the folder of a small study's rows."""
    return make_dataset(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def digest(dataset):
    """Return it as a report under its own cost model sees it."""
    return page.read_digest(dataset, None)


def free_but(**prices):
    """Return a model in which only some acts cost anything."""
    return CostModel(
        "mine", "One of mine.", {act: Cost(float(ns), "ASSUMED: for a test") for act, ns in prices.items()}
    )


def test_models__are_the_reports_own_and_those_that_ship():
    """A model given in a file stands before the shipped ones, a shipped one is not listed twice."""
    assert [each.name for each in models.compared_models(COST_MODELS["x86-64-2025"])] == [
        "x86-64-2025",
        "pc-2002",
    ]
    assert [each.name for each in models.compared_models(free_but(forks=1))] == ["mine", *COST_MODELS]


def test_table__has_the_ratios_that_recosting_gives(digest):
    """Each column is what the report under that model would show; the last row names who needs least."""
    table = models.across_models(digest)
    other = COST_MODELS["x86-64-2025"]
    ratios = analysis.typical(analysis.recost(digest.df, other), digest.metric, "linux24")["ratio"].to_dict()
    column = table.headings.index("typical, x86-64-2025")
    shown = {row[0].strip("`"): row[column] for row in table.rows[:-1]}
    assert float(shown["phillips"]) == pytest.approx(ratios["phillips"], abs=0.006)
    assert table.rows[-1][0] == "least"
    assert table.rows[-1][column].strip("`") in shown


def test_verdict__says_which_sides_change(dataset):
    """Where only copying ptes at fork costs anything sharing wins, under shipped models it loses: that is said."""
    mine = free_but(ptes_copied_fork=10_000, forks=1, vforks=1, leaf_tables_linked=1)
    digest = page.read_digest(dataset, mine)
    said = models.other_models([digest])
    assert "under `mine`" in said
    assert "under `pc-2002`" in said
    assert "the side changes with the model for" in said
    assert "Other cost models" in [each.heading for each in verdict(digest)]


def test_verdict__stands_under_a_model_in_which_a_design_costs_nothing(dataset):
    """A cost model of the user's may price nothing that a design does: no ratio, no difference, no failure."""
    digest = page.read_digest(dataset, free_but(forks=1))
    assert digest.standings("linux24")["vfork"].best.ratio == 0
    assert verdict(digest)
    assert models.across_models(digest) is not None


def test_table__needs_a_baseline(tmp_path):
    """Without one there is nothing to compare with."""
    digest = page.read_digest(make_dataset(tmp_path, designs=["phillips"], baseline="phillips"), None)
    assert models.across_models(digest) is None
