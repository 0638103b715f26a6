"""Studies small enough to run in a second, and the command as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_study import TINY


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
