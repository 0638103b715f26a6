"""Where rows come from: which simulator, which versions, which kind of host. Nothing here changes a row."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from simcore.sources import source_digest

_PACKAGES = ("forkbench", "numpy", "numba", "pyarrow", "distributed")
_GIT_SECONDS = 5


def model_version() -> str:
    """Return the hash of the simulator's sources.

    Other sources mean other cell ids, so rows of two simulators are never mixed.
    """
    return source_digest()


def provenance() -> dict[str, str]:
    """Return what made the rows, as text by name; equal on equal machines with equal software."""
    made_by = {package: version_of(package) or "not installed as a package" for package in _PACKAGES}
    made_by["python"] = f"{platform.python_implementation()} {platform.python_version()}"
    made_by["host"] = f"{platform.system()} {platform.machine()}, {_cpu()}, {os.cpu_count()} logical CPUs"
    made_by["model_version"] = model_version()
    made_by["commit"] = _commit()
    return made_by


def version_of(package: str) -> str | None:
    """Return the installed version of a package, None if it is not installed as one."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """Return the model of the processor, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"


@cache
def _commit() -> str:
    """Return the commit of a checkout, "" for an installed package; "+changes" if simcore or pipeline differ from it."""
    root = Path(__file__).parent.parent
    # A package installed below somebody else's checkout must not carry that checkout's commit.
    if _git(root, "ls-files", "--error-unmatch", str(Path(__file__))) is None:
        return ""
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return ""
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "simcore", "pipeline")
    return head.strip() + ("+changes" if changed else "")


def _git(root: Path, *arguments: str) -> str | None:
    """Return git's answer, None if there is none."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)  # noqa: S603 - no shell, fixed words
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
