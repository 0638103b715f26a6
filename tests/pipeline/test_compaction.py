"""Parts that are put together: the same rows in fewer files, whatever ends it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_study import TINY, TINY_CELLS
from traces import DEEP

from pipeline import rows, store
from pipeline.compaction import compact
from pipeline.errors import DatasetError
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.work import run_batch
from pipeline.writer import Dataset

CRASHES = Path(__file__).with_name("crash_points.py")
SMALL = TINY | {"replicates": 1, "sweep": {"exec_ratio": [0.0, 0.5, 1.0]}}


def crashes(study_file, folder, *mode):
    """Return what became of drivers that were killed at each step."""
    command = [sys.executable, CRASHES, study_file, folder, "1", *mode]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(params=["folder", "memory"])
def unfinished(request, tmp_path, write_study):
    """Return a study, and where its first traces are, each in a part of its own, by two versions of the software."""
    study = load_study(write_study())
    where = tmp_path / "out" if request.param == "folder" else f"memory://compaction/{tmp_path.name}"
    plan = make_plan(study, model_version())
    jobs = jobs_of(plan, set())
    for number, made_by in enumerate([provenance(), provenance() | {"python": "another"}]):
        with Dataset(where, plan, made_by) as dataset:
            for job in jobs[5 * number :][:5]:
                dataset.add(run_batch([job]).rows)
                dataset.flush()
    return study, where


def test_parts__are_put_together_for_each_software(unfinished):
    """One part for each version, the same rows, and the run goes on with them."""
    study, where = unfinished
    before = rows.checksum(store.read(where))
    done = compact(where)
    assert (done.before[0], done.after[0]) == (10, 2)
    assert done.after[1] < done.before[1]
    assert rows.checksum(store.read(where)) == before
    assert compact(where).after == done.after
    outcome = run_study(study, where, 0, quiet=True)
    assert (outcome.resumed, outcome.simulated) == (40, TINY_CELLS - 40)


def test_dataset_that_is_written__is_left_alone(unfinished):
    """Who writes is not disturbed; what is no dataset is refused."""
    study, where = unfinished
    with (
        Dataset(where, make_plan(study, model_version()), provenance()),
        pytest.raises(DatasetError, match=r"another run .* is writing it"),
    ):
        compact(where)
    with pytest.raises(DatasetError, match="not a dataset"):
        compact(f"{where}-not-there")


def test_command__says_what_it_did(forkbench, write_study):
    """A complete dataset has one part already."""
    assert forkbench("run", write_study(), "--workers", 0, "--quiet").returncode == 0
    done = forkbench("compact", "results/tiny")
    assert (done.returncode, done.stdout) == (0, "results/tiny: 1 part; nothing can be put together\n")


def test_compaction_killed_anywhere__loses_nothing(tmp_path, write_study):
    """At each crash point readers see every row once, the next compaction finishes, and the run goes on."""
    file = write_study(**SMALL)
    found = crashes(file, tmp_path / "crashes", "compact")
    whole = run_study(load_study(file), tmp_path / "whole", 0, quiet=True).checksum
    assert {"before link part", "behind link part", "before unlink part", "behind unlink part"} <= {
        each["label"] for each in found
    }
    for each in found:
        assert (each["same"], each["parts"], each["left"], each["resumed"]) == (True, 1, [], True), each
        assert each["checksum"] == whole


@pytest.mark.skipif(not DEEP, reason="takes minutes; run with HYPOTHESIS_PROFILE=deep")
def test_driver_killed_anywhere_in_the_shipped_study__simulates_no_committed_cell_again(
    tmp_path, shipped_study
):
    """At every crash point: all that was committed is resumed, none of it asked for again, the checksum the same."""
    found = crashes(shipped_study, tmp_path, "remembered")
    checksums = {each["checksum"] for each in found}
    study = load_study(shipped_study)
    assert checksums == {run_study(study, tmp_path / "whole", 2, quiet=True).checksum}
    assert len({each["label"] for each in found}) >= 16
    for each in found:
        assert (each["again"], each["resumed"]) == (0, each["committed"]), each
        assert (each["committed"] + each["simulated"], each["rows"]) == (study.cells, study.cells), each
        assert (each["complete"], each["left"]) == (True, []), each
