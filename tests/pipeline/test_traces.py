"""Recorded traces: the commands as a user runs them, the file, studies that name them, and the shipped ones."""

from __future__ import annotations

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline import analysis, cli
from pipeline.errors import StudyError
from pipeline.plan import make_plan
from pipeline.study import load_study
from pipeline.sweep import run_study
from pipeline.traces import file as trace_file
from pipeline.traces import recorder
from pipeline.traces.comparison import compared
from pipeline.traces.file import TraceFileError, read_trace, write_trace
from pipeline.traces.importing import imported
from pipeline.traces.shipped import shipped_traces
from pipeline.traces.statistics import statistics
from pipeline.traces.told import trace_lines
from pipeline.traces.tracefs import TracefsError
from simcore import DESIGNS, GEOMETRIES
from simcore.events import Trace
from simcore.simulate import simulate
from simcore.workloads.recorded import trace_of

LOG = """\
7 1.000000 execve("/usr/bin/sh", ["sh"], 0x0 /* 0 vars */) = 0
7 1.100000 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 8
8 1.200000 execve("/usr/bin/ls", ["ls"], 0x0 /* 0 vars */) = 0
8 1.300000 +++ exited with 0 +++
7 1.400000 +++ exited with 0 +++
"""
STUDY = {
    "name": "mine",
    "question": "Does it pay here?",
    "geometry": "x86-64",
    "baseline": "mainline",
    "designs": ["mainline", "linus_pmd"],
    "workload": {"recorded": {"file": "t.parquet"}},
}
COMMAND = ["sh", "-c", "for i in 1 2; do (echo $i | sed s/1/2/); done; x=$(ls / | wc -l); exit 3"]


@pytest.fixture
def log(tmp_path):
    """Return the path of a small log of strace."""
    path = tmp_path / "log"
    path.write_text(LOG, encoding="utf-8")
    return path


@pytest.fixture
def recorded(log, tmp_path):
    """Return the path of a recorded trace."""
    path = tmp_path / "t.parquet"
    write_trace(imported(log), path)
    return path


def said(capsys, *arguments):
    """Run a command; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(each) for each in arguments])
    told = capsys.readouterr()
    return ended.value.code, told.out + told.err


# the file


def test_file__comes_back_equal_and_any_reader_shows_it(recorded, log):
    """Events, processes and facts; pandas reads the events."""
    before, after = imported(log), read_trace(recorded)
    assert after.processes == before.processes
    assert np.array_equal(after.recording.rows, before.recording.rows)
    assert np.array_equal(after.recording.image_rows, before.recording.image_rows)
    assert (after.command, after.touches, after.seconds) == ("sh", "footprints", 0.4)
    shown = pq.read_table(recorded).to_pandas()
    assert set(shown["op"]) == {"mmap", "read", "write", "fork", "exec", "exit"}


def test_file__is_written_over_no_other(recorded, log):
    """What is there stays."""
    with pytest.raises(TraceFileError, match="is there already"):
        write_trace(imported(log), recorded)
    with pytest.raises(TraceFileError, match="cannot be written"):
        write_trace(imported(log), recorded / "x.parquet")


def test_damaged_file__is_refused(recorded, tmp_path):
    """Cut anywhere or with any byte changed: a refusal, or the very same trace where nothing of it was touched."""
    raw = recorded.read_bytes()
    whole = read_trace(recorded)
    rng = random.Random(1)
    damaged = tmp_path / "d.parquet"
    for _ in range(120):
        at = rng.randrange(len(raw))
        damaged.write_bytes(
            raw[:at] if rng.random() < 0.3 else raw[:at] + bytes([raw[at] ^ 0x41]) + raw[at + 1 :]
        )
        try:
            found = read_trace(damaged)
        except TraceFileError:
            continue
        assert found.processes == whole.processes
        assert np.array_equal(found.recording.rows, whole.recording.rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 99"),
        ({"format": "something else"}, "is not a forkbench trace"),
        ({"lost": 5}, "does not have its checksum"),
        ({"processes": "eJw="}, "not a trace of version 1"),
        ({"image_starts": [0, 999_999]}, "not a trace of version 1"),
    ],
)
def test_file__of_another_content_is_refused(recorded, tmp_path, change, message):
    """A newer version, another format, facts that were changed."""
    table = pq.read_table(recorded)
    facts = json.loads(pq.read_metadata(recorded).metadata[b"forkbench"]) | change
    other = tmp_path / "o.parquet"
    with pq.ParquetWriter(other, table.schema.remove_metadata()) as writer:
        writer.write_table(table.replace_schema_metadata())
        writer.add_key_value_metadata({"forkbench": json.dumps(facts)})
    with pytest.raises(TraceFileError, match=message):
        read_trace(other)


def test_file__of_parquet_that_is_none_is_refused(tmp_path):
    """A dataset's part, say; and what is no Parquet, and what is not there."""
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(TraceFileError, match="is not a forkbench trace"):
        read_trace(path)
    path.write_text("hello", encoding="utf-8")
    with pytest.raises(TraceFileError, match="a recorded trace is a file of Parquet"):
        read_trace(path)
    with pytest.raises(TraceFileError, match="no such file"):
        read_trace(tmp_path / "none.parquet")


# the commands


def test_import__makes_a_trace_and_says_that_no_fault_was_seen(capsys, log, tmp_path):
    """The statistics follow; a second import writes over nothing."""
    out = tmp_path / "out.parquet"
    code, told = said(capsys, "trace", "import", log, "--out", out)
    assert (code, "No fault was seen" in told, "exec'ed: 1 sh, 1 ls" in told) == (0, True, True)
    code, told = said(capsys, "trace", "import", log, "--out", out)
    assert (code, "is there already" in told) == (2, True)
    code, told = said(capsys, "trace", "import", out, "--out", tmp_path / "copy.parquet")
    assert code == 0
    assert (tmp_path / "copy.parquet").read_bytes() == out.read_bytes()


@pytest.mark.parametrize("text", ["", "hello", "PAR1", "\x7fELF\x00\x01"])
def test_import__refuses_what_is_no_log(capsys, tmp_path, text):
    """In a line, without a traceback."""
    path = tmp_path / "log"
    path.write_text(text, encoding="utf-8")
    code, told = said(capsys, "trace", "import", path, "--out", tmp_path / "o.parquet")
    assert code == 2
    assert "Traceback" not in told
    assert str(path) in told
    assert not (tmp_path / "o.parquet").exists()


def test_import__refuses_what_is_not_there(capsys, tmp_path):
    """As every command that reads a file."""
    code, told = said(capsys, "trace", "import", tmp_path / "none", "--out", tmp_path / "o.parquet")
    assert (code, "no such file" in told) == (2, True)


def test_stats__of_one_of_several_and_in_json(capsys, recorded):
    """One in full, several side by side."""
    code, told = said(capsys, "trace", "stats", recorded, "--each")
    assert code == 0
    assert "forked children that exec" in told
    code, told = said(capsys, "trace", "stats", recorded, "test-suite")
    assert told.splitlines()[0].split()[-1] == "test-suite"
    code, told = said(capsys, "trace", "stats", "--json", recorded)
    found = json.loads(told)[str(recorded)]
    assert (found["forks"], found["exec_ratio"], found["depth_max"], found["pages_before_exec"]) == (
        1,
        1.0,
        1,
        22.0,
    )


def test_stats__refuses_an_unknown_name_with_the_nearest(capsys):
    """A file is allowed too."""
    code, told = said(capsys, "trace", "stats", "configur")
    assert (code, "did you mean 'configure'?" in told) == (2, True)


def test_lost_events__are_told_first(recorded):
    """A trace with holes is marked."""
    found = statistics(read_trace(recorded)) | {"lost": 12}
    assert "INCOMPLETE: the kernel lost 12 events" in trace_lines("x", found)


def test_record__refuses_no_such_command(capsys, tmp_path):
    """Before anything is run."""
    code, told = said(
        capsys, "trace", "record", "--out", tmp_path / "o.parquet", "--", "no-such-program-here"
    )
    assert (code, "no command 'no-such-program-here' is found" in told) == (2, True)


def test_record__falls_back_to_strace_with_the_reason(monkeypatch):
    """Where tracefs is not permitted, strace records; where there is none, both reasons are told."""

    def forbidden(_command):
        raise TracefsError("tracefs is for root only, and this is not root")

    monkeypatch.setattr(recorder, "_by_tracefs", forbidden)
    monkeypatch.setattr(recorder, "_by_strace", lambda _command: "by strace")
    monkeypatch.setattr(recorder, "_refuse_machine", lambda: None)
    monkeypatch.setattr(recorder.shutil, "which", lambda name: f"/bin/{name}")
    assert recorder.record(["true"]) == ("by strace", "tracefs is for root only, and this is not root")
    with pytest.raises(recorder.TraceError, match="--with strace"):
        recorder.record(["true"], "tracefs")
    monkeypatch.setattr(recorder.shutil, "which", lambda name: None if name == "strace" else f"/bin/{name}")
    with pytest.raises(recorder.TraceError, match="strace is not installed, and tracefs is for root only"):
        recorder.record(["true"])


def record(forkbench, tmp_path, way):
    """Return what is recorded in one way; skip with the reason where that cannot be done."""
    done = forkbench("trace", "record", "--with", way, "--out", "r.parquet", "--", *COMMAND)
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert "it ended with 3" in done.stdout
    return read_trace(tmp_path / "r.parquet")


def test_record__through_tracefs_sees_what_the_kernel_counts(forkbench, tmp_path):
    """Nine processes; as many faults simulated for each as the kernel counted, but for a few of the first exec's."""
    found = record(forkbench, tmp_path, "tracefs")
    assert found.exit_code == 3
    assert {name for process in found.processes for _, name in process.programs} >= {"sed", "wc", "ls"}
    rows = compared(found)
    assert rows[0].name == found.processes[0].programs[0][1]
    if found.lost:
        pytest.skip(f"the kernel lost {found.lost} events")
    assert all(row.counted is not None and abs(row.counted - row.simulated) <= 5 for row in rows)


def test_record__through_strace_sees_the_same_processes(forkbench, tmp_path):
    """Forks and execs are those of the script, touches are footprints'."""
    found = record(forkbench, tmp_path, "strace")
    assert found.touches == "footprints"
    assert sum(name == "sed" for process in found.processes for _, name in process.programs) == 2
    assert sum(process.how == "fork" for process in found.processes) >= 4


# studies


def study_of(tmp_path, **changes):
    """Return the path of a study in a folder."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(STUDY | changes), encoding="utf-8")
    return path


def test_study__runs_a_file_and_needs_it_no_more(recorded, tmp_path):
    """The dataset holds the trace; its rows name it and do not repeat it."""
    study = load_study(study_of(tmp_path))
    recorded.unlink()
    outcome = run_study(study, tmp_path / "results", 0, quiet=True)
    assert not outcome.failures
    frame = analysis.load(tmp_path / "results")
    assert frame["file"].tolist() == ["t", "t"]
    assert frame["forks"].tolist() == [1, 1]
    for part in (tmp_path / "results").glob("part-*.parquet"):
        assert "packed" not in pq.read_table(part)["params"][0].as_py()


def test_cells__go_by_the_content_of_the_trace(recorded, log, tmp_path):
    """Equal content gives equal ids, whatever compressed it; other content others."""
    plan = make_plan(load_study(study_of(tmp_path)), "v")
    found = read_trace(recorded)
    recorded.unlink()
    pressed = trace_file._LEVEL
    trace_file._LEVEL = 1
    try:
        write_trace(found, recorded)
    finally:
        trace_file._LEVEL = pressed
    again = make_plan(load_study(study_of(tmp_path)), "v")
    assert again.plan_id == plan.plan_id
    recorded.unlink()
    log.write_text(LOG.replace("ls", "sh"), encoding="utf-8")
    write_trace(imported(log), recorded)
    assert make_plan(load_study(study_of(tmp_path)), "v").plan_id != plan.plan_id


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("configur", "did you mean 'configure'?"),
        ("none.parquet", "no such file"),
        (3, "write the name of a recorded trace"),
        ({"packed": "x"}, "a packed trace"),
    ],
)
def test_study__tells_what_is_wrong_with_a_trace(tmp_path, value, message):
    """With the place in the study."""
    with pytest.raises(StudyError, match=r"workload\.recorded\.file") as refused:
        load_study(study_of(tmp_path, workload={"recorded": {"file": value}}))
    assert message in str(refused.value)


@pytest.mark.usefixtures("recorded")
def test_study__refuses_another_geometry(tmp_path):
    """Pages of the machine's size are needed."""
    with pytest.raises(StudyError, match="the recording has pages of 4096 bytes"):
        load_study(study_of(tmp_path, geometry="arm64-64k"))


# what ships


def test_shipped_traces__are_small_and_whole():
    """Four real programs, for git; nothing was lost, and the kernel counted each process's faults."""
    files = shipped_traces()
    assert {"shell-loop", "configure", "make", "test-suite"} <= set(files)
    assert sum(path.stat().st_size for path in files.values()) < 1_600_000
    for path in files.values():
        found = read_trace(path)
        assert (found.touches, found.lost, found.exit_code) == ("faults", 0, 0)
        assert not any("/" in name for process in found.processes for _, name in process.programs)
        assert not any("nothing is known" in note and count > 20 for note, count in found.notes.items())


@pytest.mark.parametrize("name", ["shell-loop", "make", "test-suite"])
def test_shipped_trace__takes_as_many_faults_as_the_kernel_counted(name):
    """Within one in a thousand."""
    found = statistics(read_trace(shipped_traces()[name]))
    assert found["faults_simulated"] == pytest.approx(found["faults_counted"], rel=1e-3)


@pytest.mark.parametrize("around", [False, True], ids=["seen", "read"])
def test_shipped_trace__is_the_same_in_engine_and_oracle(around):
    """The beginning of a real script, under every design."""
    whole = trace_of(read_trace(shipped_traces()["shell-loop"]).recording, around=around)
    start = Trace(whole.events[:400], whole.pages, whole.image_rows, whole.image_starts)
    for design in list(DESIGNS.values())[around::2]:
        fast, slow = (simulate(start, design, GEOMETRIES["x86-64"], engine) for engine in ("fast", "oracle"))
        assert np.array_equal(fast.acts, slow.acts), design.name
        assert np.array_equal(fast.gauges, slow.gauges), design.name
        assert np.array_equal(fast.vectors.acts, slow.vectors.acts), design.name
