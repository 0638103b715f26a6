"""Datasets small enough to be made in a test, through the same door as any other study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.work import run_batch
from pipeline.writer import Dataset

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {
    "name": "small",
    "question": "What does sharing cost on a small tree?",
    "seed": 7,
    "designs": ["linux24", "rmap25", "phillips", "phillips_mark", "linus_pmd", "linus_rmap", "vfork"],
    "workload": {"tree": {"anon_pages": 12, "file_pages": 20}},
    "sweep": {
        "tree": ["phillips-2002", {"depth": 1, "fan_out": 2}, {"depth": 3, "fan_out": 2}],
        "exec_ratio": [0.0, 1.0],
    },
}


def make_dataset(folder: Path, **changes: Any) -> Path:
    """Run the small study with some keys replaced; return the dataset's folder."""
    outcome = run_study(load_study(_written(folder, changes)), folder / "data", 0, quiet=True)
    assert not outcome.failures
    return folder / "data"


def make_part(folder: Path, traces: int, **changes: Any) -> Path:
    """Run only the first traces of the study, as if the run had been stopped; return the dataset's folder."""
    plan = make_plan(load_study(_written(folder, changes)), model_version())
    with Dataset(folder / "data", plan, provenance()) as dataset:
        dataset.add(run_batch(jobs_of(plan, set())[:traces]).rows)
        dataset.finish([])
    return folder / "data"


def _written(folder: Path, changes: dict[str, Any]) -> Path:
    """Write the study's file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(SMALL | changes, sort_keys=False), encoding="utf-8")
    return file
