"""Does the engine equal the oracle where there are huge pages? Random traces, compared after every event."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from hybrids import ALL
from lockstep import assert_lockstep
from traces import DEEP, RandomTrace

from simcore import Trace, VmaKind, tiny_geometry
from simcore.events import Op

SHAPES = (tiny_geometry(4, 3), tiny_geometry(8, 2), tiny_geometry(16, 2))
HAVE = [name for name, row in ALL.items() if row.thp == "anon"]


class Anonymous(NamedTuple):
    """A random trace without reclaim; of anonymous memory alone if ``only``."""

    seed: int
    only: bool

    def build(self) -> Trace:
        """Make the trace."""
        trace = RandomTrace(self.seed, wild=0.02, shared=self.seed % 2 == 0, without=(Op.RECLAIM,))
        if self.only:
            trace.kinds = [VmaKind.ANON, VmaKind.HEAP]
        return trace.build(150)


@pytest.mark.parametrize("thp", ["always", "madvise"])
@pytest.mark.parametrize("design", HAVE)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_random_traces__are_equal_after_every_event(design, shape, thp):
    """Mapped, split by writes and holes, copied, reused, protected, zapped; by up to six tasks."""
    geometry = replace(SHAPES[shape], thp=thp)
    for seed in range(12 if DEEP else 1):
        recipe = Anonymous(seed * 10 + shape, only=seed % 2 == 0)
        assert_lockstep(recipe.build(), ALL[design], geometry, recipe=recipe)
