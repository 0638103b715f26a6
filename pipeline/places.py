"""Where a dataset is: a folder of this machine, or objects under a URL that fsspec knows, as ``s3://bucket/prefix``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import DatasetError
from pipeline.folders import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable

Where = Path | str
_LOCAL = ("file://", "local://")


class Place(Protocol):
    """What a dataset needs of the place where it is. What cannot be done is an OSError."""

    @property
    def scratch(self) -> Path:
        """A local folder for files that are staged, and for what does not fit in memory."""

    def exists(self) -> bool:
        """Return whether there is anything."""

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""

    def sizes(self) -> dict[str, int]:
        """Return the files and their bytes."""

    def parts(self) -> list[Path]:
        """Return local files with the bytes of the parts, sorted by name."""

    def read(self, name: str) -> bytes:
        """Return the content of a file; raises FileNotFoundError."""

    def claim(self, mark: str) -> None:
        """Take the lock; ``mark`` is a file that every dataset has. Raises DatasetError if another one holds it."""

    def release(self) -> None:
        """Give the lock back, if it is held."""

    def writer(self) -> int | None:
        """Return the number of the process that holds the lock, None if nobody does; 0 if it is not known."""

    def write_new(self, name: str, content: bytes | Iterable[bytes]) -> bool:
        """Create a file that is whole from its first moment; return False if one was there, which is not touched."""

    def publish(self, staged: Path, name: str) -> bool:
        """Do the same with a file in ``scratch``, which is gone afterwards."""

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Write a file that may be there already: readers see the old one or the new one, never a piece."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that may be gone already."""

    def set_aside(self, name: str, other: str) -> None:
        """Give a file another name."""


def place_of(where: Where) -> Place:
    """Return the place that a path or a URL names; nothing is looked at yet.

    Raises
    ------
    DatasetError
        If a URL names no place that is known, or what it needs is not installed.
    """
    text = str(where)
    for scheme in _LOCAL:
        if text.startswith(scheme):
            return Folder(Path(text.removeprefix(scheme)))
    if isinstance(where, str) and "://" in where:
        return _bucket(where.rstrip("/"))
    first = Path(where).parts[:1]
    if first and first[0].endswith(":") and len(first[0]) > 2 and not Path(first[0]).exists():
        raise DatasetError(f"{text}: a URL that was made a Path has lost a slash; give it as text")
    return Folder(Path(where))


@functools.lru_cache(maxsize=16)
def _bucket(url: str) -> Place:
    """Return the place of a URL; what it has fetched is kept for the next who asks."""
    from pipeline.buckets import Bucket  # noqa: PLC0415 - fsspec is slow to import, and needed for URLs only

    return Bucket(url)
