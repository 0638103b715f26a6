"""Which designs are drawn together, and what each is a multiple of.

Families follow what fork does, see ``style.family``. A sharing design is drawn as a multiple of the eager copy that is
most like it: what reverse mappings or fault-around cost is several times the effect of sharing, and would hide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline import analysis
from pipeline.report.style import COPYING

if TYPE_CHECKING:
    from pipeline.report.digest import Axis, Digest

OWN_COPY = "its eager copy"


class Family(NamedTuple):
    """Designs that are drawn together.

    Parameters
    ----------
    heading : str
        What they have in common.
    references : list of str
        The designs that they are multiples of; one or several eager copies, nothing without a baseline.
    designs : list of str
        What is drawn as such multiples: the family, and the floor where its multiple is one of the baseline.
    """

    heading: str
    references: list[str]
    designs: list[str]

    @property
    def against(self) -> str | None:
        """What the designs are multiples of, in words; None without a baseline."""
        if not self.references:
            return None
        return self.references[0] if len(self.references) == 1 else OWN_COPY

    @property
    def everybody(self) -> list[str]:
        """All designs, references first."""
        return list(dict.fromkeys([*self.references, *self.designs]))


def families(digest: Digest) -> list[Family]:
    """Return the families of the study; without sharing designs, or with nothing but them, all the same."""
    roles = {digest.baseline, digest.floor}
    found = []
    for heading, names in digest.families.items():
        if heading == COPYING and set(names) <= roles and len(digest.families) > 1:
            continue  # every other family has them
        references = list(dict.fromkeys(other for other in map(digest.reference, names) if other))
        floor = [digest.floor] if digest.floor and digest.baseline in references else []
        found.append(Family(heading, references, list(dict.fromkeys([*floor, *names]))))
    return found


def axis_table(digest: Digest, axis: Axis) -> pd.DataFrame:
    """Return ``design``, ``x`` (value on the axis), ``typical`` and ``worst``.

    Both are multiples of each design's reference (``Digest.reference``), or µs in a study without a baseline.
    """
    cells = digest.along(axis.column)
    parts = []
    for other in dict.fromkeys(digest.reference(name) for name in digest.designs):
        mine = [name for name in digest.designs if digest.reference(name) == other]
        height = analysis.paired(cells, digest.metric, other) if other else cells[digest.metric] / 1000
        parts.append(height[cells["design"].isin(mine)])
    cells = cells.assign(height=pd.concat(parts), x=cells[axis.column])
    usual = analysis.population(cells)[0]
    worst = cells.groupby(["design", "x"])["height"].max().rename("worst")
    typical = usual.groupby(["design", "x"])["height"].median().rename("typical")
    return pd.concat([typical, worst], axis=1).dropna().reset_index()
