"""Zips, points, samples, includes, rules and axes that are set: what a study runs, and what it leaves out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_study import TINY_CELLS

from pipeline import store
from pipeline.estimate import _spread
from pipeline.plan import cells_of, make_plan, plan_document, plan_from
from pipeline.provenance import model_version
from pipeline.sampling import LATIN_HYPERCUBE, SOBOL, Scale, unit_points
from pipeline.study import load_study
from pipeline.survey import survey
from pipeline.sweep import run_study

MODEL = "0" * 32
PINNED = {
    SOBOL: [[0.650427, 0.91731], [0.152698, 0.498869], [0.307257, 0.561774], [0.809526, 0.104267]],
    LATIN_HYPERCUBE: [[0.10107, 0.973453], [0.704324, 0.065587]],
}
BARE = {"sweep": {}, "replicates": 1, "workload": {"tree": {"tree": {"depth": 1, "fan_out": 2}}}}


def points(study, *axes):
    """Return the values of some parameters at each point of a study."""
    return [tuple((point.grid.params | point.values)[axis] for axis in axes) for point in study.points()]


def test_zip__takes_values_in_step_and_multiplies_with_the_rest(write_study):
    """Two zips of two values and a sweep of two make eight points; within a zip values stay together."""
    groups = [
        {"anon_pages": [12, 60], "file_pages": [20, 30]},
        {"exec_ratio": [0, 1], "first": ["child", "parent"]},
    ]
    study = load_study(write_study(**BARE | {"zip": groups, "sweep": {"library_sharing": [0, 1]}}))
    assert (study.traces, study.cells) == (8, 32)
    assert set(points(study, "anon_pages", "file_pages")) == {(12, 20), (60, 30)}
    assert points(study, "library_sharing", "anon_pages", "first")[:3] == [
        (0.0, 12, "child"),
        (0.0, 12, "parent"),
        (0.0, 60, "child"),
    ]
    assert study.sweep["anon_pages"] == [12, 60]


def test_points__are_run_as_they_are_written(write_study):
    """Explicit points are what runs, and have the ids of the same points of a grid."""
    chosen = [{"anon_pages": 12, "exec_ratio": 0.5}, {"anon_pages": 60, "exec_ratio": 1.0}]
    study = load_study(write_study(**BARE | {"points": chosen}))
    assert points(study, "anon_pages", "exec_ratio") == [(12, 0.5), (60, 1.0)]
    grid = load_study(write_study(**BARE | {"sweep": {"anon_pages": [12, 60], "exec_ratio": [0.5, 1.0]}}))
    assert {cell.cell_id for cell in cells_of(study, MODEL)} < {
        cell.cell_id for cell in cells_of(grid, MODEL)
    }


@pytest.mark.parametrize("method", [LATIN_HYPERCUBE, SOBOL])
def test_sample__is_drawn_from_its_seed_alone(write_study, method):
    """The same seed draws the same points; another one, or the study's, draws others; ranges are kept to."""
    wanted = {"anon_pages": {"from": 10, "to": 1000, "scale": "log"}, "exec_ratio": {"from": 0.25, "to": 0.5}}
    sample = {"method": method, "points": 32, "of": wanted | {"first": ["child", "parent"]}}

    def drawn(**changes):
        study = load_study(write_study(**BARE | {"sample": sample} | changes))
        return points(study, "anon_pages", "exec_ratio", "first")

    first = drawn()
    assert len(first) == 32
    assert first == drawn() != drawn(seed=8)
    assert drawn(sample=sample | {"seed": 3}) == drawn(sample=sample | {"seed": 3}, seed=8) != first
    assert all(10 <= pages <= 1000 and 0.25 <= ratio <= 0.5 for pages, ratio, _ in first)
    assert sorted(first_ for *_, first_ in first) == ["child"] * 16 + ["parent"] * 16
    assert sum(pages < 100 for pages, *_ in first) == 16  # half of a range in logarithms


def test_sample__points_are_pinned():
    """Rows of samples are found again only if the points stay what they are."""
    assert unit_points(SOBOL, 2, 4, 7).round(6).tolist() == PINNED[SOBOL]
    assert unit_points(LATIN_HYPERCUBE, 2, 2, 7).round(6).tolist() == PINNED[LATIN_HYPERCUBE]


def test_sample__rounds_to_each_point_once(write_study):
    """Eight points of three whole numbers are three points."""
    sample = {"points": 8, "of": {"anon_pages": {"from": 5, "to": 7}}}
    study = load_study(write_study(**BARE | {"sample": sample}))
    assert sorted(points(study, "anon_pages")) == [(5,), (6,), (7,)]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**6), st.integers(1, 10**6), st.booleans())
def test_ranges__ends_are_kept(u, low, more, log):
    """Whatever is drawn lies in the range, whole numbers are whole; from the middle of its draws a number is drawn."""
    scale = Scale((), low, low + more, whole=True, log=log)
    whole = scale.value(u)
    assert type(whole) is int
    assert low <= whole <= low + more
    assert scale.value(0.0) == low
    assert scale.value(scale.at(whole)) == whole
    assert scale.levels == more + 1


def test_rules__leave_out_cells_and_traces(write_study):
    """A rule takes out a design's cells, a trace if no design is left, and is counted once; the rest keeps its ids."""
    rules = {
        "exclude": [
            {"exec_ratio": 0.0, "because": "nobody execs"},
            {"design": ["phillips", "vfork"], "exec_ratio": {"from": 0.9}},
        ],
        "only_when": [{"cells": {"design": "linus_rmap"}, "when": {"tree": "phillips-2002"}}],
    }
    study, whole = load_study(write_study(**rules)), load_study(write_study())
    found = survey(study, MODEL, write_study().parent / "nowhere")
    assert found.left_out == [24, 12, 8]
    assert (found.cells, found.traces) == (study.cells, study.traces) == (28, 12)
    assert whole.cells == TINY_CELLS == found.cells + sum(found.left_out)
    cells = list(cells_of(study, MODEL))
    assert {cell.cell_id for cell in cells} < {cell.cell_id for cell in cells_of(whole, MODEL)}
    for cell in cells:
        params = cell.trace.params
        assert params["exec_ratio"] > 0
        assert cell.design not in ("phillips", "vfork") or params["exec_ratio"] < 0.9
        assert cell.design != "linus_rmap" or params["tree"].get("label") == "phillips-2002"
    in_order = {cell.cell_id for cell in cells}
    assert {cell.cell_id for trace in _spread(study, MODEL) for cell in trace} == in_order


def test_rules_and_joints__are_frozen_with_the_plan(write_study, tmp_path):
    """A plan with all of it is read back as it was, and a dataset of it is complete, reported, and resumed."""
    study = load_study(
        write_study(
            **BARE
            | {
                "zip": {"anon_pages": [12, 20], "file_pages": [20, 30]},
                "sample": {"points": 3, "of": {"exec_ratio": {"from": 0, "to": 1}}},
                "exclude": [{"design": "phillips", "anon_pages": 20}],
            }
        )
    )
    plan = make_plan(study, MODEL)
    again = plan_from(json.loads("".join(plan_document(plan, {}))))
    assert (again.cells, again.study) == (plan.cells, json.loads(json.dumps(plan.study)))
    assert run_study(study, tmp_path / "out", 0, quiet=True).simulated == 21
    assert store.status(tmp_path / "out").complete
    outcome = run_study(study, tmp_path / "out", 0, quiet=True)
    assert (outcome.simulated, outcome.notes) == (0, [])


def test_survey__says_why_cells_run(write_study, tmp_path):
    """Rows are there, of another simulator, of another definition of a design, or none is; with the axes that tell."""
    mine = {"mine": {"base": "odf", "zap": "edges"}}
    small = BARE | {"designs": ["linux24", "phillips", mine], "sweep": {"exec_ratio": [0.5]}}
    folder = tmp_path / "out"
    run_study(load_study(write_study(**small)), folder, 0, quiet=True)
    other = {"mine": {"base": "odf", "zap": "unshare"}}
    more = small | {"designs": ["linux24", "phillips", other], "sweep": {"exec_ratio": [0.5, 1.0]}}
    found = survey(load_study(write_study(**more)), model_version(), folder)
    told = {group.reason: (group.cells, group.where) for group in found.groups}
    assert told == {
        "done": (2, {"design": ["linux24", "phillips"], "exec_ratio": ["0.5"]}),
        "design redefined": (1, {"design": ["mine"], "exec_ratio": ["0.5"]}),
        "new": (3, {"exec_ratio": ["1.0"]}),
    }
    assert found.to_run == 4
    changed = survey(load_study(write_study(**small)), MODEL, folder)
    assert [(group.reason, group.cells) for group in changed.groups] == [("simulator changed", 3)]


def test_include__joins_mappings_and_replaces_the_rest(write_study, tmp_path):
    """What a study says goes before what it includes, the last include before the first; paths count from each file."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "first.yaml").write_text(
        "include: ../last.yaml\nseed: 1\nworkload: {tree: {anon_pages: 77, file_pages: 33}}\n",
        encoding="utf-8",
    )
    (tmp_path / "last.yaml").write_text("seed: 2\nreplicates: 3\ncosts: x86-64-2025\n", encoding="utf-8")
    path = write_study(replicates=1, workload={"tree": {"anon_pages": 12}}, include=["deep/first.yaml"])
    path.write_text(path.read_text(encoding="utf-8").replace("seed: 7\n", ""), encoding="utf-8")
    study = load_study(path)
    assert (study.seed, study.replicates, study.costs) == (1, 1, "x86-64-2025")
    params = study.grids[0].params
    assert (params["anon_pages"], params["file_pages"]) == (12, 33)
    assert "include" not in study.text
    again = tmp_path / "again.yaml"
    again.write_text(study.text, encoding="utf-8")
    assert load_study(again).spec() == study.spec()


def test_set_axis__fixes_or_sweeps_it_wherever_it_stands(write_study):
    """An axis by its name: one value fixes it, a list sweeps it, whether it was swept, fixed or neither before."""
    path = write_study()
    assert load_study(path, ["exec_ratio=0.5"]).cells == TINY_CELLS // 3
    assert load_study(path, ["exec_ratio=[0.25, 0.75]"]).sweep["exec_ratio"] == [0.25, 0.75]
    assert load_study(path, ["anon_pages=99"]).grids[0].params["anon_pages"] == 99
    assert load_study(path, ["anon_pages=[9, 99]"]).cells == 2 * TINY_CELLS
    assert load_study(path, ["geometry=[i386, x86-64]", "first=parent"]).cells == 2 * TINY_CELLS
    several = write_study(
        workload={"snapshot": {}, "shell": {}}, sweep={"exec_ratio": [0, 1], "snapshot": {"children": [1, 2]}}
    )
    snapshot, shell = load_study(several, ["children=3"]).grids
    assert (snapshot.params["children"], list(snapshot.sweep)) == (3, ["exec_ratio"])
    assert shell.params["children"] == 3
    assert load_study(write_study(workload="tree"), ["exec_ratio=0.5"]).grids[0].params["exec_ratio"] == 0.5
