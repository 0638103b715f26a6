"""Commands that list what there is to ask for: designs, workloads, populations, a study's keys, a listing's tree."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import RefusedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simcore.designs import Design


@click.command()
@click.argument("name", required=False)
@click.option(
    "--study", type=click.Path(path_type=Path), metavar="FILE", help="Those that a study defines itself."
)
def designs(name: str | None, study: Path | None) -> None:
    """List the designs, or explain one: what happens at fork, faults, zap, exec, exit and reclaim, and its row."""
    from pipeline.terminal import design_explained, designs_listed
    from simcore.designs import DESIGNS

    own = _own_designs(study) if study else {}
    if name is None and study and not own:
        click.echo(f"{study}: defines no design of its own; the designs that ship are listed without --study")
    elif name is None:
        click.echo(designs_listed((own or DESIGNS).values(), own=bool(own)))
    else:
        known = DESIGNS | own
        click.echo(design_explained(known[known_name(name, known, "design")], own=name in own))


def _own_designs(study: Path) -> dict[str, Design]:
    """Return the designs that a study defines itself."""
    from pipeline.study import load_study

    asked = load_study(study, ())
    return {name: row for name, row in asked.rows.items() if name in asked.own_designs}


@click.command()
@click.argument("name", required=False)
def workloads(name: str | None) -> None:
    """List the workloads, or the parameters of one."""
    from pipeline.terminal import two_columns, workload_explained
    from simcore.workloads import WORKLOADS

    if name is None:
        click.echo(two_columns((row.name, row.prose) for row in WORKLOADS.values()))
    else:
        click.echo(workload_explained(WORKLOADS[known_name(name, WORKLOADS, "workload")]))


@click.command()
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: standard output]")
def reference(out: Path | None) -> None:
    """Print what a study may say, as Markdown: every key, parameter, name and range."""
    from pipeline.reference import reference as written

    if out is None:
        click.echo(written(), nl=False)
        return
    try:
        out.write_text(written(), encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RefusedError(f"{out}: cannot be written ({reason}); name another file with --out") from None


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tree(file: Any, *, as_json: bool) -> None:
    """Print statistics of a process listing: pstree, ps or systemd-cgls; - reads standard input.

    The format is told from the text. What was repaired or could not be read is told line by line.
    """
    from pipeline.sources.cleaning import decoded
    from pipeline.sources.listing import ListingError, read_listing
    from pipeline.sources.statistics import render, statistics

    try:
        found = statistics(read_listing(decoded(file.read())))
    except OSError as error:
        raise RefusedError(f"{file.name}: {(error.strerror or 'cannot be read').lower()}") from None
    except ListingError as error:
        raise RefusedError(f"{file.name}: {error}") from None
    click.echo(json.dumps(found, indent=2) if as_json else render(found, file.name))


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def populations(name: str | None, *, as_json: bool) -> None:
    """List the populations of process listings, or print statistics of one.

    NAME is a population that ships, or the YAML file of one.
    """
    from pipeline.sources.population_statistics import population_statistics, render
    from pipeline.sources.populations import load_population
    from pipeline.sources.populations import populations as shipped
    from pipeline.terminal import populations_listed

    files = shipped()
    if name is not None:
        own = name.endswith((".yaml", ".yml"))
        found = load_population(Path(name) if own else files[known_name(name, files, "population")])
        stats = population_statistics(found)
        click.echo(json.dumps(stats, indent=2) if as_json else render(stats))
        return
    known = [load_population(file) for file in files.values()]
    if as_json:
        click.echo(json.dumps([each._asdict() for each in known], indent=2))
    else:
        click.echo(populations_listed(known))


def known_name(name: str, known: Iterable[str], noun: str) -> str:
    """Return a known name, or refuse it with the nearest one."""
    names = list(known)
    if name in names:
        return name
    raise RefusedError(f"unknown {noun} {name!r}{did_you_mean(name, names)}")
