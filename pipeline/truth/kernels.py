"""The shipped step files: what four kernels returned for scripts of steps, and what the simulator says to them.

A file is JSON lines. The first tells the kernel, the design that models it, what every process of the measuring
program shows by itself (``constant_faults`` by kind of step, ``base_kib`` of VmPTE by how the process came to be);
each other line is a script: process, event, step, minor faults, VmPTE in KiB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.truth.left_out import LEFT_OUT, LeftOut
from pipeline.truth.simulated import BORN, Seen, simulate_script
from simcore.designs import DESIGNS, Design, derived

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNELS = ("linux-6.18.44", "linux-6.1.192", "linux-6.0.6-sharing", "linux-5.6.19-on-demand-fork")


class Row(NamedTuple):
    """One step as a kernel returned it, the constants of its process still in it."""

    process: str
    event: str
    step: str
    minor_faults: int
    vmpte_kib: int


@dataclass(frozen=True)
class Kernel:
    """A step file.

    Parameters
    ----------
    name : str
        Of the file.
    version : str
        The kernel, in words.
    design : Design
        What models it.
    constant_faults : dict of str to int
        Minor faults of the measuring program itself, by event and verb.
    base_kib : dict of str to int
        Its VmPTE by how the process came to be: ``start``, ``fork``, ``exec``.
    thp : str
        Whether mappings that ask for huge pages got some: ``never`` or ``madvise``.
    scripts : dict of str to list of Row
        By name.
    """

    name: str
    version: str
    design: Design
    constant_faults: dict[str, int]
    base_kib: dict[str, int]
    thp: str
    scripts: dict[str, list[Row]]


class Difference(NamedTuple):
    """A step that the simulator counts otherwise; ``excused`` if it is among what the model leaves out."""

    script: str
    step: str
    kernel: tuple[int, int]
    simulated: tuple[int, int]
    excused: LeftOut | None


class Comparison(NamedTuple):
    """A kernel beside the simulator.

    ``stale`` are exceptions that no step needed: the list should not say more than is so.
    """

    kernel: Kernel
    steps: int
    differences: list[Difference]
    stale: list[LeftOut]

    @property
    def failed(self) -> bool:
        """Whether a step differs that nothing excuses, or an exception is stale."""
        return bool(self.stale) or any(each.excused is None for each in self.differences)


def load(name: str) -> Kernel:
    """Return a shipped step file; KeyError if there is none of that name."""
    if name not in KERNELS:
        raise KeyError(name)
    text = files("pipeline.truth").joinpath("data", f"{name}.jsonl").read_text(encoding="utf-8")
    head, *scripts = map(json.loads, text.splitlines())
    design = DESIGNS[head["design"]]
    if head["axes"]:
        design = derived(f"{head['design']}_then", design, head["axes"])
    rows: dict[str, list[Row]] = {each["scenario"]: [Row(*row) for row in each["steps"]] for each in scripts}
    return Kernel(name, head["kernel"], design, head["constant_faults"], head["base_kib"], head["thp"], rows)


def compare(kernel: Kernel, engine: str = "fast") -> Comparison:
    """Return where the simulator counts otherwise than a kernel did."""
    differences, steps = [], 0
    excused = {(each.script, step): each for each in LEFT_OUT.get(kernel.name, ()) for step in each.steps}
    needed: set[LeftOut] = set()
    for name, rows in kernel.scripts.items():
        seen = simulate_script([_step(row) for row in rows], kernel.design, engine, kernel.thp)
        for number, (row, here) in enumerate(zip(_bare(kernel, rows), seen, strict=True)):
            steps += 1
            found = (here.minor_faults, here.vmpte_kib)
            if row != found:
                excuse = excused.get((name, number))
                needed |= {excuse} if excuse else set()
                differences.append(Difference(name, f"{number} {rows[number].step}", row, found, excuse))
    stale = [each for each in LEFT_OUT.get(kernel.name, ()) if each not in needed]
    return Comparison(kernel, steps, differences, stale)


def _step(row: Row) -> str:
    """Return a row's step as the simulator takes it."""
    if row.event == "start":
        return f"{row.process} nop"
    return f"{BORN}{row.step}" if row.event == "childstart" else row.step


def _bare(kernel: Kernel, rows: list[Row]) -> Iterator[tuple[int, int]]:
    """Yield minor faults and VmPTE of each row without what the process shows by itself."""
    origin: dict[str, str] = {}
    for row in rows:
        verb = [*row.step.split(), ""][1]
        if row.event == "start":
            origin[row.process] = "start"
        elif row.event == "childstart":
            origin[row.process] = "fork" if verb == "fork" else "exec"
        elif row.event == "exec":
            origin[row.process] = "exec"
        faults = row.minor_faults - kernel.constant_faults.get(f"{row.event} {verb}", 0)
        yield faults, row.vmpte_kib - kernel.base_kib[origin[row.process]]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison ready for JSON."""
    return {
        "kernel": comparison.kernel.version,
        "design": comparison.kernel.design.name,
        "scripts": len(comparison.kernel.scripts),
        "steps": comparison.steps,
        "equal": comparison.steps - len(comparison.differences),
        "left_out": sum(each.excused is not None for each in comparison.differences),
        "differences": [
            {
                "script": each.script,
                "step": each.step,
                "kernel": dict(zip(Seen._fields, each.kernel, strict=False)),
                "simulated": dict(zip(Seen._fields, each.simulated, strict=False)),
                "left_out": each.excused.reason if each.excused else None,
            }
            for each in comparison.differences
        ],
    }
