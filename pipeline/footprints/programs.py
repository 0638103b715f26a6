"""Which programs are measured, each in a run that is small and leaves nothing behind.

All run in a folder of their own that is removed afterwards, with an environment of PATH, HOME and a locale.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.footprints import memory, stopping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.workloads.footprints import Footprint

_SECONDS = 20  # for a program to tell its version
_RUNS = 3  # of which the middle one is kept: where things lie in memory, and so the tables, is drawn anew each time
_SOURCE = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    char *copy = strdup(argc > 1 ? argv[1] : "nothing");

    if (!copy)
        return EXIT_FAILURE;
    printf("%s has %zu characters\\n", copy, strlen(copy));
    free(copy);
    return EXIT_SUCCESS;
}
"""
_MAKEFILE = "small: small.c\n\t@cc -O2 -o small small.c && rm -f small\n"


class Probe(NamedTuple):
    """A command to run and the programs to look at: the one that is run, and others that it runs, by their names.

    Parameters
    ----------
    command : tuple of str
        The program first, by the name under which PATH has it.
    run : str
        What is told of the command.
    versions : dict
        Program -> the command whose first line of output tells its version.
    """

    command: tuple[str, ...]
    run: str
    versions: dict[str, tuple[str, ...]]


def _simple(name: str, *arguments: str, asks: tuple[str, ...] = ("--version",)) -> Probe:
    """Return the probe of one program."""
    return Probe((name, *arguments), " ".join([name, *arguments]), {name: (name, *asks)})


_COMPILER = ("cc", "--version")
PROBES: tuple[Probe, ...] = (
    _simple("sleep", "0"),
    _simple("ls", "-l"),
    _simple("sh", "-c", ":"),
    _simple("bash", "-c", ":"),
    _simple("perl", "-e", "1"),
    Probe((sys.executable, "-c", "import json"), "python3 -c 'import json'", {"python3": (sys.executable, "--version")}),
    _simple("node", "-e", "process.reallyExit(0)"),  # else it takes its heap apart before it exits
    _simple("git", "init", "-q"),
    Probe(
        ("make",),
        "make, of a C program of 16 lines",
        {"make": ("make", "--version"), "cc": _COMPILER, "cc1": _COMPILER, "as": ("as", "--version"),
         "collect2": _COMPILER, "ld": ("ld", "--version")},
    ),
)  # fmt: skip


def measured() -> Iterator[tuple[str, Footprint | None]]:
    """Yield each program's name and its footprint, None if it is missing here or could not be run."""
    for probe in PROBES:
        runs = [_run(probe) for _ in range(_RUNS)] if shutil.which(probe.command[0]) else []
        for name in probe.versions:
            seen = sorted((run[name] for run in runs if name in run), key=lambda each: each.minor_faults)
            yield name, seen[len(seen) // 2] if seen else None


def _run(probe: Probe) -> dict[str, Footprint]:
    """Run a probe once; return what was seen of its programs, of several processes of one the first."""
    first = next(iter(probe.versions))
    at_exec: dict[int, int] = {}
    found: dict[str, Footprint] = {}

    def look(pid: int, moment: str) -> None:
        if moment != stopping.EXIT:
            at_exec[pid] = memory.minor_faults(pid)
            return
        name = first if pid == next(iter(at_exec)) else memory.name_of(pid)
        if name in probe.versions and name not in found:
            faults = memory.minor_faults(pid) - at_exec[pid]
            version = _version(probe.versions[name])
            seen = memory.memory_of(pid)
            found[name] = seen._replace(name=name, version=version, run=probe.run, minor_faults=faults)

    with tempfile.TemporaryDirectory(prefix="forkbench-") as folder:
        home = Path(folder)
        (home / "small.c").write_text(_SOURCE, encoding="utf-8")
        (home / "Makefile").write_text(_MAKEFILE, encoding="utf-8")
        stopping.run(probe.command, home, _environment(folder), look)
    return found


def _environment(home: str) -> dict[str, str]:
    """Return the environment of a run: nothing of the user's but PATH."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "TMPDIR": home, "LC_ALL": "C.UTF-8"}


def _version(command: tuple[str, ...]) -> str:
    """Return the first line of what a program tells of its version; the name of its file if it tells nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 - ours
    except (OSError, subprocess.TimeoutExpired):
        done = None
    lines = [
        line for line in (done.stdout if done and done.returncode == 0 else "").splitlines() if line.strip()
    ]
    path = shutil.which(command[0]) or command[0]
    return re.sub(r"^This is ", "", lines[0]) if lines else Path(path).resolve().name
