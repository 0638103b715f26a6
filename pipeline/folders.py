"""A dataset in a folder of this machine: files that are whole or not there, and the lock of the one who writes them."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from pipeline import parts
from pipeline.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOCK = ".lock"
STAGING = ".staging-"


class Folder:
    """A folder as the place of a dataset; see ``pipeline.places.Place`` for what each method does.

    Parameters
    ----------
    path : Path
        The folder, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def __str__(self) -> str:
        return str(self._path)

    @property
    def scratch(self) -> Path:
        """The folder itself: a file that is staged there gets its name by a link."""
        return self._path

    def exists(self) -> bool:
        """Return whether the folder is there."""
        return self._path.exists()

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return (self._path / name).exists()

    def sizes(self) -> dict[str, int]:
        """Return the files and their bytes."""
        try:
            return {file.name: file.stat().st_size for file in self._path.iterdir() if file.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def parts(self) -> list[Path]:
        """Return the parts."""
        return parts.part_files(self._path)

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self._path / name).read_bytes()

    def claim(self, mark: str) -> None:
        """Make the folder and take the lock."""
        if self._path.exists() and not self._path.is_dir():
            raise DatasetError(f"{self}: is a file; a dataset is a folder; name another with --results")
        self._path.mkdir(parents=True, exist_ok=True)
        known = (self._path / mark).exists() or (self._path / LOCK).exists()
        if not known and any(self._path.iterdir()):
            raise DatasetError(
                f"{self}: holds other files and no {mark}; a dataset needs a folder of its own; "
                "name another with --results"
            )
        try:
            self._take_lock()
            remove(self._path, self._path.glob(f"{STAGING}*"))
        except BaseException:
            self.release()
            raise

    def _take_lock(self) -> None:
        """Open the lock and hold it."""
        self._lock = os.open(self._path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 20).decode().strip() or "unknown"
            raise DatasetError(
                f"{self}: another run (process {owner}) is writing it; one at a time is allowed; "
                "wait for it or name another folder with --results"
            ) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def writer(self) -> int | None:
        """Return the number of the process that holds the lock, None if nobody does; 0 if it is not known."""
        try:
            handle = os.open(self._path / LOCK, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            told = os.read(handle, 20).decode(errors="replace").strip()
            return int(told) if told.isdigit() else 0
        finally:
            os.close(handle)
        return None

    def write_new(self, name: str, content: bytes | Iterable[bytes]) -> bool:
        """Create a file, unless there is one of that name."""
        return write_new(self._path, name, content)

    def publish(self, staged: Path, name: str) -> bool:
        """Give a staged file its name, unless there is one that has it."""
        return _publish(staged, self._path, name)

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Write a file that may be there already."""
        replace(self._path, name, content)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that may be gone already."""
        remove(self._path, [self._path / name for name in names])

    def set_aside(self, name: str, other: str) -> None:
        """Give a file another name."""
        (self._path / name).rename(self._path / other)


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
