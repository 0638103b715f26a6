"""Whether the cost is linear in the number of events, and what a start costs before the first event."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from pipeline.bench.timing import pinned, simulate_once
from pipeline.bench.traces import Sizes, shell
from pipeline.errors import RefusedError
from simcore.simulate import warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.bench.traces import Workload

EVENTS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
ENOUGH = (
    3_000_000  # events of one size: a size is repeated until it has simulated as many, or as often as asked
)
_EVENTS_PER_FORK = 6
_WARM_STARTS = 3
_WORKER_STARTS = "from simcore.simulate import warm_up; warm_up()"


def scaling(
    designs: Sequence[str], repeats: int, say: Callable[[str], None], events: Sequence[int] = EVENTS
) -> dict[str, Any]:
    """Return design -> events -> ns per event and memory, for W4 with more and more forks.

    One trace is in memory at a time; that of 10 million events takes 640 MB.
    """
    warm_up()
    found: dict[str, Any] = {design: {} for design in designs}
    with pinned():
        for wanted in events:
            say(f"scaling: {wanted:,} events")
            workload = shell(Sizes(shell_forks=-(-wanted // _EVENTS_PER_FORK)))
            times = min(repeats, max(1, ENOUGH // wanted))
            for design in designs:
                found[design][str(wanted)] = _cost(workload, design, times)
            del workload
    return found


def _cost(workload: Workload, design: str, times: int) -> dict[str, Any]:
    """Return what the events of a workload cost, or why a design failed at them."""
    try:
        runs = [simulate_once(workload, design) for _ in range(times)]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one design, the others are timed
        return {"failed": f"{type(error).__name__}: {error}"}
    return {
        "events": runs[-1].events,
        "ns_per_event": round(median(run.ns for run in runs) / runs[-1].events, 1),
        "runs": times,
        "memory_bytes": runs[-1].memory_bytes,
    }


def startup(say: Callable[[str], None]) -> dict[str, float]:
    """Return in seconds what a worker's start costs: the first on a machine, which compiles, and later ones."""
    with tempfile.TemporaryDirectory() as cache:
        say("start-up: the first start compiles the engine")
        first = _start_seconds(cache)
        later = [_start_seconds(cache) for _ in range(_WARM_STARTS)]
    return {"first_start_s": round(first, 2), "warm_start_s": round(median(later), 2)}


def _start_seconds(cache: str) -> float:
    """Return how long a Python takes from its start to its end if it makes the simulator ready in between."""
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - no shell, this very Python
        [sys.executable, "-c", _WORKER_STARTS],
        env=os.environ | {"FORKBENCH_CACHE": cache}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise RefusedError(
            f"start-up: a worker did not come up ({said[0]}); the simulator must import and compile; run make check"
        )
    return time.perf_counter() - begun


def render_scaling(found: dict[str, Any]) -> str:
    """Return the figures of ``scaling`` as a table."""
    lines = [
        "cost against the number of events: W4 with more and more forks",
        f"{'design':<16}{'events':>12}{'ns/event':>11}{'runs':>6}",
    ]
    lines += [_line(design, wanted, row) for design, rows in found.items() for wanted, row in rows.items()]
    return "\n".join(lines)


def _line(design: str, wanted: str, row: dict[str, Any]) -> str:
    """Return the line of one design and size."""
    if "failed" in row:
        return f"{design:<16}{int(wanted):>12,}  failed: {row['failed']}"
    return f"{design:<16}{row['events']:>12,}{row['ns_per_event']:>11,.1f}{row['runs']:>6}"


def render_startup(found: dict[str, float]) -> str:
    """Return the figures of ``startup`` as lines."""
    return (
        f"first start, nothing compiled yet: {found['first_start_s']:.2f} s\n"
        f"start of a worker, compiled code in the cache: {found['warm_start_s']:.2f} s"
    )
