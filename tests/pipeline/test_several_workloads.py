"""A study of several workloads: each has parameters and axes of its own, and the report tells them apart."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from report_datasets import make_dataset

from pipeline import analysis
from pipeline.analysis import frames
from pipeline.errors import StudyError
from pipeline.estimate import Estimate, Memory, _samples
from pipeline.plan import make_plan
from pipeline.plan_told import plan_lines
from pipeline.report.page import read_digest, write_report
from pipeline.report.slices import slices
from pipeline.report.typical import each_slice
from pipeline.report.verdict import verdict
from pipeline.report.words import listed
from pipeline.study import load_study
from pipeline.survey import survey

HEAD = {
    "name": "several",
    "question": "Which of them?",
    "designs": ["linux24", "linus_pmd", "mainline", "vfork"],
}
THREE = {
    "workload": {
        "snapshot": {"children": 3, "child_writes": 2},
        "tree": {"tree": {"depth": 1, "fan_out": 2}, "file_pages": 20},
        "shell": {"children": 2, "file_pages": 8},
    },
    "sweep": {
        "exec_ratio": [0.0, 1.0],
        "snapshot": {"anon_pages": [30, 4000]},
        "tree": {"anon_pages": [12, 30, 60]},
    },
}
MODEL = "0" * 32


def study_of(folder, **changes):
    """Return the study of three workloads with some keys replaced."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(HEAD | THREE | changes, sort_keys=False), encoding="utf-8")
    return load_study(path)


def faults_of(folder, **changes):
    """Return what a study is refused with."""
    with pytest.raises(StudyError) as refused:
        study_of(folder, **changes)
    return [str(fault) for fault in refused.value.faults]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return the dataset of the study of three workloads."""
    return make_dataset(tmp_path_factory.mktemp("several"), **HEAD, **THREE)


@pytest.fixture(scope="module")
def digest(dataset):
    """Return it as a report sees it."""
    return read_digest(dataset, None)


def test_study__has_a_grid_for_each_workload(tmp_path):
    """An axis is swept by each workload that has it; a workload's own axes come besides; the others are fixed."""
    study = study_of(tmp_path)
    assert study.workloads == ("snapshot", "tree", "shell")
    assert [grid.points for grid in study.grids] == [4, 6, 2]
    assert (study.traces, study.cells) == (12, 48)
    snapshot, tree, shell = study.grids
    assert snapshot.sweep == {"exec_ratio": [0.0, 1.0], "anon_pages": [30, 4000]}
    assert (snapshot.params["children"], shell.params["children"]) == (3, 2)
    assert (tree.sweep["anon_pages"], shell.params["anon_pages"]) == ([12, 30, 60], 60)
    assert study.sweep == {"exec_ratio": [0.0, 1.0], "anon_pages": [30, 4000, 12, 60]}


def test_plan__has_the_cells_of_studies_of_one_workload(tmp_path):
    """A study of three workloads plans what three studies of one would: equal ids, so rows serve both."""
    whole = make_plan(study_of(tmp_path), MODEL)
    apart = []
    for name, params in THREE["workload"].items():
        axes = {"exec_ratio": [0.0, 1.0]} | THREE["sweep"].get(name, {})
        apart += make_plan(study_of(tmp_path, workload={name: params}, sweep=axes), MODEL).cells
    assert list(whole.cells) == apart
    assert len({cell.cell_id for cell in whole.cells}) == 48


def test_geometry_axis__is_for_all_workloads(tmp_path):
    """Each workload runs on each machine."""
    study = study_of(tmp_path, sweep={"geometry": ["i386", "x86-64"]})
    assert [grid.points for grid in study.grids] == [2, 2, 2]
    cells = make_plan(study, MODEL).cells
    assert {(cell.trace.workload, cell.trace.geometry) for cell in cells} == {
        (name, geometry) for name in study.workloads for geometry in ("i386", "x86-64")
    }


def test_workload_called_like_a_parameter__is_told_apart_by_its_values(tmp_path):
    """In sweep, ``tree`` with a list is the parameter, with a mapping the workload."""
    as_axis = study_of(
        tmp_path, sweep={"tree": [{"depth": 1, "fan_out": 1}]}, workload={"shell": {}, "tree": {}}
    )
    assert [list(grid.sweep) for grid in as_axis.grids] == [[], ["tree"]]
    own = study_of(tmp_path, sweep={"tree": {"anon_pages": [3]}}, workload={"shell": {}, "tree": {}})
    assert [list(grid.sweep) for grid in own.grids] == [[], ["anon_pages"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workload": {}}, "workload: no workload is named; a study has one or several of tree, snapshot, shell"),
        ({"workload": {"snapshot": {}, "shel": {}}, "sweep": {}}, "workload.shel: unknown key; did you mean 'shell'?"),
        ({"workload": ["shell", "tree"], "sweep": {}}, "['shell', 'tree'] is a list; a mapping is needed here"),
        ({"sweep": {"children": [1, 2]}}, "workload.snapshot.children: also swept in sweep.children"),
        ({"sweep": {"tree": {"file_pages": [9]}}}, "workload.tree.file_pages: also swept in sweep.tree.file_pages"),
        (
            {"sweep": {"anon_pages": [9], "shell": {"anon_pages": [8]}}},
            "sweep.shell.anon_pages: also swept for each workload that has it; a value is swept once",
        ),
        ({"sweep": {"shell": {"spread": ["random"]}}}, "sweep.shell.spread: unknown key"),
        ({"sweep": {"shell": {"geometry": ["i386"]}}}, "sweep.shell.geometry: unknown key"),
        ({"sweep": {"shell": [1, 2]}}, "sweep.shell: [1, 2] is a list; a mapping is needed here, with children"),
        ({"sweep": {"shell": {"children": []}}}, "sweep.shell.children: the list is empty"),
        ({"sweep": {"exec_ratios": [1]}}, "sweep.exec_ratios: unknown key; did you mean 'exec_ratio'?"),
        ({"sweep": {"anon_pages": [0]}}, "sweep.anon_pages[0]: 0 is out of range"),
        ({"workload": {"shell": {}}, "sweep": {"shell": {"children": [1]}}}, "sweep.shell: unknown key"),
        ({"workload": {"shel": {}}, "sweep": {"exec_ratio": 1}}, "sweep.exec_ratio: 1 is a number; a list is needed"),
        (
            {"sweep": {"snapshot": {"anon_pages": [9, 900_000]}}},
            "workload.snapshot: at anon_pages: 900000: geometry 'i386': the mapping takes 900000 pages",
        ),
    ],
)  # fmt: skip
def test_wrong_study__says_what_is_allowed(tmp_path, changes, message):
    """Each mistake has one message, with its place."""
    told = faults_of(tmp_path, **changes)
    assert sum(message in line for line in told) == 1, told


def test_mistakes_of_several_workloads__come_together(tmp_path):
    """What is wrong for two workloads at once is told of each, what is wrong in itself once."""
    told = faults_of(tmp_path, sweep={"children": [1, 1], "exec_ratio": [2]})
    assert [re.sub(r"^line \d+, (.*?): .*", r"\1", line) for line in told] == [
        "workload.snapshot.children", "workload.shell.children", "sweep.children[1]", "sweep.exec_ratio[0]",
    ]  # fmt: skip


def test_override__reaches_a_workloads_own_axis(tmp_path):
    """A dotted key of --set names the workload."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(HEAD | THREE), encoding="utf-8")
    study = load_study(path, ["sweep.shell.anon_pages=[5, 6]", "workload.tree.file_pages=7"])
    grids = {grid.workload: grid for grid in study.grids}
    assert grids["shell"].sweep["anon_pages"] == [5, 6]
    assert grids["tree"].params["file_pages"] == 7


def test_estimate__samples_every_workload(tmp_path):
    """The cells that are tried beforehand are some of each workload."""
    traces = [cells[0].trace for cells in _samples(study_of(tmp_path, replicates=2), MODEL)]
    assert {trace.workload for trace in traces} == {"snapshot", "tree", "shell"}
    assert {trace.params["anon_pages"] for trace in traces if trace.workload == "tree"} == {12, 30, 60}


def test_plan_lines__name_workloads_and_axes(tmp_path):
    """Axes that workloads sweep differently stand there once for each."""
    study = study_of(tmp_path)
    guess = Estimate(None, None, 0, [], Memory(None, 0, 0, []))
    told = plan_lines(study, survey(study, MODEL, tmp_path / "nowhere"), guess, tmp_path / "nowhere")
    rows = [re.sub(r"\s+", " ", line) for line in told.splitlines()]
    assert "workloads 3 snapshot, tree, shell" in rows
    assert "exec_ratio 2 0.0, 1.0" in rows
    assert "snapshot.anon_pages 2 30, 4000" in rows
    assert "tree.anon_pages 3 12, 30, 60" in rows


def test_plan_command__counts_all(tmp_path, forkbench):
    """The command checks the study and counts the cells of all workloads."""
    study_of(tmp_path)
    assert "48 cells: 12 traces under 4 designs" in forkbench("check", tmp_path / "study.yaml").stdout


def test_load__has_the_parameters_of_all_workloads(dataset):
    """A parameter is empty where the workload has none of that name, and whole numbers stay whole."""
    df = analysis.load(dataset)
    assert df.attrs["workloads"] == ["snapshot", "tree", "shell"]
    assert df.groupby("workload").size().to_dict() == {"snapshot": 16, "tree": 24, "shell": 8}
    pages = {name: set(part["file_pages"].dropna()) for name, part in df.groupby("workload")}
    assert pages == {"shell": {8}, "snapshot": set(), "tree": {20}}
    assert df["file_pages"].dtype == "Int64"
    assert df["exec_ratio"].dtype == "float64"
    assert df.loc[df["workload"] == "tree", "tree_depth"].eq(1).all()


def test_load__of_a_dataset_of_an_earlier_version():
    """Studies knew one workload once."""
    assert frames._workloads({"workload": "tree"}) == ["tree"]


def test_report__tells_workloads_apart(digest):
    """Typical cells are those of one workload at a time, and along it no other axis is mixed in."""
    parts = slices(digest)
    assert list(dict.fromkeys(part.where.partition(",")[0] for part in parts)) == [
        "workload snapshot", "workload tree", "workload shell",
    ]  # fmt: skip
    assert all(len(set(part.df["workload"])) == 1 for part in parts)
    assert sum(len(part.df) for part in parts) == len(digest.df)


def test_axes__are_those_that_a_workload_is_swept_along(digest):
    """What differs between workloads without being swept is no axis, and each workload has its own values."""
    assert [axis.column for axis in digest.axes] == ["workload", "exec_ratio", "anon_pages"]
    assert digest.axes[0].points == ("snapshot", "tree", "shell")
    assert digest.swept_along("anon_pages") == ["snapshot", "tree"]
    assert set(digest.along("anon_pages")["workload"]) == {"snapshot", "tree"}
    assert set(digest.along("workload")["workload"]) == {"snapshot", "tree", "shell"}


def test_point__names_the_workload_and_its_own_axes(digest):
    """Where a cell lies is told by the workload and by what it is swept along."""
    cells = digest.df.drop_duplicates("workload").set_index("workload", drop=False)
    told = {name: digest.point(cell) for name, cell in cells.to_dict("index").items()}
    assert re.fullmatch(r"workload snapshot, exec ratio [01], anon pages \d+", told["snapshot"])
    assert re.fullmatch(
        r"tree depth 1, fan-out 2, workload tree, exec ratio [01], anon pages \d+", told["tree"]
    )
    assert re.fullmatch(r"workload shell, exec ratio [01]", told["shell"])


def test_verdict__has_a_line_for_each_slice(digest):
    """What is said of several workloads stands line by line; those of which the same is said share a line."""
    said = {statement.heading: statement.text for statement in verdict(digest)}
    lines = said["In short"].splitlines()
    names = [part.where.removeprefix("workload ") for part in slices(digest)]
    assert lines[0].startswith("Sharing page tables, against `linux24`, on the typical cells")
    assert lines[1].startswith("At workload snapshot")
    assert lines[-1].startswith("Over all 12 cells of the sweep: ")
    assert len(set(lines)) == len(lines)
    for told in (lines[1:-1], said["Typical"].splitlines()):
        assert [sum(f" {name} " in line.replace(",", " ") for line in told) for name in names] == [1] * len(
            names
        )


def test_same_sentence__is_said_once_for_all_slices(digest):
    """Slices are joined where a sentence is the same, and told apart where it is not."""
    parts = slices(digest)
    names = [part.where.removeprefix("workload ") for part in parts]
    assert each_slice(parts, lambda _: "It rains.") == f"At workloads {listed(names)}, it rains."
    assert each_slice(parts, lambda part: f"It is {part.where}.").count("\n") == len(parts) - 1
    assert each_slice(parts, lambda _: "") == ""


def test_written_report__names_the_workloads(dataset, tmp_path):
    """The page says which workloads ran and what each holds fixed; the terminal gets three lines."""
    lines = write_report(dataset, tmp_path / "report.html")
    assert len(lines) == 3
    assert not any("\n" in line for line in lines)
    page = re.sub(r"<[^>]+>", "", (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "workloads snapshot, tree and shell, cost model" in page
    assert "told apart by workload" in page
    [fixed] = re.findall(r"in shell: ([^;.]*)", page)
    assert {"anon pages 60", "children 2", "file pages 8"} <= set(fixed.split(", "))
    assert not re.search(r"\bnan\b|<NA>", page)


def test_stored_study__says_what_each_workload_swept(dataset):
    """The plan keeps parameters and axes workload by workload."""
    study = json.loads((dataset / "plan.json").read_text())["study"]
    assert [grid["workload"] for grid in study["grids"]] == ["snapshot", "tree", "shell"]
    assert study["grids"][0]["sweep"]["anon_pages"] == [30, 4000]


def test_typical_cells__of_a_workload_without_a_measured_tree_are_all(tmp_path):
    """Where one workload runs a measured tree, its cells stand for it, and all cells for the others."""
    folder = make_dataset(
        tmp_path, **HEAD, workload={"tree": {"file_pages": 9}, "shell": {"children": 1}},
        sweep={"tree": ["phillips-2002", {"depth": 1, "fan_out": 1}]},
    )  # fmt: skip
    chosen, phrase = analysis.population(analysis.load(folder))
    assert chosen.groupby("workload").size().to_dict() == {"shell": 4, "tree": 4}
    assert phrase == "cells with the measured tree phillips-2002, and all cells of shell"
