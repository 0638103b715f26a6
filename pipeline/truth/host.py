"""The running kernel beside the simulator: the same scripts on both, counter by counter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.truth.probe import Probe, Shown, available_bytes, release
from pipeline.truth.scenarios import HUGE_PAGES, scenarios
from pipeline.truth.script import PAGE_SHIFT
from pipeline.truth.simulated import Seen, simulate_script
from simcore.designs import DESIGNS, Design, derived

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPEATS = 3
_PT_RECLAIM = (6, 14)  # since then, on x86-64, a DONTNEED that covers a table frees it
_FORKS = ["A nop", "A fork B", "B nop", "B exec", "B nop", "B exit", "A exit"]
_SPAWNS = ["A nop", "A spawn B", "B exit", "A exit"]
_ROOM = 3  # times the memory that the largest script touches


class Verdict(NamedTuple):
    """One script on both sides.

    Parameters
    ----------
    name : str
        Of the script.
    steps : list of str
        What was done.
    kernel, simulated : list of Seen
        Each step; of the kernel the median of all turns, without what the processes show by themselves.
    noisy : bool
        Whether the kernel's own turns differ.
    """

    name: str
    steps: list[str]
    kernel: list[Seen]
    simulated: list[Seen]
    noisy: bool

    @property
    def differing(self) -> list[int]:
        """The numbers of the steps that differ."""
        return [
            number
            for number, pair in enumerate(zip(self.kernel, self.simulated, strict=True))
            if pair[0] != pair[1]
        ]


class Constants(NamedTuple):
    """What the processes of the probe show by themselves.

    Parameters
    ----------
    fork, spawn : int
        Minor faults of the parent in such a step.
    base_kib : dict of str to int
        VmPTE by how a process came to be: ``start``, ``fork``, ``exec``.
    """

    fork: int
    spawn: int
    base_kib: dict[str, int]


class HostComparison(NamedTuple):
    """All scripts; ``skipped`` is why some did not run."""

    design: str
    constants: Constants
    verdicts: list[Verdict]
    skipped: dict[str, str]

    @property
    def failed(self) -> bool:
        """Whether a script that the kernel repeats exactly differs, or a noisy one does in its medians."""
        return any(verdict.differing for verdict in self.verdicts)


def host_design() -> Design:
    """Return the design that models the running kernel."""
    if release() >= _PT_RECLAIM:
        return DESIGNS["mainline"]
    return derived("mainline_then", DESIGNS["mainline"], {"dontneed": "keeps_tables"})


def compare_host(seed: int, say: Callable[[str], None], repeats: int = REPEATS) -> HostComparison:
    """Run all scripts on the kernel and in the simulator; ``say`` is told of progress.

    Raises
    ------
    UnfitError
        This machine cannot be compared.
    """
    design = host_design()
    verdicts: list[Verdict] = []
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        probe = Probe(Path(folder))
        constants = _constants(probe, repeats)
        scripts = scenarios(seed)
        for number, (name, steps) in enumerate(scripts.items(), start=1):
            if number % 50 == 0:
                say(f"{number}/{len(scripts)} scripts")
            needed, available = _ROOM * _pages(steps) << PAGE_SHIFT, available_bytes()
            if needed > available:
                skipped[name] = f"it may need {needed >> 20} MiB and {available >> 20} MiB are available"
                continue
            turns = [_bare(steps, probe.run(steps), constants) for _ in range(repeats)]
            seen = [Seen(*each) for each in _medians(turns)]
            noisy = any(turn != turns[0] for turn in turns)
            verdicts.append(Verdict(name, steps, seen, simulate_script(steps, design), noisy))
    return HostComparison(design.name, constants, verdicts, skipped)


def as_json(compared: HostComparison) -> dict[str, Any]:
    """Return a comparison ready for JSON."""
    return {
        "design": compared.design,
        "constants": compared.constants._asdict(),
        "skipped": compared.skipped,
        "scripts": [
            {
                "name": verdict.name,
                "steps": len(verdict.steps),
                "noisy": verdict.noisy,
                "differing": [
                    {
                        "step": verdict.steps[number],
                        "kernel": verdict.kernel[number]._asdict(),
                        "simulated": verdict.simulated[number]._asdict(),
                    }
                    for number in verdict.differing
                ],
            }
            for verdict in compared.verdicts
        ],
    }


def _constants(probe: Probe, repeats: int) -> Constants:
    """Measure what processes show that map nothing."""
    forks, spawns = (
        [Shown(*each) for each in _medians([probe.run(steps) for _ in range(repeats)])]
        for steps in (_FORKS, _SPAWNS)
    )
    base = {"start": forks[0].vmpte_kib, "fork": forks[2].vmpte_kib, "exec": forks[4].vmpte_kib}
    return Constants(forks[1].minor_faults, spawns[1].minor_faults, base)


def _medians(turns: Sequence[Sequence[tuple[int, ...]]]) -> list[list[int]]:
    """Return the median of each number that each step showed in several turns."""
    return [list(map(median_low, zip(*each, strict=True))) for each in zip(*turns, strict=True)]


def _bare(steps: list[str], rows: list[Shown], constants: Constants) -> list[Seen]:
    """Return rows without what the processes show by themselves."""
    origin, bare = {"A": "start"}, []
    for step, row in zip(steps, rows, strict=True):
        name, verb, *rest = step.split()
        faults = row.minor_faults
        if verb in ("fork", "spawn"):
            origin[rest[0]] = {"fork": "fork", "spawn": "exec"}[verb]
            faults -= constants.fork if verb == "fork" else constants.spawn
        elif verb == "exec":
            origin[name] = "exec"
            faults = 0  # those of the new program until its first line
        bare.append(
            Seen(faults, row.vmpte_kib - constants.base_kib[origin[name]], row.rss_pages, row.anon_pages)
        )
    return bare


def _pages(steps: list[str]) -> int:
    """Return the most pages that a step of a script touches."""
    touched = [int(step.split()[3]) for step in steps if step.split()[1] in ("read", "write")]
    return min(max(touched, default=1), HUGE_PAGES)
