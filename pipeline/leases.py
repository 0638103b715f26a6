"""The lock of a dataset in an object store: who may write, and how a dead owner is replaced.

``.lock/00000007`` is the seventh lease. Who takes a lease creates its object by put-if-absent, so of two that try one
succeeds; the highest number is the one that counts, and numbers are never used again. Its owner writes it anew every few
seconds. Whoever finds a lease that is held watches it: if it changes, its owner lives and the newcomer is refused; if it
does not for LEASE_SECONDS, the newcomer takes the next number. No two clocks are compared. Before each write the owner
looks whether its lease is still the last; if it is not, it writes no more.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pipeline.errors import DatasetError, LockWaitWarning, StoreDownError

BEATS = ".lock"
LEASE_SECONDS = 30.0  # without a sign of life, after which an owner counts as dead
BEAT_SECONDS = 5.0
_LOOK_SECONDS = 0.5

_held: set[str] = set()  # tokens of the leases that this process holds


class Objects(Protocol):
    """What a lease needs of a store."""

    def names(self, below: str) -> list[str]:
        """Return the names right below one, sorted."""

    def read(self, name: str) -> bytes:
        """Return the content of an object."""

    def put_text(self, name: str, text: str, mode: str, *, patient: bool = True) -> None:
        """Put a text; raises FileExistsError if the mode is "create" and there is such an object."""

    def remove(self, names: list[str]) -> None:
        """Remove objects."""


class _Found(NamedTuple):
    """The last lease: its number, and what its owner wrote."""

    number: int
    owner: dict[str, Any]

    @property
    def held(self) -> bool:
        """Whether it was not given back."""
        return not self.owner.get("free", False)


class Lease:
    """The right to write a dataset.

    Parameters
    ----------
    store : Objects
        Where it is.
    """

    def __init__(self, store: Objects) -> None:
        self._store = store
        self._number = 0
        self._me: dict[str, Any] = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "machine": _machine(),
            "token": secrets.token_hex(8),
            "beat": 0,
        }
        self._over = threading.Event()
        self._beating: threading.Thread | None = None

    def take(self) -> None:
        """Take the lease; raises DatasetError if its owner lives, or if another one was faster."""
        found = self._last()
        if found is not None and found.held:
            self._outlive(found)
        self._number = 1 if found is None else found.number + 1
        if not self._create(self._me):
            raise self._refusal(self._last())
        if self._create(self._me | {"token": ""}):
            raise DatasetError(
                f"{self._store}: this store overwrites objects although it is told not to (If-None-Match); "
                "two drivers could not be kept apart; name a folder or another store with --results"
            )
        _held.add(self._me["token"])
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def check(self) -> None:
        """Raise DatasetError if another driver has taken over."""
        last = self._store.names(BEATS)[-1:]
        if last != [_name(self._number)]:
            raise self._refusal(self._last())

    def release(self) -> None:
        """Give the lease back; what cannot be told to the store it finds out itself."""
        if self._beating is None:
            return
        self._over.set()
        self._beating.join()
        self._beating = None
        _held.discard(self._me["token"])
        try:
            self._store.put_text(self._path(self._number), json.dumps(self._me | {"free": True}), "overwrite")
            before = [name for name in self._store.names(BEATS) if name < _name(self._number)]
            self._store.remove([f"{BEATS}/{name}" for name in before])
        except (StoreDownError, DatasetError):
            pass  # the next one waits for LEASE_SECONDS

    def holder(self) -> int | None:
        """Return the owner's process, None if the lease is free or its owner is known to be dead."""
        found = self._last()
        if found is None or not found.held or _dead_here(found.owner):
            return None
        number = found.owner.get("process", 0)
        return number if isinstance(number, int) else 0

    def _create(self, owner: dict[str, Any]) -> bool:
        """Create the lease's object; return whether it is ours."""
        try:
            self._store.put_text(self._path(self._number), json.dumps(owner), "create")
        except FileExistsError:  # by another one, or by an attempt of ours whose answer was lost
            found = self._last()
            ours = found is not None and found.number == self._number
            return bool(ours and found is not None and found.owner.get("token") == owner["token"])
        return True

    def _beat(self) -> None:
        """Show signs of life until the lease is given back."""
        while not self._over.wait(BEAT_SECONDS):
            self._me["beat"] += 1
            try:
                self._store.put_text(
                    self._path(self._number), json.dumps(self._me), "overwrite", patient=False
                )
            except (OSError, DatasetError):
                continue  # the next one may come through

    def _outlive(self, found: _Found) -> None:
        """Return once the owner of a lease is known to be dead; raises DatasetError at a sign of life."""
        if _dead_here(found.owner):
            return
        who = f"process {found.owner.get('process', '?')} on {found.owner.get('host', '?')}"
        until, told = time.monotonic() + LEASE_SECONDS, False
        while time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            now = self._last()
            if now is None or not now.held:
                return
            if now != found:
                raise self._refusal(now)
            if not told and time.monotonic() > until - LEASE_SECONDS + BEAT_SECONDS:
                warnings.warn(
                    f"{self._store}: {who} holds its lock and shows no sign of life; waiting for one for "
                    f"{LEASE_SECONDS:.0f} s",
                    LockWaitWarning,
                    stacklevel=2,
                )
                told = True

    def _last(self) -> _Found | None:
        """Return the last lease."""
        while names := self._store.names(BEATS):
            try:
                owner = json.loads(self._store.read(f"{BEATS}/{names[-1]}"))
            except FileNotFoundError:
                continue
            except ValueError:
                owner = {}
            return _Found(int(names[-1]), owner if isinstance(owner, dict) else {})
        return None

    def _refusal(self, found: _Found | None) -> DatasetError:
        """Return that another one writes."""
        owner = {} if found is None else found.owner
        return DatasetError(
            f"{self._store}: another run (process {owner.get('process', 'unknown')} on {owner.get('host', 'unknown')}) "
            "is writing it; one at a time is allowed; wait for it or name another place with --results"
        )

    def _path(self, number: int) -> str:
        """Return the object of a lease."""
        return f"{BEATS}/{_name(number)}"


def _name(number: int) -> str:
    """Return the name of a lease's object."""
    return f"{number:08d}"


def _machine() -> str:
    """Return what tells the processes of one machine and container from others; "" where that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _dead_here(owner: dict[str, Any]) -> bool:
    """Return whether an owner was a process of this machine and is no more, or is this one, which gave it back."""
    process, machine = owner.get("process"), owner.get("machine")
    if not machine or machine != _machine() or not isinstance(process, int):
        return False
    if process == os.getpid():
        return owner.get("token") not in _held
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's
    return False
