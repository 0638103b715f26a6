"""Numbers in words: durations, sizes, ratios, lists."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from pipeline.compare import NO_DIFFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

_NARROW = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_NO_TIME = 0.0005  # ns
NOTHING = "\N{EN DASH}"


def number(value: float, digits: int = 3) -> str:
    """Return a number with about ``digits`` significant digits, never in powers of ten."""
    if math.isnan(value):
        return NOTHING
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{abs(value):,.{places}f}"
    return f"{_MINUS}{text}" if value < 0 else text


def duration(ns: float) -> str:
    """Return nanoseconds in the unit that reads best."""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "\N{MICRO SIGN}s")):
        if abs(ns) >= size:
            return f"{number(ns / size)}{_NARROW}{unit}"
    return NOTHING if math.isnan(ns) else f"{number(ns)}{_NARROW}ns"


def difference(ns: float) -> str:
    """Return a duration with its sign; what only rounding has left of a difference is 0."""
    if abs(ns) < _NO_TIME:
        return duration(0)
    return f"+{duration(ns)}" if ns > 0 else duration(ns)


def signed(value: float) -> str:
    """Return a number with its sign; what rounds to nothing is 0."""
    if abs(value) < 0.005:
        return "0"
    return f"+{number(value)}" if value > 0 else number(value)


def share(value: float) -> str:
    """Return a share as a percentage: 0.071 is ``7.1 %``."""
    if math.isnan(value):
        return NOTHING
    percent = value * 100
    places = 1 if 0 < abs(percent) < 9.95 else 0
    return f"{percent:.{places}f}{_NARROW}%".replace("-", _MINUS)


def signed_share(value: float) -> str:
    """Return a share as a percentage with its sign."""
    return f"{'+' if value > 0 else ''}{share(value)}"


def change(ratio: float) -> str:
    """Return a ratio as a change: ``7.1 % less``, ``13 % more``, ``2.4 times as much``, ``the same``."""
    if abs(ratio - 1) <= NO_DIFFERENCE:
        return "the same"
    if ratio >= 2:
        return f"{number(ratio, 2)} times as much"
    return f"{share(abs(ratio - 1))} {'more' if ratio > 1 else 'less'}"


def factor(ratio: float) -> str:
    """Return a ratio for a table: two places, three where that is near 1."""
    if math.isnan(ratio):
        return NOTHING
    return f"{ratio:.3f}" if abs(ratio - 1) < 0.095 else f"{ratio:,.2f}"


def listed(items: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def few(items: Sequence[str], most: int = 8) -> str:
    """Return what ``listed`` does, the last ones only counted if there are more than ``most``."""
    if len(items) <= most:
        return listed(items)
    return f"{', '.join(items[: most - 1])} and {len(items) - most + 1} others"


def spread_of(items: Sequence[str], noun: str, most: int = 4) -> str:
    """Return items in their order, or the first and the last of them if there are more than ``most``."""
    if len(items) <= most:
        return ", ".join(items)
    return f"{counted(len(items), noun)}, from {items[0]} to {items[-1]}"


def counted(count: int, noun: str) -> str:
    """Return ``1 cell`` or ``2,430 cells``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def all_of(count: int, noun: str) -> str:
    """Return ``the only cell`` or ``all 2,430 cells``."""
    return f"the only {noun}" if count == 1 else f"all {count:,} {noun}s"


def slug(text: str) -> str:
    """Return a text as an id: lower case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
