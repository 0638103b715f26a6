"""The file of a recorded trace: Parquet, versioned, with a checksum; refused unless it is whole.

Any reader of Parquet shows its events, one row each: images first, as task -1, then those of each task, since what one
program does looks like what another run of it does, and is kept in little space. ``gap`` is how many events of other
tasks lie between an event and the one of the same task before it, or the beginning of all: so the order is restored.
Everything else stands in the schema's metadata, as JSON under ``forkbench``; the table of processes in it is compressed.
Nothing names a user, an argument, or the path of a file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import RefusedError
from pipeline.traces.processes import FIRST, FORK, VFORK, Process
from simcore.events import EVENT_DTYPE, Op
from simcore.workloads.recording import Recording, digest_of, packed

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.traces.story import Told

FORMAT = "forkbench trace"
VERSION = 1  # raise when a key or column changes meaning, appears or goes
FOOTPRINTS = "footprints"  # touches that nobody saw
_META = "forkbench"
_RECORD = "record one with: forkbench trace record --out FILE -- COMMAND"
_NAMES = [op.name.lower() for op in Op]
# Column -> its type; the stride of an event is 1 where pages are touched and 0 elsewhere.
_COLUMNS = {
    "task": pa.int32(),
    "gap": pa.int64(),
    "start": pa.int64(),
    "count": pa.int64(),
    "arg": pa.int64(),
    "file": pa.int64(),
    "offset": pa.int64(),
}
_MAX_BYTES = 1 << 30
_LEVEL = 19  # of zstd: slow to write, as quick to read as any


class TraceFileError(RefusedError):
    """A file is no recorded trace."""


@dataclass(frozen=True)
class Recorded:
    """A recorded trace and what is known of it.

    Parameters
    ----------
    command : str
        Base name of the program that was run.
    taken : str
        When, UTC; "" for a log that was imported.
    kernel, machine : str
        Release and hardware name of the machine; "" if not known.
    way : {"tracefs", "strace"}
        How it was recorded.
    touches : {"faults", "footprints"}
        Whether touches are faults that were recorded, or taken from measured footprints.
    lost : int
        Events that the kernel could not keep.
    exit_code : int or None
        Of the command, minus the signal's number if one ended it.
    seconds : float
        That it took, from the first event to the last if it was imported.
    notes : dict
        What could not be told as it was -> how often.
    processes : list of Process
        By task.
    recording : Recording
        The events.
    """

    command: str
    taken: str
    kernel: str
    machine: str
    way: str
    touches: str
    lost: int
    exit_code: int | None
    seconds: float
    notes: dict[str, int]
    processes: list[Process]
    recording: Recording

    @staticmethod
    def of(told: Told, facts: dict[str, Any]) -> Recorded:
        """Return a story with what is known besides."""
        return Recorded(**facts, notes=told.notes, processes=told.processes, recording=told.recording)

    def value(self, label: str) -> dict[str, Any]:
        """Return the recording as the value of a study's parameter."""
        return {
            "label": label,
            "processes": len(self.processes),
            "digest": digest_of(self.recording),
            "packed": packed(self.recording),
        }


def write_trace(recorded: Recorded, path: Path) -> None:
    """Write a recorded trace to a file that is not there yet.

    Raises
    ------
    TraceFileError
        The file is there, or cannot be written.
    """
    document = _document(recorded)
    digest = digest_of(recorded.recording)
    head = {"format": FORMAT, "version": VERSION, "digest": digest, "checksum": _checksum(document, digest)}
    table = _table(recorded.recording)
    buffer = BytesIO()
    # Whole processes repeat each other, which zstd finds where values are written out, in one piece a column.
    with pq.ParquetWriter(
        buffer, table.schema, compression="zstd", compression_level=_LEVEL, use_dictionary=["op"],
        data_page_size=1 << 30, write_statistics=False, write_batch_size=max(1, len(table)),
    ) as writer:  # fmt: skip
        writer.write_table(table, row_group_size=max(1, len(table)))
        writer.add_key_value_metadata({_META: json.dumps(head | document)})
    try:
        with path.open("xb") as file:
            file.write(buffer.getvalue())
    except FileExistsError:
        raise TraceFileError(already(path)) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TraceFileError(f"{path}: cannot be written ({reason}); name another file with --out") from None


def _document(recorded: Recorded) -> dict[str, Any]:
    """Return all that a file holds besides its events."""
    facts = {key: value for key, value in vars(recorded).items() if key not in ("processes", "recording")}
    rows = [list(vars(process).values()) for process in recorded.processes]
    text = json.dumps([list(column) for column in zip(*rows, strict=True)], separators=(",", ":"))
    return facts | {
        "processes": base64.b64encode(zlib.compress(text.encode(), 9)).decode(),
        "page_bytes": recorded.recording.page_bytes,
        "image_starts": recorded.recording.image_starts.tolist(),
    }


def _table(recording: Recording) -> pa.Table:
    """Return the events as a file has them: images, then task by task."""
    order = np.argsort(recording.rows["task"], kind="stable")
    rows = np.concatenate([recording.image_rows, recording.rows[order]])
    gaps = np.zeros(len(rows), np.int64)
    images = len(recording.image_rows)
    tasks = recording.rows["task"][order]
    first = np.ones(len(order), np.bool_)
    first[1:] = tasks[1:] != tasks[:-1]
    gaps[images:] = np.where(first, order, np.diff(order, prepend=0) - 1)
    columns = {"op": pa.DictionaryArray.from_arrays(pa.array(rows["op"], pa.int8()), _NAMES)}
    columns |= {
        name: pa.array(gaps if name == "gap" else rows[name], kind) for name, kind in _COLUMNS.items()
    }
    return pa.table(columns)


def already(path: Path) -> str:
    """Return what is said of a file that is there."""
    return (
        f"{path}: is there already; a recorded trace is written over no other file; name another with --out"
    )


def _checksum(facts: dict[str, Any], digest: str) -> str:
    """Return a hash of all that a file holds: 32 hex digits."""
    text = json.dumps([facts, digest], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_trace(path: Path) -> Recorded:
    """Return the recorded trace that a file holds.

    Raises
    ------
    TraceFileError
        There is no such file, or it is none, damaged, or of a newer version.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise TraceFileError(f"{path}: {reason}; the file of a recorded trace is needed; {_RECORD}") from None
    if not raw.startswith(b"PAR1"):
        raise TraceFileError(
            f"{path}: begins with {raw[:12]!r}; a recorded trace is a file of Parquet; {_RECORD}, or import a "
            "log of strace with: forkbench trace import LOG --out FILE"
        )
    try:
        table = pq.read_table(BytesIO(raw), use_threads=False, read_dictionary=["op"])
        facts = json.loads((pq.read_metadata(BytesIO(raw)).metadata or {}).get(_META.encode(), b"null"))
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise TraceFileError(
            f"{path}: damaged: {said}; a whole file is needed; copy it again, or {_RECORD}"
        ) from None
    if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
        raise TraceFileError(f"{path}: is not a {FORMAT}; only such a file is allowed; {_RECORD}")
    version = facts.pop("version", None)
    if type(version) is not int or not 1 <= version <= VERSION:
        raise TraceFileError(
            f"{path}: version {version!r} of the format; versions 1 to {VERSION} are allowed; read it with the forkbench "
            "that wrote it, or a newer one"
        )
    return _recorded(table, facts, path)


def _recorded(table: pa.Table, facts: dict[str, Any], path: Path) -> Recorded:
    """Return the trace of a file of this format."""
    digest, checksum = facts.pop("digest", None), facts.pop("checksum", None)
    try:
        whole = _checksum(facts, digest) == checksum
        recording = _recording(table, facts.pop("page_bytes"), facts.pop("image_starts"))
        processes = _processes(facts.pop("processes"))
        recorded = Recorded(**facts, processes=processes, recording=recording)
        sound = whole and digest_of(recording) == digest and all(map(_is_sound, processes))
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        OverflowError,
        zlib.error,
        pa.ArrowException,
    ) as error:
        raise TraceFileError(f"{path}: not a trace of version {VERSION}: {error}; {_RECORD}") from None
    if not sound:
        raise TraceFileError(
            f"{path}: damaged: its content does not have its checksum; a whole file is needed; copy it again, or "
            f"{_RECORD}"
        )
    return recorded


def _recording(table: pa.Table, page_bytes: int, image_starts: list[int]) -> Recording:
    """Return the events of a table."""
    rows = np.zeros(len(table), EVENT_DTYPE)
    for name in (name for name in _COLUMNS if name != "gap"):
        rows[name] = table[name].to_numpy()
    op = table["op"].combine_chunks()
    codes = np.array([_NAMES.index(name) for name in op.dictionary.to_pylist()], np.int64)
    rows["op"] = codes[op.indices.to_numpy()] if len(rows) else 0
    rows["stride"] = (rows["op"] == Op.READ) | (rows["op"] == Op.WRITE)
    starts = np.array(image_starts, np.int64)
    images = int(starts[-1])
    if not 0 <= images <= len(rows):
        raise ValueError(f"{images} rows of images in {len(rows)} rows")
    tasks = rows["task"][images:]
    steps = np.cumsum(table["gap"].to_numpy()[images:] + 1)
    first = np.ones(len(tasks), np.bool_)
    first[1:] = tasks[1:] != tasks[:-1]
    begins = np.concatenate([[0], steps])[:-1][first]
    places = steps - 1 - begins[np.cumsum(first) - 1]
    if not (np.bincount(places, minlength=len(places)) == 1).all():
        raise ValueError("the order of its events is not told")
    ordered = np.empty_like(rows[images:])
    ordered[places] = rows[images:]
    return Recording(page_bytes, ordered, rows[:images], starts)


def _processes(text: str) -> list[Process]:
    """Return the table of processes."""
    inflate = zlib.decompressobj()
    plain = inflate.decompress(base64.b64decode(text, validate=True), _MAX_BYTES)
    return [Process(*row) for row in zip(*json.loads(plain), strict=True)]


def _is_sound(process: Process) -> bool:
    """Return whether a process holds values of the kinds that it should."""
    figures = [process.parent, process.born_us, process.threads, process.faults, process.left_out]
    figures += [value for value in (process.ended_us, process.minor_faults) if value is not None]
    whole = all(type(value) is int for value in figures) and process.how in (FIRST, FORK, VFORK)
    return whole and all(type(at) is int and type(name) is str for at, name in process.programs)
