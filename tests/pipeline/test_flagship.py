"""The report that is committed: of this study and this simulator, as small as promised, and what it reports replays."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from traces import DEEP

from pipeline import analysis
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.report.words import factor
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.work import run_batch
from pipeline.writer import Dataset

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "reports" / "flagship.html"
JUDGED = ("odf", "odf_paper", "cow_pte", "cow_pte_v5", "async_fork")
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def plan():
    """Return the plan of the flagship study under this simulator."""
    return make_plan(load_study(ROOT / "configs" / "flagship.yaml"), model_version())


@pytest.fixture(scope="module")
def page():
    """Return the page's source."""
    return PAGE.read_text(encoding="utf-8")


def test_page__is_of_this_study_and_this_simulator(plan, page):
    """Each cell that it names is one that `make flagship` would run; README and docs speak of as many cells."""
    named = set(re.findall(r"forkbench show ([0-9a-f]{20}) --simulate", page))
    assert len(named) > len(JUDGED)
    assert named <= {cell.cell_id for cell in plan.cells}
    count = f"{len(plan.cells):,} cells"
    for text in (
        page,
        *(ROOT.joinpath(name).read_text(encoding="utf-8") for name in ("README.md", "docs/flagship.md")),
    ):
        assert count in text
    assert len(page.encode()) <= MOST_BYTES


def test_page__its_worst_and_best_cells_replay_to_the_same_value(plan, page, tmp_path):
    """Each reported extreme of the designs that are judged comes out again, beside the baseline on the same trace."""
    table = re.search(r'<table id="extremes-table".*?</table>', page, re.DOTALL)[0]
    rows = [
        [
            html.unescape(re.sub(r"<[^>]+>", "", cell))
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    ]
    said = {row[5].split()[2]: row[2] for row in rows if row[0] in JUDGED}
    assert len(said) >= 2 * len(JUDGED) - 2  # two designs may share an extreme trace, but no cell
    chosen = []
    for job in jobs_of(plan, set()):
        wanted = [cell for cell in job.cells if cell[0] in said]
        if wanted:
            base = [cell for cell in job.cells if cell[1] == "mainline"]
            chosen.append(job._replace(cells=[*base, *(cell for cell in wanted if cell not in base)]))
    reply = run_batch(chosen)
    assert not reply.failures
    with Dataset(tmp_path / "data", plan, provenance()) as dataset:
        dataset.add(reply.rows)
        dataset.finish([])
    df = analysis.load(tmp_path / "data")
    ratio = analysis.paired(df, "total_ns_per_fork", "mainline")
    found = dict(zip(df["cell_id"], ratio, strict=True))
    assert {cell: factor(found[cell]) for cell in said} == said


@pytest.mark.skipif(not DEEP, reason="runs the whole study; run with HYPOTHESIS_PROFILE=deep")
def test_docs__tell_of_users_what_the_study_gives(tmp_path):
    """The script of the docs runs on a new run of the study, and prints the figures of their first table."""
    study = load_study(ROOT / "configs" / "flagship.yaml")
    assert not run_study(study, tmp_path / "data", 2, quiet=True).failures
    command = [
        sys.executable,
        str(ROOT / "docs" / "flagship.py"),
        str(tmp_path / "data"),
        str(tmp_path / "drawn"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {each.name for each in (tmp_path / "drawn").iterdir()} == {"users.svg", "sizes.svg"}
    printed = {}
    for line in done.stdout.split("\n== ")[1].splitlines()[1:]:
        printed[line.split()[0]] = _figures(line.replace("of 39 users", "").removeprefix(line.split()[0]))
    told = 0
    for row in ROOT.joinpath("docs", "flagship.md").read_text(encoding="utf-8").splitlines():
        name = re.match(r"\| `(\w+)`", row)
        if name and name[1] in JUDGED and row.count("|") == 8 and "the same" not in row:
            told += 1
            assert _figures("|".join(row.split("|")[2:6])) == printed[name[1]]
    assert told == 3


def _figures(text):
    """Return the numbers of a text without their signs, sorted: prose says less and more."""
    return sorted(float(each) for each in re.findall(r"\d+(?:\.\d+)?", text))
