"""A recorded trace as a study holds it: rows of events, a touched page each, and how they are packed into a text.

A study holds ``{"label": str, "processes": int, "digest": str, "packed": str}``. The digest is of the rows alone, so
that equal recordings are equal, whatever compressed them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from simcore.events import EVENT_DTYPE, Op

KEYS = {"label", "processes", "digest", "packed"}
ROWS_MAX = 1 << 26
_MAGIC = b"forkbench-rows-1"
# Column -> how it is packed; the stride is 1 where a page is touched and 0 elsewhere, so it need not be kept.
_PACKED: dict[str, np.dtype[Any]] = {
    "op": np.dtype("<i1"),
    "task": np.dtype("<i4"),
    "start": np.dtype("<i8"),
    "count": np.dtype("<i8"),
    "arg": np.dtype("<i8"),
    "file": np.dtype("<i8"),
    "offset": np.dtype("<i8"),
}
_ROW_BYTES = sum(kind.itemsize for kind in _PACKED.values())
_HEAD = np.dtype([("page_bytes", "<i8"), ("rows", "<i8"), ("image_rows", "<i8"), ("images", "<i8")])

Rows = npt.NDArray[np.void]


class Recording(NamedTuple):
    """What a program and its children did to their memory.

    Parameters
    ----------
    page_bytes : int
        Of the machine that it was recorded on.
    rows : structured array [n] of EVENT_DTYPE
        The events in order. A READ or WRITE has stride 1. Where it is a read of one page of a file, ``file`` and
        ``offset`` tell the block of pages that the kernel may have mapped around it: it begins at page
        ``start + file`` and has ``offset`` pages. Elsewhere they are 0.
    image_rows, image_starts : structured array [k] of EVENT_DTYPE, int64 [images + 1]
        As in a ``Trace``.
    """

    page_bytes: int
    rows: Rows
    image_rows: Rows
    image_starts: npt.NDArray[np.int64]


def digest_of(recording: Recording) -> str:
    """Return a hash of a recording: 32 hex digits."""
    return hashlib.blake2b(_plain(recording), digest_size=16).hexdigest()


def packed(recording: Recording) -> str:
    """Return a recording as one text."""
    return base64.b64encode(zlib.compress(_plain(recording), 6)).decode()


@lru_cache(maxsize=8)
def unpacked(text: str, digest: str) -> Recording:
    """Return the recording that ``packed`` made a text of.

    Raises
    ------
    ValueError
        The text holds none, or another one than ``digest`` says.
    """
    try:
        plain = _inflated(base64.b64decode(text, validate=True))
        found = _recording(plain)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(
            f"a packed recording that cannot be read ({error}); what forkbench trace record wrote is allowed; "
            "record again"
        ) from None
    if digest_of(found) != digest:
        raise ValueError(
            f"a packed recording that does not have its digest {digest!r}; a whole one is needed; record again"
        )
    return found


def recording_of(value: Any) -> Recording:
    """Return the recording that a study holds.

    Raises
    ------
    ValueError
        The value is not ``{"label": str, "processes": int, "digest": str, "packed": str}``, or its text holds none.
    """
    texts = ("digest", "packed")
    sound = (
        isinstance(value, dict) and set(value) == KEYS and all(isinstance(value[key], str) for key in texts)
    )
    if not sound:
        raise ValueError(
            "no recorded trace is given; a shipped one's name or the file of one is needed; write file: NAME or FILE, "
            "from: forkbench trace record --out FILE -- COMMAND"
        )
    return unpacked(value["packed"], value["digest"])


def _plain(recording: Recording) -> bytes:
    """Return a recording as bytes: column by column, since like values lie side by side then."""
    starts = recording.image_starts.astype("<i8")
    head = np.array(
        [(recording.page_bytes, len(recording.rows), len(recording.image_rows), len(starts) - 1)], _HEAD
    )
    columns = [
        rows[name].astype(kind).tobytes()
        for rows in (recording.rows, recording.image_rows)
        for name, kind in _PACKED.items()
    ]
    return b"".join([_MAGIC, head.tobytes(), starts.tobytes(), *columns])


def _inflated(raw: bytes) -> bytes:
    """Return what zlib compressed, whole and of a size that memory holds."""
    inflate = zlib.decompressobj()
    plain = inflate.decompress(raw, ROWS_MAX * _ROW_BYTES)
    if not inflate.eof:
        raise ValueError("the text is cut, or of more bytes than are allowed")
    return plain


def _recording(plain: bytes) -> Recording:
    """Return the recording of unpacked bytes."""
    if not plain.startswith(_MAGIC) or len(plain) < len(_MAGIC) + _HEAD.itemsize:
        raise ValueError("it does not begin as one")
    at = len(_MAGIC)
    page_bytes, count, image_count, images = (int(each) for each in np.frombuffer(plain, _HEAD, 1, at)[0])
    at += _HEAD.itemsize
    sizes = (count, image_count, images)
    expected = at + 8 * (images + 1) + (count + image_count) * _ROW_BYTES
    if not all(0 <= size <= ROWS_MAX for size in sizes) or len(plain) != expected:
        raise ValueError("its parts are not as long as they should be")
    starts = np.frombuffer(plain, "<i8", images + 1, at).astype(np.int64)
    rising = (np.diff(starts) >= 0).all() and starts[0] == 0 and starts[-1] == image_count
    if not rising:
        raise ValueError("its images do not follow each other")
    at += starts.nbytes
    rows, at = _rows(plain, count, at)
    image_rows, _ = _rows(plain, image_count, at)
    return Recording(page_bytes, rows, image_rows, starts)


def _rows(plain: bytes, count: int, at: int) -> tuple[Rows, int]:
    """Return so many rows that begin at byte ``at``, and where they end."""
    rows = np.zeros(count, EVENT_DTYPE)
    for name, kind in _PACKED.items():
        rows[name] = np.frombuffer(plain, kind, count, at)
        at += count * kind.itemsize
    touches = (rows["op"] == Op.READ) | (rows["op"] == Op.WRITE)
    rows["stride"] = touches
    return rows, at
