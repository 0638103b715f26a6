"""The verdict in plain words; every sentence is chosen and filled from the data.

Names of designs and commands stand between backquotes: the page sets them as code, the terminal drops the quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.report.digest import plain
from pipeline.report.words import change, counted, difference, duration, listed, share
from simcore.designs import DESIGNS

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.report.digest import Digest, Extreme, Standing


class Statement(NamedTuple):
    """One finding: a short heading and its sentences."""

    heading: str
    text: str


def verdict(digest: Digest) -> list[Statement]:
    """Return the findings in the order in which a reader wants them; the first is always there."""
    said = (
        ("In short", in_short(digest)),
        ("Typical", typical_case(digest)),
        ("Worst", worst_case(digest)),
        ("Best", best_case(digest)),
        ("Where it pays and where not", where_it_pays(digest)),
        ("Where the time goes", time_moved(digest)),
        ("Against the floor", against_floor(digest)),
        ("With reverse mapping", with_rmap(digest)),
    )
    return [Statement(heading, text) for heading, text in said if text]


def terminal_lines(digest: Digest) -> list[str]:
    """Return the verdict in three lines without markup: typical, worst, and the floor or what else there is to say."""
    lines = [
        in_short(digest) or typical_case(digest),
        worst_case(digest) or "Worst: there is nothing to compare.",
        against_floor(digest) or time_moved(digest) or scope(digest),
    ]
    return [line.replace("`", "") for line in lines]


def in_short(digest: Digest) -> str:
    """Answer in one sentence: the span over the typical cells, and over all; nothing if no sharing is compared."""
    compared = [standing for standing in _compared(digest) if standing.ratio > 0]
    if not compared or any(standing.design not in digest.sharing for standing in compared):
        return ""
    usual = span([standing.ratio for standing in compared])
    worst, best = max(each.worst.ratio for each in compared), min(each.best.ratio for each in compared)
    return (
        f"Against `{digest.baseline}`, sharing page tables {_outcome(compared)} on the typical cells "
        f"({digest.population[1]}): it needs {usual} "
        f"kernel time, depending on the design; over all {counted(digest.cells_each, 'cell')} of the sweep, "
        f"{span([best, worst])}."
    )


def typical_case(digest: Digest) -> str:
    """Say which designs win and lose on the typical cells."""
    chosen, phrase = digest.population
    each = int(chosen["design"].value_counts().max())
    where = f"On {phrase} ({counted(each, 'cell')} a design, medians)"
    compared = [standing for standing in _compared(digest) if standing.ratio > 0]
    if not compared:
        why = "only one design ran" if len(digest.designs) < 2 else "the study's baseline ran on none of them"
        return f"{where}: {_ranking(digest, chosen)}. Nothing is called better or worse, because {why}."
    groups = (
        ("less kernel time", [each for each in compared if each.ratio < 1 - NO_DIFFERENCE]),
        ("no difference", [each for each in compared if abs(each.ratio - 1) <= NO_DIFFERENCE]),
        ("more kernel time", [each for each in compared if each.ratio > 1 + NO_DIFFERENCE]),
    )
    said = "; ".join(_group(name, members, digest.per) for name, members in groups if members)
    return f"{where}, against `{digest.baseline}`: {said}."


def worst_case(digest: Digest) -> str:
    """Say what the worst cell of the sweep is, and how to replay it; nothing if there is nothing to compare."""
    worst = worst_standing(digest)
    if worst is None:
        return ""
    cells = counted(digest.cells_each, "cell")
    lost = worst.worst.ratio > 1 + NO_DIFFERENCE
    opening = (
        f"Worst of {cells} of this sweep"
        if lost
        else f"No loss in any of the {cells} of this sweep; the worst"
    )
    return f"{opening}: {_cell(digest, worst.design, worst.worst)}."


def best_case(digest: Digest) -> str:
    """Say where the gain is largest; nothing if there is nothing to compare."""
    compared = _compared(digest)
    if not compared:
        return ""
    best = min(compared, key=lambda standing: standing.best.ratio)
    won = best.best.ratio < 1 - NO_DIFFERENCE
    opening = "Largest gain of the sweep" if won else "No gain in any cell of the sweep; the nearest to one"
    return f"{opening}: {_cell(digest, best.design, best.best)}."


def where_it_pays(digest: Digest) -> str:
    """Say how the best design's result moves along each axis of the study."""
    design = champion(digest)
    parts = [_span(digest, axis.column, axis.label, design) for axis in digest.axes] if design else []
    said = [part for part in parts if part]
    if design is None or not said:
        return ""
    losing = digest.standings(str(digest.baseline))[design].losing
    return (
        f"`{design}`, of these the design that does best on the typical cells, loses to `{digest.baseline}` in "
        f"{share(losing)} of all cells. Its medians over all cells, lowest and highest: {'; '.join(said)}."
    )


def time_moved(digest: Digest) -> str:
    """Say what fork itself gains, and what faults, exec and exit give back."""
    design = champion(digest)
    if design is None or digest.per != "fork":
        return ""
    chosen, _ = digest.population
    fork, rest, total = (
        chosen.groupby("design")[name].mean().to_dict()
        for name in ("creation_ns_mean", "rest_ns_per_fork", "total_ns_per_fork")
    )
    if design not in fork or digest.baseline not in fork:
        return ""
    changes = [difference(part[design] - part[digest.baseline]) for part in (fork, rest, total)]
    return (
        f"A fork by itself takes {duration(fork[design])} under `{design}` and {duration(fork[digest.baseline])} under "
        f"`{digest.baseline}` ({changes[0]}). The faults, execs and exits around it change by {changes[1]} a fork; "
        f"all together {changes[2]} a fork (means over the typical cells)."
    )


def against_floor(digest: Digest) -> str:
    """Say how much of the way from baseline to floor the best design goes."""
    if digest.baseline is None or digest.floor in (None, digest.baseline):
        return ""
    standings = digest.standings(digest.baseline)
    design, floor = champion(digest), standings.get(str(digest.floor))
    if floor is None or not floor.ratio > 0:
        return ""
    gap = f"`{floor.design}`, the floor, {_needs(floor.ratio, digest.baseline)} on the typical cells"
    if floor.ratio >= 1 - NO_DIFFERENCE:
        return f"{gap}, so it is no floor there."
    if design is None:
        return f"{gap}."
    reached = standings[design].ratio
    if reached >= 1 - NO_DIFFERENCE:
        return f"{gap}; no sharing design comes nearer to it than the baseline does."
    return f"{gap}; `{design}` goes {share((1 - reached) / (1 - floor.ratio))} of that way."


def with_rmap(digest: Digest) -> str:
    """Say what sharing does for designs that keep reverse mappings, against the eager copy that keeps them too."""
    parts = []
    for design in digest.sharing:
        other = digest.counterpart(design)
        if DESIGNS[design].rmap != "none" and other and other != digest.baseline:
            found = digest.standings(other).get(design)
            if found and found.ratio > 0:
                parts.append(
                    f"`{design}` {_needs(found.ratio, other)} (worst cell: {change(found.worst.ratio)})"
                )
    if not parts:
        return ""
    return f"On the typical cells {listed(parts)}; they are compared with the eager copy that keeps the same chains."


def scope(digest: Digest) -> str:
    """Say what the study covers."""
    axes = listed([axis.label for axis in digest.axes]) or "nothing"
    return (
        f"Scope: {counted(len(digest.designs), 'design')}, {counted(len(digest.df), 'cell')}; swept: {axes}."
    )


def candidates(digest: Digest) -> list[str]:
    """Return the designs that a verdict against the baseline is about.

    These are the sharing designs with the baseline's reverse mappings (others answer another question); without any,
    every design but baseline and floor; without any, whatever is not the baseline.
    """
    rmap = DESIGNS[digest.baseline].rmap if digest.baseline in DESIGNS else None
    alike = [name for name in digest.sharing if name != digest.baseline and DESIGNS[name].rmap == rmap]
    others = [name for name in digest.designs if name not in (digest.baseline, digest.floor)]
    return alike or others or [name for name in digest.designs if name != digest.baseline]


def champion(digest: Digest) -> str | None:
    """Return the sharing design with the lowest typical ratio among the candidates, if there is one."""
    sharing = [each for each in _compared(digest) if each.design in digest.sharing and each.ratio > 0]
    return min(sharing, key=lambda standing: standing.ratio).design if sharing else None


def worst_standing(digest: Digest) -> Standing | None:
    """Return the candidate with the highest ratio in any cell, if there is anything to compare."""
    return max(_compared(digest), key=lambda standing: standing.worst.ratio, default=None)


def axis_medians(digest: Digest, column: str, design: str) -> pd.Series[float]:
    """Return the median ratio of a design to the baseline at each value of an axis, over all cells."""
    cells = digest.along(column)
    ratio = analysis.paired(cells, digest.metric, str(digest.baseline))
    mine = cells["design"] == design
    return ratio[mine].groupby(cells.loc[mine, column]).median().dropna()


def _compared(digest: Digest) -> list[Standing]:
    """Return the standings of the candidates against the baseline."""
    if digest.baseline is None:
        return []
    standings = digest.standings(digest.baseline)
    return [standings[name] for name in candidates(digest) if name in standings]


def _ranking(digest: Digest, chosen: pd.DataFrame) -> str:
    """Return the median of each design, lowest first."""
    medians = chosen.groupby("design", sort=False)[digest.metric].median().sort_values(kind="stable")
    said = [f"`{name}` {duration(value)}" for name, value in medians.items()]
    return f"kernel time a {digest.per} (median): {', '.join(said)}"


def span(ratios: list[float]) -> str:
    """Return the lowest and the highest of some ratios in words: ``3.1 % less to 15 % more``."""
    low, high = change(min(ratios)), change(max(ratios))
    return low if low == high else f"{low} to {high}"


def _outcome(compared: list[Standing]) -> str:
    """Say in a few words who wins on the typical cells."""
    wins = sum(standing.ratio < 1 - NO_DIFFERENCE for standing in compared)
    losses = sum(standing.ratio > 1 + NO_DIFFERENCE for standing in compared)
    if len(compared) in (wins, losses):
        return "wins" if wins else "loses"
    if not wins + losses:
        return "makes no difference"
    return f"wins with {wins} and loses with {losses} of {len(compared)} designs"


def _group(name: str, members: list[Standing], per: str) -> str:
    """Return one outcome and the designs that have it, the furthest from the baseline first."""
    ordered = sorted(members, key=lambda standing: -abs(standing.ratio - 1))
    said = [
        f"`{each.design}` ({change(each.ratio)}, {difference(each.difference)} a {per})" for each in ordered
    ]
    return f"{name} with {listed(said)}"


def _cell(digest: Digest, design: str, cell: Extreme) -> str:
    """Return a cell's result and place in words."""
    return (
        f"`{design}` {_needs(cell.ratio, str(digest.baseline))}, {difference(cell.difference)} a {digest.per}, "
        f"at {cell.point} (`forkbench show {cell.cell_id}`)"
    )


def _needs(ratio: float, other: str) -> str:
    """Return ``needs 13 % more kernel time than `other` `` for a ratio."""
    said = change(ratio)
    if said == "the same":
        return f"needs the same kernel time as `{other}`"
    if said.endswith("as much"):
        return f"needs {said.removesuffix(' as much')} the kernel time of `{other}`"
    return f"needs {said} kernel time than `{other}`"


def _span(digest: Digest, column: str, label: str, design: str) -> str:
    """Return where along an axis a design does best and worst; nothing if it was not compared at two values."""
    medians = axis_medians(digest, column, design).to_dict()
    if len(medians) < 2:
        return ""
    low, high = min(medians, key=lambda value: medians[value]), max(medians, key=lambda value: medians[value])
    return f"{label}: {change(medians[low])} at {plain(low)}, {change(medians[high])} at {plain(high)}"
