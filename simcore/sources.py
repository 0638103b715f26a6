"""The identity of the simulator, and that of its compiled part: hashes of its own sources."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOME = Path(__file__).parent
_IMPORT = re.compile(r"^\s*from simcore\.([\w.]+) import", re.MULTILINE)


@cache
def source_digest() -> str:
    """Return a hash (32 hex digits) of simcore's Python sources and data: equal digests give equal counts."""
    return _digest([*_HOME.rglob("*.py"), *_HOME.rglob("*.json")])


@cache
def compiled_digest() -> str:
    """Return a hash (32 hex digits) of the sources that compiled code can depend on: the engine and what it imports."""
    found: set[Path] = set()
    left = [*(_HOME / "engine").glob("*.py"), _HOME / "units.py"]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            names = _IMPORT.findall(path.read_text(encoding="utf-8"))
            left += [_HOME.joinpath(*name.split(".")).with_suffix(".py") for name in names]
    return _digest(found)


def _digest(paths: Iterable[Path]) -> str:
    """Return a hash of files: their names and what they hold."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(paths):
        digest.update(path.relative_to(_HOME).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()
