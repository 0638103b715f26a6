"""What the pipeline costs around the simulator: planning, sweeping beside a bare loop, starting. Ratios of one run.

Each figure is measured in a process of its own, so that its memory is its own too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from pipeline.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

PLANNED = (10_000, 1_000_000)  # cells; ten designs
SWEPT = 1_000  # points of two designs each, of the smallest traces: all that is not simulation shows
LONG = (1_000, 50_000)  # points of sweeps whose drivers' memory is compared: 2,000 and 100,000 cells
_DESIGNS = [
    "linux24",
    "rmap25",
    "linux26",
    "phillips",
    "linus_pmd",
    "mainline",
    "odf",
    "cow_pte",
    "async_fork",
    "vfork",
]
_WIDE = 1_000  # values of an axis
_TEN = [number / 10 for number in range(10)]

_PLAN = """
import json, resource, sys, time
from pathlib import Path
from pipeline.study import load_study
from pipeline.survey import survey
from pipeline.provenance import model_version
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
found = survey(load_study(Path(sys.argv[1])), model_version(), Path(sys.argv[1] + ".none"))
seconds = time.perf_counter() - start
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"cells": found.cells, "seconds": seconds, "peak_kib": most, "grown_kib": most - before}))
"""
_SWEEP = """
import json, resource, sys, time
from pathlib import Path
from pipeline.study import load_study
from pipeline.plan import make_plan
from pipeline.provenance import model_version
from pipeline.sweep import jobs_of, run_study
from pipeline.work import run_batch, warm_up
file, workers, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
study = load_study(file)
warm_up()
run_batch(jobs_of(make_plan(study, model_version()), set())[:20])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
if workers == "bare":
    cells = len(run_batch(jobs_of(make_plan(study, model_version()), set())).rows)
else:
    cells = run_study(study, folder, int(workers), quiet=True).simulated
seconds = time.perf_counter() - start
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"cells": cells, "seconds": seconds, "peak_kib": most, "grown_kib": most - before}))
"""
_READ = """
import json, sys, time
from pipeline import analysis, store
start = time.perf_counter()
rows = len(store.read(sys.argv[1]))
seconds = time.perf_counter() - start
frame = analysis.load(sys.argv[1])
print(json.dumps({"rows": rows, "seconds": seconds, "frame_seconds": time.perf_counter() - start - seconds}))
"""


def sweeps(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return what planning, sweeping and starting cost; ``rounds`` of each, medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planned = {}
        for cells in PLANNED:
            say(f"planning {cells:,} cells")
            file = _study(folder / f"plan-{cells}.yaml", _planned(cells))
            planned[str(cells)] = _medians([_python(_PLAN, str(file)) for _ in range(rounds)])
        file = _study(folder / "sweep.yaml", _swept(SWEPT))
        runs: dict[str, list[dict[str, Any]]] = {"bare": [], "0": [], "1": [], "2": []}
        for turn in range(rounds):
            for workers, found in runs.items():
                say(f"sweeping, round {turn + 1}, {_NAMES[workers]}")
                found.append(_python(_SWEEP, str(file), workers, str(folder / f"out-{turn}-{workers}")))
        say("reading back")
        read = [_python(_READ, str(folder / f"out-{turn}-2")) for turn in range(rounds)]
        long = {}
        for points in LONG:
            say(f"the driver's memory: {2 * points:,} cells")
            file = _study(folder / f"long-{points}.yaml", _swept(points))
            long[str(2 * points)] = _python(_SWEEP, str(file), "2", str(folder / f"long-{points}"))
        say("starting")
        one = str(
            _study(folder / "one.yaml", _swept(1) | {"sweep": {}, "designs": ["linux24"], "floor": None})
        )
        starts = {
            "python -c pass": [_seconds(sys.executable, "-c", "pass") for _ in range(rounds)],
            "forkbench --help": [_command("--help") for _ in range(rounds)],
            "forkbench check": [_command("check", one) for _ in range(rounds)],
            "forkbench run, 1 cell": [
                _command("run", one, "--quiet", "--workers", "0", "--results", str(folder / f"one-{turn}"))
                for turn in range(rounds)
            ],
        }
        cold = {"FORKBENCH_CACHE": str(folder / "cold"), "PYTHONPYCACHEPREFIX": str(folder / "cold-code")}
        starts["forkbench --help, cold"] = [_command("--help", **cold)]
        say("starting a study on a machine that has compiled nothing yet")
        starts["forkbench run, 1 cell, cold"] = [
            _command("run", one, "--quiet", "--workers", "0", "--results", str(folder / "one-cold"), **cold)
        ]
    return {
        "planned": planned,
        "swept": {workers: _medians(found) for workers, found in runs.items()},
        "long": long,
        "read": _medians(read),
        "starts": {name: round(median(found), 3) for name, found in starts.items()},
    }


_NAMES = {"bare": "bare loop", "0": "in one process", "1": "1 worker", "2": "2 workers"}


def render_sweeps(found: dict[str, Any]) -> str:
    """Return the figures as tables."""
    lines = [f"{'planning':<24}{'seconds':>10}{'us a cell':>12}{'peak MB':>10}{'grown MB':>10}"]
    for cells, each in found["planned"].items():
        micro = each["seconds"] / each["cells"] * 1e6
        memory = f"{each['peak_kib'] / 1024:>10.0f}{each['grown_kib'] / 1024:>10.0f}"
        lines.append(f"{int(cells):>9,} cells         {each['seconds']:>10.2f}{micro:>12.1f}{memory}")
    bare = found["swept"]["bare"]
    lines += ["", f"{'sweeping':<24}{'seconds':>10}{'us a cell':>12}{'x bare':>10}{'grown MB':>10}"]
    for workers, each in found["swept"].items():
        micro, ratio = each["seconds"] / each["cells"] * 1e6, each["seconds"] / bare["seconds"]
        grown = each["grown_kib"] / 1024
        lines.append(
            f"{_NAMES[workers]:<24}{each['seconds']:>10.2f}{micro:>12.0f}{ratio:>10.2f}{grown:>10.0f}"
        )
    lines += ["", *_told_beside(found)]
    least = found["starts"]["python -c pass"]
    lines += ["", f"{'starting':<24}{'seconds':>10}{'x python':>12}"]
    lines += [f"{name:<24}{each:>10.2f}{each / least:>12.1f}" for name, each in found["starts"].items()]
    return "\n".join(lines)


def _told_beside(found: dict[str, Any]) -> list[str]:
    """Return what follows from sweeps: overhead, gain of a second worker, memory, reading back."""
    each = {workers: run["seconds"] / run["cells"] * 1e3 for workers, run in found["swept"].items()}
    alone = each["0"] - each["bare"]
    lines = [
        f"beyond a bare loop:           {alone:.2f} ms a cell, {each['1'] - each['bare']:.2f} with 1 worker",
        f"2 workers against 1:          {each['1'] / each['2']:.2f} x",
    ]
    few, many = (found["long"][str(2 * points)] for points in LONG)
    grown = (many["peak_kib"] - few["peak_kib"]) / 1024
    lines.append(
        f"driver's memory:              {grown:.0f} MB more for {many['cells']:,} cells than for {few['cells']:,} "
        f"({many['peak_kib'] / 1024:.0f} MB), {many['seconds'] / many['cells'] * 1e3:.2f} ms a cell with 2 workers"
    )
    rows, seconds, frame_seconds = found["read"].values()
    lines.append(
        f"reading back {rows:,} rows:      {seconds:.2f} s as a table, {frame_seconds:.2f} s more as a frame"
    )
    return lines


def _planned(cells: int) -> dict[str, Any]:
    """Return a study of so many cells, a power of ten from 100: ten designs on a grid with ten values an axis."""
    axes = {"exec_ratio": _TEN, "library_sharing": _TEN, "library_inherited": _TEN}
    axes |= {name: list(range(20, 120, 10)) for name in ("anon_pages", "file_pages")}
    wanted = len(str(cells)) - 2
    return _head(_DESIGNS) | {"sweep": dict(list(axes.items())[:wanted])}


def _swept(points: int) -> dict[str, Any]:
    """Return a study of many small cells."""
    small = {"tree": {"depth": 0, "fan_out": 1}, "file_pages": 4}
    return _head(["linux24", "vfork"]) | {
        "workload": {"tree": small},
        "sweep": {"anon_pages": list(range(1, min(points, _WIDE) + 1))} | _repeated(points),
    }


def _repeated(points: int) -> dict[str, Any]:
    """Return a second axis where one would get long: its cells cost the same."""
    return {"exec_ratio": [number / 1e3 for number in range(points // _WIDE)]} if points > _WIDE else {}


def _head(designs: list[str]) -> dict[str, Any]:
    """Return a study without a sweep."""
    return {
        "name": "bench",
        "question": "What does the pipeline cost?",
        "designs": designs,
        "workload": "tree",
    }


def _study(file: Path, data: dict[str, Any]) -> Path:
    """Write a study; JSON is YAML."""
    file.write_text(json.dumps(data), encoding="utf-8")
    return file


def _medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure."""
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _python(code: str, *arguments: str) -> dict[str, Any]:
    """Return what a process prints as JSON."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    if done.returncode != 0:
        raise RefusedError(f"a process of the benchmark failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _command(*arguments: str, **environment: str) -> float:
    """Return the seconds of a forkbench command."""
    return _seconds(sys.executable, "-m", "pipeline.cli", *arguments, **environment)


def _seconds(*command: str, **environment: str) -> float:
    """Return the seconds of a command."""
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=os.environ | environment)  # noqa: S603 - our own commands
    return time.perf_counter() - start
