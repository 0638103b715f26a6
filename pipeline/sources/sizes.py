"""Resident sizes: figures of those that listings give, and trees that carry them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of numbers in ascending order, at least one, between two of them in proportion."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def resident_figures(sizes: Iterable[int | None]) -> dict[str, Any] | None:
    """Return the distribution of resident sizes in KiB, None if no size is known.

    ``processes`` have a size; ``p10``, ``median``, ``p90``, ``p99`` and ``max`` are in KiB; ``log10_mean`` and
    ``log10_sd`` are mean and standard deviation of the decimal logarithm of the size in KiB.
    """
    known = sorted(size for size in sizes if size)
    if not known:
        return None
    logs = [math.log10(size) for size in known]
    mean = sum(logs) / len(logs)
    spread = math.sqrt(sum((each - mean) ** 2 for each in logs) / len(logs))
    quantiles = {"p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99}
    return {
        "processes": len(known),
        **{name: round(quantile(known, share)) for name, share in quantiles.items()},
        "max": known[-1],
        "log10_mean": round(mean, 3),
        "log10_sd": round(spread, 3),
    }
