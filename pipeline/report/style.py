"""How a design looks in every figure: one hue, one marker, one dash, the same in all figures of a report.

Designs are grouped in families by what fork does. Within a family each mechanism has a hue of its own; a dashed line
with hollow markers means that each pte has a pte_chain element. The hues are Okabe and Ito's and three more, darkened
for a light page and lightened for a dark one, so that colour-blind readers can tell them apart; markers and direct
labels say the same without colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simcore.designs import AXES, DESIGNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simcore.designs import Design

# (on light, on dark). matplotlib draws with the light ones; svg.py replaces each by a CSS variable.
HUES: tuple[tuple[str, str], ...] = (
    ("#1b1c1d", "#eceef0"),
    ("#6a707a", "#a7aeb8"),
    ("#c24a00", "#ff9552"),
    ("#a23a8c", "#e394d3"),
    ("#00745a", "#3fcfa2"),
    ("#0061a8", "#66b8f5"),
    ("#806300", "#e3c552"),
    ("#8c1d4a", "#f48fb4"),
    ("#5a4fcf", "#aaa2ff"),
    ("#00788c", "#4fd0e3"),
    ("#7d5233", "#d3a27f"),
)
INK = "#141516"
MUTED = "#646a73"
RULE = "#d9dce1"
PAPER = "#fdfdfc"
ROLES: dict[str, str] = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"}

COPYING, BY_PTE, BY_PMD, LATER, OTHER = (
    "Copying",
    "Sharing, protected pte by pte",
    "Sharing, protected by pmd",
    "Sharing, with object rmap",
    "Other designs",
)
FAMILIES: tuple[str, ...] = (COPYING, BY_PTE, BY_PMD, LATER, OTHER)

# Copying designs stand beside sharing ones as what these are compared with, so their hues come from the ends. Those that
# create by vfork stand in every figure as its floor, so one hue is theirs alone.
_SHARED_HUES = (2, 3, 4, 5, 6, 7)
_COPYING_HUES = (0, 8, 9, 10)
_FLOOR_HUE = 1
# Both kinds of sharing of 2002 stand in one figure beside the baseline, so they begin with different hues.
_HUES_OF: dict[str, tuple[int, ...]] = {
    COPYING: _COPYING_HUES + _SHARED_HUES,
    BY_PMD: _SHARED_HUES[4:] + _SHARED_HUES[:4] + _COPYING_HUES[:0:-1],
}
_MARKERS = ("o", "s", "^", "v", "D", "P", "<", ">", "X", "p", "h")


class Look(NamedTuple):
    """Hue (index in HUES), marker, and whether the design keeps a pte_chain element per pte (dashed, hollow)."""

    hue: int
    marker: str
    chains: bool

    @property
    def colour(self) -> str:
        """The hue on a light page."""
        return HUES[self.hue][0]

    @property
    def face(self) -> str:
        """What fills the marker."""
        return PAPER if self.chains else self.colour

    @property
    def dashes(self) -> tuple[float, float] | str:
        """The line style as seaborn and matplotlib take it: on and off in line widths, or "" for solid."""
        return (4, 1.6) if self.chains else ""


def family(row: Design | None) -> str:
    """Return the family of a design, one of FAMILIES; ``None`` is a design that this version does not know.

    Designs that keep object rmap when they share tables are those of later systems; the sharing designs of 2002 fall
    in two by what write-protects.
    """
    if row is None:
        return OTHER
    if not row.shares_tables:
        return COPYING
    if row.wrprotect != "pmd":
        return BY_PTE
    return LATER if row.rmap == "object" else BY_PMD


def looks(known: Mapping[str, Design], ran: Iterable[str]) -> dict[str, Look]:
    """Return the look of each known design, and of each that ran.

    Those that ship come first, so they look the same in every report; then a study's own, then unknown ones by name.
    """
    strangers = sorted(set(ran) - set(known))
    order = [name for name in DESIGNS if name in known]
    order += [*(name for name in known if name not in DESIGNS), *strangers]
    found: dict[str, Look] = {}
    met: dict[str, list[tuple[object, bool]]] = {}
    for number, name in enumerate(order):
        row = known.get(name)
        here = family(row)
        hues = _HUES_OF.get(here, _SHARED_HUES + _COPYING_HUES[:0:-1])
        chains = row is not None and row.rmap == "pte_chain"
        if row is not None and row.creation == "vfork":
            found[name] = Look(_FLOOR_HUE, _MARKERS[number % len(_MARKERS)], chains)
            continue
        rank = _rank(met.setdefault(here, []), row, name, chains=chains)
        found[name] = Look(hues[rank % len(hues)], _MARKERS[number % len(_MARKERS)], chains)
    return found


def _rank(met: list[tuple[object, bool]], row: Design | None, name: str, *, chains: bool) -> int:
    """Return the place of a design's mechanism among those that its family has had so far; a new one is added."""
    mine: object = _mechanism(row) if row else name
    if (mine, chains) in met:  # the dash would not tell the two apart
        mine = name
    met.append((mine, chains))
    ranks = list(dict.fromkeys(mechanism for mechanism, _ in met))
    return ranks.index(mine)


def _mechanism(row: Design) -> tuple[object, ...]:
    """Return what the hue stands for: all but the chains, which the dash shows."""
    axes = [axis for axis in AXES if axis not in ("rmap", "reclaim")]
    return (*(getattr(row, axis) for axis in axes), row.more_than, row.rmap == "object")
