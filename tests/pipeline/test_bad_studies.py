"""A corpus of wrong studies: each fault at its place, all at once, exit code 2, in little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bad_studies import AROUND, STUDIES, found_in

from pipeline import cli

KNOWN = Path(__file__).with_name("bad_studies.txt").read_text(encoding="utf-8")
EXPECTED = {
    part.splitlines()[0]: part.splitlines()[1:] for part in f"\n{KNOWN}".split("\n# ") if part.strip()
}
MOST_MIB = 200


def test_corpus__is_large_and_every_study_has_its_answer():
    """At least 60 studies, and what is found in each."""
    assert len(STUDIES) >= 60
    assert list(EXPECTED) == list(STUDIES)
    assert all(EXPECTED.values())


@pytest.mark.parametrize("name", STUDIES)
def test_bad_study__is_refused_with_each_fault_at_its_place(name, tmp_path, monkeypatch, capsys):
    """Exit code 2; file, line, column, path and what was found, with what is allowed or to do behind; no traceback."""
    monkeypatch.chdir(tmp_path)
    for file, text in AROUND.items():
        Path(file).write_text(text, encoding="utf-8")
    Path("bad.yaml").write_text(STUDIES[name], encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", "bad.yaml"])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (cli.REFUSED, "")
    assert found_in(told.err) == EXPECTED[name]
    faults = told.err.splitlines()[1:]
    assert all("; " in line for line in faults)
    assert told.err.startswith(f"bad.yaml: {len(faults)} problem")
    assert "Traceback" not in told.err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads VmHWM in /proc")
def test_all_bad_studies__stay_within_their_memory():
    """All of them, one after another in one process, never take more than one of them may."""
    corpus = Path(__file__).with_name("bad_studies.py")
    code = f"import sys; sys.path.insert(0, {str(corpus.parent)!r}); import bad_studies, tempfile; "
    code += "folder = tempfile.TemporaryDirectory(); bad_studies.written_down(folder.name); "
    code += "print(open('/proc/self/status').read())"  # ru_maxrss begins with what the parent had
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    [most] = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("VmHWM:")]
    assert int(most) / 1024 < MOST_MIB
