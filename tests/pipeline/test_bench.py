"""Does the benchmark time what it says? No test looks at a time."""

import json
import shutil
import sys

import numpy as np
import pytest
from traces import DEEP

from pipeline.bench import beside_oracle, scaling, sweeps
from pipeline.bench.real import KERNEL, LOOP, Programs, Run
from pipeline.bench.table import figures, render, target
from pipeline.bench.timing import Request, Simulated, Timings, measure
from pipeline.bench.traces import GEOMETRY, WORKLOADS, Sizes, random_pages
from simcore import DESIGNS
from simcore.check import check_trace
from simcore.simulate import simulate

SMALL = Sizes(
    snapshot_forks=5, snapshot_pages=2_048, snapshot_writes=16,
    tree_depth=2, tree_fan_out=2, tree_library=600, tree_private=40, tree_writes=20,
    shell_forks=12, real_shell_forks=6,
)  # fmt: skip
CHILDREN = {"w1": 5, "w2": 5, "w3": 6, "w4": 12}
EVENTS = {
    "w1": 3 + 5 * 3,
    "w2": 3 + 5 * 5,
    "w3": 5 + 6 * 3 + 3 * 5,  # fork, write, exit; and in every second child exec, mmap, read, mmap, write
    "w4": 3 + 12 * 6,
}


def quiet(step):
    """Say nothing."""


@pytest.mark.parametrize("name", WORKLOADS)
def test_traces__have_the_events_and_processes_they_should(name):
    """A small workload is well formed; all its children are born and exit."""
    workload = WORKLOADS[name].make(SMALL)
    check_trace(workload.trace, GEOMETRY)
    assert len(workload.trace) == EVENTS[name]
    assert workload.forks == CHILDREN[name]
    counts = simulate(workload.trace, DESIGNS["linux24"], GEOMETRY).counts()
    assert counts["forks"] == counts["exits"] == CHILDREN[name]
    assert counts["execs"] == 1 + {"w1": 0, "w2": 5, "w3": 3, "w4": 12}[name]


@pytest.mark.parametrize("name", WORKLOADS)
def test_traces__give_the_same_counts_in_the_oracle(name):
    """What is timed is what the specification says."""
    trace = WORKLOADS[name].make(SMALL).trace
    fast, slow = (simulate(trace, DESIGNS["linus_pmd"], GEOMETRY, engine) for engine in ("fast", "oracle"))
    assert fast.counts() == slow.counts()


def test_traces__have_the_size_that_the_table_names():
    """At full size W3 has 5,461 processes, and the set-up touches what it says."""
    tree = WORKLOADS["w3"].make(Sizes())
    assert tree.forks + 1 == 5_461
    assert tree.trace.tasks == 5_461
    assert len(WORKLOADS["w4"].make(Sizes()).trace) == 600_003
    assert WORKLOADS["w1"].make(Sizes()).trace.events[2]["count"] * GEOMETRY.page_bytes == 1 << 30


def test_random_pages__are_those_of_splitmix64():
    """The first three outputs for seed 0, low halves; C and numpy draw the same."""
    assert random_pages(3, 1 << 32).tolist() == [0x7B1DCDAF, 0xA1B965F4, 0x8009454F]
    assert np.all(random_pages(1_000, 7) < 7)


def canned(*, real=True):
    """Return timings of two designs on W1, one of which failed on W4, with round numbers."""
    runs = [Simulated(ns, 300, 6_400, 3 << 20) for ns in (900_000, 1_000_000, 5_000_000)]
    simulated = {("w1", "linux24"): runs, ("w1", "vfork"): runs, ("w4", "linux24"): runs}
    rivals = {
        (KERNEL, "w1"): [Run(4_000e6, 6_600), Run(6_000e6, 6_600), Run(5_500e6, 6_600)],
        (LOOP, "w1"): [Run(70e6, 0)],
        (KERNEL, "w4"): [Run(100e6, 99)],
    }
    skipped = {} if real else {KERNEL: "no C compiler was found on the path", LOOP: "the same"}
    return Timings(simulated, {("w4", "vfork"): "ValueError: broken"}, rivals if real else {}, skipped)


ASKED = Request(("w1", "w4"), ("linux24", "vfork"), 3)


def test_figures__are_medians_and_their_ratios():
    """5,500 ms over 1 ms is 5,500; the target of linux24 on W1 is met."""
    found = figures(canned(), ASKED)
    assert set(found) == {"w1", "w4", "about"}
    one = found["w1"]["linux24"]
    assert one["real_over_simulated"] == 5_500
    assert one["c_loop_over_simulated"] == 70
    assert (one["target"], one["met"]) == (5_000, True)
    assert (one["ns_per_event"], one["ns_per_fault"]) == (3_333.3, 156.2)
    assert (one["events"], one["faults"], one["memory_bytes"]) == (300, 6_400, 3 << 20)
    assert (one["simulated_ms"], one["real_ms"]) == (1.0, 5_500.0)
    assert found["w4"]["linux24"]["met"] is False
    assert found["w4"]["linux24"]["c_loop_over_simulated"] is None
    assert found["w4"]["vfork"] == {"failed": "ValueError: broken"}
    assert found["about"]["workloads"]["w4"]["real_is_scaled_from"] == "2,000 of 100,000 forks"
    assert json.loads(json.dumps(found)) == found


def test_render__says_met_missed_and_failed():
    """Verdicts are words; a scaled time says so."""
    text = render(figures(canned(), ASKED))
    assert "W1: 262,144 anonymous pages" in text
    assert "real machine: 5,500.0 ms (4,000.0 to 6,000.0, 3 runs), 6,600 minor faults" in text
    assert "2,000 of 100,000 forks, the time scaled up" in text
    lines = {tuple(line.split()[:4]) for line in text.splitlines()}
    assert ("linux24", "5,500", "5,000", "met") in lines
    assert ("linux24", "100", "2,000", "missed") in lines
    assert ("vfork", "failed:", "ValueError:", "broken") in lines


def test_render__without_the_machine_says_why():
    """No ratio, no verdict, but the reason and the simulator's own figures."""
    found = figures(canned(real=False), ASKED)
    assert found["w1"]["linux24"]["real_over_simulated"] is None
    assert found["w1"]["linux24"]["met"] is None
    text = render(found)
    assert "real: skipped: no C compiler was found on the path" in text
    assert "met" not in text.split()
    assert "missed" not in text.split()


def test_targets__are_higher_for_the_main_designs():
    """Four designs have targets of their own, whether or not they exist yet."""
    assert target("w2", "mainline") == 100_000
    assert target("w3", "phillips") == 500
    assert target("w2", "vfork") == 200


def test_measure__reports_a_design_that_fails_and_times_the_others():
    """A design that cannot run is a line of the report, not its end."""
    asked = Request(("w2", "w4"), ("linux24", "nonsense"), 2, real=False, sizes=SMALL)
    found = figures(measure(asked, quiet), asked)
    assert found["w2"]["nonsense"] == {"failed": "KeyError: 'nonsense'"}
    assert found["w2"]["linux24"]["events"] == EVENTS["w2"] - 3
    assert (
        found["w2"]["linux24"]["faults"] == 5 * 4
    )  # two pages of text and two of the stack, in five children
    assert found["w4"]["linux24"]["faults"] == 12 * 210
    assert found["about"]["skipped"][KERNEL] == "not asked for (--no-real)"
    assert "nonsense        failed: KeyError" in render(found)


def test_real__is_skipped_with_the_reason_without_a_compiler(monkeypatch, tmp_path):
    """An empty path has no compiler; the rest of the benchmark goes on."""
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = Request(("w2",), ("linux24",), 1, sizes=SMALL)
    found = figures(measure(asked, quiet), asked)
    assert "no C compiler was found on the path" in found["about"]["skipped"][LOOP]
    assert KERNEL in found["about"]["skipped"]
    assert found["w2"]["linux24"]["real_ms"] is None
    assert found["w2"]["linux24"]["ns_per_event"] > 0


def test_real__is_skipped_with_the_reason_if_it_does_not_compile(monkeypatch, tmp_path):
    """The compiler's own words are passed on."""
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'in some file' >&2\necho 'x.c:1: error: no header' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "does not compile loops.c (x.c:1: error: no header)" in Programs(tmp_path, SMALL).skipped[LOOP]


@pytest.fixture
def programs(tmp_path):
    """Return the compiled programs, in a small size."""
    if not sys.platform.startswith("linux") or not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("the real machine needs Linux and a C compiler")
    made = Programs(tmp_path, SMALL)
    if made.skipped:
        pytest.skip(f"{made.skipped}")
    return made


def test_real__runs_every_workload(programs):
    """Each takes some time; written pages fault one by one, since there are no huge pages."""
    real = {name: programs.time(KERNEL, name) for name in WORKLOADS}
    loops = {name: programs.time(LOOP, name) for name in WORKLOADS}
    assert not programs.skipped
    assert all(run.ns > 0 for run in [*real.values(), *loops.values()])
    assert real["w1"].minor_faults >= len(set(random_pages(5 * 16, 2_048)))
    assert real["w2"].minor_faults >= 5
    assert real["w3"].minor_faults >= 6 * 20 + 3 * 40
    assert real["w4"].minor_faults >= 6 * 110
    assert programs.scale(KERNEL, "w4") == 2
    assert programs.scale(LOOP, "w4") == 1


def test_real__that_fails_is_skipped_from_then_on(programs, tmp_path):
    """The reason names the workload and what the program said; the loops go on."""
    (tmp_path / "library").unlink()
    assert programs.time(KERNEL, "w3") is None
    assert "w3 failed" in programs.skipped[KERNEL]
    assert "library: errno 2" in programs.skipped[KERNEL]
    assert programs.time(KERNEL, "w4") is None
    assert programs.time(LOOP, "w3") is not None


def test_scaling__has_a_figure_for_each_size():
    """Whole forks: the number of events is rounded up to them."""
    found = scaling.scaling(["linux24", "nonsense"], 2, quiet, events=(10, 600))
    assert [row["events"] for row in found["linux24"].values()] == [12, 600]
    assert found["nonsense"]["600"] == {"failed": "KeyError: 'nonsense'"}
    text = scaling.render_scaling(found)
    assert "ns/event" in text
    assert "600  failed: KeyError" in text


def test_startup__is_told_in_two_lines():
    """The first start and a later one."""
    text = scaling.render_startup({"first_start_s": 13.0, "warm_start_s": 0.4})
    assert [line.rpartition(": ")[2] for line in text.splitlines()] == ["13.00 s", "0.40 s"]


def test_beside_oracle__has_a_row_a_design_and_workload():
    """The ratio comes with both sides; a design that fails is reported."""
    timing = beside_oracle.Timing("shell", "vfork", 100, 1_000, 50_000.0, 5_000_000.0)
    assert timing.row()["oracle_over_engine"] == 100
    failed = [each.row() for each in beside_oracle.measure(["nonsense"], 1)]
    assert [row["workload"] for row in failed] == ["snapshot", "shell", "tree"]
    text = beside_oracle.render([timing.row(), *failed])
    assert "100" in text
    assert "failed: KeyError" in text


def test_command__prints_json_and_refuses_unknown_names(forkbench):
    """The shape that scripts read: workload, design, name."""
    done = forkbench(
        "bench", "--json", "--no-real", "--repeats", "1", "--only", "W2", "--designs", "linus_pmd"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["w2"]["linus_pmd"]["events"] == 500
    refused = forkbench("bench", "--only", "w9")
    assert refused.returncode == 2
    assert refused.stderr.startswith("--only: unknown name 'w9'")


@pytest.mark.skipif(not DEEP, reason="starts a dozen processes; run with HYPOTHESIS_PROFILE=deep")
def test_pipeline_benchmark__plans_sweeps_and_starts(monkeypatch):
    """Every figure is there, of the cells that were asked for; the tables name them."""
    monkeypatch.setattr(sweeps, "PLANNED", (100,))
    monkeypatch.setattr(sweeps, "SWEPT", 3)
    monkeypatch.setattr(sweeps, "LONG", (3, 1_000))
    found = sweeps.sweeps(1, lambda _: None)
    assert found["planned"]["100"]["cells"] == 100
    assert {each["cells"] for each in found["swept"].values()} == {6}
    assert [each["cells"] for each in found["long"].values()] == [6, 2_000]
    assert found["read"]["rows"] == 6
    told = sweeps.render_sweeps(found)
    for name in (
        "100 cells",
        "bare loop",
        "2 workers",
        "forkbench --help",
        "forkbench run, 1 cell, cold",
        "beyond a bare loop",
    ):
        assert name in told
