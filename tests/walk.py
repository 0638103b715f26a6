"""Walk all short traces as a tree: each event is simulated once for all traces that go on from it.

The machines are copied before each event, so a trace of the tree costs one event and one comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from lockstep import Pair, replay_line, told
from traces import ALPHABET, BEGUN, Short, beginning

from simcore import tiny_geometry
from simcore.every_trace import walk
from simcore.heap import SIZE, TOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcore import Design
    from simcore.engine.fast import Engine
    from simcore.events import IntArray

GEOMETRY = tiny_geometry()
SPARE = 4096  # words of the heap to copy at each event; it grows where that is too little


@dataclass
class Walk:
    """Every trace of up to ``depth`` events from an alphabet, under one design.

    After each event refusals, counts and act vectors are compared; states and invariants after every event that is
    not the last, and after every 20th last one. Nothing is tried behind a refused event: it has changed no word of
    the heap, so what could follow is met without it.

    Parameters
    ----------
    letters : sequence of int
        Of traces.ALPHABET.
    share : (int, int)
        (k, n): of the traces without their last event only every n-th is gone on with, from the k-th on.
    """

    design: Design
    letters: Sequence[int]
    depth: int
    share: tuple[int, int] = (0, 1)
    compared: int = 0

    def run(self) -> int:
        """Walk; returns how many traces were compared."""
        builder = beginning()
        for letter in self.letters:
            ALPHABET[letter](builder)
        plain = replace(self.design, creation="fork")  # the schedule of vfork is made of whole traces
        pair = Pair.start(builder.build(), plain, GEOMETRY)
        tighten(pair.fast, SPARE)
        assert pair.step_to(BEGUN) == ""
        self._stems = 0
        walk(self, pair, self.letters, self.depth)
        return self.compared

    def before(self, pair: Pair) -> None:
        """Build what was left unbuilt, or a refused event would; freeze what is copied before each event."""
        pair.fast.settle()
        pair.kept = pair.frozen()

    def step(self, pair: Pair, path: tuple[int, ...], *, last: bool) -> Pair | None:
        """Do the event of a path's last letter behind a copy of the pair."""
        stem = len(path) == self.depth - 1
        self._stems += stem
        if stem and self._stems % self.share[1] != self.share[0]:
            return None
        after = pair.copied(pair.kept)
        after.fast._position = after.slow._position = BEGUN + self.letters.index(path[-1])
        self._step(after, path, last=last)
        if after.refused:
            assert np.array_equal(words(after.fast), words(pair.fast)), f"not whole: {after.refused}"
            return None
        return after

    def _step(self, pair: Pair, path: tuple[int, ...], *, last: bool) -> None:
        """Do the event of a path's last letter and compare."""
        self.compared += 1
        what = pair.step_to(pair.fast._position + 1, state=not last or self.compared % 20 == 0)
        if what:
            trace = Short(path).build()
            where = self.design, GEOMETRY
            end = len(trace) - 1
            raise AssertionError(told(*where, trace, end, what) + replay_line(*where, Short(path), end))


def words(engine: Engine) -> IntArray:
    """Return the words of an engine's heap that are in use."""
    return engine._h[: engine._h[TOP]]


def tighten(engine: Engine, spare: int) -> None:
    """Leave an engine's heap so many words to spare."""
    top = int(engine._h[TOP])
    engine._h = np.append(engine._h[:top], np.zeros(spare, np.int64))
    engine._h[SIZE] = len(engine._h)
