"""Commands about sweeps whose driver runs elsewhere: hand one to a cluster, read its log, stop it."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import RefusedError
from pipeline.run_command import fleet_of, orders_of, sweep_options
from pipeline.study_options import default_results, load, results_option, study_argument

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.places import Where
    from pipeline.submitting import Submitted

_FOLLOW_SECONDS = 0.5
_submission = click.argument("submission", metavar="ID|DATASET")


@click.command()
@study_argument
@results_option
@sweep_options
def submit(study: Path, results: Where | None, sets: tuple[str, ...], **asked: Any) -> None:
    """Hand a study to a Dask cluster and return: its driver runs on a machine of the cluster.

    The study is resolved and planned now; later edits of its files change nothing. The dataset's place, --results, is a
    path that every machine of the cluster sees. Prints the ID for status, logs and cancel. A driver that died is replaced
    by the same command.
    """
    from pipeline.submission import remember
    from pipeline.submitting import submit as submitted

    if not (asked["scheduler"] or asked["scheduler_file"]):
        raise RefusedError(
            "submit: no scheduler is named; a sweep is submitted to a Dask cluster that runs already; "
            "give --scheduler ADDR or --scheduler-file FILE, or use forkbench run"
        )
    fleet = fleet_of(asked)
    wanted = load(study, sets)
    dataset = _everywhere(results or default_results(wanted))
    found = submitted(wanted, dataset, fleet, orders_of(asked))
    click.echo(found.id)
    for line in _submitted_lines(wanted.name, dataset, found):
        click.echo(line, err=True)
    try:
        remember(found.id, dataset, wanted.name, fleet.scheduler or fleet.scheduler_file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        click.echo(f"note: the ID cannot be remembered ({reason}); name the dataset instead of it", err=True)


def _everywhere(dataset: Where) -> str:
    """Return a dataset as other machines have to name it too: a URL as it is, a path from the root."""
    return dataset if isinstance(dataset, str) else os.path.abspath(dataset)  # noqa: PTH100 - links stay what they are


def _submitted_lines(study: str, dataset: str, found: Submitted) -> list[str]:
    """Return what the user should know of a sweep that was handed over."""
    from pathlib import Path

    driver, where = found.launched, shlex.quote(dataset)
    state = "" if driver.begun else " (it is still starting)"
    lines = [
        f"submitted {study}: its driver is process {driver.process} on {driver.host}{state}",
        f"dataset:  {dataset}",
        f"next:     forkbench status {where}; forkbench logs {found.id}; forkbench cancel {found.id}",
    ]
    if found.blind and driver.begun:
        lines.append(
            f"note: {', '.join(found.blind)} of the cluster {'does' if len(found.blind) == 1 else 'do'} not see the "
            "dataset; a driver that is begun there by the same command would begin another; name a place that all see"
        )
    if driver.begun and "://" not in dataset and not Path(dataset).exists():
        lines.append(
            f"note: this machine does not see the dataset; use status, logs and cancel where it is seen, on {driver.host}"
        )
    return lines


@click.command()
@_submission
@click.option("--lines", type=click.IntRange(1), metavar="N", help="Only the last N lines.")
@click.option("--follow", is_flag=True, help="Go on as lines are added, until the driver has ended.")
def logs(submission: str, lines: int | None, *, follow: bool) -> None:
    """Print what the drivers of a submitted sweep said. The log is kept with the dataset; no cluster is needed."""
    from pipeline.submission import dataset_of, log_of

    dataset = dataset_of(submission)
    text = log_of(dataset)
    shown = text if lines is None else "".join(text.splitlines(keepends=True)[-lines:])
    click.echo(shown, nl=False)
    if follow:
        _follow(dataset, text)


def _follow(dataset: Where, shown: str) -> None:
    """Print what is added to a log, while somebody writes the dataset."""
    from pipeline.store import writer_of
    from pipeline.submission import log_of

    alive = True
    while alive:
        alive = (
            writer_of(dataset) is not None
        )  # looked at before the log, whose last lines are not missed then
        text = log_of(dataset)
        click.echo(text[len(shown) :], nl=False)
        shown = text
        if alive:
            time.sleep(_FOLLOW_SECONDS)


@click.command()
@_submission
def cancel(submission: str) -> None:
    """Ask the run that writes a dataset to stop, as its first Ctrl-C would: what runs is finished and stored.

    The wish is a file in the dataset, so this works wherever that is seen. The same study, run or submitted again, goes
    on where it was.
    """
    from pipeline.submission import ask_to_stop, dataset_of

    dataset = dataset_of(submission)
    writer = ask_to_stop(dataset)
    click.echo(
        f"{dataset}: asked process {writer} to stop; what runs is finished and stored; "
        f"forkbench status {shlex.quote(str(dataset))} tells when nobody writes it any more"
    )
