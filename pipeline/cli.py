"""The commands. Thin: each says what it was asked, calls one function, and prints what came back."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.adversary_command import adversary
from pipeline.bench.command import bench
from pipeline.calibration.command import calibrate
from pipeline.calibration.predict_command import predict
from pipeline.capture.command import capture, validate_capture
from pipeline.compact_command import compact
from pipeline.compare_command import compare
from pipeline.dataset_argument import DATASET
from pipeline.dataset_commands import export, status, verify
from pipeline.ending import FAILED, OUR_FAULT, REFUSED, exit_code_of
from pipeline.errors import RefusedError, unwritable
from pipeline.footprints.command import footprints
from pipeline.listing_commands import designs, populations, reference, tree, workloads
from pipeline.run_command import run
from pipeline.search.command import search
from pipeline.study_options import default_results, load, results_option, sets_option, study_argument
from pipeline.submit_commands import cancel, logs, submit
from pipeline.traces.command import trace
from pipeline.truth.command import validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.places import Where
    from simcore.costs import CostModel


def main(arguments: Sequence[str] | None = None, program: str = "forkbench") -> None:
    """Run the command line, and exit with the code that ``pipeline.ending`` explains."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def work() -> int | None:
        code: int | None = commands.main(given, prog_name=program, standalone_mode=False)
        return code

    sys.exit(exit_code_of(work, shlex.join(["forkbench", *given])))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="forkbench", prog_name="forkbench")
def commands() -> None:
    """Ask what sharing page tables at fork buys and costs.

    A study is planned into cells; each cell is simulated; rows are stored; a report is written.
    """


__all__ = ["FAILED", "OUR_FAULT", "REFUSED", "commands", "main"]

_OF_MACHINES = (bench, validate, calibrate, predict, capture, validate_capture, footprints, trace)
_OF_SWEEPS = (run, search, submit, logs, cancel)
_OF_DATASETS = (status, verify, export, compare, compact)
_LISTINGS = (designs, adversary, workloads, populations, reference, tree)
for _command in (*_OF_SWEEPS, *_OF_MACHINES, *_OF_DATASETS, *_LISTINGS):
    commands.add_command(_command)


@commands.command()
@study_argument
@sets_option
def check(study: Path, sets: tuple[str, ...]) -> None:
    """Validate a study: every fault at once, with its line."""
    from pipeline.terminal import size

    click.echo(f"{study}: no problems; {size(load(study, sets))}")


@commands.command()
@study_argument
@sets_option
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(study: Path, sets: tuple[str, ...], results: Where | None, *, as_json: bool) -> None:
    """Tell what a study would run: counts per axis, what is left out by which rule, what will run and why, an estimate.

    Time and bytes come from simulating a few cells now, the memory from their traces; cells that need more memory than a
    run may have are named.
    """
    from pipeline.estimate import estimate
    from pipeline.plan_told import plan_facts, plan_lines
    from pipeline.provenance import model_version
    from pipeline.survey import survey

    asked = load(study, sets)
    path = results or default_results(asked)
    found = survey(asked, model_version(), path)
    guess = estimate(asked, model_version(), found.to_run)
    if as_json:
        click.echo(json.dumps(plan_facts(asked, found, guess, path), indent=2))
    else:
        click.echo(plan_lines(asked, found, guess, path))


@commands.command()
@click.argument("dataset", type=DATASET)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: reports/<study>.html]"
)
@click.option("--costs", metavar="MODEL", help="Cost model: a name, or a file. [default: the study's]")
@click.option(
    "--findings", type=click.Path(path_type=Path), metavar="FILE", multiple=True,
    help="What a search found in a wider space, as 'forkbench search --findings' wrote it. Repeatable.",
)  # fmt: skip
def report(dataset: Where, out: Path | None, costs: str | None, findings: tuple[Path, ...]) -> None:
    """Write a dataset's report: one HTML file that needs nothing else."""
    from pipeline import store
    from pipeline.prices import cost_model
    from pipeline.report.searched import read_findings

    model = None if costs is None else cost_model(costs)
    searched = [read_findings(file) for file in findings]
    state = store.status(dataset)
    if not state.done:
        raise RefusedError(f"{dataset}: none of its {state.planned:,} cells is done; run the study first")
    page = out or Path("reports") / f"{state.study}.html"
    verdict = _write_report(dataset, page, model, searched)
    if not state.complete:
        click.echo(
            f"INCOMPLETE: {state.done:,} of {state.planned:,} cells; run the study again to complete it"
        )
    for line in verdict:
        click.echo(line)
    click.echo(f"report: {page}")


def _write_report(
    dataset: Where, page: Path, costs: CostModel | None, searched: Sequence[dict[str, Any]] = ()
) -> list[str]:
    """Write the page; a disk that refuses is the user's matter."""
    from pipeline.report.page import write_report

    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        return write_report(dataset, page, costs=costs, searched=searched)
    except OSError as error:
        raise unwritable(page, error) from None


@commands.command()
@click.argument("cell_id", metavar="ID")
@results_option
@click.option(
    "--simulate", is_flag=True, help="Simulate the cell again, here, and compare with its stored row."
)
def show(cell_id: str, results: Where | None, *, simulate: bool) -> None:
    """Show a cell: what it is, what became of it, and the line that replays it.

    ID may be cut to its first 6 digits or more. Without --results every dataset in results/ is searched.
    """
    from pipeline.replay import cell_lines, find_cell, replay_lines

    found = find_cell(cell_id, results)
    click.echo(cell_lines(found))
    if simulate:
        click.echo(replay_lines(found))


if __name__ == "__main__":
    main()
