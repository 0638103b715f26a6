"""Part files: whole or not there. A part is named by the hash of its bytes, so it can be checked and never changes."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DatasetError
from pipeline.schema import PROVENANCE_KEY, SCHEMA_VERSION, STUDY_KEY, VERSION_KEY, row_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

STAGING = ".staging-"
_PREFIX, _SUFFIX = "part-", ".parquet"


class UnreadablePartError(Exception):
    """A part is damaged; its cells have to be run again."""


def encoded(table: pa.Table, study: dict[str, Any], provenance: dict[str, str]) -> bytes:
    """Return a table as a Parquet file with the study and the provenance in its metadata; equal for equal input."""
    described = table.replace_schema_metadata(_described(study, provenance))
    sink = pa.BufferOutputStream()
    pq.write_table(described, sink, compression="zstd")
    return bytes(sink.getvalue())


def _described(study: dict[str, Any], provenance: dict[str, str]) -> dict[Any, Any]:
    """Return the metadata of a part."""
    own = {
        STUDY_KEY: json.dumps(_told(study), sort_keys=True),
        PROVENANCE_KEY: json.dumps(provenance, sort_keys=True),
    }
    return (row_schema().metadata or {}) | own


def _told(study: Any) -> Any:
    """Return a study without packed traces and listings: megabytes that plan.json has once; digests tell as much."""
    if isinstance(study, dict):
        return {
            key: _told(entry) for key, entry in study.items() if not (key == "packed" and "digest" in study)
        }
    return [_told(entry) for entry in study] if isinstance(study, list) else study


def write_part(
    folder: Path, tables: Iterable[pa.Table], study: dict[str, Any], provenance: dict[str, str]
) -> str:
    """Write tables one after another as one part, without holding them all; return its name."""
    staged = folder / f"{STAGING}{os.getpid()}-rows"
    schema = row_schema().with_metadata(_described(study, provenance))
    try:
        with staged.open("wb") as file:
            hashing = _Hashing(file)
            with pq.ParquetWriter(hashing, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table.replace_schema_metadata(schema.metadata))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    name = _name_of(hashing.digest)
    _publish(staged, folder, name)
    return name


class _Hashing:
    """A file to which bytes are written, and their hash."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.blake2b(digest_size=16)
        self.closed = False

    def write(self, content: bytes) -> int:
        """Write bytes."""
        self.digest.update(content)
        return self._file.write(content)

    def tell(self) -> int:
        """Return how many bytes there are."""
        return self._file.tell()

    def flush(self) -> None:
        """Leave it to the file."""

    def close(self) -> None:
        """Leave it to the file, and take no more."""
        self.closed = True


def footer(file: Path) -> pq.FileMetaData:
    """Return what a part says of itself at its end; the rest is not looked at."""
    with pa.OSFile(str(file)) as source:
        return pq.read_metadata(source)


def made_by(known: pq.FileMetaData) -> bytes:
    """Return the provenance that a part carries, as it was written."""
    return bytes((known.metadata or {}).get(PROVENANCE_KEY.encode(), b""))


def ascending(known: pq.FileMetaData) -> bool:
    """Return whether the row groups of a part follow each other in the order of their cell ids."""
    groups = [known.row_group(number).column(0).statistics for number in range(known.num_row_groups)]
    if any(each is None or not each.has_min_max for each in groups):
        return False
    return all(one.max < two.min for one, two in itertools.pairwise(groups))


def part_name(content: bytes) -> str:
    """Return the name of the part that has these bytes."""
    return _name_of(hashlib.blake2b(content, digest_size=16))


def _name_of(digest: Any) -> str:
    """Return the name of the part whose bytes have a hash."""
    return f"{_PREFIX}{digest.hexdigest()}{_SUFFIX}"


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
    with opened(file) as part:
        # Arrow's reading threads may outlive the interpreter and abort the process at its exit (apache/arrow
        # issue 34314), so everything is read in this thread.
        return part.read(columns, use_threads=False)


def pieces(file: Path) -> Iterator[pa.Table]:
    """Yield the rows of a part, a row group after another; raises as ``read_part`` does."""
    with opened(file) as part:
        for number in range(part.num_row_groups):
            yield part.read_row_group(number, use_threads=False)


@contextmanager
def opened(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a part, once its bytes are known to be those that were written; raises as ``read_part`` does."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16))
        size = content.tell()
    if _name_of(digest) != file.name:
        raise UnreadablePartError(f"{file.name}: damaged, its {size:,} bytes are not those that were written")
    try:
        with pa.OSFile(str(file)) as source, pq.ParquetFile(source, pre_buffer=False) as part:
            _refuse_newer(part.schema_arrow, file)
            yield part
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise UnreadablePartError(f"{file.name}: not a Parquet file ({error})") from None


def _refuse_newer(schema: pa.Schema, file: Path) -> None:
    """Refuse rows of a schema that is not known yet."""
    version = int((schema.metadata or {}).get(VERSION_KEY.encode(), b"0"))
    if version > SCHEMA_VERSION:
        raise DatasetError(
            f"{file}: written with schema version {version}; this forkbench knows versions up to {SCHEMA_VERSION}; "
            "install a newer forkbench to read it"
        )


def write_new(folder: Path, name: str, content: bytes | Iterable[bytes]) -> bool:
    """Create a file that is whole from its first moment; an existing one is never touched.

    Parameters
    ----------
    content : bytes, or iterable of bytes
        All of it, or one piece after another.

    Returns
    -------
    bool
        False if a file of that name was there already.
    """
    return _publish(_staged(folder, name, content), folder, name)


def _publish(staged: Path, folder: Path, name: str) -> bool:
    """Give a staged file its name, unless there is one that has it; return whether there was none."""
    try:
        os.link(staged, folder / name)
    except FileExistsError:
        return False
    finally:
        staged.unlink()
    _sync_folder(folder)
    return True


def replace(folder: Path, name: str, content: bytes | Iterable[bytes]) -> None:
    """Write a file that may be there already: readers see the old one or the new one, never a piece."""
    _staged(folder, name, content).replace(folder / name)
    _sync_folder(folder)


def remove(folder: Path, files: Iterable[Path]) -> None:
    """Remove files that may be gone already."""
    for file in files:
        file.unlink(missing_ok=True)
    _sync_folder(folder)


def _staged(folder: Path, name: str, content: bytes | Iterable[bytes]) -> Path:
    """Return a file with the content, on the disk for certain, under a name that nobody reads."""
    staged = folder / f"{STAGING}{os.getpid()}-{name}"
    try:
        with staged.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
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
