"""Rows come in order and once, whether they fit or are sorted through files; a checksum does not see pieces."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline import order, rows
from pipeline.errors import NondeterminismError
from pipeline.order import Source, in_order


def table_of(ids):
    """Return rows whose other columns follow from the id."""
    return pa.table(
        {
            "cell_id": [f"{number:020x}" for number in ids],
            "events": pa.array([number % 1000 for number in ids], pa.int64()),
            "params": [f"p{number}" for number in ids],
            "lists": [[number % 7] * (number % 3) for number in ids],
        }
    )


@pytest.fixture
def scattered():
    """Return ids as even as hashes, in tables of some rows, some ids in several of them."""
    rng = np.random.default_rng(5)
    ids = [int(high) << 17 for high in rng.integers(0, 1 << 62, 900)]
    parts = [ids[start : start + 90] for start in range(0, 900, 60)]  # neighbours share 30 rows
    return sorted(set(ids)), [table_of(sorted(part)) for part in parts]


@pytest.mark.parametrize("held", [1 << 30, 6_000, 1])
def test_in_order__is_sorted_and_unique_however_little_is_held(scattered, tmp_path, monkeypatch, held):
    """The same rows for any memory; nothing is left on the disk."""
    ids, tables = scattered
    monkeypatch.setattr(order, "HELD_BYTES", held)
    found = [*in_order(Source(tables, sum(map(len, tables))), tmp_path)]
    assert pa.concat_tables(found).equals(table_of(ids))
    assert len(found) > 1 or held == 1 << 30
    assert [*tmp_path.iterdir()] == []


def test_in_order__tells_of_two_rows_of_a_cell_that_differ(scattered, tmp_path, monkeypatch):
    """Though they lie in parts that were never held together; the files are gone then too."""
    _, tables = scattered
    wrong = tables[0].slice(0, 1).set_column(1, "events", pa.array([-1], pa.int64()))
    monkeypatch.setattr(order, "HELD_BYTES", 6_000)
    with pytest.raises(NondeterminismError, match="differ in events"):
        [*in_order(Source([*tables, wrong], 1_000), tmp_path)]
    assert [*tmp_path.iterdir()] == []


def test_checksum__is_that_of_the_pieces(scattered):
    """Rows that come in pieces, sliced or whole, have one checksum; another row, order or border of texts another."""
    ids, _ = scattered
    table = table_of(ids)
    whole = rows.checksum(table)
    found = rows.Checksum()
    for start in range(0, len(table), 37):
        found.add(table.slice(start, 37))
    assert found.digest() == whole
    assert rows.checksum(table.slice(1)) != whole
    assert rows.checksum(pa.concat_tables([table.slice(1), table.slice(0, 1)])) != whole
    assert rows.checksum(pa.table({"a": ["ab", "c"]})) != rows.checksum(pa.table({"a": ["a", "bc"]}))
    assert rows.checksum(pa.table({"a": [[1], [2, 3]]})) != rows.checksum(pa.table({"a": [[1, 2], [3]]}))
    assert rows.checksum(table.slice(0, 0)) == rows.checksum(table_of([]).cast(table.schema))
