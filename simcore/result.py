"""What a simulation gives: exact integer counts, never times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simcore.acts import ACTS, EVENT_KINDS, GAUGES

if TYPE_CHECKING:
    from simcore.events import IntArray


@dataclass(frozen=True)
class ActVectors:
    """The distinct act vectors of each event kind, with multiplicity.

    Parameters
    ----------
    kinds : int64 [k]
        Index into EVENT_KINDS.
    times : int64 [k]
        How often an event (or fault) of that kind cost exactly these acts; at least 1.
    acts : int64 [k, len(ACTS)]
        The vector. Rows are sorted by kind, then lexicographically: equal runs give equal arrays.
    """

    kinds: IntArray
    times: IntArray
    acts: IntArray

    @staticmethod
    def sorted_from(kinds: IntArray, times: IntArray, acts: IntArray) -> ActVectors:
        """Return the vectors in canonical order."""
        keys = np.column_stack([kinds, acts]) if len(kinds) else np.empty((0, 1 + len(ACTS)), np.int64)
        order = np.lexsort(keys.T[::-1])
        return ActVectors(kinds[order], times[order], acts[order])


@dataclass(frozen=True)
class Result:
    """Counts of one run.

    Parameters
    ----------
    acts : int64 [len(ACTS)]
        Totals; equal to ``vectors.times @ vectors.acts``.
    gauges : int64 [len(GAUGES)]
        Highest and last values of each level.
    vectors : ActVectors
        What each fork, exec, exit, mmap, munmap and fault cost.
    events : int
        Events of the trace.
    touches : int
        Pages touched by reads and writes, whether they faulted or not.
    """

    acts: IntArray
    gauges: IntArray
    vectors: ActVectors
    events: int
    touches: int

    def counts(self) -> dict[str, int]:
        """Return totals and gauges by name."""
        named = {act.name: int(value) for act, value in zip(ACTS, self.acts, strict=True)}
        return named | {gauge.name: int(value) for gauge, value in zip(GAUGES, self.gauges, strict=True)}

    def minor_faults(self) -> int:
        """Return the minor faults of all kinds."""
        return sum(
            int(value) for act, value in zip(ACTS, self.acts, strict=True) if act.name.startswith("faults_")
        )

    def by_kind(self, kind: str) -> IntArray:
        """Return the total acts [len(ACTS)] of one event kind; raises KeyError for an unknown kind."""
        if kind not in EVENT_KINDS:
            raise KeyError(f"event kind {kind!r}; known are {', '.join(EVENT_KINDS)}")
        chosen = self.vectors.kinds == EVENT_KINDS.index(kind)
        total: IntArray = self.vectors.times[chosen] @ self.vectors.acts[chosen]
        return total
