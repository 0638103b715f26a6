"""Each figure of a report comes from the Parquet alone: the script writes it, the notebook runs from top to bottom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from report_datasets import make_dataset

from pipeline import analysis
from pipeline.report import figures
from pipeline.report.page import read_digest
from pipeline.report.slices import cells_at

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a small dataset with six listings and two swept numbers."""
    sweep = {
        "tree": [{"population": "containers"}, {"depth": 2, "fan_out": 2}],
        "exec_ratio": [0.0, 1.0],
        "anon_pages": [12, 600],
    }
    few = ["linux24", "phillips", "linus_pmd", "vfork"]
    return make_dataset(tmp_path_factory.mktemp("figures"), sweep=sweep, designs=few, workload={"tree": {}})


def test_script__writes_every_figure_and_its_numbers(dataset, tmp_path):
    """An SVG and a CSV of each; the numbers are those that pandas users get."""
    command = [sys.executable, DOCS / "redo_figures.py", dataset, "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stdout
    names = {line.partition(":")[0] for line in done.stdout.splitlines()}
    assert len(names) == 10
    assert (
        {file.stem for file in tmp_path.glob("*.svg")}
        == names
        == {file.stem for file in tmp_path.glob("*.csv")}
    )
    df = analysis.load(dataset)
    told = pd.read_csv(tmp_path / "users.csv")
    expected = analysis.users(df, "total_ns_per_fork", "linux24")
    assert told["ratio"].tolist() == pytest.approx(expected["ratio"].tolist())
    along = pd.read_csv(tmp_path / "along.csv")
    assert {"exec_ratio", "anon_pages"} <= set(along["axis"])
    df["ratio"] = analysis.paired(df, "total_ns_per_fork", "linux24")
    mine = along[(along["axis"] == "exec_ratio") & (along["design"] == "phillips")].set_index("value")
    every = df[df["design"] == "phillips"]
    usual = every[every["tree_measured"]].groupby("exec_ratio")["ratio"].median()
    assert mine["typical"].to_dict() == pytest.approx(usual.to_dict())
    assert mine["worst"].to_dict() == pytest.approx(every.groupby("exec_ratio")["ratio"].max().to_dict())
    [asked] = pd.read_csv(tmp_path / "questions.csv").to_dict("records")
    assert (asked["design"], asked["against"]) == ("linus_pmd", "phillips")
    beside = analysis.typical(df, "total_ns_per_fork", "phillips").loc["linus_pmd", "ratio"]
    assert asked["typical"] == pytest.approx(beside)
    standing = pd.read_csv(tmp_path / "worst_beside_typical.csv").set_index("design")
    assert (
        standing["worst_cell_id"].to_dict()
        == analysis.worst(df, "total_ns_per_fork", "linux24")["cell_id"].to_dict()
    )


def test_script__redoes_what_a_report_draws_of_a_selection(dataset, tmp_path):
    """A line along an axis, of the cells at one value of another one: the numbers are the report's."""
    command = [sys.executable, DOCS / "redo_figures.py", dataset, "--out", tmp_path]
    command += ["--where", "anon_pages == 600", "--along", "exec_ratio", "--map", "anon_pages", "exec_ratio"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (
        "crossover: left out: crossover: no workload sweeps anon_pages and exec_ratio, only " in done.stdout
    )
    digest = read_digest(dataset, None)
    axes = {axis.column: axis for axis in digest.axes}
    part = cells_at(digest, axes["anon_pages"], 600)
    expected = figures.moves_with(part, axes["exec_ratio"]).numbers
    expected = expected[expected["against"] == "linux24"].set_index(["design", "exec_ratio"])
    told = pd.read_csv(tmp_path / "along.csv")
    assert set(told["axis"]) == {"exec_ratio"}
    told = told.set_index(["design", "value"])
    assert len(expected) > 3
    for column in ("typical", "worst"):
        assert told.loc[expected.index, column].to_dict() == pytest.approx(expected[column].to_dict())


def test_notebook__runs_from_top_to_bottom(dataset, tmp_path):
    """Its code cells, one after another, in a Python of their own; Jupyter is not needed for that."""
    cells = json.loads((DOCS / "redo-figures.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert not any(cell.get("outputs") for cell in cells)
    script = tmp_path / "cells.py"
    script.write_text(f"{code}\nassert len(figures) == 10 and len(losers) == 3\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=DOCS, env=os.environ | {"DATASET": str(dataset), "PYTHONPATH": str(DOCS)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
