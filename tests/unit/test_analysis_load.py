"""A dataset as a frame: nothing is lost, and times are a view on counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from report_datasets import SMALL, make_dataset

from pipeline import analysis, store
from pipeline.errors import DatasetError
from simcore.acts import ACT, EVENT_KINDS
from simcore.costs import PC_2002, Cost, CostModel

OTHER = CostModel(
    "other", "odd numbers", {act: Cost(3.7 + number, "ASSUMED: odd") for number, act in enumerate(ACT)}
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a small dataset."""
    return make_dataset(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def df(dataset):
    """Return it as a frame."""
    return analysis.load(dataset)


def test_load__has_one_row_a_cell(df):
    """Seven designs on six traces."""
    assert len(df) == 42
    assert df["cell_id"].is_unique
    assert df.groupby("trace_id")["design"].nunique().eq(7).all()


def test_load__knows_its_study(df):
    """The frame carries what the study said and whether it is finished."""
    assert df.attrs["name"] == "small"
    assert df.attrs["question"] == SMALL["question"]
    assert (df.attrs["baseline"], df.attrs["floor"], df.attrs["costs"]) == ("linux24", "vfork", "pc-2002")
    assert df.attrs["complete"]
    assert df.attrs["planned"] == 42
    assert df.attrs["provenance"]["python"].startswith("CPython")


def test_load__expands_parameters(df):
    """Each parameter is a column; a tree says its label, size and shape."""
    assert set(df["exec_ratio"]) == {0.0, 1.0}
    trees = df.drop_duplicates("tree").set_index("tree")[
        ["tree_measured", "tree_depth", "tree_processes", "fan_out"]
    ]
    assert trees.loc["phillips-2002"].tolist()[:3] == [True, 8, 48]
    assert trees.loc["depth 3, fan-out 2"].tolist() == [False, 3, 15, 2]
    assert "params" not in df.columns


def test_load__times_are_acts_times_costs(dataset, df):
    """Totals per kind are what the cost model gives for each vector, times its multiplicity."""
    long = analysis.vectors(dataset)
    long["ns"] = PC_2002.ns(long[list(ACT)].to_numpy()) * long["times"]
    sums = long.pivot_table(
        index="cell_id", columns="event", values="ns", aggfunc="sum", observed=False
    ).fillna(0)
    ours = df.set_index("cell_id")
    for kind in EVENT_KINDS:
        assert np.allclose(ours[f"{kind}_ns_total"], sums[kind].reindex(ours.index), rtol=1e-12, atol=0)
    assert np.allclose(ours["total_ns"], sums.sum(axis=1).reindex(ours.index), rtol=1e-12, atol=0)


def test_load__counts_by_kind_add_up(df):
    """Acts of the kinds of event sum to the totals of the row."""
    for act in ("pages_copied", "ptes_zapped", "refs_taken"):
        columns = [column for column in df.columns if column.endswith(f":{act}")]
        assert (df[columns].sum(axis=1) == df[act]).all()


def test_load__a_trace_forks_equally_often_under_every_design(df):
    """Creations belong to the trace; only how they are made differs."""
    assert df.groupby("trace_id")["creations"].nunique().eq(1).all()
    assert (df.loc[df["design"] == "vfork", "vforks"] > 0).any()


def test_recost__with_the_own_model_changes_nothing(df):
    """Under the study's model, recost gives what load gave, bit for bit."""
    assert analysis.recost(df, "pc-2002").equals(df)


def test_recost__equals_loading_under_that_model(dataset, df):
    """Times under another model are those of a frame that never had other times, and the way back is exact."""
    direct = analysis.recost(analysis.tidy(store.read(dataset)), OTHER)
    again = analysis.recost(df, OTHER)
    assert again.equals(direct)
    assert not np.array_equal(again["total_ns"], df["total_ns"])
    assert analysis.recost(again, PC_2002).equals(df)


def test_recost__of_a_selection_equals_a_selection_of_the_recosted(df):
    """Rows are recosted one by one: filtering before or after makes no difference."""
    chosen = df[df["design"] == "phillips"]
    assert analysis.recost(chosen, OTHER).equals(analysis.recost(df, OTHER).loc[chosen.index])


def test_recost__is_a_product(df):
    """The total under any model is the dot product of totals and costs."""
    expected = df[list(ACT)].to_numpy(float) @ OTHER.vector()
    assert np.allclose(analysis.recost(df, OTHER)["total_ns"], expected, rtol=1e-12)


def test_recost__leaves_counts_alone(df):
    """Only time columns change."""
    counts = [column for column in df.columns if "_ns" not in column]
    assert analysis.recost(df, OTHER)[counts].equals(df[counts])


def test_tidy__refuses_vectors_that_do_not_add_up(dataset):
    """A row whose totals are not those of its vectors is damaged and is not averaged away."""
    table = store.read(dataset)
    column = table.schema.get_field_index("pages_copied")
    wrong = table.set_column(column, table.schema.field(column), pa.array([7_777] * len(table)))
    with pytest.raises(DatasetError, match="do not add up"):
        analysis.tidy(wrong)


def test_tidy__renames_a_parameter_that_is_called_like_a_column(dataset):
    """A parameter named like a count does not hide the count."""
    table = store.read(dataset)
    column = table.schema.get_field_index("params")
    clash = table.set_column(
        column, table.schema.field(column), pa.array(['{"forks": 3, "list": [1, 2]}'] * len(table))
    )
    df = analysis.tidy(clash)
    assert set(df["forks_param"]) == {3}
    assert set(df["list"]) == {"[1, 2]"}
    assert df["forks"].max() > 3


def test_load__of_no_dataset_is_refused(tmp_path):
    """A folder without a plan is no dataset."""
    with pytest.raises(DatasetError, match="not a dataset"):
        analysis.load(tmp_path / "nowhere")
