"""Part files: whole or not there. A part is named by the hash of its bytes, so it can be checked and never changes."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DatasetError
from pipeline.schema import PROVENANCE_KEY, SCHEMA_VERSION, STUDY_KEY, VERSION_KEY, row_schema

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STAGING = ".staging-"
_PREFIX, _SUFFIX = "part-", ".parquet"


class UnreadablePartError(Exception):
    """A part is damaged; its cells have to be run again."""


def encoded(table: pa.Table, study: dict[str, Any], provenance: dict[str, str]) -> bytes:
    """Return a table as a Parquet file with the study and the provenance in its metadata; equal for equal input."""
    own = {
        STUDY_KEY: json.dumps(study, sort_keys=True),
        PROVENANCE_KEY: json.dumps(provenance, sort_keys=True),
    }
    described = table.replace_schema_metadata((row_schema().metadata or {}) | own)
    sink = pa.BufferOutputStream()
    pq.write_table(described, sink, compression="zstd")
    return bytes(sink.getvalue())


def made_by(table: pa.Table) -> bytes:
    """Return the provenance that a part carries, as it was written."""
    return bytes((table.schema.metadata or {}).get(PROVENANCE_KEY.encode(), b""))


def part_name(content: bytes) -> str:
    """Return the name of the part that has these bytes."""
    return f"{_PREFIX}{hashlib.blake2b(content, digest_size=16).hexdigest()}{_SUFFIX}"


def part_files(folder: Path) -> list[Path]:
    """Return the parts of a dataset, sorted by name."""
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))


def read_part(file: Path, columns: list[str] | None = None) -> pa.Table:
    """Return the rows of a part, all columns or some.

    Raises
    ------
    UnreadablePartError
        If its bytes are not those that were written.
    DatasetError
        If a newer version of forkbench wrote it.
    """
    content = file.read_bytes()
    if part_name(content) != file.name:
        raise UnreadablePartError(
            f"{file.name}: damaged, its {len(content):,} bytes are not those that were written"
        )
    try:
        # Arrow's reading threads may outlive the interpreter and abort the process at its exit (apache/arrow
        # issue 34314), so everything is read in this thread.
        table = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise UnreadablePartError(f"{file.name}: not a Parquet file ({error})") from None
    version = int((table.schema.metadata or {}).get(VERSION_KEY.encode(), b"0"))
    if version > SCHEMA_VERSION:
        raise DatasetError(
            f"{file}: written with schema version {version}; this forkbench knows versions up to {SCHEMA_VERSION}; "
            "install a newer forkbench to read it"
        )
    return table


def write_new(folder: Path, name: str, content: bytes) -> bool:
    """Create a file that is whole from its first moment; an existing one is never touched.

    Returns
    -------
    bool
        False if a file of that name was there already.
    """
    staged = _staged(folder, name, content)
    try:
        os.link(staged, folder / name)
    except FileExistsError:
        return False
    finally:
        staged.unlink()
    _sync_folder(folder)
    return True


def replace(folder: Path, name: str, content: bytes) -> None:
    """Write a file that may be there already: readers see the old one or the new one, never a piece."""
    _staged(folder, name, content).replace(folder / name)
    _sync_folder(folder)


def remove(folder: Path, files: Iterable[Path]) -> None:
    """Remove files that may be gone already."""
    for file in files:
        file.unlink(missing_ok=True)
    _sync_folder(folder)


def _staged(folder: Path, name: str, content: bytes) -> Path:
    """Return a file with the content, on the disk for certain, under a name that nobody reads."""
    staged = folder / f"{STAGING}{os.getpid()}-{name}"
    try:
        with staged.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    return staged


def _sync_folder(folder: Path) -> None:
    """Make sure that names in a folder survive a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
