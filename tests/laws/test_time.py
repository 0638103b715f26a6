"""Time is a view on counts: pricing rows again equals simulating with that model, and totals equal the sum of events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_datasets import make_dataset

from pipeline import analysis
from pipeline.store import read_plan
from pipeline.sweep import job_of
from pipeline.work import make_trace
from simcore import DESIGNS, GEOMETRIES
from simcore.acts import ACT, ACTS, EVENT_KINDS
from simcore.costs import COST_MODELS, Cost, CostModel
from simcore.simulate import simulate

DATASET = {"designs": ["linux24", "rmap25", "phillips", "mainline", "cow_pte", "vfork"]}
PRICES = st.dictionaries(st.sampled_from([act.name for act in ACTS]), st.integers(0, 1 << 20), max_size=12)


def model_of(prices, object_rmap=None):
    """Return a cost model; whole numbers of ns add up without rounding."""
    costs = (
        {act: Cost(float(ns), "ASSUMED: drawn") for act, ns in each.items()}
        for each in (prices, object_rmap or {})
    )
    return CostModel("drawn", "", next(costs), object_rmap=next(costs))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return the folder of a small study's rows."""
    return make_dataset(tmp_path_factory.mktemp("time"), **DATASET)


@pytest.fixture(scope="module")
def frame(dataset):
    """Return its rows as pandas has them."""
    return analysis.load(dataset)


@pytest.fixture(scope="module")
def simulated(dataset):
    """Return cell -> its design and what simulating it gives now."""
    plan = read_plan(dataset)
    found = {}
    for cell in plan.cells:
        trace = make_trace(job_of([cell], plan))
        design = DESIGNS[cell.design]
        found[cell.cell_id] = design, simulate(trace, design, GEOMETRIES[cell.trace.geometry])
    return found


@settings(max_examples=25)
@given(prices=PRICES, counts=PRICES)
def test_recost__equals_simulating_with_that_model(prices, counts, frame, simulated):
    """Whatever acts cost, and cost under object rmap: stored rows and a new simulation give the same ns."""
    model = model_of(prices, counts)
    recosted = analysis.recost(frame, model).set_index("cell_id")["total_ns"].to_dict()
    assert recosted == {cell: model.ns(run.acts, row.rmap) for cell, (row, run) in simulated.items()}


@settings(max_examples=25)
@given(prices=PRICES, counts=PRICES)
def test_total__equals_the_sum_over_single_events(prices, counts, simulated):
    """Each fork, fault, exec and exit priced by itself, times how often it happened, adds up to the whole run."""
    model = model_of(prices, counts)
    for row, run in simulated.values():
        each = model.ns(run.vectors.acts, row.rmap)
        assert each @ run.vectors.times == model.ns(run.acts, row.rmap)


@pytest.mark.parametrize("name", COST_MODELS)
def test_totals__equal_the_sum_over_events(name, frame):
    """A trace takes what its events take: every kind's total, added up, is the total."""
    recosted = analysis.recost(frame, name)
    kinds = [f"{kind}_ns_total" for kind in EVENT_KINDS]
    assert recosted[kinds].sum(axis=1).to_numpy() == pytest.approx(recosted["total_ns"].to_numpy(), rel=1e-12)
    for kind in EVENT_KINDS:
        counted = recosted[recosted[f"{kind}_count"] > 0]
        product = counted[f"{kind}_ns_mean"] * counted[f"{kind}_count"]
        assert product.to_numpy() == pytest.approx(counted[f"{kind}_ns_total"].to_numpy(), rel=1e-12)


@settings(max_examples=8)
@given(prices=PRICES, factor=st.integers(1, 1000))
def test_time__is_linear_in_the_costs(prices, factor, frame):
    """Costs times n give times times n; an act that costs nothing changes nothing."""
    once = analysis.recost(frame, model_of(prices))["total_ns"]
    often = analysis.recost(frame, model_of({act: ns * factor for act, ns in prices.items()}))["total_ns"]
    assert (often == once * factor).all()
    nothing = model_of(prices | dict.fromkeys(ACT.keys() - prices.keys(), 0))
    assert (analysis.recost(frame, nothing)["total_ns"] == once).all()
