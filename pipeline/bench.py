"""How fast the engine is, beside the oracle, in one run: a ratio, since machines and moods differ."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simcore import DESIGNS, GEOMETRIES, Mapping, TraceBuilder, VmaKind
from simcore.simulate import start, warm_up
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcore.events import Trace

BENCH_DESIGNS = ("linux24", "rmap25", "phillips", "linus_pmd", "vfork")
REPEATS = 7
GEOMETRY = GEOMETRIES["x86-64"]
_HEAP = GEOMETRY.mmap_vpn


class Timing(NamedTuple):
    """One design on one workload; times in ns."""

    workload: str
    design: str
    events: int
    touches: int
    engine_ns: float
    oracle_ns: float

    def row(self) -> dict[str, Any]:
        """Return the figures that are printed."""
        return {
            "workload": self.workload,
            "design": self.design,
            "events": self.events,
            "touches": self.touches,
            "engine_ns_per_event": round(self.engine_ns / self.events, 1),
            "oracle_ns_per_event": round(self.oracle_ns / self.events, 1),
            "engine_ns_per_touch": round(self.engine_ns / self.touches, 1),
            "oracle_over_engine": round(self.oracle_ns / self.engine_ns, 1),
        }


def measure(repeats: int = REPEATS) -> list[Timing]:
    """Time every bench design on every bench workload: engine and oracle in turn, medians of the engine's runs."""
    warm_up()
    return [
        _time(name, make(), design, repeats)
        for name, make in BENCH_WORKLOADS.items()
        for design in BENCH_DESIGNS
    ]


def _time(name: str, trace: Trace, design: str, repeats: int) -> Timing:
    """Run one trace under one design, the oracle in the middle of the engine's runs."""
    before = [_run(trace, design, "fast")[0] for _ in range(repeats // 2)]
    oracle, touches = _run(trace, design, "oracle")
    after = [_run(trace, design, "fast")[0] for _ in range(repeats - repeats // 2)]
    return Timing(name, design, len(trace), touches, median(before + after), oracle)


def _run(trace: Trace, design: str, engine: str) -> tuple[float, int]:
    """Return the ns that the events of a trace take, set-up left out, and the pages touched."""
    machine = start(trace, DESIGNS[design], GEOMETRY, engine)
    begun = time.perf_counter_ns()
    machine.run()
    return time.perf_counter_ns() - begun, machine.result().touches


def _snapshot() -> Trace:
    """Return a trace: 32 MiB of anonymous memory; 10 times fork, the child writes 64 random pages and exits."""
    pages, rng = 8192, np.random.default_rng(1)
    builder = TraceBuilder()
    builder.mmap(0, Mapping(_HEAP, pages, VmaKind.ANON))
    builder.write(0, _HEAP, pages)
    for _ in range(10):
        builder.fork(0, 1)
        builder.write_pages(1, (_HEAP + rng.integers(0, pages, 64)).tolist())
        builder.exit(1)
    return builder.build()


def _shell() -> Trace:
    """Return a trace: 100 times fork, write 10 pages, exec, touch 200 pages, exit."""
    builder = TraceBuilder()
    text = Mapping(GEOMETRY.text_vpn, 100, VmaKind.FILE_PRIVATE, writable=False, file=0)
    image = builder.image([text, Mapping(_HEAP, 100, VmaKind.ANON)])
    builder.exec(0, image)
    builder.read(0, text.start, 100)
    builder.write(0, _HEAP, 100)
    for _ in range(100):
        builder.fork(0, 1)
        builder.write(1, _HEAP, 10)
        builder.exec(1, image)
        builder.read(1, text.start, 100)
        builder.write(1, _HEAP, 100)
        builder.exit(1)
    return builder.build()


def _tree() -> Trace:
    """Return the trace of a process tree of depth 4 and fan-out 3: 121 small shells, 60 % of which exec."""
    params = defaults(WORKLOADS["tree"]) | {"tree": {"depth": 4, "fan_out": 3}}
    return WORKLOADS["tree"].make(params, GEOMETRY, np.random.default_rng(1))


BENCH_WORKLOADS: dict[str, Callable[[], Trace]] = {"snapshot": _snapshot, "shell": _shell, "tree": _tree}


def render(timings: list[Timing]) -> str:
    """Return the timings as a table."""
    lines = [
        "engine against oracle, in this run on this machine (medians of the engine's runs, one run of the oracle)",
        f"{'workload':<10}{'design':<12}{'events':>8}{'touches':>9}{'engine':>12}{'engine':>11}{'oracle':>13}{'ratio':>8}",
        f"{'':<10}{'':<12}{'':>8}{'':>9}{'ns/event':>12}{'ns/touch':>11}{'ns/event':>13}{'':>8}",
    ]
    lines += [
        f"{row['workload']:<10}{row['design']:<12}{row['events']:>8,}{row['touches']:>9,}"
        f"{row['engine_ns_per_event']:>12,.0f}{row['engine_ns_per_touch']:>11,.0f}"
        f"{row['oracle_ns_per_event']:>13,.0f}{row['oracle_over_engine']:>8,.0f}"
        for row in (timing.row() for timing in timings)
    ]
    return "\n".join(lines)
