"""Every study that ships says what it asks, has no faults, and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.plan import make_plan
from pipeline.provenance import model_version
from pipeline.study import load_study
from pipeline.sweep import job_of
from pipeline.work import run_batch
from simcore import DESIGNS

STUDIES = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))  # populations are no studies


@pytest.fixture(params=STUDIES, ids=lambda path: path.stem)
def path(request):
    """Return the path of each study."""
    return request.param


def test_shipped_study__opens_with_its_question(path):
    """The file begins with a comment that asks something, and is named as its study."""
    opening = path.read_text(encoding="utf-8").splitlines()[0]
    assert opening.startswith("# ")
    assert opening.endswith("?")
    assert load_study(path).name == path.stem


def test_shipped_study__runs(path):
    """Of each workload the first trace runs, under each design."""
    study = load_study(path)
    plan = make_plan(study, model_version())
    for workload in study.workloads:
        trace = next(cell.trace for cell in plan.cells if cell.trace.workload == workload)
        cells = [cell for cell in plan.cells if cell.trace.trace_id == trace.trace_id]
        reply = run_batch([job_of(cells, plan)])
        assert reply.failures == []
        assert [row.cell_id for row in reply.rows] == [cell.cell_id for cell in cells]


def test_designs__compares_all_that_ship():
    """The study of all designs leaves none out, and defines its floor."""
    study = load_study(next(path for path in STUDIES if path.stem == "designs"))
    assert set(study.designs) == {*DESIGNS, "mainline_vfork"}
    assert (study.baseline, study.floor) == ("mainline", "mainline_vfork")
    assert study.workloads == ("snapshot", "tree", "shell")
