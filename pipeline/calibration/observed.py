"""What is timed: a step of a script, with the acts that it takes in the simulator and in the probe's own memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.truth.script import tell
from pipeline.truth.simulated import GEOMETRY
from simcore.acts import ACT
from simcore.simulate import start

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.truth.probe import Shown
    from simcore.designs import Design

FloatArray = "npt.NDArray[np.float64]"
# Kinds of steps, by their verbs; a step of another verb is not timed.
KINDS = {
    "fork": "fork", "spawn": "vfork", "exec": "exec", "exit": "exit", "read": "pass", "write": "pass",
    "map": "call", "unmap": "call", "dontneed": "call", "protect": "call",
}  # fmt: skip
_MAPS = 2  # of a script that are timed: more of the same would outweigh everything else
STARTED = ("pass", "call")  # kinds of steps that are so short that their start shows


class Own(NamedTuple):
    """What a process of the probe has by itself: vmas, page tables (at all levels), anonymous pages."""

    vmas: int
    tables: int
    pages: int


class Observation(NamedTuple):
    """One step that is timed.

    Parameters
    ----------
    script, number : str, int
        Which step of which script, from 0.
    step : str
        What is done.
    kind : str
        A value of KINDS.
    history : str
        A hash of all steps up to this one: equal histories are one experiment.
    acts : float64 [len(ACTS)]
        Of the script and of the process by itself.
    faults : int
        Minor faults in the simulator.
    """

    script: str
    number: int
    step: str
    kind: str
    history: str
    acts: npt.NDArray[np.float64]
    faults: int


def own_of(row: Shown) -> Own:
    """Return what a process has that maps nothing, from a step of it."""
    return Own(row.own_vmas, row.vmpte_kib >> 2, row.own_anon_pages)


def observations(
    name: str, steps: Sequence[str], design: Design, own: Own, exec_faults: int
) -> list[Observation]:
    """Return the steps of a script that are timed; passes that fault nowhere are none, as no kernel runs in them.

    Raises
    ------
    ValueError
        A step is none.
    TraceRefused
        A step cannot happen.
    """
    told = tell(steps)
    machine = start(told.trace, design, GEOMETRY)
    before = machine.result()
    history = hashlib.blake2b(digest_size=6)
    maps = 0
    found = []
    for number, (step, (first, end, _)) in enumerate(zip(steps, told.marks, strict=True)):
        history.update(step.encode() + b"\n")
        if end > first:
            machine.run(end)
        after = machine.result()
        kind = KINDS.get(step.split()[1], "")
        faults = after.minor_faults() - before.minor_faults()
        maps += step.split()[1] == "map"
        if kind and (kind != "pass" or faults) and (step.split()[1] != "map" or maps <= _MAPS):
            acts = _of_the_script(kind, after.acts - before.acts) + _own_acts(kind, own, exec_faults)
            found.append(Observation(name, number, step, kind, history.hexdigest(), acts, faults))
        before = after
    return found


def _of_the_script(kind: str, acts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the acts of a step whose time is taken: of a vfork and exec the parent's part."""
    only = np.zeros(len(ACT))
    only[ACT["vforks"]] = acts[ACT["vforks"]]
    return only if kind == "vfork" else acts.astype(np.float64)


def _own_acts(kind: str, own: Own, exec_faults: int) -> npt.NDArray[np.float64]:
    """Return the acts that a step takes for what the process has by itself; all of its pages are taken for its own."""
    gone = {
        "vmas_unmapped": own.vmas, "leaf_tables_freed": own.tables, "ptes_zapped": own.pages,
        "refs_dropped": own.pages, "rmap_removed": own.pages, "pages_freed": own.pages,
    }  # fmt: skip
    taken: dict[str, dict[str, int]] = {
        "fork": {
            "vmas_copied": own.vmas, "leaf_tables_allocated": own.tables, "ptes_copied_fork": own.pages,
            "ptes_present_fork": own.pages, "refs_taken": own.pages, "rmap_added": own.pages,
        },
        "exec": gone | {"vmas_mapped": own.vmas, "faults_zero_page": exec_faults},
        "exit": gone,
    }  # fmt: skip
    acts = np.zeros(len(ACT))
    for act, count in taken.get(kind, {}).items():
        acts[ACT[act]] += count
    return acts
