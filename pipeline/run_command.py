"""The command run, and the options that it shares with submit."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from pipeline.ending import FAILED
from pipeline.errors import RefusedError
from pipeline.study_options import default_results, load, results_option, sets_option, study_argument

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.fleet import Fleet
    from pipeline.places import Where
    from pipeline.sweep import Orders

_CREW = (
    click.option(
        "--workers", type=click.IntRange(0, 256), metavar="N",
        help="Worker processes; 0 simulates in this one, without Dask. [default: one per CPU]",
    ),
    click.option(
        "--cluster", metavar="FILE",
        help="A cluster to start for this run: YAML with its kind (local, slurm, kubernetes), workers and parameters.",
    ),
)  # fmt: skip
_SCHEDULER = (
    click.option(
        "--scheduler", metavar="ADDR", default="", help="A Dask scheduler that runs already, e.g. tcp://host:8786.",
    ),
    click.option(
        "--scheduler-file", metavar="FILE", default="", help="The file that dask scheduler --scheduler-file wrote.",
    ),
)  # fmt: skip
_CELLS = (
    click.option(
        "--timeout", type=click.FloatRange(0.1), metavar="SECONDS",
        help="A cell that takes longer has failed; its worker is ended.",
    ),
    click.option("--retry-failed", is_flag=True, help="Try cells again that failed before."),
)  # fmt: skip
_ORDERS = (
    click.option("--maxfail", type=click.IntRange(1), metavar="N", help="Stop after so many failures."),
    click.option(
        "--force", is_flag=True, help="Simulate all cells; rows that are there have to come out the same."
    ),
)  # fmt: skip


def crew_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add who may be started to simulate."""
    for option in reversed(_CREW):
        command = option(command)
    return command


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a search may be asked for of that."""
    for option in reversed((*_CREW, *_SCHEDULER, *_CELLS, sets_option)):
        command = option(command)
    return command


def sweep_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a sweep is asked for, wherever its driver runs."""
    for option in reversed((*_SCHEDULER, *_CELLS, *_ORDERS, sets_option)):
        command = option(command)
    return command


@click.command()
@study_argument
@results_option
@crew_options
@sweep_options
@click.option("--quiet", is_flag=True, help="No progress.")
def run(study: Path, results: Where | None, sets: tuple[str, ...], *, quiet: bool, **asked: Any) -> None:
    """Simulate the cells of a study that have no row yet, and store their rows.

    Running again resumes. Ctrl-C once finishes what runs and stores it; twice stops at once. Exit code 0: all cells are
    done; 1: some failed or are left; 2: refused, also by the cluster or the disk; 3: our fault.
    """
    from pipeline.sweep import outcome_lines, run_study

    fleet = fleet_of(asked)
    wanted = load(study, sets)
    path = results or default_results(wanted)
    outcome = run_study(wanted, path, fleet, orders_of(asked), quiet=quiet)
    for note in outcome.notes:
        click.echo(note)
    click.echo(outcome_lines(path, outcome))
    if outcome.failures or outcome.left:
        sys.exit(FAILED)


def orders_of(asked: dict[str, Any]) -> Orders:
    """Return what a run is asked for besides its study."""
    from pipeline.sweep import Orders

    return Orders(asked["maxfail"], asked["retry_failed"], asked["force"])


def fleet_of(asked: dict[str, Any]) -> Fleet:
    """Return who is to simulate, after refusing what does not go together."""
    from pipeline.fleet import Fleet

    workers, file = asked.get("workers"), asked.get("cluster")
    clusters = [
        option for option in ("--scheduler", "--scheduler-file", "--cluster") if asked.get(_name(option))
    ]
    if len(clusters) > 1:
        raise RefusedError(
            f"{' and '.join(clusters)} name several clusters; one runs a sweep; give one of them"
        )
    if clusters and workers is not None:
        raise RefusedError(
            f"--workers starts workers here, {clusters[0]} uses a cluster's; a sweep has one or the other; leave one out"
        )
    if workers == 0 and asked["timeout"] is not None:
        raise RefusedError("--timeout ends a worker; --workers 0 has none; give --workers 1 or more")
    spec = None
    if file:
        from pipeline.cluster_files import load as load_cluster

        spec = load_cluster(file)
        workers = spec.workers
    count = _cpus() if workers is None else workers
    return Fleet(count, asked["scheduler"], asked["scheduler_file"], asked["timeout"], spec)


def _name(option: str) -> str:
    """Return the name under which click hands an option over."""
    return option.removeprefix("--").replace("-", "_")


def _cpus() -> int:
    """Return the CPUs that this process may use; not every system tells which."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
