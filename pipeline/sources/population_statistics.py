"""What the listings of a population have in common: distributions over listings, so that each machine counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.errors import counted
from pipeline.resampling import resampled
from pipeline.sources.shipped import SHIPPED, shipped_listing
from pipeline.sources.sizes import quantile, resident_figures
from pipeline.sources.statistics import tree_figures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.sources.listing import Listing
    from pipeline.sources.populations import Population

DEEPEST_TOLD = 6  # depths from here on are put together
_QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}


class _Figure(NamedTuple):
    """One figure of a listing: its key in the result, what it is, and the digits that are shown of it."""

    key: str
    told: str
    digits: int


_FIGURES = (
    _Figure("user_processes", "user processes", 0),
    _Figure("max_depth", "deepest process", 0),
    _Figure("mean_depth", "mean depth of processes", 1),
    _Figure("children_of_root", "children of PID 1", 0),
    _Figure("largest_fan_out_below_root", "largest fan-out below PID 1", 0),
    _Figure("leaf_share", "share of leaves", 2),
    _Figure("same_name_as_parent_share", "share named like their parent", 2),
    _Figure("largest_family", "largest group of same-named siblings", 0),
)


def population_statistics(population: Population) -> dict[str, Any]:
    """Return the statistics of a population, ready for JSON.

    ``listings`` and ``user_processes`` count those with a tree. ``per_listing`` has p10, median, p90 and max, over
    listings, of each figure of a tree (see ``pipeline.sources.statistics.tree_figures``); ``intervals`` has the
    bounds of each in 90 % of samples of as many listings, drawn again from these. ``depth_shares`` are fractions
    of processes at depth 0, 1, ..., and at DEEPEST_TOLD or deeper, each listing weighted equally. ``inner_nodes`` are
    fractions of all processes with children that have one, two, and more than twenty. ``resident_kib`` is that of all
    processes whose size is given (see ``pipeline.sources.sizes.resident_figures``), from ``sized_listings`` listings;
    ``child_over_parent`` is the distribution of a same-named child's resident size over its parent's, None if there is
    none.
    """
    trees = {name: shipped_listing(name) for name in population.trees}
    figures = [_figures(listing) for listing in trees.values()]
    sizes = [size for name in population.sized for size in shipped_listing(name).resident_kib()]
    return {
        "name": population.name,
        "meaning": population.meaning,
        "listings": len(figures),
        "years": [SHIPPED[population.trees[0]].year, SHIPPED[population.trees[-1]].year],
        "user_processes": sum(each["user_processes"] for each in figures),
        "per_listing": {each.key: _distribution(one[each.key] for one in figures) for each in _FIGURES},
        "intervals": {each.key: _intervals([one[each.key] for one in figures]) for each in _FIGURES},
        "depth_shares": _depth_shares(figures),
        "inner_nodes": _inner_nodes(figures),
        "sized_listings": len(population.sized),
        "resident_kib": resident_figures(sizes),
        "child_over_parent": _child_over_parent(trees.values()),
    }


def _figures(listing: Listing) -> dict[str, Any]:
    """Return the figures of one listing's tree."""
    parents, names = listing.user_processes()
    figures = tree_figures(parents, names)
    families = figures["same_name_families"]
    return figures | {
        "user_processes": len(parents),
        "largest_family": families[0]["size"] if families else min(1, len(parents) - 1),
    }


def _distribution(found: Iterable[float]) -> dict[str, float]:
    """Return quantiles of at least one number."""
    ordered = sorted(found)
    return {name: round(quantile(ordered, share), 4) for name, share in _QUANTILES.items()}


def _intervals(found: list[float]) -> dict[str, list[float]]:
    """Return for each quantile the bounds of 90 % of its values in samples of as many numbers; always the same ones."""
    bounds = resampled(np.array(found, np.float64), list(_QUANTILES.values()))
    return {
        name: [round(each.low, 4), round(each.high, 4)] for name, each in zip(_QUANTILES, bounds, strict=True)
    }


def _depth_shares(figures: list[dict[str, Any]]) -> list[float]:
    """Return the share of processes at each depth, the mean over listings."""
    shares = [0.0] * (DEEPEST_TOLD + 1)
    for each in figures:
        for depth, count in enumerate(each["depth_histogram"]):
            shares[min(depth, DEEPEST_TOLD)] += count / each["user_processes"] / len(figures)
    return [round(share, 4) for share in shares]


def _inner_nodes(figures: list[dict[str, Any]]) -> dict[str, float]:
    """Return which share of the processes with children has one child, two, and more than twenty."""
    fan_outs = [
        (int(size), count)
        for each in figures
        for size, count in each["fan_out_histogram"].items()
        if size != "0"
    ]
    total = max(1, sum(count for _, count in fan_outs))
    shares = {
        "one_child": sum(count for size, count in fan_outs if size == 1),
        "two_children": sum(count for size, count in fan_outs if size == 2),
        "more_than_twenty": sum(count for size, count in fan_outs if size > 20),
    }
    return {name: round(count / total, 4) for name, count in shares.items()}


def _child_over_parent(listings: Iterable[Listing]) -> dict[str, float] | None:
    """Return how much larger than its parent a same-named child is, where both sizes are given."""
    ratios = [
        node.rss_kib / parent.rss_kib
        for listing in listings
        for node in listing.nodes[1:]
        if (parent := listing.nodes[node.parent]).rss_kib and node.rss_kib and node.name == parent.name
    ]
    return _distribution(ratios) | {"pairs": len(ratios)} if ratios else None


def render(stats: dict[str, Any]) -> str:
    """Return what ``population_statistics`` found as text for a terminal."""
    first, last = stats["years"]
    years = f"{first} to {last}" if first < last else f"{first}"
    parts = [
        [
            f"{stats['name']}: {stats['meaning']}",
            f"{counted(stats['listings'], 'listing')} of {years}, {stats['user_processes']:,} user processes",
        ],
        _table(stats["per_listing"], stats["intervals"]),
        _shares(stats),
        _sizes(stats),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _table(
    per_listing: dict[str, dict[str, float]], intervals: dict[str, dict[str, list[float]]]
) -> list[str]:
    """Return the quantiles of each figure, one figure a line, and what is sure of the median."""
    head = f"{'per listing':<37}" + "".join(f"{name:>8}" for name in _QUANTILES) + "  median, 90 % sure"
    rows = []
    for each in _FIGURES:
        quantiles = "".join(f"{value:>8,.{each.digits}f}" for value in per_listing[each.key].values())
        low, high = intervals[each.key]["median"]
        rows.append(f"{each.told:<37}{quantiles}  {low:,.{each.digits}f} to {high:,.{each.digits}f}")
    return [head, *rows]


def _shares(stats: dict[str, Any]) -> list[str]:
    """Return depths of processes and fan-outs of inner nodes, as shares."""
    *shares, deeper = stats["depth_shares"]
    depths = ", ".join(f"{depth}: {share:.0%}" for depth, share in enumerate(shares))
    inner = stats["inner_nodes"]
    crowded = f"more than twenty {inner['more_than_twenty']:.0%}"
    return [
        f"depth, each listing alike   {depths}, {DEEPEST_TOLD}+: {deeper:.0%}",
        f"processes with children     one child {inner['one_child']:.0%}, two {inner['two_children']:.0%}, {crowded}",
    ]


def _sizes(stats: dict[str, Any]) -> list[str]:
    """Return the distribution of resident sizes, or that there is none."""
    sizes, ratio = stats["resident_kib"], stats["child_over_parent"]
    if sizes is None:
        return ["resident size               no listing gives it"]
    mib = ", ".join(f"{name} {sizes[name] / 1024:,.1f}" for name in ("p10", "median", "p90", "p99", "max"))
    told = [
        f"resident size in MiB        {mib}",
        f"                            {sizes['processes']:,} processes of {counted(stats['sized_listings'], 'listing')}",
        f"its log10 in KiB            mean {sizes['log10_mean']:.2f}, standard deviation {sizes['log10_sd']:.2f}",
    ]
    if ratio is not None:
        told.append(
            f"same-named child's          {ratio['median']:.2f} of its parent's (p10 {ratio['p10']:.2f}, "
            f"p90 {ratio['p90']:.2f}; {ratio['pairs']} pairs)"
        )
    return told
