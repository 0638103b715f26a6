"""The report that is committed: of this study and this simulator, as small as promised, and what it reports replays."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from pipeline import analysis
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.report.words import factor
from pipeline.study import load_study
from pipeline.sweep import jobs_of
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
