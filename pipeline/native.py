"""Small C programs of ours: a compiler for them, compiled, run. What does not work is told as a reason, never raised."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COMPILERS = ("cc", "gcc", "clang")
_COMPILE_SECONDS = 60
NO_COMPILER = f"no C compiler was found on the path; {', '.join(_COMPILERS)} will do; install one"


def compiler() -> str | None:
    """Return the path of a C compiler, None if there is none."""
    return next((found for name in _COMPILERS if (found := shutil.which(name))), None)


def not_compiled(found: str, source: Path, out: Path, flags: Sequence[str]) -> str:
    """Compile a program with a compiler; return in a line why that did not work, "" if it did."""
    done = started([found, *flags, "-o", str(out), str(source)], _COMPILE_SECONDS)
    return "" if isinstance(done, subprocess.CompletedProcess) and done.returncode == 0 else said(done)


def started(command: Sequence[str], seconds: int) -> subprocess.CompletedProcess[str] | str:
    """Run a program of ours to its end; return what it said, or why it could not be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603 - no shell, our own words
    except subprocess.TimeoutExpired:
        return f"not done within {seconds} seconds"
    except OSError as error:
        return (error.strerror or str(error)).lower()


def said(done: subprocess.CompletedProcess[str] | str) -> str:
    """Return in a line what went wrong."""
    if isinstance(done, str):
        return done
    lines = done.stderr.strip().splitlines()
    telling = [line for line in lines if "error" in line] or lines
    return telling[0] if telling else f"status {done.returncode}"


def not_linux() -> str:
    """Return why this system is none that the simulated one can be compared with, "" if it is."""
    if not sys.platform.startswith("linux"):
        return f"this is {sys.platform}; the simulator models Linux; run it there"
    return ""
