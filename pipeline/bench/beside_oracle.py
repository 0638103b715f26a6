"""How fast the engine is beside the oracle, on workloads that are small enough for the oracle."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.bench.traces import GEOMETRY, Sizes, shell, snapshot
from simcore import DESIGNS
from simcore.simulate import start, warm_up
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simcore.events import Trace

SMALL = Sizes(snapshot_pages=8_192, snapshot_forks=10, shell_forks=100)


class Timing(NamedTuple):
    """One design on one workload; times in ns; ``failed`` says why there are none."""

    workload: str
    design: str
    events: int
    touches: int = 0
    engine_ns: float = 0
    oracle_ns: float = 0
    failed: str = ""

    def row(self) -> dict[str, Any]:
        """Return the figures that are printed."""
        named: dict[str, Any] = {"workload": self.workload, "design": self.design, "events": self.events}
        if self.failed:
            return named | {"failed": self.failed}
        return named | {
            "touches": self.touches,
            "engine_ns_per_event": round(self.engine_ns / self.events, 1),
            "oracle_ns_per_event": round(self.oracle_ns / self.events, 1),
            "engine_ns_per_touch": round(self.engine_ns / self.touches, 1),
            "oracle_over_engine": round(self.oracle_ns / self.engine_ns, 1),
        }


def measure(designs: Sequence[str], repeats: int) -> list[Timing]:
    """Time every design on every small workload: engine and oracle in turn, medians of the engine's runs."""
    warm_up()
    traces = {name: make() for name, make in SMALL_WORKLOADS.items()}
    return [_time(name, trace, design, repeats) for name, trace in traces.items() for design in designs]


def _time(name: str, trace: Trace, design: str, repeats: int) -> Timing:
    """Run one trace under one design, the oracle in the middle of the engine's runs."""
    try:
        before = [_run(trace, design, "fast")[0] for _ in range(repeats // 2)]
        oracle, touches = _run(trace, design, "oracle")
        after = [_run(trace, design, "fast")[0] for _ in range(repeats - repeats // 2)]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one design, the others are timed
        return Timing(name, design, len(trace), failed=f"{type(error).__name__}: {error}")
    return Timing(name, design, len(trace), touches, median(before + after), oracle)


def _run(trace: Trace, design: str, engine: str) -> tuple[float, int]:
    """Return the ns that the events of a trace take, and the pages touched; ``start`` is not timed."""
    machine = start(trace, DESIGNS[design], GEOMETRY, engine)
    begun = time.perf_counter_ns()
    machine.run()
    return time.perf_counter_ns() - begun, machine.result().touches


def _tree() -> Trace:
    """Return the trace of a process tree of depth 4 and fan-out 3: 121 small shells, 60 % of which exec."""
    params = defaults(WORKLOADS["tree"]) | {"tree": {"depth": 4, "fan_out": 3}}
    return WORKLOADS["tree"].make(params, GEOMETRY, np.random.default_rng(1))


SMALL_WORKLOADS: dict[str, Callable[[], Trace]] = {
    "snapshot": lambda: snapshot(SMALL, execs=False).trace,
    "shell": lambda: shell(SMALL).trace,
    "tree": _tree,
}


def render(rows: list[dict[str, Any]]) -> str:
    """Return the rows of timings as a table."""
    lines = [
        "engine against oracle, in this run on this machine (medians of the engine's runs, one run of the oracle)",
        f"{'workload':<10}{'design':<16}{'events':>8}{'touches':>9}{'engine':>12}{'engine':>11}{'oracle':>13}{'ratio':>8}",
        f"{'':<10}{'':<16}{'':>8}{'':>9}{'ns/event':>12}{'ns/touch':>11}{'ns/event':>13}{'':>8}",
    ]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(row: dict[str, Any]) -> str:
    """Return the line of one design on one workload."""
    begin = f"{row['workload']:<10}{row['design']:<16}{row['events']:>8,}"
    if "failed" in row:
        return f"{begin}  failed: {row['failed']}"
    return (
        f"{begin}{row['touches']:>9,}{row['engine_ns_per_event']:>12,.0f}{row['engine_ns_per_touch']:>11,.1f}"
        f"{row['oracle_ns_per_event']:>13,.0f}{row['oracle_over_engine']:>8,.0f}"
    )
