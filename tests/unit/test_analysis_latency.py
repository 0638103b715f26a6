"""Latency distributions are exact: what a brute force over every single event gives."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import latency
from pipeline.errors import DatasetError, RefusedError
from pipeline.latency import KIND_WIDTH, flattened, kind_totals, vectors, weighted_quantiles
from pipeline.prices import cost_model, priced
from pipeline.schema import VECTOR_TYPE
from simcore.acts import ACT, ACTS, EVENT_KINDS
from simcore.costs import PC_2002, Cost, CostModel

PAIRS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 30)), min_size=1, max_size=40)


def rows_of(*cells):
    """Return rows as a table; a cell is (id, design, [(event, times, {act: n})])."""
    stored = [
        [
            {"event": event, "times": times, "acts": [{"act": a, "n": n} for a, n in acts.items()]}
            for event, times, acts in found
        ]
        for _, _, found in cells
    ]
    return pa.table(
        {
            "cell_id": [cell for cell, _, _ in cells],
            "design": [design for _, design, _ in cells],
            "vectors": pa.array(stored, VECTOR_TYPE),
        }
    )


ROWS = rows_of(
    (
        "a",
        "linux24",
        [("fork", 3, {"forks": 1, "vmas_copied": 4}), ("read_fault", 5, {"faults_file_map": 1})],
    ),
    ("b", "vfork", [("fork", 1, {"forks": 1}), ("vfork", 2, {"vforks": 1}), ("exit", 9, {"exits": 1})]),
    ("c", "linux24", [("fork", 2, {"forks": 1}), ("write_fault", 1, {"faults_anon": 1, "pages_zeroed": 1})]),
)


@given(PAIRS, st.lists(st.integers(0, 1000), min_size=1, max_size=5))
def test_weighted_quantiles__equal_those_of_the_expanded_list(pairs, permille):
    """Counting each value as often as it occurred gives what the list of all occurrences gives."""
    values = np.array([value for value, _ in pairs], dtype=float)
    times = np.array([count for _, count in pairs])
    everything = sorted(np.repeat(values, times).tolist())
    expected = [everything[max(0, -(-share * len(everything) // 1000) - 1)] for share in permille]
    assert weighted_quantiles(values, times, [share / 1000 for share in permille]) == expected


def test_weighted_quantiles__p999_of_a_thousand_is_not_the_maximum():
    """The rank is not pushed up by the rounding of 0.999 * 1000."""
    assert weighted_quantiles(np.arange(1000.0), np.ones(1000, np.int64), [0.999, 1]) == [998.0, 999.0]


def test_weighted_quantiles__refuse_what_has_no_answer():
    """No values, or a share outside of [0, 1], is refused."""
    with pytest.raises(ValueError, match="there are no values"):
        weighted_quantiles(np.zeros(0), np.zeros(0, np.int64), [0.5])
    with pytest.raises(ValueError, match="99 is not a share"):
        weighted_quantiles(np.ones(1), np.ones(1, np.int64), [99])


def test_vectors__are_dense_and_keep_multiplicity():
    """Each stored vector becomes one row: identity, kind, times, and every act, zeros included."""
    long = vectors(ROWS)
    assert long["cell_id"].tolist() == ["a", "a", "b", "b", "b", "c", "c"]
    assert long["event"].tolist() == ["fork", "read_fault", "fork", "vfork", "exit", "fork", "write_fault"]
    assert long["times"].tolist() == [3, 5, 1, 2, 9, 2, 1]
    assert long.loc[0, "vmas_copied"] == 4
    assert int(long[list(ACT)].to_numpy().sum()) == 5 + 1 + 1 + 1 + 1 + 1 + 2


def test_vectors__of_chosen_cells():
    """Only the cells asked for are unpacked."""
    assert set(vectors(ROWS, cells=["b"])["cell_id"]) == {"b"}
    assert len(vectors(ROWS, cells=[])) == 0


def test_vectors__of_slices_are_those_of_the_whole():
    """A table in chunks, or cut out of a larger one, unpacks to the same rows."""
    whole = vectors(ROWS)
    pieces = pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1, 2)])
    assert vectors(pieces).equals(whole)
    assert vectors(ROWS.slice(2))["times"].tolist() == [2, 1]


@pytest.mark.parametrize("rows", [2_000, 1])
def test_kind_totals__multiply_and_add(monkeypatch, rows):
    """Totals by kind are times x acts, whatever the size of the slices in which rows are taken."""
    monkeypatch.setattr(latency, "SLICE_ROWS", rows)
    totals = np.zeros((len(EVENT_KINDS) * KIND_WIDTH, len(ROWS)), np.int64)
    pieces = [kind_totals(flat) for flat in flattened(ROWS["vectors"])]
    first = 0
    for occurs, counts in pieces:
        assert counts.any(axis=1).all()
        totals[occurs, first : first + counts.shape[1]] = counts
        first += counts.shape[1]
    assert first == len(ROWS)
    assert len(pieces) == (1 if rows > 1 else len(ROWS))
    fork = EVENT_KINDS.index("fork") * KIND_WIDTH
    assert totals[fork + ACT["forks"]].tolist() == [3, 1, 2]
    assert totals[fork + ACT["vmas_copied"], 0] == 12
    assert totals[len(ACTS) :: KIND_WIDTH].sum(axis=0).tolist() == [8, 12, 3]


def test_latency__equals_the_brute_force_over_every_event(monkeypatch):
    """Quantiles per design are those of the list of all single latencies, pooled over cells and kinds."""
    fork, copy = PC_2002.costs["forks"].ns, PC_2002.costs["vmas_copied"].ns
    found = latency.latency(ROWS, "pc-2002", "fork", q=[0.4, 0.41, 1])
    assert found.loc["linux24", "events"] == 5
    assert found.loc["linux24", ["ns_q0.4", "ns_q0.41", "ns_q1"]].tolist() == [
        fork,
        fork + 4 * copy,
        fork + 4 * copy,
    ]
    assert math.isclose(found.loc["linux24", "ns_mean"], fork + 12 * copy / 5)
    monkeypatch.setattr(latency, "SLICE_ROWS", 1)
    assert latency.latency(ROWS, "pc-2002", "fork", q=[0.4, 0.41, 1]).equals(found)


def test_latency__from_vectors_equals_latency_from_rows():
    """A frame of vectors, filtered by hand or not, gives what the rows give."""
    assert latency.latency(vectors(ROWS), PC_2002, "fault").equals(latency.latency(ROWS, "pc-2002", "fault"))


def test_latency__a_creation_is_a_fork_or_a_vfork():
    """The design vfork creates by both; a creation pools them, and a fault pools reads and writes."""
    found = latency.latency(ROWS, "pc-2002", "creation")
    assert found["events"].to_dict() == {"linux24": 5, "vfork": 3}
    assert latency.latency(ROWS, "pc-2002", "fault")["events"].to_dict() == {"linux24": 6}


def test_latency__of_something_unknown_is_refused():
    """Unknown events and cost models are refused with the nearest name."""
    with pytest.raises(RefusedError, match="did you mean 'fault'"):
        latency.latency(ROWS, "pc-2002", "faults")
    with pytest.raises(RefusedError, match="did you mean 'pc-2002'"):
        latency.latency(ROWS, "pc-2003", "fork")


def test_vectors__of_an_unknown_act_are_refused():
    """Rows of a version with other acts are not read as if they were ours."""
    strange = rows_of(("a", "linux24", [("fork", 1, {"teleports": 1})]))
    with pytest.raises(DatasetError, match="unknown act 'teleports'"):
        vectors(strange)


def test_priced__equals_the_product_of_counts_and_costs():
    """Adding act by act gives what the model gives for whole vectors."""
    counts = np.random.default_rng(3).integers(0, 10_000, (50, len(ACTS)))
    by_act = {index: counts[:, index].astype(float) for index in range(len(ACTS))}
    assert np.array_equal(priced(by_act, PC_2002.vector(), 50), PC_2002.ns(counts))


def test_cost_model__passes_models_through():
    """A model of one's own needs no registration."""
    mine = CostModel("mine", "only forks cost", {"forks": Cost(1.0, "ASSUMED: one")})
    assert cost_model(mine) is mine
    assert latency.latency(ROWS, mine, "exit")["ns_q1"].to_dict() == {"vfork": 0.0}
