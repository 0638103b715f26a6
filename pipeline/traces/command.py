"""``forkbench trace``: record a program, import a log, tell what a recorded trace holds."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import RefusedError, did_you_mean

if TYPE_CHECKING:
    from pipeline.traces.file import Recorded

_out = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("trace.parquet"), show_default=True, metavar="FILE",
    help="Where to write it; no file is written over.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def trace() -> None:
    """Record what real programs do to their memory, as traces that studies run.

    A study names a recorded trace as its workload: {recorded: {file: NAME or FILE}}.
    """


@trace.command(context_settings={"ignore_unknown_options": True})
@_out
@click.option(
    "--with", "way", type=click.Choice(["auto", "tracefs", "strace"]), default="auto", show_default=True,
    help="tracefs sees every page fault, and needs root; strace sees calls only. auto takes the first that is permitted.",
)  # fmt: skip
@_json
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def record(out: Path, way: str, command: tuple[str, ...], *, as_json: bool) -> None:
    """Run COMMAND and record its forks, execs, maps and page faults, and those of all its children.

    It is recorded until its last process has exited. Arguments, paths and environments are not kept, only the base
    names of programs.
    """
    from pipeline.traces.file import TraceFileError, already, write_trace
    from pipeline.traces.recorder import record as recorded_run

    if out.exists():
        raise TraceFileError(already(out))
    recorded, reason = recorded_run(command, way)
    if reason:
        click.echo(f"note: recorded by strace, since {reason}", err=True)
    write_trace(recorded, out)
    _tell(recorded, out, as_json=as_json)


@trace.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_out
@_json
def import_(file: Path, out: Path, *, as_json: bool) -> None:
    """Make a trace of FILE: a log of strace -f, or a recorded trace, which is checked and copied.

    A log tells calls and no faults: what is touched comes from measured footprints.
    """
    from pipeline.traces.file import TraceFileError, already, write_trace
    from pipeline.traces.importing import imported

    if out.exists():
        raise TraceFileError(already(out))
    recorded = imported(file)
    write_trace(recorded, out)
    _tell(recorded, out, as_json=as_json)


@trace.command()
@click.argument("files", nargs=-1, metavar="[NAME|FILE]...")
@click.option(
    "--each",
    is_flag=True,
    help="Compare faults with the kernel's count, process by process; takes minutes for large traces.",
)
@_json
def stats(files: tuple[str, ...], *, each: bool, as_json: bool) -> None:
    """Tell what recorded traces hold: one in full, several side by side; without a name, all that ship.

    Each is simulated under mainline, so that faults stand beside those that were recorded.
    """
    from pipeline.traces.comparison import compared
    from pipeline.traces.shipped import shipped_traces
    from pipeline.traces.statistics import statistics
    from pipeline.traces.told import comparison_lines, trace_lines, trace_table
    from simcore.errors import SimcoreError

    names = list(files) or list(shipped_traces())
    read = {name: _read(name) for name in names}
    try:
        found = {name: statistics(recorded) for name, recorded in read.items()}
        rows = {name: compared(recorded) for name, recorded in read.items()} if each else {}
    except SimcoreError as error:
        raise RefusedError(f"trace stats: {error}") from None
    if as_json:
        for name, compare in rows.items():
            found[name]["compared"] = [row._asdict() for row in compare]
        click.echo(json.dumps(found, indent=2))
        return
    if len(found) == 1:
        click.echo(trace_lines(*next(iter(found.items()))))
    else:
        click.echo(trace_table(list(found), list(found.values())))
    for name, compare in rows.items():
        click.echo(f"\n{name}: {comparison_lines(compare)}")


def _tell(recorded: Recorded, out: Path, *, as_json: bool) -> None:
    """Print what a trace holds that was just written."""
    from pipeline.traces.statistics import statistics
    from pipeline.traces.told import trace_lines
    from simcore.errors import SimcoreError

    try:
        found = statistics(recorded)
    except SimcoreError as error:  # it is written all the same: what was recorded is not lost
        found = statistics(recorded, simulated=False)
        click.echo(f"note: it cannot be simulated as it is: {error}", err=True)
    click.echo(json.dumps(found, indent=2) if as_json else trace_lines(str(out), found))


def _read(name: str) -> Recorded:
    """Return a shipped trace, or that of a file."""
    from pipeline.traces.file import read_trace
    from pipeline.traces.shipped import shipped_traces

    known = shipped_traces()
    if name in known:
        return read_trace(known[name])
    if Path(name).exists() or Path(name).suffix:
        return read_trace(Path(name))
    raise RefusedError(f"unknown recorded trace {name!r}{did_you_mean(name, known)}; a file is allowed too")
