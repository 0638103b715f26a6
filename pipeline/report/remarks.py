"""What the sections on memory and latency say first, chosen and filled from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.compare import NO_DIFFERENCE
from pipeline.intervals import refusal
from pipeline.latency import quantiles
from pipeline.report.judged import candidates, champion, span
from pipeline.report.words import duration, listed, spread_of

if TYPE_CHECKING:
    from pipeline.report.digest import Digest


_MOST_TIMES = 4  # told one by one
# What reverse mappings a design keeps, as the beginning of a sentence.
_KEPT = {
    "none": "Without reverse mappings",
    "pte_chain": "With pte_chains",
    "object": "With object rmap",
}


def on_memory(digest: Digest) -> str:
    """Say whether sharing saves page tables at their peak; nothing if there is nothing to compare."""
    if digest.baseline is None or not digest.sharing:
        return ""
    standings = digest.standings(digest.baseline, "pgtable_bytes_max")
    found = [standings[name] for name in digest.sharing if name in standings and name != digest.baseline]
    typical = [standing.ratio for standing in found if standing.ratio > 0]
    if not typical:
        return ""
    saved = min(standing.best.ratio for standing in found)
    more = max(standing.worst.ratio for standing in found)
    if saved >= 1 - NO_DIFFERENCE and more <= 1 + NO_DIFFERENCE:
        return (
            f"No sharing design needs less memory for page tables at the peak than `{digest.baseline}`, in any cell: "
            "when page tables are most, nobody shares one any more."
        )
    return (
        f"Memory for page tables at the peak, sharing designs against `{digest.baseline}`: {span(typical)} on the "
        f"typical cells, {span([saved, more])} over all cells."
    )


def slowest_faults(digest: Digest) -> list[str]:
    """Say how long the slowest fault of the sweep takes: briefly, then design by design; nothing without faults.

    The first sentence, which a terminal shows by itself, sets the design with the slowest fault beside the baseline.
    """
    slowest = quantiles(digest.times_everywhere("fault"), [1.0])["ns_q1"]
    ns = {str(name): float(longest) for name, longest in slowest.to_dict().items()}
    judged = [name for name in candidates(digest) if name in ns] or list(ns)
    if not judged:
        return []
    base = digest.baseline if digest.baseline in ns and digest.baseline not in judged else None
    said = _longest(ns, judged)
    first = f"{duration(ns[base])} under `{base}`, {said[0]}." if base else f"{said[0]}."
    others = [f"Of the others, {_several(said[1:])}."] if len(said) > 1 else []
    return [first, *others, *_longest_apart(digest, ns, judged)]


def _longest(ns: dict[str, float], names: list[str]) -> list[str]:
    """Return the times of some designs in words, the longest first."""
    return [f"{duration(ns[name])} under `{name}`" for name in sorted(names, key=lambda name: -ns[name])]


def _several(said: list[str]) -> str:
    """Return times in words as a list, or the longest and the shortest of many."""
    return listed(said) if len(said) <= _MOST_TIMES else spread_of(said, "design")


def _longest_apart(digest: Digest, ns: dict[str, float], judged: list[str]) -> list[str]:
    """Say the same of sharing designs that are not judged against the baseline but against another eager copy."""
    others: dict[str, list[str]] = {}
    for name in digest.sharing:
        other = digest.counterpart(name)
        if name in ns and name not in judged and other in ns and other is not None:
            others.setdefault(other, []).append(name)
    return [
        f"{_KEPT[digest.known[other].rmap]}, {duration(ns[other])} under `{other}`, {_several(_longest(ns, names))}."
        for other, names in others.items()
    ]


def on_latency(digest: Digest) -> str:
    """Say what sharing does to the slowest forks and faults of the typical cells."""
    design = champion(digest)
    if design is None:
        return ""
    parts = []
    for event, name in (("creation", "fork"), ("fault", "fault")):
        found = quantiles(digest.times_of(event)).to_dict("index")
        if design in found and digest.baseline in found:
            mine, other = found[design], found[digest.baseline]
            events = int(min(mine["events"], other["events"]))
            said = [
                f"{called} {duration(mine[f'ns_q{q:g}'])} instead of {duration(other[f'ns_q{q:g}'])}"
                for q, called in ((0.5, f"the median {name} takes"), (0.99, "p99"), (1.0, "the slowest"))
                if q == 1 or not refusal(q, events)
            ]
            parts.append(", ".join(said))
    if not parts:
        return ""
    return f"On the typical cells, under `{design}` instead of `{digest.baseline}`, {'; '.join(parts)}."
