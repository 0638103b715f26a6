"""Captures: what is read of processes, what of it is kept, the file, and a study whose workload it is."""

from __future__ import annotations

import gzip
import json
import platform
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from captured import ANON, FILE, PAGE, SHARED, FakeProc, smaps_entry

from pipeline import analysis
from pipeline.capture import file as capture_file
from pipeline.capture import live
from pipeline.capture.comparison import compare
from pipeline.capture.file import CaptureError, read_capture, write_capture
from pipeline.capture.live import Capturing, Task, take_capture
from pipeline.capture.reading import read_process
from pipeline.capture.told import capture_lines, comparison_lines, facts_of
from pipeline.plan import make_plan
from pipeline.study import load_study
from pipeline.sweep import run_study
from simcore.designs import DESIGNS
from simcore.workloads.spaces import Page

DIARY = "/srv/anna/love-letters"
BASH = "/usr/bin/bash"
SHELL = "".join(
    [
        smaps_entry((1024, 1040), "r-xp", BASH, 7, Rss=64, Shared_Clean=64),
        smaps_entry((2048, 2064), name="[heap]", Rss=12, Anonymous=12, Shared_Dirty=4, Private_Dirty=8),
        smaps_entry((3000, 3004), "r--s", DIARY, 9, Rss=4, Private_Clean=4),
    ]
)
WORDS = dict.fromkeys(range(1024, 1040), FILE) | {2048: ANON, 2049: ANON, 2050: SHARED, 3000: FILE}
STUDY = """\
name: mine
question: Does it pay here?
geometry: x86-64
baseline: linux26
designs: [linux26, linus_pmd]
workload: {capture: {file: c.json.gz}}
"""


@pytest.fixture
def proc(tmp_path):
    """Return a folder like /proc: init that cannot be read, a shell, its subshell, a kernel thread, and this command."""
    folder = tmp_path / "proc"
    folder.mkdir()
    fake = FakeProc(folder)
    fake.add(1, 60)
    (folder / "1" / "smaps").mkdir()  # to open it fails
    fake.add(2, None)
    fake.add(10, 4 * 7, SHELL, WORDS)
    fake.add(11, 4 * 7, SHELL, WORDS)
    fake.add(12, 40, SHELL, WORDS)
    return folder


TASKS = [
    Task(1, 0, ""),
    Task(2, 0, ""),
    Task(10, 2, BASH),
    Task(11, 10, BASH),
    Task(12, 11, BASH),
    Task(13, 1, BASH),
]


def captured(proc, tasks=TASKS, *, anonymise=False):
    """Return the capture of a folder; process 12 takes it."""
    capturing = Capturing(proc, PAGE, live._namer(anonymise=anonymise))
    capturing.read(tasks, 12)
    return replace(capturing.finished(anonymised=anonymise, seconds=0.5), machine="x86_64")


@pytest.fixture
def saved(proc, tmp_path):
    """Return the file of a capture."""
    write_capture(captured(proc), tmp_path / "c.json.gz")
    return tmp_path / "c.json.gz"


def test_tree__has_every_process_that_has_memory(proc):
    """Unreadable ones stay in the tree; a child of a kernel thread is one of init; the rest is counted."""
    found = captured(proc)
    assert [(each.name, each.parent, each.vm_pte_kib) for each in found.processes] == [
        ("?", -1, 60),
        ("bash", 0, 28),
        ("bash", 1, 28),
    ]
    assert [each.unread for each in found.processes] == ["is a directory", "", ""]
    assert found.left_out == {
        "kernel threads and zombies": 1,
        "this command itself": 1,
        "gone before they were read": 1,
    }


def test_first_process__stands_in_for_init_where_that_is_not_to_be_seen(proc):
    """Of processes in another container only some can be seen."""
    found = captured(proc, [Task(10, 5, BASH), Task(11, 4, BASH)])
    assert [(each.name, each.parent) for each in found.processes] == [("?", -1), ("bash", 0), ("bash", 0)]
    assert found.processes[0].unread == "not to be seen"


def test_fork_without_exec__is_told_by_the_program_and_shared_memory(proc):
    """The same program at the same place, and an anonymous page that others map too."""
    assert [each.forked for each in captured(proc).processes] == [False, False, True]
    (proc / "11" / "smaps").write_text(SHELL.replace("400000-410000", "500000-510000"), encoding="utf-8")
    assert not captured(proc).processes[2].forked


def test_pages__are_where_pagemap_says_or_where_the_rule_puts_them(proc):
    """Without pagemap the numbers are kept, and the process says that places are not known."""
    (proc / "11" / "pagemap").unlink()
    found = captured(proc)
    read, spread = found.found().spaces[1:]
    assert (2050, 1, Page.SHARED) in read.runs
    assert (2048, 3, Page.ANON) in spread.runs
    assert sum(run.npages for run in read.runs) == sum(run.npages for run in spread.runs) == 20
    assert [each.placed for each in found.processes[1:]] == [True, False]


@pytest.mark.parametrize(("limit", "placed"), [(1 << 26, True), (100, False)])
def test_large_vma__is_searched_as_far_as_an_older_kernel_allows(proc, monkeypatch, limit, placed):
    """Where the kernel cannot be asked where pages are, pagemap is read; beyond a limit places are not known."""
    monkeypatch.setattr("pipeline.capture.reading.LARGE_PAGES", 100)
    monkeypatch.setattr("pipeline.capture.reading.SEARCHED_PAGES", limit)
    monkeypatch.setattr("pipeline.capture.reading.CHUNK_PAGES", 64)
    text = smaps_entry((1024, 2024), Rss=8, Anonymous=8) + smaps_entry((3000, 4000))
    FakeProc(proc).add(20, 12, text, {1024: ANON, 1500: ANON})
    told = read_process(proc / "20", PAGE)
    assert told.placed is placed
    assert told.runs[0] == (
        [(1024, 1, Page.ANON), (1500, 1, Page.ANON)] if placed else [(1024, 2, Page.ANON)]
    )
    assert told.runs[1] == []


def test_process_that_goes__is_counted(proc):
    """It may end between any two looks at it."""
    (proc / "11" / "status").unlink()
    (proc / "10" / "pagemap").write_bytes(b"")
    found = captured(proc)
    assert found.left_out["gone before they were read"] == 2
    assert [each.placed for each in found.processes] == [True, False]


def test_personal_data__stays_out(proc, tmp_path):
    """Neither paths nor inodes are in the file, nor with --anonymise the names of programs."""
    for anonymise in (False, True):
        path = tmp_path / f"{anonymise}.gz"
        write_capture(captured(proc, anonymise=anonymise), path)
        text = gzip.decompress(path.read_bytes()).decode()
        assert "anna" not in text
        assert "/" not in json.dumps(json.loads(text) | {"spaces": ""})
        assert ("bash" in text) is not anonymise


def test_hashes_of_names__differ_between_captures(proc):
    """The key is new each time; within one capture equal names are equal."""
    first, second = captured(proc, anonymise=True), captured(proc, anonymise=True)
    assert first.processes[1].name == first.processes[2].name != second.processes[1].name


def test_file__gives_back_what_was_written(proc, saved):
    """All of it; and it is never written over."""
    assert read_capture(saved) == captured(proc)
    with pytest.raises(CaptureError, match="is there already"):
        write_capture(captured(proc), saved)


def changed(path, **keys):
    """Change a capture's file behind its back."""
    document = json.loads(gzip.decompress(path.read_bytes())) | keys
    path.write_bytes(gzip.compress(json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file or directory; the file of a capture is needed"),
        (lambda path: path.write_bytes(b""), "begins with b''; a capture is compressed by gzip"),
        (lambda path: path.write_text("init---bash"), "begins with b'init---bash'"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "damaged: it is cut"),
        (lambda path: path.write_bytes(path.read_bytes()[:60] + b"!!" + path.read_bytes()[62:]), "damaged: "),
        (lambda path: changed(path, version=2), r"version 2 of the format; versions 1 to 1 are allowed"),
        (lambda path: changed(path, version="1"), "version '1' of the format"),
        (lambda path: changed(path, format="a diary"), "is not a forkbench capture"),
        (lambda path: changed(path, machine="vax"), "damaged: its content does not have its checksum"),
        (lambda path: path.write_bytes(gzip.compress(b"[1, 2]")), "is not a forkbench capture"),
        (lambda path: path.write_bytes(gzip.compress(b"{")), "damaged: Expecting"),
    ],
)
def test_file_that_is_no_capture__is_refused(saved, damage, message):
    """With where, what was found, what is allowed and what to do."""
    damage(saved)
    with pytest.raises(CaptureError, match=f"c.json.gz: .*{message}.*; .*forkbench"):
        read_capture(saved)


@pytest.mark.parametrize(
    "keys",
    [{"processes": []}, {"spaces": "AAAA"}, {"more": 1}, {"processes": [{"name": "x"}]}, {"processes": 3}],
)
def test_content_that_no_version_has__is_refused(saved, keys):
    """A right checksum does not make a capture of it."""
    document = json.loads(gzip.decompress(saved.read_bytes())) | keys
    rest = {key: entry for key, entry in document.items() if key not in ("format", "version", "checksum")}
    changed(saved, **keys, checksum=capture_file._checksum(rest))
    with pytest.raises(CaptureError, match=r"not a capture of version 1: .*; make one with"):
        read_capture(saved)


def test_comparison__counts_tables_of_the_pages_found(proc):
    """By hand: text, heap and object in three leaf tables (slots 2, 4, 5) below one table of each upper level."""
    first, second = compare(captured(proc), DESIGNS["linux26"])
    assert (first.kernel_kib, first.counted_kib, first.simulated_kib, first.reason) == (
        28,
        20,
        20,
        first.reason,
    )
    assert first.reason == "the kernel keeps 2 tables without a page: emptied, or got empty through fork"
    assert (second.pages_found, second.pages_simulated, second.forked) == (20, 20, True)


@pytest.mark.parametrize(
    ("entry", "kib", "reason"),
    [
        (smaps_entry((1024, 1536), "r--s", BASH, 7, Rss=2048, FilePmdMapped=2048), 8, "1 huge page of files"),
        (
            smaps_entry((1024, 1536), "rw-p", "/x", 8, flags="ht", Private_Hugetlb=2048),
            8,
            "memory of hugetlb",
        ),
        (smaps_entry((1024, 1536), Rss=2048, Anonymous=2048, AnonHugePages=2048), 12, ""),
        (smaps_entry((1024, 1536), Rss=2048, Anonymous=2048), 8, "the kernel had 1 table less: it ran"),
    ],
)
def test_huge_pages__have_the_leaf_tables_that_the_kernel_gives_them(proc, entry, kib, reason):
    """An anonymous one has a table set aside, one of a file none, and hugetlb is not simulated."""
    words = dict.fromkeys(range(1024, 1536), FILE if "FilePmdMapped:    2048" in entry else ANON)
    FakeProc(proc).add(20, kib, entry, words)
    (row,) = compare(captured(proc, [Task(20, 1, BASH)]), DESIGNS["mainline"])
    assert row.reason.startswith(reason)
    assert bool(row.reason) is bool(reason)


def test_process_that_runs__is_said_to(proc, monkeypatch):
    """Page tables that change each time while they are read are told as the reason."""
    figures = iter(range(100))
    monkeypatch.setattr("pipeline.capture.reading._page_tables", lambda _folder: next(figures))
    assert read_process(proc / "10", PAGE).changed
    (row, _) = compare(captured(proc), DESIGNS["mainline"])
    assert row.reason == "it ran: its page tables changed each time while they were read"


def test_lines__tell_what_was_found(proc):
    """What a user reads: what could be read, what came through fork, which files are shared."""
    found = captured(proc)
    told = capture_lines(found, "c.json.gz")
    assert told.startswith("c.json.gz: processes read: 2, not read: 1, in 0.50 s")
    assert "1 is a directory" in told
    assert "1 never exec'ed; 2 mappings of anonymous pages" in told
    assert "file 0 (bash): 2 mms, 16 pages" in told
    assert facts_of(found)["files_by_mms"]["2 to 3"] == 2
    rows = compare(found, DESIGNS["mainline"])
    assert "0 of 2 processes (0.0%)" in comparison_lines(rows, found, "mainline", "c.json.gz")


def test_machine_without_geometry__is_refused(proc):
    """The message names those that there are."""
    with pytest.raises(
        CaptureError, match=r"machine 'vax' with pages of 4 KiB; x86_64 with 4 KiB, .* are simulated"
    ):
        compare(replace(captured(proc), machine="vax"), DESIGNS["mainline"])


def test_study__holds_the_capture_and_runs_without_its_file(saved, tmp_path):
    """The plan is self-contained; rows go by the capture's label."""
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    study = load_study(tmp_path / "study.yaml")
    saved.unlink()
    outcome = run_study(study, tmp_path / "results", 0, quiet=True)
    assert not outcome.failures
    frame = analysis.load(tmp_path / "results")
    assert frame["file"].unique().tolist() == ["c.json.gz"]
    assert (frame["forks"] == 2).all()


def test_cell_ids__are_those_of_the_content(saved, proc, tmp_path):
    """Another capture makes other cells; the same one elsewhere the same."""
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    first = make_plan(load_study(tmp_path / "study.yaml"), "v").plan_id
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    saved.rename(elsewhere / saved.name)
    (elsewhere / "study.yaml").write_text(STUDY, encoding="utf-8")
    assert make_plan(load_study(elsewhere / "study.yaml"), "v").plan_id == first
    write_capture(captured(proc, TASKS[:3]), saved)
    assert make_plan(load_study(tmp_path / "study.yaml"), "v").plan_id != first


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("file: c.json.gz", "file: none.gz"), "none.gz: no such file or directory"),
        (("file: c.json.gz", "file: study.yaml"), "study.yaml: begins with b'name: mine"),
        (("{file: c.json.gz}", "{}"), "workload.capture.file: missing; workload 'capture' needs it"),
        (
            ("file: c.json.gz", "file: 3"),
            "3 is a number; write the path of a file that forkbench capture wrote",
        ),
        (
            ("geometry: x86-64\n", "geometry: arm64-64k\n"),
            "pages of 4096 bytes, geometry 'arm64-64k' of 65536",
        ),
    ],
)
def test_study_with_a_wrong_capture__is_refused(tmp_path, forkbench, change, message):
    """At the line, without a traceback."""
    (tmp_path / "study.yaml").write_text(STUDY.replace(*change), encoding="utf-8")
    done = forkbench("check", tmp_path / "study.yaml")
    assert done.returncode == 2
    assert re.search(r"study\.yaml:6:\d+: workload\.capture", done.stderr)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_commands__show_and_validate(saved, forkbench):
    """A capture that was taken before is told again, and compared."""
    assert "processes read: 2" in forkbench("capture", "--show", saved).stdout
    assert json.loads(forkbench("capture", "--show", saved, "--json").stdout)["read"] == 2
    told = json.loads(forkbench("validate-capture", saved, "--json").stdout)
    assert (told["equal"], told["compared"], len(told["processes"])) == (0, 2, 2)
    refused = forkbench("validate-capture", saved, "--design", "linus_pmd")
    assert refused.returncode == 2
    assert "--design: 'linus_pmd' cannot be compared" in refused.stderr


def test_capture__is_not_taken_over_another_file(saved, forkbench):
    """Exit code 2, and the file is what it was."""
    before = saved.read_bytes()
    done = forkbench("capture", "--out", saved)
    assert (done.returncode, saved.read_bytes()) == (2, before)
    assert "is there already" in done.stderr


CHILD = textwrap.dedent(
    r"""
    import mmap, os, sys
    memory = mmap.mmap(-1, 24 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, 1024):
        memory[page * 4096] = 1
    for page in range(4000, 4100):
        memory[page * 4096]
    if os.fork() == 0:
        memory[0] = 2
    os.write(1, b"ready\n")
    sys.stdin.read()
    """
)


def test_this_machine__is_captured_as_its_kernel_counts():
    """A program of known memory and its child: page tables counted, simulated and in the kernel are equal."""
    if not Path("/proc/self/pagemap").exists() or not Path("/proc/self/smaps").exists():
        pytest.skip("there is no /proc with smaps and pagemap")
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        try:
            lines = [child.stdout.readline() for _ in range(2)]
            assert lines == [b"ready\n"] * 2
            table = live.process_table()
            mine = {child.pid} | {task.pid for task in table if task.parent == child.pid}
            try:
                read_process(Path("/proc") / str(child.pid), PAGE)
            except PermissionError:
                pytest.skip("this user may not read its own processes' smaps")
            capturing = Capturing(Path("/proc"), PAGE, live._namer(anonymise=False))
            capturing.read([task for task in table if task.pid in mine], 0)
        finally:
            child.communicate(b"")
    found = replace(capturing.finished(anonymised=False, seconds=0.0), machine="x86_64")
    rows = compare(found, DESIGNS["mainline"])
    assert [row.forked for row in rows] == [False, True]
    assert [row.simulated_kib for row in rows] == [row.counted_kib for row in rows]
    plain = compare(found, DESIGNS["linux26"])  # without fault-around, which maps pages besides
    assert [row.pages_simulated for row in plain] == [row.pages_found for row in plain]
    for row, process in zip(rows, found.processes[1:], strict=True):
        if not process.changed and process.placed:  # tables that were emptied are kept
            assert row.counted_kib <= row.kernel_kib <= row.counted_kib + 12


def test_commands__capture_this_machine_and_say_why_processes_differ(forkbench):
    """Whatever runs here: it is captured and compared, and no difference goes unexplained."""
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip(f"no geometry is like that of {platform.machine()}")
    try:
        Path("/proc/self/smaps").read_bytes()
        Path("/proc/self/pagemap").open("rb").close()
    except OSError as error:
        pytest.skip(f"this user may not read its own processes' memory maps: {error}")
    done = forkbench("capture", "--out", "here.json.gz", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["read"] >= 1  # this test itself
    told = json.loads(forkbench("validate-capture", "here.json.gz", "--json").stdout)
    assert told["compared"] == json.loads(done.stdout)["read"]
    reasons = [row["reason"] for row in told["processes"] if row["reason"]]
    assert len(reasons) == told["compared"] - told["equal"]
    assert "not explained" not in reasons


def test_machine_without_smaps__is_refused(monkeypatch):
    """Other systems have no such files."""
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    with pytest.raises(CaptureError, match=r"no smaps of processes there; a Linux .* is needed"):
        take_capture()
