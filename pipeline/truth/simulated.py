"""A script in the simulator: what each step would show of the process that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.truth.script import tell
from simcore import GEOMETRIES
from simcore.geometry import with_thp
from simcore.simulate import start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcore.designs import Design
    from simcore.engine.fast import Engine
    from simcore.oracle.run import Oracle

GEOMETRY = GEOMETRIES["x86-64"]
BORN = "born "  # before a step that makes a child: what the child shows then
_PAGE_KIB = GEOMETRY.page_bytes >> 10


class Seen(NamedTuple):
    """What a step shows of its process: minor faults of the step, and afterwards VmPTE and resident pages.

    VmPTE is in KiB. At exit the mm is looked at before, since afterwards it is gone.
    """

    minor_faults: int
    vmpte_kib: int
    rss_pages: int
    anon_pages: int


def simulate_script(
    steps: Sequence[str], design: Design, engine: str = "fast", thp: str = "madvise"
) -> list[Seen]:
    """Return what each step shows; a step ``born A fork B`` shows the child of the step before it.

    ``thp`` says whether mappings that ask for huge pages get some: "madvise" or "never".

    Raises
    ------
    ValueError
        A step is none.
    TraceRefused
        A step cannot happen.
    """
    told = tell([step for step in steps if not step.startswith(BORN)])
    machine = start(told.trace, design, GEOMETRIES[with_thp(GEOMETRY.name, thp)], engine)
    marks = iter(told.marks)
    seen: list[Seen] = []
    born, faults = 0, 0
    for step in steps:
        if step.startswith(BORN):
            seen.append(Seen(0, *_account(machine, born)))
            continue
        first, end, task = next(marks)
        last = step.split()[1] == "exit"
        account = _account(machine, task) if last else None
        if end > first:
            machine.run(end)
            born = int(told.trace.events["arg"][first])
        before, faults = faults, machine.result().minor_faults()
        seen.append(Seen(0 if last else faults - before, *(account or _account(machine, task))))
    return seen


def _account(machine: Engine | Oracle, task: int) -> tuple[int, int, int]:
    """Return VmPTE in KiB, resident and anonymous pages of a task."""
    tables, rss, anon = machine.account(task)
    return tables * _PAGE_KIB, rss, anon
