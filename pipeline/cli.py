"""The commands. Thin: each says what it was asked, calls one function, and prints what came back.

Exit codes: 0 done; 1 some cells failed or were left; 2 the request was refused; 3 our fault.
"""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
import os
import shlex
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.adversary_command import adversary
from pipeline.bench.command import bench
from pipeline.calibration.command import calibrate
from pipeline.calibration.predict_command import predict
from pipeline.capture.command import capture, validate_capture
from pipeline.compare_command import compare
from pipeline.dataset_commands import export, status, verify
from pipeline.errors import DamagedPartWarning, InterruptedRunError, RefusedError
from pipeline.footprints.command import footprints
from pipeline.listing_commands import designs, populations, reference, tree, workloads
from pipeline.traces.command import trace
from pipeline.truth.command import validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.fleet import Fleet
    from pipeline.study import Study
    from simcore.costs import CostModel

FAILED, REFUSED, OUR_FAULT = 1, 2, 3


def _cpus() -> int:
    """Return the CPUs that this process may use; not every system tells which."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_study = click.argument("study", type=click.Path(path_type=Path))
_sets = click.option(
    "--set", "sets", metavar="KEY=VALUE", multiple=True,
    help="Replace a value of the study, e.g. --set replicates=5 or --set workload.tree.anon_pages=600. Repeatable.",
)  # fmt: skip
_results = click.option(
    "--results", type=click.Path(path_type=Path), metavar="DIR", help="The dataset. [default: results/<study name>]",
)  # fmt: skip


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


_OF_MACHINES = (bench, validate, calibrate, predict, capture, validate_capture, footprints, trace)
_OF_DATASETS = (status, verify, export, compare)
_LISTINGS = (designs, adversary, workloads, populations, reference, tree)
for _command in (*_OF_MACHINES, *_OF_DATASETS, *_LISTINGS):
    commands.add_command(_command)


@commands.command()
@_study
@_sets
def check(study: Path, sets: tuple[str, ...]) -> None:
    """Validate a study: every fault at once, with its line."""
    from pipeline.terminal import size

    click.echo(f"{study}: no problems; {size(_load(study, sets))}")


@commands.command()
@_study
@_sets
@_results
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(study: Path, sets: tuple[str, ...], results: Path | None, *, as_json: bool) -> None:
    """Tell what a study would run: counts per axis, what is left out by which rule, what will run and why, an estimate.

    Time and bytes come from simulating a few cells now, the memory from their traces; cells that need more memory than a
    run may have are named.
    """
    from pipeline.estimate import estimate
    from pipeline.plan_told import plan_facts, plan_lines
    from pipeline.provenance import model_version
    from pipeline.survey import survey

    asked = _load(study, sets)
    path = results or _default_results(asked)
    found = survey(asked, model_version(), path)
    guess = estimate(asked, model_version(), found.to_run)
    if as_json:
        click.echo(json.dumps(plan_facts(asked, found, guess, path), indent=2))
    else:
        click.echo(plan_lines(asked, found, guess, path))


@commands.command()
@_study
@_results
@click.option(
    "--workers", type=click.IntRange(0, 256), metavar="N",
    help="Worker processes; 0 simulates in this one, without Dask. [default: one per CPU]",
)  # fmt: skip
@click.option(
    "--scheduler",
    metavar="ADDR",
    default="",
    help="A Dask scheduler that runs already, e.g. tcp://host:8786.",
)
@click.option(
    "--scheduler-file",
    metavar="FILE",
    default="",
    help="The file that dask scheduler --scheduler-file wrote.",
)
@click.option(
    "--timeout", type=click.FloatRange(0.1), metavar="SECONDS",
    help="A cell that takes longer has failed; its worker is ended.",
)  # fmt: skip
@click.option("--maxfail", type=click.IntRange(1), metavar="N", help="Stop after so many failures.")
@click.option("--retry-failed", is_flag=True, help="Try cells again that failed before.")
@click.option(
    "--force", is_flag=True, help="Simulate all cells; rows that are there have to come out the same."
)
@_sets
@click.option("--quiet", is_flag=True, help="No progress.")
def run(study: Path, results: Path | None, sets: tuple[str, ...], *, quiet: bool, **asked: Any) -> None:
    """Simulate the cells of a study that have no row yet, and store their rows.

    Running again resumes. Ctrl-C once finishes what runs and stores it; twice stops at once. Exit code 0: all cells are
    done; 1: some failed or are left; 2: refused, also by the cluster or the disk; 3: our fault.
    """
    from pipeline.sweep import Orders, outcome_lines, run_study

    fleet = _fleet(asked)
    orders = Orders(asked["maxfail"], asked["retry_failed"], asked["force"])
    wanted = _load(study, sets)
    path = results or _default_results(wanted)
    outcome = run_study(wanted, path, fleet, orders, quiet=quiet)
    for note in outcome.notes:
        click.echo(note)
    click.echo(outcome_lines(path, outcome))
    if outcome.failures or outcome.left:
        sys.exit(FAILED)


def _fleet(asked: dict[str, Any]) -> Fleet:
    """Return who is to simulate, after refusing what does not go together."""
    from pipeline.fleet import Fleet

    workers, scheduler, file = asked["workers"], asked["scheduler"], asked["scheduler_file"]
    if scheduler and file:
        raise RefusedError(
            "--scheduler and --scheduler-file name two schedulers; one runs a sweep; give one of them"
        )
    if (scheduler or file) and workers is not None:
        raise RefusedError(
            "--workers starts workers here, --scheduler uses a cluster's; a sweep has one or the other; leave one out"
        )
    if workers == 0 and asked["timeout"] is not None:
        raise RefusedError("--timeout ends a worker; --workers 0 has none; give --workers 1 or more")
    return Fleet(_cpus() if workers is None else workers, scheduler, file, asked["timeout"])


@commands.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: reports/<study>.html]"
)
@click.option("--costs", metavar="MODEL", help="Cost model: a name, or a file. [default: the study's]")
def report(dataset: Path, out: Path | None, costs: str | None) -> None:
    """Write a dataset's report: one HTML file that needs nothing else."""
    from pipeline import store
    from pipeline.prices import cost_model

    model = None if costs is None else cost_model(costs)
    state = store.status(dataset)
    if not state.done:
        raise RefusedError(f"{dataset}: none of its {state.planned:,} cells is done; run the study first")
    page = out or Path("reports") / f"{state.study}.html"
    verdict = _write_report(dataset, page, model)
    if not state.complete:
        click.echo(
            f"INCOMPLETE: {state.done:,} of {state.planned:,} cells; run the study again to complete it"
        )
    for line in verdict:
        click.echo(line)
    click.echo(f"report: {page}")


def _write_report(dataset: Path, page: Path, costs: CostModel | None) -> list[str]:
    """Write the page; a disk that refuses is the user's matter."""
    from pipeline.report.page import write_report

    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        return write_report(dataset, page, costs=costs)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RefusedError(f"{page}: cannot be written ({reason}); name another file with --out") from None


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


def _load(file: Path, sets: tuple[str, ...]) -> Study:
    """Return a validated study."""
    from pipeline.study import load_study

    return load_study(file, sets)


def _default_results(study: Study) -> Path:
    """Return where a study's dataset is if nothing else is said."""
    return Path("results") / study.name


if __name__ == "__main__":
    main()
