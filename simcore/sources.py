"""The identity of the simulator: a hash of its own sources."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def source_digest() -> str:
    """Return a hash (32 hex digits) of all Python sources of simcore: equal digests give equal counts."""
    home = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(home.rglob("*.py")):
        digest.update(path.relative_to(home).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()
