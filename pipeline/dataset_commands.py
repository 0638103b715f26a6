"""Commands about a dataset that is there: how far it is, whether it is sound, and what it says in other formats."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.dataset_argument import DATASET
from pipeline.errors import RefusedError, counted, did_you_mean, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.places import Where

WRONG = 1  # exit code: the dataset is not complete, or not sound

_dataset = click.argument("dataset", type=DATASET)
_submission = click.argument("dataset", metavar="DATASET|ID")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@_submission
@_json
def status(dataset: str, *, as_json: bool) -> None:
    """Tell how far a dataset is: cells done, failed and left, who writes it, and its driver if it was submitted.

    Needs no cluster. Exit code 0: complete; 1: cells failed or are left.
    """
    from pipeline.submission import dataset_of

    facts = _facts(dataset_of(dataset))
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(_status_lines(facts)))
    if not facts["complete"]:
        sys.exit(WRONG)


def _facts(dataset: Where) -> dict[str, Any]:
    """Return a dataset's state as plain data."""
    from pipeline import store
    from pipeline.submission import read_record

    state = store.status(dataset)
    failed = Counter(failure["cause"] for failure in state.failures)
    left = state.planned - state.done - failed.total()
    count, size = store.stored(dataset)
    record = read_record(dataset)
    return {
        "study": state.study,
        "planned": state.planned,
        "done": state.done,
        "failed": failed.total(),
        "causes": dict(failed),
        "left": left,
        "complete": state.complete,
        "writer": store.writer_of(dataset),
        "parts": count,
        "bytes": size,
        "unreadable": state.unreadable,
        "submission": None if record is None else record._asdict(),
    }


def _status_lines(facts: dict[str, Any]) -> list[str]:
    """Return a dataset's state for people."""
    from pipeline.terminal import byte_size

    percent = 100 * facts["done"] / facts["planned"] if facts["planned"] else 100.0
    told = f"{facts['done']:,} of {counted(facts['planned'], 'cell')} done ({percent:.0f} %)"
    lines = [f"{facts['study']}: {told}, {facts['failed']:,} failed, {facts['left']:,} left"]
    lines += [f"  failed, {cause}: {count:,}" for cause, count in sorted(facts["causes"].items())]
    writer = facts["writer"]
    lines.append(f"writer: {f'process {writer} is writing it' if writer else 'none; nobody writes it now'}")
    if facts["submission"] is not None:
        lines.append(f"driver: {_driver(facts['submission'], writer)}")
    lines.append(f"stored: {byte_size(facts['bytes'])} in {counted(facts['parts'], 'part')}")
    if facts["left"] and not writer:
        lines.append("next:   run the study again to go on")
    elif facts["failed"] and not writer:
        lines.append("next:   forkbench run STUDY --retry-failed tries what failed again")
    return lines


def _driver(record: dict[str, Any], writer: int | None) -> str:
    """Return what became of the driver of a submitted sweep."""
    who = f"submission {record['id']}, process {record['process']} on {record['host']}, begun {record['begun']} UTC"
    if record["ended"]:
        told = f"; forkbench logs {record['id']} tells why" if record["code"] else ""
        return f"{who}, ended {record['ended']} UTC with exit code {record['code']}{told}"
    if writer == record["process"]:
        return f"{who}, is running"
    return f"{who}, is gone without a word; the same forkbench submit replaces it"


@click.command()
@_dataset
@click.option(
    "--sample", type=click.IntRange(0), default=20, show_default=True, metavar="N", help="Cells to simulate again."
)  # fmt: skip
@_json
def verify(dataset: Where, sample: int, *, as_json: bool) -> None:
    """Look at all of a dataset again, and simulate some of its cells again.

    Plan, bytes of parts, schema, duplicates, completeness, identity of rows, totals, checksum. Exit code 0: all is right;
    1: something is not.
    """
    from pipeline.verify import verify as verified

    findings = verified(dataset, sample)
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{'ok   ' if finding.right else 'WRONG'}  {finding.what}: {finding.found}")
    if not all(finding.right for finding in findings):
        sys.exit(WRONG)


@click.command()
@_dataset
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values, one heading line.")
@click.option("--json", "form", flag_value="json", help="An object with study, columns and rows.")
@click.option("--markdown", "form", flag_value="markdown", help="A table; few columns if none are named.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: standard output]")
@click.option("--costs", metavar="MODEL", help="Cost model of times. [default: the study's]")
@click.option("--columns", default="", metavar="A,B", help="Columns to write, in this order.")
def export(dataset: Where, form: str | None, out: Path | None, costs: str | None, columns: str) -> None:
    """Write a dataset as CSV, JSON or Markdown: one row a cell, with parameters, counts and times."""
    from pipeline.export import exported
    from simcore.costs import COST_MODELS

    if form is None:
        raise RefusedError(
            "export: no format is named; there are --csv, --json and --markdown; give one of them"
        )
    if costs is not None and costs not in COST_MODELS:
        raise RefusedError(f"--costs: unknown cost model {costs!r}{did_you_mean(costs, COST_MODELS)}")
    names = [name.strip() for name in columns.split(",") if name.strip()]
    pieces = exported(dataset, form, costs, names)
    if out is None:
        for piece in pieces:
            click.echo(piece, nl=False)
    else:
        _write(out, pieces)


def _write(out: Path, pieces: Iterable[str]) -> None:
    """Write a file, which is whole or not there."""
    text = "".join(pieces)
    scratch = out.with_name(f".{out.name}.part")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(out)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise unwritable(out, error) from None
