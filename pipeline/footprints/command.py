"""``forkbench footprints``: what programs occupy in memory, as shipped or measured here."""
# ruff: noqa: PLC0415 - what measures is imported when something is measured, so that --help is quick

from __future__ import annotations

import datetime as dt
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import RefusedError, did_you_mean, unwritable

if TYPE_CHECKING:
    from simcore.workloads.footprints import Footprint

_MEASURE = "measure"
_PAGE = 4096


@click.command()
@click.argument("name", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="With measure: write a JSON file as well."
)
def footprints(name: str | None, out: Path | None) -> None:
    """List what programs occupy in memory, or tell all of one; NAME may be "measure".

    The shipped figures were measured; workloads take them by `image: NAME`. "measure" runs each program that this
    machine has for a moment, looks at its memory before it exits, and lists that instead. It needs Linux and pages of
    4 KiB, but not root.
    """
    from simcore.workloads.footprints import FOOTPRINTS, PROVENANCE

    if out is not None and name != _MEASURE:
        raise RefusedError(
            f"--out {out}: nothing is measured; --out goes with measure; write footprints measure"
        )
    if name == _MEASURE:
        _measure(out)
    elif name is None:
        click.echo(_listed(FOOTPRINTS, PROVENANCE))
    elif name in FOOTPRINTS:
        click.echo(_explained(FOOTPRINTS[name], PROVENANCE))
    else:
        raise RefusedError(f"unknown program {name!r}{did_you_mean(name, FOOTPRINTS)}")


def _measure(out: Path | None) -> None:
    """Measure what is there, list it, and write it if that is wanted."""
    from pipeline.footprints.programs import measured
    from simcore.workloads.footprints import document

    _refuse_other_machines()
    results = dict(measured())
    found = {name: each for name, each in results.items() if each is not None}
    made_by = {
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "machine": platform.machine(),
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }
    click.echo(_listed(found, made_by))
    for name in (name for name in results if name not in found):
        click.echo(f"{name}: missing on this machine, or it could not be run")
    if out is None:
        return
    try:
        out.write_text(document(found, made_by), encoding="utf-8")
    except OSError as error:
        raise unwritable(out, error) from None
    click.echo(f"written: {out}")


def _refuse_other_machines() -> None:
    """Refuse where smaps and ptrace are not what is expected of them."""
    if platform.system() != "Linux":
        raise RefusedError(f"footprints measure: this is {platform.system()}; Linux is needed; measure there")
    page = os.sysconf("SC_PAGE_SIZE")
    if page != _PAGE:
        raise RefusedError(
            f"footprints measure: pages have {page} bytes here; {_PAGE} are needed; measure on another machine"
        )


_COLUMNS = (
    "vmas",
    "text",
    "library",
    "archive",
    "anon_pages",
    "leaf_tables",
    "page_table_kib",
    "minor_faults",
)
_HEADS = ("vmas", "text", "library", "archive", "anon", "leaf tables", "VmPTE KiB", "minor faults")


def _listed(found: dict[str, Footprint], made_by: dict[str, str]) -> str:
    """Return a table of footprints, a program a line."""
    rows: list[tuple[str, ...]] = [("program", *_HEADS)]
    rows += [(name, *(f"{getattr(each, key):,}" for key in _COLUMNS)) for name, each in found.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([*lines, "", f"resident pages of 4 KiB at the end of a short run; {_told(made_by)}"])


def _told(made_by: dict[str, str]) -> str:
    """Return where and when something was measured."""
    return f"{made_by['kernel']} {made_by['machine']}, {made_by['date']}"


def _explained(each: Footprint, made_by: dict[str, str]) -> str:
    """Return all that is known of a program."""
    from pipeline.terminal import two_columns

    files = f"text {each.text:,}, libraries {each.library:,}, other files {each.archive:,}"
    own = f"data {each.data:,}, library data {each.library_data:,}, heap {each.heap:,}"
    tables = f"libraries in {each.library_tables}, heap and anonymous mappings in {each.heap_tables} others"
    figures = [
        ("vmas", f"{each.vmas}"),
        ("file pages", f"{each.file_pages:,}: {files}"),
        (
            "anonymous pages",
            f"{each.anon_pages:,}: {own}, anonymous mappings {each.anon:,}, stack {each.stack:,}",
        ),
        ("leaf tables", f"{each.leaf_tables}: {tables}; VmPTE {each.page_table_kib} KiB"),
        ("minor faults", f"{each.minor_faults:,} from exec to the end"),
        ("libraries", ", ".join(f"{name} {pages:,}" for name, pages in each.libraries.items()) or "none"),
    ]
    return f"{each.name}: {each.version}\n{each.run}; {_told(made_by)}\n\n{two_columns(figures)}"
