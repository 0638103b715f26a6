"""Tell a story to the machine step by step; each step says what it must cost.

``costs`` is strict: every act that is not named must not have happened. Both engines are told the same story; with
FORKBENCH_ORACLE_ONLY=1 the oracle alone, so that mutants of its rules are tried quickly.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from lockstep import advance

from simcore import DESIGNS, Design, Geometry, Mapping, TraceBuilder, VmaKind, tiny_geometry
from simcore.invariants import check_invariants
from simcore.simulate import start
from simcore.snapshot import Snapshot

ANON, FILE, FILE_SHARED, SHM, STACK, HEAP = (
    VmaKind.ANON,
    VmaKind.FILE_PRIVATE,
    VmaKind.FILE_SHARED,
    VmaKind.SHM,
    VmaKind.STACK,
    VmaKind.HEAP,
)

ENGINES = ("oracle",) if os.environ.get("FORKBENCH_ORACLE_ONLY") == "1" else ("oracle", "fast")


@dataclass
class Story:
    """Events for one design; by default on tables of 4 entries under a pgd of 4."""

    design: str | Design
    geometry: Geometry = field(default_factory=tiny_geometry)
    images: tuple[list[Mapping], ...] = ()

    def __post_init__(self) -> None:
        self._builder = TraceBuilder()
        for image in self.images:
            self._builder.image(image)
        self._expected: list[tuple[int, dict[str, int], bool]] = []
        self._count = 0

    def __getattr__(self, verb: str):
        """Each verb of TraceBuilder is a step of the story."""
        step = getattr(self._builder, verb)

        def tell(*args, **kwargs) -> Story:
            step(*args, **kwargs)
            self._count += 1
            return self

        return tell

    def costs(self, **acts: int) -> Story:
        """Expect the last step to cost exactly these acts."""
        self._expected.append((self._count, acts, True))
        return self

    def among(self, **acts: int) -> Story:
        """Expect the last step to cost these acts, whatever else it costs."""
        self._expected.append((self._count, acts, False))
        return self

    def end(self) -> Snapshot:
        """Tell the story to the engines, check each step and all invariants; return the last state."""
        design = self.design if isinstance(self.design, Design) else DESIGNS[self.design]
        trace = self._builder.build()
        states = []
        for engine in ENGINES:
            machine = start(trace, design, self.geometry, engine)
            before = machine.result().counts()
            done = 0
            for step, acts, strict in [*self._expected, (self._count, {}, False)]:
                assert advance(machine, max(done, step - 1)) == []
                if step > done:
                    before = machine.result().counts()
                    assert advance(machine, step) == []
                check_invariants(machine.snapshot(), design, self.geometry)
                after = machine.result().counts()
                spent = {
                    name: after[name] - before[name] for name in after if not name.endswith(("_max", "_end"))
                }
                expected = {name: acts.get(name, 0) for name in (spent if strict else acts)}
                found = {name: spent[name] for name in expected}
                assert found == expected, f"{engine}, step {step} ({trace.events[step - 1]})"
                done = step
            states.append(machine.snapshot())
        assert states[0].canonical() == states[-1].canonical()
        return states[0]


def path(state: Snapshot, task: int, vpn: int, entries: int = 4) -> tuple[int, bool]:
    """Return (frame, writable) of a present page as a task reaches it: directory entry and pte are and'ed."""
    slot, index = divmod(vpn, entries)
    table, open_ = state.mms[state.tasks[task][0]].slots[slot]
    frame, writable = state.tables[table].ptes[index]
    return frame, writable and open_


def charged(state: Snapshot) -> int:
    """Return how many tables are charged to mms: VmPTE summed, in pages."""
    return state.levels["pgtable_charged_bytes"] // 4096
