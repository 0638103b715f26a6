"""The workloads on the machine itself and as loops over ptes in C: programs that are compiled when asked for.

Where there is no compiler, or the machine is of another kind, nothing fails: the reason is kept and printed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline import native

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.bench.traces import Sizes

KERNEL, LOOP = "real", "loops"  # the two programs, and what they measure
_HERE = Path(__file__).parent
_RUN_SECONDS = 300
_PAGE = 4096

# No libc, so that a start is no dearer than the kernel makes it (bare.h); what a compiler takes for granted of libc
# is forbidden to it.
_BARE = ("-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector")
_FLAGS = {KERNEL: _BARE, "do_nothing": _BARE, LOOP: ()}


class Run(NamedTuple):
    """What one run gave: ns of the timed phase, and the minor faults of all children (0 for the loops)."""

    ns: float
    minor_faults: int


class Programs:
    """The compiled programs, in a folder of the caller's.

    Attributes
    ----------
    skipped : dict of str to str
        Why the real machine or the loops are not timed.
    """

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.skipped: dict[str, str] = {}
        self._folder = folder
        self._sizes = sizes
        self._build(LOOP)
        reason = _unfit()
        if reason:
            self.skipped[KERNEL] = reason
        elif self._build(KERNEL) and self._build("do_nothing", wanted_by=KERNEL):
            (folder / "library").write_bytes(b"\1" * (sizes.tree_library * _PAGE))

    def _build(self, program: str, wanted_by: str | None = None) -> bool:
        """Compile a program; return whether that worked, and keep the reason if not."""
        found = native.compiler()
        if found is None:
            reason = f"{native.NO_COMPILER} to time this side"
        else:
            source, out = _HERE / f"{program}.c", self._folder / program
            wrong = native.not_compiled(found, source, out, ["-O2", *_FLAGS[program]])
            if not wrong:
                return True
            reason = f"{found} does not compile {program}.c ({wrong}); gcc on x86-64 or aarch64 does"
        self.skipped[wanted_by or program] = reason
        return False

    def time(self, program: str, workload: str) -> Run | None:
        """Run a workload once; None if the side is skipped, or fails, which skips it from then on."""
        if program in self.skipped:
            return None
        command = [str(self._folder / program), workload, *self._arguments(program, workload)]
        done = native.started(command, _RUN_SECONDS)
        if not isinstance(done, subprocess.CompletedProcess) or done.returncode != 0:
            self.skipped[program] = (
                f"{workload} failed ({native.said(done)}); the other figures stand without it"
            )
            return None
        ns, faults = [*map(int, done.stdout.split()), 0][:2]
        return Run(ns * self.scale(program, workload), faults)

    def scale(self, program: str, workload: str) -> float:
        """Return by how much the time of a run is multiplied: the real machine does a part of W4."""
        if program != KERNEL or workload != "w4":
            return 1.0
        return self._sizes.shell_forks / self._real_shell_forks

    @property
    def _real_shell_forks(self) -> int:
        """Forks of W4 that the real machine does."""
        return min(self._sizes.real_shell_forks, self._sizes.shell_forks)

    def _arguments(self, program: str, workload: str) -> Sequence[str]:
        """Return the arguments that real.c and loops.c list at their top."""
        sizes = self._sizes
        shells = self._real_shell_forks if program == KERNEL else sizes.shell_forks
        arguments: dict[str, tuple[int | Path, ...]] = {
            "w1": (sizes.snapshot_forks, sizes.snapshot_pages, sizes.snapshot_writes),
            "w2": (sizes.snapshot_forks, sizes.snapshot_pages, self._folder / "do_nothing"),
            "w3": (
                *(
                    sizes.tree_depth,
                    sizes.tree_fan_out,
                    sizes.tree_writes,
                    sizes.tree_library,
                    sizes.tree_private,
                ),
                self._folder / "library",
            ),
            "w4": (shells, sizes.shell_writes),
        }
        return [str(argument) for argument in arguments[workload]]


def _unfit() -> str:
    """Return why this machine is none that the simulated one can be compared with, "" if it is."""
    reason = native.not_linux()
    if reason:
        return f"{reason} to compare"
    page = os.sysconf("SC_PAGE_SIZE")
    if page != _PAGE:
        return (
            f"pages have {page} bytes here; the workloads count in pages of {_PAGE}; use a kernel with those"
        )
    return ""
