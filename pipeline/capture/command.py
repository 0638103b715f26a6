"""``forkbench capture`` and ``forkbench validate-capture``."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
from pathlib import Path

import click

from pipeline.errors import RefusedError, did_you_mean


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("capture.json.gz"), show_default=True, metavar="FILE",
    help="Where to write it; no file is written over.",
)  # fmt: skip
@click.option("--anonymise", is_flag=True, help="Keep hashes instead of the names of executables.")
@click.option(
    "--show", type=click.Path(path_type=Path), metavar="FILE",
    help="Instead: tell what a capture holds that was taken before.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def capture(out: Path, show: Path | None, *, anonymise: bool, as_json: bool) -> None:
    """Capture this machine's processes from /proc: who forked whom, vmas, pages, page tables.

    What this user may not read is counted. No arguments, users or paths of files are kept. A study names the file as
    its workload: {capture: {file: FILE}}.
    """
    from pipeline.capture.file import CaptureError, read_capture, write_capture
    from pipeline.capture.told import capture_lines, facts_of

    if show is not None:
        found, where = read_capture(show), show
    else:
        from pipeline.capture.live import take_capture

        if out.exists():
            raise CaptureError(
                f"{out}: is there already; a capture is written over no other file; name another with --out"
            )
        found, where = take_capture(anonymise=anonymise), out
        write_capture(found, out)
    click.echo(json.dumps(facts_of(found), indent=2) if as_json else capture_lines(found, str(where)))


@click.command("validate-capture")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--design", "name", default="mainline", show_default=True, metavar="NAME",
    help="The design to simulate; it has to give each mm page tables of its own, as real kernels do.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every process.")
def validate_capture(file: Path, name: str, *, as_json: bool) -> None:
    """Simulate a capture and compare page tables with the kernel's, process by process.

    The simulation stops where every process has what it was found with. Processes that differ are listed with the reason.
    """
    from pipeline.capture.comparison import COPYING, compare
    from pipeline.capture.file import read_capture
    from pipeline.capture.told import comparison_lines
    from simcore.designs import DESIGNS
    from simcore.errors import SimcoreError

    if name not in COPYING:
        raise RefusedError(f"--design: {name!r} cannot be compared{did_you_mean(name, COPYING)}")
    found = read_capture(file)
    try:
        rows = compare(found, DESIGNS[name])
    except SimcoreError as error:
        raise RefusedError(f"{file}: {error}") from None
    if as_json:
        equal = sum(not row.reason for row in rows)
        figures = {"design": name, "equal": equal, "compared": len(rows)}
        click.echo(json.dumps(figures | {"processes": [row._asdict() for row in rows]}, indent=2))
    else:
        click.echo(comparison_lines(rows, found, name, str(file)))
