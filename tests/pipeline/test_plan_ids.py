"""Ids are hashes of content: they move when a row could, and never otherwise."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from pipeline.plan import canonical, derived_seed, make_plan, plan_document, plan_from
from pipeline.study import Study, load_study
from pipeline.sweep import jobs_of
from pipeline.workload_entries import Grid

MODEL = "0" * 32
GRID = Grid("tree", {"anon_pages": 60, "tree": {"depth": 1, "fan_out": 2}}, {"exec_ratio": [0.0, 0.5]})
STUDY = Study(
    name="pinned",
    question="Do ids move?",
    geometry="i386",
    costs="pc-2002",
    seed=2002,
    replicates=2,
    baseline="linux24",
    floor="vfork",
    designs=("linux24", "phillips", "vfork"),
    grids=(GRID,),
    text="name: pinned\n",
)


def grids(**changes):
    """Return the change of a study whose one grid is changed."""
    return {"grids": (GRID._replace(**changes),)}


def cell_ids(study, model=MODEL):
    """Return the ids of a study's cells, in order."""
    return [cell.cell_id for cell in make_plan(study, model).cells]


def test_ids__are_pinned():
    """The same study has the same ids and seeds on every machine and in every version."""
    first = make_plan(STUDY, MODEL).cells[0]
    assert first.trace.trace_id == "005aa60ab01401771a04"
    assert first.trace.seed == 1550203952552571881
    assert first.cell_id == "e52bd912ad3de8389355"


def test_plan__is_the_product_of_the_axes():
    """Each point of the sweep has its replicates, each replicate all designs on one trace."""
    cells = make_plan(STUDY, MODEL).cells
    seen = [(cell.trace.params["exec_ratio"], cell.trace.replicate, cell.design) for cell in cells]
    assert seen == [
        (ratio, replicate, design)
        for ratio in (0.0, 0.5)
        for replicate in (0, 1)
        for design in ("linux24", "phillips", "vfork")
    ]
    assert len({cell.trace.trace_id for cell in cells}) == STUDY.traces == 4
    assert len({cell.cell_id for cell in cells}) == STUDY.cells == 12
    assert len({cell.trace.seed for cell in cells}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other", "question": "Other?", "text": "# other", "costs": "other"},
        {"baseline": "phillips", "floor": "linux24"},
        {"designs": ("vfork", "phillips", "linux24")},
        grids(params=dict(reversed(GRID.params.items()))),
    ],
)
def test_ids__ignore_what_cannot_change_a_row(change):
    """Names, words, costs, roles and orders are not part of an id."""
    assert set(cell_ids(dataclasses.replace(STUDY, **change))) == set(cell_ids(STUDY))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2003},
        {"geometry": "x86-64"},
        grids(params=GRID.params | {"anon_pages": 61}),
        grids(params=GRID.params | {"tree": {"depth": 2, "fan_out": 2}}),
        grids(sweep={"exec_ratio": [0.25, 0.75]}),
        grids(sweep={"exec_ratio": [0.0, 0.5], "geometry": ["x86-64"]}),
    ],
)
def test_ids__move_with_everything_that_can_change_a_row(change):
    """Seed, geometry and every parameter are part of every id."""
    assert not set(cell_ids(dataclasses.replace(STUDY, **change))) & set(cell_ids(STUDY))


def test_cell_ids__move_with_the_simulator_but_traces_do_not():
    """Another simulator makes other cells of the same traces."""
    assert not set(cell_ids(STUDY, "1" * 32)) & set(cell_ids(STUDY))
    traces = [[cell.trace for cell in make_plan(STUDY, model).cells] for model in (MODEL, "1" * 32)]
    assert traces[0] == traces[1]


def test_more_replicates__keep_the_ids_of_the_first():
    """A larger study contains the cells of the smaller one, so its rows serve both."""
    assert set(cell_ids(STUDY)) < set(cell_ids(dataclasses.replace(STUDY, replicates=3)))


def test_geometry_axis__is_the_traces_geometry():
    """A swept geometry replaces the study's and is no parameter of the workload."""
    swept = dataclasses.replace(STUDY, **grids(sweep={"geometry": ["i386", "x86-64"]}))
    cells = make_plan(swept, MODEL).cells
    assert [cell.trace.geometry for cell in cells[::6]] == ["i386", "x86-64"]
    assert all("geometry" not in cell.trace.params for cell in cells)
    fixed = dataclasses.replace(STUDY, **grids(sweep={}))
    assert set(cell_ids(fixed)) < set(cell_ids(swept))


def test_plan_document__round_trip():
    """A plan written as JSON is read back as the same plan."""
    plan = make_plan(STUDY, MODEL)
    document = json.loads("".join(plan_document(plan, {"python": "3.11"})))
    again = plan_from(document)
    assert again.cells == plan.cells
    assert (again.plan_id, again.model_version, again.text) == (document["plan_id"], MODEL, plan.text)


def test_seeds__fit_in_63_bits_and_differ():
    """Seeds of traces are non-negative int64 and as different as the ids."""
    seeds = [derived_seed(f"{number:020x}") for number in range(10_000)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0
    assert max(seeds) <= np.iinfo(np.int64).max


def test_canonical__has_one_spelling():
    """Order and spaces do not matter, values and types do; NaN has no spelling."""
    assert canonical({"b": 1, "a": [1.0, "é"]}) == '{"a":[1.0,"\\u00e9"],"b":1}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical(float("nan"))


def test_jobs__hold_what_is_left_once(write_study):
    """Each trace becomes one job with exactly its cells that have no row, whatever is done already."""
    plan = make_plan(load_study(write_study()), MODEL)
    done = {cell.cell_id for cell in plan.cells[::3]}
    jobs = jobs_of(plan, done)
    left = [cell_id for job in jobs for cell_id, _ in job.cells]
    assert sorted(left) == sorted({cell.cell_id for cell in plan.cells} - done)
    assert len({job.seed for job in jobs}) == len(jobs)
    assert not jobs_of(plan, {cell.cell_id for cell in plan.cells})
