"""The one door to numba: ``jit`` compiles a function of the engine, with a cache that never serves stale code.

numba's own cache looks at one file at a time and does not notice a changed callee elsewhere. So the folder of the
cache is named by a hash of all sources and of the flags.

Environment
-----------
FORKBENCH_JIT
    0 runs the engine as plain Python (slow; for coverage and debugging).
FORKBENCH_BOUNDSCHECK
    1 checks every index.
FORKBENCH_CACHE
    Folder for compiled code; default ``$XDG_CACHE_HOME/forkbench`` or ``~/.cache/forkbench``.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numba

from simcore.sources import source_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

F = TypeVar("F", bound="Callable[..., object]")

ENABLED = os.environ.get("FORKBENCH_JIT", "1") != "0"
BOUNDSCHECK = os.environ.get("FORKBENCH_BOUNDSCHECK", "0") == "1"


def _candidates() -> Iterator[Path]:
    """Yield the folders in which compiled code might be kept, best first."""
    if "FORKBENCH_CACHE" in os.environ:
        yield Path(os.environ["FORKBENCH_CACHE"])
    if "XDG_CACHE_HOME" in os.environ:
        yield Path(os.environ["XDG_CACHE_HOME"]) / "forkbench"
    home = os.environ.get("HOME")
    if home:
        yield Path(home) / ".cache" / "forkbench"
    yield Path(tempfile.gettempdir()) / f"forkbench-{os.getuid()}"


def _cache_folder() -> Path | None:
    """Return a writable folder for this version's compiled code, or None if there is none anywhere."""
    flags = f"{numba.__version__}-{platform.python_version()}-{'checked' if BOUNDSCHECK else 'fast'}"
    for base in _candidates():
        folder = base / f"{source_digest()}-{flags}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


CACHE_FOLDER = _cache_folder() if ENABLED else None
if CACHE_FOLDER is not None:
    numba.config.CACHE_DIR = str(CACHE_FOLDER)  # type: ignore[attr-defined]


def jit(function: F) -> F:
    """Compile a function, or return it as it is if FORKBENCH_JIT is 0."""
    if not ENABLED:
        return function
    compile_it = numba.njit(
        cache=CACHE_FOLDER is not None, boundscheck=BOUNDSCHECK, nogil=True, error_model="numpy"
    )
    return cast("F", compile_it(function))
