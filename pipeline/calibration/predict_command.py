"""``forkbench predict``: what a fork of a described process would take here under each design."""
# ruff: noqa: PLC0415 - heavy modules are imported when they are needed, so that --help is quick

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from pipeline.errors import Fault, RefusedError, StudyError, did_you_mean

if TYPE_CHECKING:
    from pipeline.calibration.described import Process
    from pipeline.calibration.predicting import Prediction
    from simcore.costs import CostModel

_DESCRIBED = {"memory": "1G", "file": "0", "shared": "0", "vmas": "100"}


@click.command()
@click.option("--memory", metavar="SIZE", help="Resident anonymous memory. [default: 1G]")
@click.option("--file", metavar="SIZE", help="Resident pages of mapped files. [default: 0]")
@click.option("--shared", metavar="SIZE", help="Resident shared memory. [default: 0]")
@click.option("--vmas", metavar="N", help="How many vmas it has. [default: 100]")
@click.option("--pid", type=click.IntRange(min=1), help="Take those four from a process that runs here.")
@click.option("--writes-after-fork", "writes", default="5%", show_default=True, metavar="SHARE",
              help="Of the anonymous pages, those that the parent writes afterwards.")  # fmt: skip
@click.option("--child-writes", default="0%", show_default=True, metavar="SHARE",
              help="Of the anonymous pages, those that the child writes.")  # fmt: skip
@click.option("--spread", type=click.Choice(["evenly", "together"]), default="evenly", show_default=True,
              help="How the written pages lie: in every table, or side by side.")  # fmt: skip
@click.option("--child", type=click.Choice(["exit", "exec", "snapshot"]), default="snapshot", show_default=True,
              help="Exits or execs at once; or lives while the parent writes.")  # fmt: skip
@click.option(
    "--design", "names", multiple=True, metavar="NAME", help="Instead of the usual ones. Repeatable."
)
@click.option("--baseline", default="mainline", show_default=True, metavar="NAME", help="Compared with.")
@click.option("--costs", metavar="MODEL", help="Cost model: a name, or a file. [default: x86-64-2025]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def predict(
    *,
    memory: str | None,
    file: str | None,
    shared: str | None,
    vmas: str | None,
    pid: int | None,
    writes: str,
    child_writes: str,
    spread: str,
    child: str,
    names: tuple[str, ...],
    baseline: str,
    costs: str | None,
    as_json: bool,
) -> None:
    """Predict what a fork of a process would take under each design: the fork, the faults after it, page tables, flushes.

    Costs of this machine come from forkbench calibrate; without --costs those of a server that ships are taken.
    """
    from pipeline.calibration import described, predicting
    from pipeline.calibration.parameters import REFERENCE
    from pipeline.prices import cost_model
    from simcore import GEOMETRIES
    from simcore.errors import SimcoreError

    asked = {"memory": memory, "file": file, "shared": shared, "vmas": vmas}
    given = (
        _DESCRIBED
        | (described.of_pid(pid) if pid else {})
        | {key: said for key, said in asked.items() if said}
    )
    given |= {"writes-after-fork": writes, "child-writes": child_writes, "spread": spread, "child": child}
    chosen = _chosen(names or predicting.USUAL, baseline)
    model = cost_model(costs or REFERENCE.name)
    process = described.described(given, GEOMETRIES["x86-64"])
    try:
        found = predicting.predict(process, chosen, model, GEOMETRIES["x86-64"])
    except SimcoreError as error:
        raise RefusedError(f"predict: {error}; describe a smaller process") from None
    if as_json:
        told = {
            "costs": model.name,
            "digest": model.digest,
            "machine": model.provenance,
            "process": process._asdict(),
            "baseline": baseline,
            "designs": [each._asdict() | {"all_ns": each.all_ns} for each in found],
        }
        click.echo(json.dumps(told, indent=2))
    else:
        _tell_process(process, model, shipped=not costs)
        _tell_designs(found, baseline)
        _tell_choice(found, baseline, process.child)


def _chosen(names: tuple[str, ...], baseline: str) -> list[str]:
    """Return the designs to predict, the baseline first."""
    from simcore.designs import DESIGNS

    faults = [
        Fault(f"unknown design {name!r}{did_you_mean(name, DESIGNS)}", origin=option)
        for option, given in (("--baseline", (baseline,)), ("--design", names))
        for name in given
        if name not in DESIGNS
    ]
    if faults:
        raise StudyError("predict", faults)
    return list(dict.fromkeys([baseline, *names]))


def _tell_process(process: Process, model: CostModel, *, shipped: bool) -> None:
    """Print what is assumed of the process, and whose costs these are."""
    from pipeline.terminal import byte_size

    sizes = [
        f"{byte_size(pages << 12)} {what}"
        for pages, what in (
            (process.anon_pages, "anonymous"),
            (process.file_pages, "of files"),
            (process.shm_pages, "shared"),
        )
        if pages
    ]
    then = {
        "exit": "the child exits at once, then the parent writes",
        "exec": "the child execs at once, then the parent writes",
        "snapshot": "the child lives while the parent writes",
    }[process.child]
    click.echo(
        f"process: {', '.join(sizes) or 'no memory'}, in {process.vmas:,} vmas; 4 KiB pages, no huge ones"
    )
    click.echo(
        f"after the fork: {then} {process.writes:.3g} of its anonymous pages, {process.spread}; "
        f"the child writes {process.child_writes:.3g}"
    )
    click.echo(f"costs: {model.name} (digest {model.digest}): {model.prose}")
    if shipped:
        click.echo(
            "  not this machine's; forkbench calibrate measures those, --costs calibrated.yaml takes them"
        )


def _tell_designs(found: list[Prediction], baseline: str) -> None:
    """Print the table."""
    from pipeline.terminal import byte_size

    base = next(each for each in found if each.design == baseline)
    click.echo(
        f"\n{'design':14}{'fork':>10}{'faults after':>14}{'slowest':>10}{'child':>10}{'all':>10}"
        f"{'to ' + baseline:>14}{'tables':>11}{'flushes':>10}"
    )
    for each in found:
        times = [each.fork_ns, each.faults_ns, each.slowest_ns, each.child_ns, each.all_ns]
        said = [_time(ns) for ns in times]
        click.echo(
            f"{each.design:14}{said[0]:>10}{said[1]:>14}{said[2]:>10}{said[3]:>10}{said[4]:>10}"
            f"{each.all_ns / base.all_ns - 1:>+14.1%}{byte_size(each.table_bytes):>11}{each.flushes:>10,}"
        )
    click.echo(
        "fork: how long the parent stands still. faults after: of parent and child; slowest: one of them.\n"
        "child: copies before it runs, its exec and exit. tables: page tables at their peak beyond those before the fork."
    )


def _tell_choice(found: list[Prediction], baseline: str, child: str) -> None:
    """Say which design forks fastest, which is cheapest in all, and what that costs."""
    base = next(each for each in found if each.design == baseline)
    fastest = min(found, key=lambda each: each.fork_ns)
    cheapest = min(found, key=lambda each: each.all_ns)
    low, high = base.fork_interval or (0.0, 0.0)
    sure = (
        f" ({_time(low)} to {_time(high)} with every cost at an end of its interval)"
        if base.fork_interval
        else ""
    )
    click.echo(
        f"{baseline}: the process stands still for {_time(base.fork_ns)}{sure}; with what follows {_time(base.all_ns)}."
    )
    if fastest is not base:
        more = fastest.all_ns - base.all_ns
        click.echo(
            f"shortest fork: {fastest.design}, {_time(fastest.fork_ns)}; with what follows {_time(abs(more))} "
            f"{'more' if more > 0 else 'less'} than {baseline}, and one fault takes up to {_time(fastest.slowest_ns)}."
        )
    least = (
        "no other takes less"
        if cheapest is base
        else f"{cheapest.design}, {_time(base.all_ns - cheapest.all_ns)} less"
    )
    click.echo(f"least in all: {least}.")
    if child == "exec":
        click.echo(
            "A child that only execs needs no fork: with posix_spawn it takes what the row vfork says, and the parent "
            "waits until the exec is done."
        )


def _time(ns: float) -> str:
    """Return a time in the unit that reads best."""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"
