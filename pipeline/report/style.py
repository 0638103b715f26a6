"""How a design looks in every figure and table: one hue, one marker, one dash, always the same.

Hue follows the mechanism (how fork makes tables and how it write-protects); a dashed line with hollow markers means
reverse mapping. The hues are Okabe and Ito's, darkened for a light page and lightened for a dark one, so that
colour-blind readers can tell them apart; markers and direct labels say the same without colour.
"""

from __future__ import annotations

from typing import NamedTuple

from simcore.designs import DESIGNS

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
)
INK = "#141516"
MUTED = "#646a73"
RULE = "#d9dce1"
PAPER = "#fdfdfc"
ROLES: dict[str, str] = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"}

_MARKERS = ("o", "s", "^", "v", "D", "P", "<", ">", "X", "p", "h")


class Look(NamedTuple):
    """Hue (index in HUES), marker, and whether the design keeps reverse mappings (dashed, hollow)."""

    hue: int
    marker: str
    rmap: bool

    @property
    def colour(self) -> str:
        """The hue on a light page."""
        return HUES[self.hue][0]

    @property
    def face(self) -> str:
        """What fills the marker."""
        return PAPER if self.rmap else self.colour

    @property
    def dashes(self) -> tuple[float, float] | str:
        """The line style as seaborn and matplotlib take it: on and off in line widths, or "" for solid."""
        return (4, 1.6) if self.rmap else ""


def look(design: str) -> Look:
    """Return the look of a design; one that this version does not know gets the last hue."""
    if design not in DESIGNS:
        return Look(len(HUES) - 1, _MARKERS[-1], rmap=False)
    row = DESIGNS[design]
    # Copying designs first: the first two hues, black and grey, belong to what sharing is compared with.
    order = sorted(DESIGNS, key=lambda name: DESIGNS[name].shares_tables)
    mechanisms = list(dict.fromkeys(_mechanism(name) for name in order))
    number = list(DESIGNS).index(design)
    hue = mechanisms.index(_mechanism(design)) % len(HUES)
    return Look(hue, _MARKERS[number % len(_MARKERS)], rmap=row.rmap != "none")


def family(design: str) -> str:
    """Return the heading of the small multiple that a design belongs to."""
    if design not in DESIGNS:
        return "Other designs"
    row = DESIGNS[design]
    if row.rmap != "none":
        return "With rmap"
    return "Sharing, no rmap" if row.shares_tables else "Copying, no rmap"


def _mechanism(design: str) -> tuple[str, str, str | None]:
    """Return what the hue stands for."""
    row = DESIGNS[design]
    return (row.fork, row.creation, row.wrprotect)
