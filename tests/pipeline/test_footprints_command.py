"""The command footprints, as a user runs it."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from simcore.workloads.footprints import FOOTPRINTS, read


def test_footprints__are_listed_and_told(forkbench):
    """Each program is a line of the list; one alone is told with kinds, libraries and where it was measured."""
    listed = forkbench("footprints").stdout
    assert [line.split()[0] for line in listed.splitlines()[1 : 1 + len(FOOTPRINTS)]] == list(FOOTPRINTS)
    told = forkbench("footprints", "bash").stdout
    bash = FOOTPRINTS["bash"]
    assert told.startswith(f"bash: {bash.version}\n")
    assert f"text {bash.text:,}, libraries {bash.library:,}" in told
    assert "libc.so.6" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["footprints", "bahs"], "unknown program 'bahs'; did you mean 'bash'?"),
        (["footprints", "bash", "--out", "x"], "--out x: nothing is measured; --out goes with measure"),
    ],
)
def test_refusal__says_what_is_allowed(forkbench, arguments, message):
    """What is asked wrongly is refused with a message, exit code 2."""
    done = forkbench(*arguments)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="footprints are measured on Linux")
def test_measure__tells_what_is_there_and_what_is_missing(forkbench, tmp_path, monkeypatch):
    """With nothing but sh and ls on PATH these and Python are measured; the others are missing, which is no failure."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("sh", "ls"):
        (bin_ / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(bin_))
    done = forkbench("footprints", "measure", "--out", "found.json")
    if "python3: missing" in done.stdout:
        pytest.skip("this system lets nobody trace processes, or its /proc is another's")
    assert (done.returncode, done.stderr) == (0, "")
    assert "perl: missing on this machine, or it could not be run" in done.stdout
    found, made_by = read((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert set(found) == {"sh", "ls", "python3"}
    assert found["sh"].minor_faults >= found["sh"].anon_pages // 2
    assert found["sh"].text > 0
    assert found["python3"].anon_pages > found["sh"].anon_pages
    assert made_by["kernel"].startswith("Linux ")
    assert str(tmp_path) not in json.dumps([each._asdict() for each in found.values()])
