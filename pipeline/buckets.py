"""A dataset in an object store. The only import of fsspec.

A commit is a put-if-absent: the store takes an object only if none has its name, so of two writers one is told that it
came second. What is read is fetched once into a folder of this process: parts are named by their content and never
change. Every request is repeated for a while if the store refuses or is silent; then the cause is told, in bounded time.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import fsspec

from pipeline import parts
from pipeline.errors import DatasetError, RefusedError, StoreDownError
from pipeline.leases import BEATS, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GIVE_UP_SECONDS = 30.0  # from the first refusal of a request to the last attempt
ANSWER_SECONDS = 10.0  # of silence, after which a request has failed
_CONNECT_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_AT_ONCE = 8  # parts that are fetched at the same time
_IN_ONE_PIECE = 64 << 20  # bytes; larger files are put in several

# Whose exclusive create is decided by the store itself, so that it holds for drivers on different machines.
_EXCLUSIVE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")
# What a client says without asking the store, by name: none of their modules need be there.
_FINAL_NAMES = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound"}
)
# Refusals (4xx) behind which the next attempt may succeed.
_PASSING_STATUS = frozenset({408, 409, 425, 429})
_PASSING_CODES = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"})
_PRECONDITION_FAILED = 412

Answer = TypeVar("Answer")


class Bucket:
    """Objects under a URL as the place of a dataset; see ``pipeline.places.Place`` for what each method does.

    Parameters
    ----------
    url : str
        As fsspec takes it, without a slash at its end. Keys and endpoints come from where the store's own tools have
        them, or from fsspec's configuration.

    Raises
    ------
    DatasetError
        If fsspec knows no such store, or it needs a package that is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._fs, self._root = _file_system(url)
        self._folder = Path(tempfile.mkdtemp(prefix="forkbench-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._whole: set[str] = set()  # parts that were fetched as they were written
        self._lease: Lease | None = None
        self._down: StoreDownError | None = None
        self._down_until = 0.0

    def __str__(self) -> str:
        return self._url

    @property
    def scratch(self) -> Path:
        """A folder of this process."""
        return self._folder

    def exists(self) -> bool:
        """Return whether there is an object."""
        return bool(self.sizes())

    def has(self, name: str) -> bool:
        """Return whether there is an object of this name."""
        return bool(self._persist(lambda: self._fs.exists(self._path(name))))

    def sizes(self) -> dict[str, int]:
        """Return the objects and their bytes."""
        return self._listed("")

    def parts(self) -> list[Path]:
        """Return copies of the parts, fetched if they are not here yet."""
        wanted = [(name, size) for name, size in sorted(self.sizes().items()) if parts.is_part(name)]
        missing = [each for each in wanted if each[0] not in self._whole]
        if missing:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._fetch, *zip(*missing, strict=True)))
        return [self.scratch / name for name, _ in wanted]

    def _fetch(self, name: str, size: int) -> None:
        """Fetch a part; it is kept for good if its bytes are those that were written."""
        half = self.scratch / f".half-{threading.get_ident()}-{name}"

        def fetch() -> None:
            self._fs.get_file(self._path(name), str(half))
            if half.stat().st_size < size:
                raise OSError(errno.EIO, f"{name}: {half.stat().st_size:,} of {size:,} bytes came")

        try:
            self._persist(fetch)
            half.replace(self.scratch / name)
        finally:
            half.unlink(missing_ok=True)
        if parts.intact(self.scratch / name):
            self._whole.add(name)

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        content: bytes = self._persist(lambda: self._fs.cat_file(self._path(name)))
        return content

    def claim(self, mark: str) -> None:
        """Take the lease."""
        protocol = self._url.partition("://")[0]
        if protocol not in _EXCLUSIVE:
            raise DatasetError(
                f"{self}: {protocol} knows no write that is refused if a file is there, and a dataset needs one; "
                f"known to have it are {', '.join(_EXCLUSIVE[:-1])}; name one of them, or a folder, with --results"
            )
        self._down = None
        known = self.sizes()
        if known and mark not in known and not self._listed(BEATS):
            raise DatasetError(
                f"{self}: holds other objects and no {mark}; a dataset needs a prefix of its own; "
                "name another with --results"
            )
        lease = Lease(self)
        lease.take()
        self._lease = lease

    def release(self) -> None:
        """Give the lease back."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def writer(self) -> int | None:
        """Return the number of the process that holds the lease and shows signs of life."""
        return Lease(self).holder()

    def write_new(self, name: str, content: bytes | Iterable[bytes]) -> bool:
        """Create an object, unless there is one of that name."""
        return self.publish(self._staged(content), name)

    def publish(self, staged: Path, name: str) -> bool:
        """Put a staged file, unless there is an object of that name."""
        try:
            self._check()
            self.put(staged, name, mode="create")
        except FileExistsError:
            return False
        else:
            if parts.is_part(name):
                staged.replace(self.scratch / name)
                self._whole.add(name)
            return True
        finally:
            staged.unlink(missing_ok=True)

    def replace(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Write an object that may be there already."""
        staged = self._staged(content)
        try:
            self._check()
            self.put(staged, name, mode="overwrite")
        finally:
            staged.unlink(missing_ok=True)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects that may be gone already."""
        self._check()
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._persist(partial(self._fs.rm_file, self._path(name)))
            self._forget(name)

    def set_aside(self, name: str, other: str) -> None:
        """Give an object another name: a copy, and the first one goes."""
        self._check()
        self._persist(lambda: self._fs.cp_file(self._path(name), self._path(other)))
        self.remove([name])

    def _forget(self, name: str) -> None:
        """Remove the copy of an object."""
        self._whole.discard(name)
        (self.scratch / name).unlink(missing_ok=True)

    def _check(self) -> None:
        """Refuse to write if another driver has taken over."""
        if self._lease is not None:
            self._lease.check()

    def _staged(self, content: bytes | Iterable[bytes]) -> Path:
        """Return a file of this process with the content."""
        with tempfile.NamedTemporaryFile(dir=self.scratch, prefix=".staging-", delete=False) as file:
            file.writelines([content] if isinstance(content, bytes) else content)
        return Path(file.name)

    def put(self, file: Path, name: str, mode: str, *, patient: bool = True) -> None:
        """Put a file; raises FileExistsError if the mode is "create" and there is such an object."""

        def put() -> None:
            if file.stat().st_size > _IN_ONE_PIECE:
                self._fs.put_file(str(file), self._path(name), mode=mode)
            else:
                self._fs.pipe_file(self._path(name), file.read_bytes(), mode=mode)

        try:
            self._persist(put, patient=patient)
        except FileNotFoundError:
            raise self._told("there is no such bucket; make it, or name another") from None

    def put_text(self, name: str, text: str, mode: str, *, patient: bool = True) -> None:
        """Put a text; raises as ``put`` does."""
        staged = self._staged(text.encode())
        try:
            self.put(staged, name, mode, patient=patient)
        finally:
            staged.unlink()

    def names(self, below: str) -> list[str]:
        """Return the names of the objects right below a name, sorted."""
        return sorted(self._listed(below))

    def _listed(self, below: str) -> dict[str, int]:
        """Return the objects right below a name, and their bytes."""
        path = self._path(below) if below else self._root
        try:
            found = self._persist(lambda: self._fs.ls(path, detail=True))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return {
            str(each["name"]).rsplit("/", 1)[-1]: int(each["size"] or 0)
            for each in found
            if each["type"] == "file" and str(each["name"]).rstrip("/") != path.rstrip("/")
        }

    def _path(self, name: str) -> str:
        """Return an object's path as fsspec has it."""
        return f"{self._root}/{name}"

    def _persist(self, act: Callable[[], Answer], *, patient: bool = True) -> Answer:
        """Ask the store until it answers, or has not for GIVE_UP_SECONDS; without patience, once."""
        if self._down is not None and time.monotonic() < self._down_until:
            raise self._down  # who has just waited need not wait again to put things in order
        began, pause, attempts = None, _FIRST_PAUSE, 0
        while True:
            try:
                return act()
            except (FileNotFoundError, FileExistsError, NotADirectoryError, RefusedError):
                raise
            except Exception as error:
                if type(error).__module__ == "builtins" and not isinstance(error, OSError):
                    raise  # no answer of a store, but a fault of ours
                if _answered(error)[0] == _PRECONDITION_FAILED:
                    raise FileExistsError(*error.args) from None
                attempts, now = attempts + 1, time.monotonic()
                began = now if began is None else began
                if _final(error) or not patient:
                    raise self._told(_reason(error)) from None
                if now + pause - began > GIVE_UP_SECONDS:
                    told = f"{_reason(error)}; {attempts} attempts in {now - began:.0f} s"
                    self._down, self._down_until = self._told(told), now + GIVE_UP_SECONDS
                    raise self._down from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _told(self, reason: str) -> StoreDownError:
        """Return what a store's refusal means for the user."""
        return StoreDownError(errno.EIO, reason, self._url)


def _file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it."""
    protocol = url.partition("://")[0]
    known: dict[str, Any] = fsspec.config.conf.get(protocol, {})
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in ("s3", "s3a"):
        bounds = {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": ANSWER_SECONDS,
            "retries": {"max_attempts": 0},
        }
        options["config_kwargs"] = bounds | known.get("config_kwargs", {})
    try:
        system, root = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        extra = "; pip install 'forkbench[s3]'" if protocol in ("s3", "s3a") else f"; {error}"
        raise DatasetError(f"{url}: {protocol} needs a package that is not installed{extra}") from None
    except ValueError as error:
        raise DatasetError(
            f"{url}: {error}; name a folder, or a URL that fsspec knows, as s3://bucket/prefix"
        ) from None
    system.retries = 1  # of s3fs: it is ``_persist`` that asks again
    return system, str(root).rstrip("/")


def _answered(error: Exception) -> tuple[int, str]:
    """Return the status and the code that a store answered, 0 and "" if it did not."""
    response = getattr(error.__cause__ or error, "response", None)
    if not isinstance(response, dict):
        return 0, ""
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status, response.get("Error", {}).get("Code", "")


def _final(error: Exception) -> bool:
    """Return whether asking again is of no use."""
    status, code = _answered(error)
    if 400 <= status < 500:
        return status not in _PASSING_STATUS and code not in _PASSING_CODES
    return isinstance(error, PermissionError) or type(error).__name__ in _FINAL_NAMES


def _reason(error: Exception) -> str:
    """Return why a request failed, on one line."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")
