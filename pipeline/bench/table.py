"""From timings to figures, from figures to a table. Ratios first: they survive a change of machine, times do not."""

from __future__ import annotations

import os
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

from pipeline.bench.real import KERNEL, LOOP
from pipeline.bench.traces import WORKLOADS
from pipeline.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.bench.real import Run
    from pipeline.bench.timing import Request, Simulated, Timings

# How many times faster than the machine itself the engine shall be: what prototypes of it reached, rounded down.
# The four designs that studies compare most have targets of their own.
MAIN_DESIGNS = ("linux24", "phillips", "linus_pmd", "mainline")
MAIN_TARGETS = {"w1": 5_000, "w2": 100_000, "w3": 500, "w4": 2_000}
TARGET = 200

NOT_TIMED = (
    "Not timed, on either side: set-up (mapping and first writes). In the simulator: making the trace, checking it "
    "and laying it out for a design (start)."
)


def figures(timings: Timings, request: Request) -> dict[str, Any]:
    """Return all figures: workload -> design -> name -> value, and under "about" what belongs to the run."""
    found: dict[str, Any] = {
        workload: {design: _figures_of(timings, workload, design) for design in request.designs}
        for workload in request.workloads
    }
    found["about"] = {
        "machine": provenance()["host"],
        "repeats": request.repeats,
        "not_timed": NOT_TIMED,
        "skipped": timings.skipped,
        "workloads": {name: _about(timings, request, name) for name in request.workloads},
        "peak_rss_bytes": _peak_rss(),
        "load_average": round(os.getloadavg()[0], 2),
    }
    return found


def _figures_of(timings: Timings, workload: str, design: str) -> dict[str, Any]:
    """Return the figures of one design on one workload, or why there are none."""
    if (workload, design) in timings.failed:
        return {"failed": timings.failed[workload, design]}
    runs: list[Simulated] = timings.simulated[workload, design]
    ns, last = median(run.ns for run in runs), runs[-1]
    real, loop = (_median_ns(timings.rivals.get((side, workload), [])) for side in (KERNEL, LOOP))
    ratio = _ratio(real, ns)
    wanted = target(workload, design)
    return {
        "real_over_simulated": ratio,
        "target": wanted,
        "met": None if ratio is None else ratio >= wanted,
        "c_loop_over_simulated": _ratio(loop, ns),
        "ns_per_event": round(ns / last.events, 1),
        "ns_per_fault": _ratio(ns, last.faults),
        "events": last.events,
        "faults": last.faults,
        "simulated_ms": _ms(ns),
        "simulated_ms_range": [_ms(min(run.ns for run in runs)), _ms(max(run.ns for run in runs))],
        "real_ms": None if real is None else _ms(real),
        "c_loop_ms": None if loop is None else _ms(loop),
        "memory_bytes": last.memory_bytes,
    }


def target(workload: str, design: str) -> int:
    """Return how many times faster than the machine itself a design shall be simulated."""
    return MAIN_TARGETS[workload] if design in MAIN_DESIGNS else TARGET


def _about(timings: Timings, request: Request, workload: str) -> dict[str, Any]:
    """Return what a workload is, and every run of the rivals."""
    sizes = request.sizes
    real, loop = (timings.rivals.get((side, workload), []) for side in (KERNEL, LOOP))
    done = min(sizes.real_shell_forks, sizes.shell_forks)
    scaled = workload == "w4" and done < sizes.shell_forks
    return {
        "is": WORKLOADS[workload].prose.format(**sizes._asdict()),
        "real_ms": [_ms(run.ns) for run in real],
        "real_minor_faults": real[-1].minor_faults if real else None,
        "real_is_scaled_from": f"{done:,} of {sizes.shell_forks:,} forks" if scaled else None,
        "c_loop_ms": [_ms(run.ns) for run in loop],
    }


def _median_ns(runs: Iterable[Run]) -> float | None:
    """Return the median time of runs, None if there is none."""
    times = [run.ns for run in runs]
    return median(times) if times else None


def _ratio(over: float | None, under: float) -> float | None:
    """Return a ratio with four digits that count, None if it has no meaning."""
    return float(f"{over / under:.4g}") if over is not None and under else None


def _ms(ns: float) -> float:
    """Return ns as ms, to the microsecond."""
    return round(ns / 1e6, 3)


def _peak_rss() -> int | None:
    """Return the most memory that this process had, None where the unit is not known to be KiB."""
    if not sys.platform.startswith("linux"):
        return None
    import resource  # noqa: PLC0415 - not every system has it

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def render(found: dict[str, Any]) -> str:
    """Return figures as tables for people."""
    about = found["about"]
    lines = [
        f"{about['machine']}; load {about['load_average']}; medians of {about['repeats']} runs in turn",
        NOT_TIMED,
    ]
    lines += [f"{side}: skipped: {reason}" for side, reason in about["skipped"].items()]
    for workload, designs in found.items():
        if workload != "about":
            lines += ["", *_workload_lines(workload, about["workloads"][workload]), _HEAD]
            lines += [_line(design, each) for design, each in designs.items()]
    lines += ["", f"peak memory of the whole run: {_mib(about['peak_rss_bytes'])} MiB"]
    return "\n".join(lines)


def _workload_lines(workload: str, about: dict[str, Any]) -> list[str]:
    """Return what a workload is and how long the rivals took."""
    lines = [f"{workload.upper()}: {about['is']}"]
    if about["real_ms"]:
        scaled = about["real_is_scaled_from"]
        lines.append(
            f"  real machine: {_spread(about['real_ms'])}, {about['real_minor_faults']:,} minor faults"
            + (f"; {scaled}, the time scaled up" if scaled else "")
        )
    if about["c_loop_ms"]:
        lines.append(f"  plain C loop over ptes: {_spread(about['c_loop_ms'])}")
    return lines


def _spread(times: list[float]) -> str:
    """Return the median and the range of some times."""
    return f"{median(times):,.1f} ms ({min(times):,.1f} to {max(times):,.1f}, {len(times)} runs)"


_HEAD = (
    f"  {'design':<16}{'real/sim':>11}{'target':>9} {'':<7}{'loop/sim':>9}{'ns/event':>12}{'ns/fault':>10}"
    f"{'ms':>11}{'MiB':>8}"
)


def _line(design: str, each: dict[str, Any]) -> str:
    """Return the line of one design."""
    if "failed" in each:
        return f"  {design:<16}failed: {each['failed']}"
    verdict = {True: "met", False: "missed", None: ""}[each["met"]]
    return (
        f"  {design:<16}{_number(each['real_over_simulated']):>11}{each['target']:>9,} {verdict:<7}"
        f"{_number(each['c_loop_over_simulated']):>9}{_number(each['ns_per_event']):>12}"
        f"{_number(each['ns_per_fault']):>10}{each['simulated_ms']:>11,.3f}{_mib(each['memory_bytes']):>8}"
    )


def _number(value: float | None) -> str:
    """Return a number with as many digits as it deserves, "-" for none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _mib(value: int | None) -> str:
    """Return bytes as MiB, "-" for none."""
    return "-" if value is None else f"{value / (1 << 20):,.1f}"
