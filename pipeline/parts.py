"""Part files: whole or not there. A part is named by the hash of its bytes, so it can be checked and never changes."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DatasetError
from pipeline.plan import told_by_digest
from pipeline.schema import PROVENANCE_KEY, SCHEMA_VERSION, STUDY_KEY, VERSION_KEY, row_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

PREFIX, _SUFFIX = "part-", ".parquet"


class UnreadablePartError(Exception):
    """A part is damaged; its cells have to be run again."""


def encoded(table: pa.Table, study: dict[str, Any], provenance: dict[str, str]) -> bytes:
    """Return a table as a Parquet file with the study and the provenance in its metadata; equal for equal input."""
    described = table.replace_schema_metadata(schema_of(study, provenance).metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(described, sink, compression="zstd")
    return bytes(sink.getvalue())


def schema_of(study: dict[str, Any], provenance: dict[str, str]) -> pa.Schema:
    """Return the schema of a part that this version writes, with the study and the provenance in its metadata.

    Packed traces and listings are megabytes, which plan.json has once.
    """
    own = {
        STUDY_KEY: json.dumps(told_by_digest(study), sort_keys=True),
        PROVENANCE_KEY: json.dumps(provenance, sort_keys=True),
    }
    schema = row_schema()
    return schema.with_metadata((schema.metadata or {}) | own)


def write_rows(file: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> str:
    """Write tables one after another as one part, without holding them all; return the name that it has to get."""
    try:
        with file.open("wb") as sink:
            hashing = _Hashing(sink)
            with pq.ParquetWriter(hashing, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table.replace_schema_metadata(schema.metadata))
            sink.flush()
            os.fsync(sink.fileno())
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return _name_of(hashing.digest)


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
    return f"{PREFIX}{digest.hexdigest()}{_SUFFIX}"


def part_files(folder: Path) -> list[Path]:
    """Return the parts in a folder, sorted by name."""
    return sorted(folder.glob(f"{PREFIX}*{_SUFFIX}"))


def is_part(name: str) -> bool:
    """Return whether a file of this name is a part."""
    return name.startswith(PREFIX) and name.endswith(_SUFFIX)


def intact(file: Path) -> bool:
    """Return whether the bytes of a part are those that its name says."""
    return _name_of(_digest(file)[0]) == file.name


def _digest(file: Path) -> tuple[Any, int]:
    """Return the hash of a file, and how many bytes it has."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)), content.tell()


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
        yield from row_groups(part)


def row_groups(part: pq.ParquetFile) -> Iterator[pa.Table]:
    """Yield the rows of an open part, a row group after another; the next one is read while one is looked at."""
    with ThreadPoolExecutor(1) as reader:  # it ends here, unlike Arrow's own threads
        ahead = deque[Future[pa.Table]]()
        for number in range(part.num_row_groups):
            ahead.append(reader.submit(part.read_row_group, number, use_threads=False))
            if number:
                yield ahead.popleft().result()
        if ahead:
            yield ahead.popleft().result()


@contextmanager
def opened(file: Path, coded: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """Open a part, once its bytes are known to be those that were written; raises as ``read_part`` does.

    Columns whose paths are in ``coded`` are read as dictionaries.
    """
    digest, size = _digest(file)
    if _name_of(digest) != file.name:
        raise UnreadablePartError(f"{file.name}: damaged, its {size:,} bytes are not those that were written")
    try:
        with (
            pa.OSFile(str(file)) as source,
            pq.ParquetFile(source, read_dictionary=list(coded), pre_buffer=False) as part,
        ):
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
