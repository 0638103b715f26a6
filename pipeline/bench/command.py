"""``forkbench bench``: which sections are asked for, of which designs and workloads."""
# ruff: noqa: PLC0415 - the simulator is imported when the command runs, so that --help is quick

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import RefusedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.command()
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="Rounds.")
@click.option("--only", metavar="W1,W2", help="Workloads. [default: w1,w2,w3,w4]")
@click.option("--designs", "names", metavar="A,B", help="Designs. [default: all; --scaling: the first]")
@click.option("--no-real", is_flag=True, help="Neither the machine itself nor loops in C.")
@click.option("--oracle", is_flag=True, help="Instead: the engine beside the oracle.")
@click.option("--scaling", is_flag=True, help="Instead: cost of 1,000 to 10 million events.")
@click.option("--startup", is_flag=True, help="Instead: the first start, which compiles, and a warm one.")
@click.option("--pipeline", is_flag=True, help="Instead: planning, sweeping and starting beside a bare loop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(*, as_json: bool, **asked: Any) -> None:
    """Time the engine beside the machine that it simulates: ratios, ns per event and per fault, memory.

    Four workloads run under every design and, compiled from C, on this machine, in turn.
    """
    from simcore import DESIGNS

    chosen = _listed(asked["names"], DESIGNS, "--designs")
    sections = [name for name in ("oracle", "scaling", "startup", "pipeline") if asked[name]]
    told = [_SECTIONS[name](chosen, asked) for name in sections or ["real"]]
    if as_json:
        found: dict[str, Any] = {}
        for figures, _ in told:
            found |= figures
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n\n".join(text for _, text in told))


def _listed(given: str | None, known: Iterable[str], option: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list, all known names if there is none."""
    if given is None:
        return tuple(known)
    names = tuple(name.strip() for name in given.split(","))
    for name in names:
        if name not in known:
            raise RefusedError(f"{option}: unknown name {name!r}{did_you_mean(name, known)}")
    return names


def _say(step: str) -> None:
    """Tell on standard error what is being done; it takes minutes."""
    click.echo(step, err=True)


def _real(designs: tuple[str, ...], asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the figures and the tables of the four workloads."""
    from pipeline.bench.table import figures, render
    from pipeline.bench.timing import Request, measure
    from pipeline.bench.traces import WORKLOADS

    only = _listed(asked["only"] and asked["only"].lower(), WORKLOADS, "--only")
    request = Request(only, designs, asked["repeats"], not asked["no_real"])
    found = figures(measure(request, _say), request)
    return found, render(found)


def _oracle(designs: tuple[str, ...], asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the figures and the table of the engine beside the oracle."""
    from pipeline.bench.beside_oracle import measure, render

    rows = [timing.row() for timing in measure(designs, asked["repeats"])]
    return {"oracle": rows}, render(rows)


def _scaling(designs: tuple[str, ...], asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the figures and the table of the cost of more and more events.

    If no design is named, the first one is enough: it is what the others are compared with.
    """
    from pipeline.bench.scaling import render_scaling, scaling

    found = scaling(designs if asked["names"] else designs[:1], asked["repeats"], _say)
    return {"scaling": found}, render_scaling(found)


def _startup(_designs: tuple[str, ...], _asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what a start costs."""
    from pipeline.bench.scaling import render_startup, startup

    found = startup(_say)
    return {"startup": found}, render_startup(found)


def _pipeline(_designs: tuple[str, ...], asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what the pipeline costs around the simulator."""
    from pipeline.bench.sweeps import render_sweeps, sweeps

    found = sweeps(asked["repeats"], _say)
    return {"pipeline": found}, render_sweeps(found)


_SECTIONS = {
    "real": _real,
    "oracle": _oracle,
    "scaling": _scaling,
    "startup": _startup,
    "pipeline": _pipeline,
}
