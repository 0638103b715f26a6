"""Cells as columns are what they were as objects: found by number, by id, by the beginning of an id, and as sets."""

from __future__ import annotations

import json

import pytest
import yaml

from pipeline.cells import CellSet, columns_from
from pipeline.plan import cells_of, content_id, make_plan, plan_document, plan_from
from pipeline.study import load_study

STUDY = {
    "name": "columns", "question": "Are they the same?", "replicates": 2, "designs": ["linux24", "odf", "vfork"],
    "workload": {"tree": {"tree": {"depth": 1, "fan_out": 2}}, "snapshot": {}},
    "sweep": {"exec_ratio": [0.0, 1.0], "geometry": ["i386", "x86-64"], "snapshot": {"children": [1, 2, 3]}},
    "zip": {"anon_pages": [12, 20], "file_pages": [20, 30]},
    "exclude": [{"design": "odf", "geometry": "i386"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study with axes, a zip, a geometry, two workloads and a rule."""
    file = tmp_path_factory.mktemp("cells") / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    return load_study(file)


@pytest.fixture(scope="module")
def plan(study):
    """Return its plan."""
    return make_plan(study, "m")


def test_cells__are_those_that_the_study_yields(study, plan):
    """One by one, by number from both ends, in slices; and the plan's id is the hash of their ids."""
    cells = [*cells_of(study, "m")]
    assert [*plan.cells] == cells
    assert len(plan.cells) == study.cells
    assert (plan.cells[-1], plan.cells[5:9]) == (cells[-1], tuple(cells[5:9]))
    assert plan.plan_id == content_id(sorted(cell.cell_id for cell in cells))


def test_cells__are_found_by_id(plan):
    """Whole ids and beginnings; ids that are longer, shorter or unknown are none of the plan."""
    for cell in plan.cells[::7]:
        assert plan.cells.find(cell.cell_id) == cell
        assert cell in plan.cells.beginning(cell.cell_id[:6])
    first = plan.cells[0].cell_id
    for wrong in (first + "0", first[:-1], "", "f" * 20):
        assert plan.cells.find(wrong) is None
    assert [*plan.cells.numbers([])] == []


def test_cell_set__is_a_set_of_planned_ids(plan):
    """It compares with other sets, ignores cells that are not planned, and counts what another lacks."""
    ids = [cell.cell_id for cell in plan.cells]
    some = CellSet(plan.cells, [*ids[::3], "0" * 20])
    assert some == set(ids[::3])
    assert (ids[0] in some, ids[1] in some, 5 in some) == (True, False, False)
    assert some & {ids[0], ids[1]} == {ids[0]}
    more = some.copy()
    more.add(ids[:10])
    assert (more.less(some), some.less(more)) == (len(set(ids[:10]) - set(ids[::3])), 0)


@pytest.mark.parametrize("change", ["short", "trace", "design", "gone", "text"])
def test_columns__that_do_not_fit_together_are_no_plan(plan, change):
    """A damaged plan is an error, not another plan."""
    document = json.loads("".join(plan_document(plan, {})))
    columns = document["columns"]
    if change == "gone":
        del columns["seeds"]
    elif change == "short":
        columns["designs"].pop()
    elif change == "text":
        columns["points"][0] = "one"
    else:
        columns[f"{change}s"][3] = -1 if change == "design" else len(columns["trace_ids"])
    with pytest.raises((KeyError, ValueError)):
        plan_from(document)
    with pytest.raises((KeyError, ValueError)):
        columns_from(columns)
