"""Studies small enough to run in a second, and the command as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TINY = {
    "name": "tiny",
    "question": "Is the sweep honest?",
    "seed": 7,
    "replicates": 2,
    "designs": ["linux24", "phillips", "linus_rmap", "vfork"],
    "workload": {"tree": {"anon_pages": 12, "file_pages": 20}},
    "sweep": {
        "tree": ["phillips-2002", {"depth": 1, "fan_out": 2}, {"depth": 2, "fan_out": 2}],
        "exec_ratio": [0.0, 0.5, 1.0],
    },
}
TINY_CELLS = 72


@pytest.fixture
def write_study(tmp_path):
    """Return a function that writes the tiny study with some keys replaced, and returns its path."""

    def write(**changes):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(TINY | changes, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def forkbench(tmp_path):
    """Return a function that runs ``forkbench`` in an empty folder, as its own process."""

    def run(*arguments, stdin=None):
        command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, input=stdin, timeout=300, check=False
        )

    return run


@pytest.fixture(scope="session")
def shipped_study():
    """Return the path of the study that ships with the project."""
    return Path(__file__).parents[2] / "configs" / "phillips-2002.yaml"
