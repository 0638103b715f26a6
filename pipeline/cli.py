"""The commands. Thin: each says what it was asked, calls one function, and prints what came back.

Exit codes: 0 done; 1 some cells failed or were left; 2 the request was refused; 3 our fault.
"""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import DamagedPartWarning, InterruptedRunError, RefusedError, counted, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.estimate import Estimate
    from pipeline.plan import Plan
    from pipeline.study import Study

FAILED, REFUSED, OUR_FAULT = 1, 2, 3
_NARROWEST, _WIDEST = 40, 100  # columns of wrapped text


def _cpus() -> int:
    """Return the CPUs that this process may use; not every system tells which."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_study = click.argument("study", type=click.Path(path_type=Path))
_sets = click.option(
    "--set", "sets", metavar="KEY=VALUE", multiple=True,
    help="Replace a value of the study, e.g. --set replicates=5 or --set workload.tree.anon_pages=600. Repeatable.",
)  # fmt: skip
_results = click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The dataset. [default: results/<study name>]",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the only place where exceptions become exit codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with warnings.catch_warnings():
            _tell_damage_in_a_line()
            sys.exit(commands.main(given, prog_name="forkbench", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; what was stored is safe; run the same command again to go on", err=True)
        sys.exit(FAILED)
    except RefusedError as error:
        click.echo(f"{error}", err=True)
        sys.exit(FAILED if isinstance(error, InterruptedRunError) else REFUSED)
    except OSError as error:
        # What the pipeline writes and reads it explains itself; what is left is standard output, or the machine.
        where = error.filename or "standard output"
        click.echo(f"{where}: {(error.strerror or str(error)).lower()}", err=True)
        sys.exit(REFUSED)
    except Exception:  # noqa: BLE001 - whatever it is, it is ours
        traceback.print_exc()
        click.echo("\nforkbench is wrong here, not your input. The command that replays it:", err=True)
        click.echo(f"  {shlex.join(['forkbench', *given])}", err=True)
        sys.exit(OUR_FAULT)


def _tell_damage_in_a_line() -> None:
    """Show warnings of damaged parts as notes, each once, all others as Python does."""
    as_ever = warnings.showwarning
    told: set[str] = set()

    def show_one(message: Any, category: type[Warning], *where: Any) -> None:
        if not issubclass(category, DamagedPartWarning):
            as_ever(message, category, *where)
        elif str(message) not in told:
            told.add(str(message))
            click.echo(f"note: {message}", err=True)

    warnings.showwarning = show_one  # type: ignore[assignment]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="forkbench", prog_name="forkbench")
def commands() -> None:
    """Ask what sharing page tables at fork buys and costs.

    A study is planned into cells; each cell is simulated; rows are stored; a report is written.
    """


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(*, as_json: bool) -> None:
    """Time the engine beside the oracle: ns per event and per page touched, and their ratio."""
    from pipeline.bench import measure, render

    timings = measure()
    click.echo(json.dumps([timing.row() for timing in timings], indent=2) if as_json else render(timings))


@commands.command()
@_study
@_sets
def check(study: Path, sets: tuple[str, ...]) -> None:
    """Validate a study: every fault at once, with its line."""
    asked = _load(study, sets)
    click.echo(f"{study}: no problems; {_size(asked)}")


@commands.command()
@_study
@_sets
@_results
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(study: Path, sets: tuple[str, ...], results: Path | None, *, as_json: bool) -> None:
    """Tell what a study would run: counts per axis, cells, what is done already, an estimate.

    The estimate comes from simulating a few cells now.
    """
    from pipeline.estimate import estimate
    from pipeline.plan import make_plan
    from pipeline.provenance import model_version

    asked = _load(study, sets)
    path = results or _default_results(asked)
    planned = make_plan(asked, model_version())
    done = _done(path, planned)
    guess = estimate(planned, done)
    facts: dict[str, Any] = {
        "study": asked.name,
        "question": asked.question,
        "axes": {axis: len(entries) for axis, entries in asked.sweep.items()},
        "designs": len(asked.designs),
        "replicates": asked.replicates,
        "traces": asked.traces,
        "cells": asked.cells,
        "dataset": str(path),
        "done": len(done),
        "core_seconds": None if guess.core_seconds is None else round(guess.core_seconds, 1),
        "core_seconds_from_cells": guess.sampled_cells,
        "failed_cells": len(guess.failures),
    }
    click.echo(json.dumps(facts, indent=2) if as_json else _plan_lines(asked, facts, guess))


@commands.command()
@_study
@_results
@click.option(
    "--workers", type=click.IntRange(0, 256), default=_cpus,
    show_default="one per CPU", metavar="N", help="Worker processes; 0 simulates in this one, without Dask.",
)  # fmt: skip
@_sets
@click.option("--quiet", is_flag=True, help="No progress.")
def run(study: Path, results: Path | None, workers: int, sets: tuple[str, ...], *, quiet: bool) -> None:
    """Simulate the cells of a study that have no row yet, and store their rows.

    Running again resumes. Ctrl-C once finishes what runs and stores it; twice stops at once.
    """
    from pipeline.sweep import outcome_lines, run_study

    asked = _load(study, sets)
    path = results or _default_results(asked)
    outcome = run_study(asked, path, workers, quiet=quiet)
    for note in outcome.notes:
        click.echo(note)
    click.echo(outcome_lines(path, outcome))
    if outcome.failures or outcome.left:
        sys.exit(FAILED)


@commands.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: reports/<study>.html]"
)
@click.option("--costs", metavar="MODEL", help="Cost model. [default: the study's]")
def report(dataset: Path, out: Path | None, costs: str | None) -> None:
    """Write a dataset's report: one HTML file that needs nothing else."""
    from pipeline import store
    from simcore.costs import COST_MODELS

    if costs is not None and costs not in COST_MODELS:
        raise RefusedError(f"--costs: unknown cost model {costs!r}{did_you_mean(costs, COST_MODELS)}")
    state = store.status(dataset)
    if not state.done:
        raise RefusedError(f"{dataset}: none of its {state.planned:,} cells is done; run the study first")
    page = out or Path("reports") / f"{state.study}.html"
    verdict = _write_report(dataset, page, costs)
    if not state.complete:
        click.echo(
            f"INCOMPLETE: {state.done:,} of {state.planned:,} cells; run the study again to complete it"
        )
    for line in verdict:
        click.echo(line)
    click.echo(f"report: {page}")


def _write_report(dataset: Path, page: Path, costs: str | None) -> list[str]:
    """Write the page; a disk that refuses is the user's matter."""
    from pipeline.report.page import write_report

    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        return write_report(dataset, page, costs=costs)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RefusedError(f"{page}: cannot be written ({reason}); name another file with --out") from None


@commands.command()
@click.argument("name", required=False)
def designs(name: str | None) -> None:
    """List the designs, or explain one."""
    from simcore.designs import AXES, DESIGNS, axis_values

    if name is None:
        click.echo(_two_columns((row.name, f"{row.prose} ({row.year})") for row in DESIGNS.values()))
        return
    row = DESIGNS[_known(name, DESIGNS, "design")]
    merged = "merged" if row.merged else "never merged"
    click.echo(f"{row.name}: {row.prose}\n{row.year}, {merged}. {row.origin}.\n")
    values = ((axis, value) for axis, value in axis_values(row).items() if value is not None)
    click.echo(_two_columns((f"{axis}: {value}", AXES[axis][value]) for axis, value in values))


@commands.command()
@click.argument("name", required=False)
def workloads(name: str | None) -> None:
    """List the workloads, or the parameters of one."""
    from simcore.workloads import WORKLOADS

    if name is None:
        click.echo(_two_columns((row.name, row.prose) for row in WORKLOADS.values()))
        return
    row = WORKLOADS[_known(name, WORKLOADS, "workload")]
    click.echo(f"{row.name}: {row.prose}\n{row.source}\n")
    click.echo(_two_columns((each.name, _parameter(each)) for each in row.parameters))


@commands.command()
@click.argument("cell_id", metavar="ID")
@_results
@click.option(
    "--simulate", is_flag=True, help="Simulate the cell again, here, and compare with its stored row."
)
def show(cell_id: str, results: Path | None, *, simulate: bool) -> None:
    """Show a cell: what it is, what became of it, and the line that replays it.

    ID may be cut to its first 6 digits or more. Without --results every dataset in results/ is searched.
    """
    from pipeline.replay import cell_lines, find_cell, replay_lines

    found = find_cell(cell_id, results)
    click.echo(cell_lines(found))
    if simulate:
        click.echo(replay_lines(found))


@commands.command()
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tree(file: Any, *, as_json: bool) -> None:
    """Print statistics of a process listing of pstree; - reads standard input."""
    from pipeline.sources.listing import ListingError, read_listing
    from pipeline.sources.statistics import render, statistics

    try:
        text = file.read().decode("utf-8", errors="replace")
        found = statistics(read_listing(text))
    except OSError as error:
        raise RefusedError(f"{file.name}: {(error.strerror or 'cannot be read').lower()}") from None
    except ListingError as error:
        raise RefusedError(f"{file.name}: {error}") from None
    click.echo(json.dumps(found, indent=2) if as_json else render(found, file.name))


def _load(file: Path, sets: tuple[str, ...]) -> Study:
    """Return a validated study."""
    from pipeline.study import load_study

    return load_study(file, sets)


def _default_results(study: Study) -> Path:
    """Return where a study's dataset is if nothing else is said."""
    return Path("results") / study.name


def _done(path: Path, planned: Plan) -> set[str]:
    """Return the ids of planned cells that have a row; none where there is no dataset."""
    from pipeline import store

    return store.committed(path) & {cell.cell_id for cell in planned.cells}


def _size(study: Study) -> str:
    """Return the counts of a study in one line."""
    cells, traces = counted(study.cells, "cell"), counted(study.traces, "trace")
    return f"{cells}: {traces} under {counted(len(study.designs), 'design')}"


def _plan_lines(study: Study, facts: dict[str, Any], guess: Estimate) -> str:
    """Return a plan for people."""
    from pipeline.progress import what_failed
    from pipeline.replay import brief

    lines = [f"{study.name}: {study.question}", ""]
    table = [(axis, entries) for axis, entries in study.sweep.items()]
    table += [("replicates", list(range(study.replicates))), ("designs", list(study.designs))]
    rows = [
        (f"{name:<16} {len(entries):>5}", ", ".join(brief(entry) for entry in entries))
        for name, entries in table
    ]
    lines += [_two_columns(rows), "", _size(study)]
    lines.append(
        f"done already in {facts['dataset']}: {facts['done']:,}; to simulate: {study.cells - facts['done']:,}"
    )
    if guess.sampled_cells:
        sampled = counted(guess.sampled_cells, "cell")
        lines.append(f"about {facts['core_seconds']:,} s of one core, from {sampled} simulated just now")
    if guess.failures:
        failed = f"{counted(len(guess.failures), 'cell')} tried just now failed"
        lines.append(f"{failed}, {guess.failures[0].cell_id} first: {what_failed(guess.failures[0])}")
    return "\n".join(lines)


def _parameter(each: Any) -> str:
    """Return what a parameter may be, for people."""
    from pipeline.replay import brief

    ranges = {
        "choice": f"one of {', '.join(each.choices)}",
        "tree": "a listing's name, {listing: FILE} or {depth: 3, fan_out: 2}",
    }
    noun = "whole number" if each.kind == "int" else "number"
    allowed = ranges.get(each.kind, f"{noun} from {each.low:,} to {each.high:,} {each.unit}".rstrip())
    return f"{each.meaning} [{allowed}; default {brief(each.default)}]"


def _known(name: str, known: Iterable[str], noun: str) -> str:
    """Return a known name, or refuse it with the nearest one."""
    names = list(known)
    if name in names:
        return name
    raise RefusedError(f"unknown {noun} {name!r}{did_you_mean(name, names)}")


def _two_columns(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows as two columns, the second wrapped."""
    pairs = list(rows)
    width = max((len(left) for left, _ in pairs), default=0) + 2
    columns = shutil.get_terminal_size((_WIDEST, 24)).columns
    wrap = min(max(columns, _NARROWEST), _WIDEST)
    return "\n".join(
        click.wrap_text(right, wrap, initial_indent=left.ljust(width), subsequent_indent=" " * width)
        for left, right in pairs
    )


if __name__ == "__main__":
    main()
