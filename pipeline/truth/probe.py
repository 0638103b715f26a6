"""The probe: a small C program, compiled when asked for, that takes the steps of a script on the running kernel."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline import native
from pipeline.errors import RefusedError
from pipeline.truth.script import PAGE_SHIFT, page_at, pages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = {"anon": 0, "filepriv": 1, "filero": 2, "fileshared": 3, "shm": 4, "shanon": 4, "stack": 5}
_SOURCE = Path(__file__).with_name("probe.c")
_SECONDS = 120
# Else the kernel writes to the memory of a process whenever it was interrupted, which after a fork is a fault of it.
_NO_RSEQ = {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}


class Shown(NamedTuple):
    """What the kernel showed of one step.

    Parameters
    ----------
    minor_faults : int
        Of the process in the step; of an exec those of the new program until its first line.
    vmpte_kib : int
        Afterwards, with what the process has by itself.
    rss_pages, anon_pages : int
        Afterwards, between 1 and 2 TiB.
    ns, cpu_ns : int
        On the clock (0 for exec and exit), and of the processor.
    own_vmas, own_anon_pages : int
        Afterwards, outside of 1 to 2 TiB: what the process has by itself.
    """

    minor_faults: int
    vmpte_kib: int
    rss_pages: int
    anon_pages: int
    ns: int
    cpu_ns: int
    own_vmas: int
    own_anon_pages: int


class UnfitError(RefusedError):
    """The machine cannot be compared with the simulated one; the message says why."""


def unfit() -> str:
    """Return why the running kernel cannot be compared, "" if it can."""
    if reason := native.not_linux():
        return reason
    if platform.machine() != "x86_64":
        return f"this is {platform.machine()}; the scripts count tables of x86-64; run it there"
    if os.sysconf("SC_PAGE_SIZE") != 1 << PAGE_SHIFT:
        return f"pages have {os.sysconf('SC_PAGE_SIZE')} bytes; the scripts count in pages of 4 KiB; use such a kernel"
    if not os.access("/proc/self/smaps", os.R_OK):
        return "/proc/self/smaps cannot be read; VmPTE and resident pages come from /proc; mount it"
    return "" if native.compiler() else native.NO_COMPILER


class Probe:
    """The compiled program, in a folder of the caller's; ``asked`` is the command that messages name.

    Raises
    ------
    UnfitError
        The machine is of another kind, or the program does not compile or run.
    """

    def __init__(self, folder: Path, asked: str = "validate --host") -> None:
        self._asked = asked
        reason = unfit()
        if reason:
            raise UnfitError(f"{self._asked}: {reason}")
        self._program = folder / "probe"
        found, wrong = native.compiler() or "", ""
        for flags in (["-static"], []):  # without libc's own file pages, where there is a static libc
            wrong = native.not_compiled(found, _SOURCE, self._program, ["-O1", *flags])
            if not wrong:
                return
        raise UnfitError(f"{self._asked}: {found} does not compile probe.c ({wrong}); gcc on x86-64 does")

    def run(self, steps: Sequence[str]) -> list[Shown]:
        """Take the steps of a script; return what the kernel showed of each.

        Raises
        ------
        UnfitError
            The program failed, or a step did.
        """
        files = 1 + max((int(step.split()[5]) for step in steps if _names_file(step)), default=-1)
        text = "".join(f"{_translated(step)}\n" for step in steps)
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                [str(self._program), str(files)],
                input=text,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                env=os.environ | _NO_RSEQ,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnfitError(f"{self._asked}: the probe cannot run here ({error})") from error
        rows = [list(map(int, line.split())) for line in done.stdout.splitlines()]
        failed = next((number for number, row in enumerate(rows) if row[5]), None)
        if failed is not None:
            raise UnfitError(f"{self._asked}: {steps[failed]!r} failed: {os.strerror(rows[failed][5])}")
        if len(rows) != len(steps):
            where = steps[len(rows)] if len(rows) < len(steps) else "its end"
            raise UnfitError(f"{self._asked}: the probe stopped at {where!r} ({done.stderr.strip()[:200]})")
        return [
            Shown(faults, table, rss >> 2, anon >> 2, ns, cpu, vmas, own >> 2)
            for faults, table, rss, anon, ns, _, cpu, vmas, own in rows
        ]


def release() -> tuple[int, int]:
    """Return major and minor version of the running kernel."""
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def available_bytes() -> int:
    """Return how much memory is free for the taking, by /proc/meminfo; a large number where that does not tell."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 1 << 62
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) << 10 if found else 1 << 62


def _names_file(step: str) -> bool:
    """Return whether a step maps a file."""
    words = step.split()
    return words[1] == "map" and words[2].startswith("file")


def _translated(step: str) -> str:
    """Return a step as the program reads it."""
    name, verb, *rest = step.split()
    if verb == "map":
        huge = "thp" in rest
        words = [str(_KINDS[rest[0]]), f"{page_at(rest[1]):x}", str(pages_of(rest[2]))]
        words += ["0", "1"] if huge else [*(rest[3:] or ["0"]), "0"]
    elif verb in ("unmap", "dontneed"):
        words = [f"{page_at(rest[0]):x}", str(pages_of(rest[1]))]
    elif verb == "protect":
        words = [f"{page_at(rest[0]):x}", str(pages_of(rest[1])), str(int(rest[2] == "rw"))]
    elif verb in ("read", "write", "grow"):
        words = [f"{page_at(rest[0]):x}", *(rest[1:] or ["1"])]
    else:
        words = rest
    return " ".join([name, verb, *words])
