"""Statistics of a process tree: what in it can make sharing page tables at fork pay."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

from pipeline.sources.draft import CGROUPS, FLAT
from pipeline.sources.sizes import resident_figures

if TYPE_CHECKING:
    from pipeline.sources.listing import Listing

_BAR = 40  # characters of the longest bar
_FAMILIES_SHOWN = 10
_WARNINGS_SHOWN = 10
_COLUMNS = 80
_SHAPES = {
    CGROUPS: "It is a tree of control groups: which process is in which group, not who started whom. The first "
    "process of a group stands for it, and the others hang below.",
    FLAT: "It does not say who started whom, so there is no tree; only the memory figures can be used.",
}


def statistics(listing: Listing) -> dict[str, Any]:
    """Return the statistics of a listing's user processes, ready for JSON.

    ``shape`` is "parents", "cgroups" or "none"; with "none" there are no figures of a tree, see ``tree_figures``.
    ``perhaps_threads`` counts processes that may be LinuxThreads. ``resident_kib`` is None without memory figures,
    else see ``pipeline.sources.sizes.resident_figures``.
    """
    parents, names = listing.user_processes()
    return {
        "format": listing.format,
        "shape": listing.shape,
        "processes": len(parents),
        "kernel_threads": len(listing.nodes) - len(parents),
        "threads": listing.threads,
        "perhaps_threads": listing.perhaps_threads,
        **({} if listing.shape == FLAT else tree_figures(parents, names)),
        "resident_kib": resident_figures(listing.resident_kib()),
        "warnings": [{"line": line, "text": text} for line, text in listing.warnings],
    }


def tree_figures(parents: list[int], names: list[str]) -> dict[str, Any]:
    """Return the figures of a tree whose root is process 0 and has depth 0.

    Shares are fractions from 0 to 1: ``leaf_share`` of all processes, ``same_name_as_parent_share`` of those that
    have a parent. ``fan_out_histogram`` counts processes by their number of children (as text, in ascending order).
    A family is a group of two or more children of one process with one name; families are sorted by size, largest
    first.
    """
    depths = _depths(parents)
    children = Counter(parents[1:])
    fan_outs = [children[process] for process in range(len(parents))]
    alike = sum(name == names[parent] for name, parent in zip(names[1:], parents[1:], strict=True))
    leaves = fan_outs.count(0)
    return {
        "max_depth": max(depths),
        "mean_depth": round(sum(depths) / len(depths), 4),
        "depth_histogram": _counted(depths),
        "fan_out_histogram": {str(size): count for size, count in sorted(Counter(fan_outs).items())},
        "largest_fan_out": max(fan_outs),
        "largest_fan_out_below_root": max(fan_outs[1:], default=0),
        "children_of_root": fan_outs[0],
        "leaves": leaves,
        "leaf_share": round(leaves / len(parents), 4),
        "same_name_as_parent": alike,
        "same_name_as_parent_share": round(alike / max(1, len(parents) - 1), 4),
        "same_name_families": _families(parents, names),
    }


def _depths(parents: list[int]) -> list[int]:
    """Return the depth of each process; parents come before their children."""
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    return depths


def _counted(depths: list[int]) -> list[int]:
    """Return how many processes there are at each depth."""
    counts = [0] * (max(depths) + 1)
    for depth in depths:
        counts[depth] += 1
    return counts


def _families(parents: list[int], names: list[str]) -> list[dict[str, Any]]:
    """Return the groups of two or more siblings with one name, largest first."""
    siblings = Counter(zip(parents[1:], names[1:], strict=True))
    families = [
        {"name": name, "parent": names[parent], "size": size}
        for (parent, name), size in siblings.items()
        if size > 1
    ]
    return sorted(families, key=lambda family: (-family["size"], family["name"], family["parent"]))


def render(stats: dict[str, Any], title: str) -> str:
    """Return the statistics as text for a terminal, at most 80 columns but for long names.

    ``stats`` is what ``statistics`` returns; ``title`` heads the text.
    """
    parts = [[title, "=" * len(title)], _read_as(stats), _figures(stats)]
    if stats["shape"] != FLAT:
        parts += [_depth_bars(stats), _fan_out_bars(stats), _families_told(stats["same_name_families"])]
    parts += [_sizes_told(stats["resident_kib"]), _warnings_told(stats["warnings"])]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _read_as(stats: dict[str, Any]) -> list[str]:
    """Return what the listing was taken for, and what it does not say."""
    told = f"Read as {stats['format']}. {_SHAPES.get(stats['shape'], '')}"
    return textwrap.wrap(told.strip(), _COLUMNS)


def _figures(stats: dict[str, Any]) -> list[str]:
    """Return one line per figure: what it is, how much, what it says."""
    rows = [
        ("user processes", stats["processes"], "each has an address space that fork copies or shares"),
        ("kernel threads", stats["kernel_threads"], "left out: they have no address space"),
        ("threads", stats["threads"], "left out: they use their process's address space"),
    ]
    if stats["perhaps_threads"]:
        rows.append(("perhaps threads", stats["perhaps_threads"], "LinuxThreads? counted as user processes"))
    if stats["shape"] != FLAT:
        rows += [
            ("deepest process", stats["max_depth"], "forks between it and the root"),
            ("mean depth", f"{stats['mean_depth']:.2f}", "forks between a process and the root"),
            ("children of root", stats["children_of_root"], "started by the first process itself"),
            (
                "largest fan-out",
                stats["largest_fan_out_below_root"],
                "children of one process, the root aside",
            ),
            ("leaves", stats["leaves"], f"processes without children: {stats['leaf_share']:.0%}"),
            ("named like parent", stats["same_name_as_parent"], _alike_told(stats)),
        ]
    return [f"{what:<18}{figure:>8}  {meaning}" for what, figure, meaning in rows]


def _alike_told(stats: dict[str, Any]) -> str:
    """Return what a name like the parent's says."""
    return f"{stats['same_name_as_parent_share']:.0%} of children; at most so many never exec'ed"


def _depth_bars(stats: dict[str, Any]) -> list[str]:
    """Return the histogram of depths."""
    rows = [(str(depth), count) for depth, count in enumerate(stats["depth_histogram"])]
    return ["processes by depth (root: 0)", *_bars(rows)]


def _fan_out_bars(stats: dict[str, Any]) -> list[str]:
    """Return the histogram of numbers of children."""
    return ["processes by number of children", *_bars(list(stats["fan_out_histogram"].items()))]


def _bars(rows: list[tuple[str, int]]) -> list[str]:
    """Return one bar per row, the longest of _BAR characters; what is not zero shows."""
    longest = max(count for _, count in rows)
    return [f"{label:>6} {count:>7} {'#' * -(-count * _BAR // longest)}".rstrip() for label, count in rows]


def _families_told(families: list[dict[str, Any]]) -> list[str]:
    """Return the largest families."""
    if not families:
        return []
    lines = [
        f"{each['size']:>6} {each['name']} below {each['parent']}" for each in families[:_FAMILIES_SHOWN]
    ]
    more = len(families) - _FAMILIES_SHOWN
    rest = [f"       and {more} smaller families"] if more > 0 else []
    return ["families: siblings of one name, perhaps forked from one image", *lines, *rest]


def _sizes_told(sizes: dict[str, Any] | None) -> list[str]:
    """Return the resident sizes of the processes whose size is given."""
    if sizes is None:
        return []
    quantiles = ", ".join(f"{name} {sizes[name] / 1024:,.1f}" for name in ("p10", "median", "p90", "max"))
    return [f"resident size of {sizes['processes']} processes in MiB: {quantiles}"]


def _warnings_told(warnings: list[dict[str, Any]]) -> list[str]:
    """Return the first warnings."""
    if not warnings:
        return []
    lines = [f"  line {each['line']}: {each['text']}" for each in warnings[:_WARNINGS_SHOWN]]
    more = len(warnings) - _WARNINGS_SHOWN
    return ["repaired or not read", *lines, *([f"  and {more} more (--json lists all)"] if more > 0 else [])]
