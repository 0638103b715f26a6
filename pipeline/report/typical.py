"""What is said of the typical cells, slice by slice where the outcome depends on one axis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.compare import NO_DIFFERENCE
from pipeline.report.digest import WORKLOAD, plain
from pipeline.report.judged import champion, compared_designs, needs
from pipeline.report.words import change, counted, difference, duration, few, listed, share, spread_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from pipeline.report.digest import Digest
    from pipeline.report.standings import Standing

EXECS = "exec_ratio"
_WORKLOAD = f"{WORKLOAD} "


def each_slice(slices: Sequence[Digest], sentence: Callable[[Digest], str]) -> str:
    """Return a sentence for each slice that has one, opened by where the slice lies, each on a line of its own.

    Slices of which the same is to be said share a line.
    """
    said: dict[str, list[str]] = {}
    for digest in slices:
        said.setdefault(sentence(digest), []).append(digest.where)
    return "\n".join(
        f"At {places(where)}, {text[0].lower()}{text[1:]}" if any(where) else text
        for text, where in said.items()
        if text
    )


def places(where: Sequence[str]) -> str:
    """Return where some slices lie: ``workload shell``, or ``workloads shell, build and tree``."""
    names = [each.removeprefix(_WORKLOAD) for each in where]
    if len(names) > 1 and all(each.startswith(_WORKLOAD) for each in where):
        return f"{_WORKLOAD.strip()}s {listed(names)}"
    return listed(where)


def typical_case(digest: Digest) -> str:
    """Say which designs win and lose on the typical cells."""
    chosen, phrase = digest.population
    each = int(chosen["design"].value_counts().max())
    cells = "all cells there" if digest.where and len(chosen) == len(digest.df) else phrase
    where = f"On {cells} ({counted(each, 'cell')} a design, medians)"
    compared = [standing for standing in compared_designs(digest) if standing.ratio > 0]
    if not compared:
        why = "only one design ran" if len(digest.designs) < 2 else "the study's baseline ran on none of them"
        return f"{where}: {_ranking(digest, chosen)}. Nothing is called better or worse, because {why}."
    groups = (
        ("less kernel time", [each for each in compared if each.ratio < 1 - NO_DIFFERENCE]),
        ("no difference", [each for each in compared if abs(each.ratio - 1) <= NO_DIFFERENCE]),
        ("more kernel time", [each for each in compared if each.ratio > 1 + NO_DIFFERENCE]),
    )
    said = "; ".join(_group(name, members) for name, members in groups if members)
    return f"{where}, against `{digest.baseline}`: {said}."


def where_most_exec(parts: Sequence[Digest]) -> str:
    """Say how the candidates do on the typical cells with the highest exec ratio; nothing if it is not swept."""
    highest = max(
        (axis.points[-1] for part in parts for axis in part.axes if axis.column == EXECS), default=None
    )
    said = [(part.where, _most_exec(part, highest)) for part in parts] if highest is not None else []
    told = [f"at {where}, {text}" if where else text for where, text in said if text]
    if not told:
        return ""
    return f"At exec ratio {plain(highest)}, the highest swept (typical cells, medians): {'; '.join(told)}."


def _most_exec(digest: Digest, highest: float) -> str:
    """Return the change of each candidate on the typical cells with one exec ratio, cheapest first."""
    there = replace(digest, df=digest.df[digest.df[EXECS] == highest])
    found = sorted((each for each in compared_designs(there) if each.ratio > 0), key=lambda each: each.ratio)
    return spread_of([f"`{each.design}` {change(each.ratio)}" for each in found], "design")


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
    if set(changes) == {difference(0)}:
        return ""
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
    gap = f"`{floor.design}`, the floor, {needs(floor.ratio, digest.baseline)} on the typical cells"
    if floor.ratio >= 1 - NO_DIFFERENCE:
        return f"{gap}, so it is no floor there{_why_no_floor(digest, floor.design)}."
    return f"{gap}; {_way_to(digest, floor, standings[design])}." if design else f"{gap}."


def no_floor(digest: Digest) -> str:
    """Say that the study has no floor, if it has none."""
    if digest.df.attrs.get("floor") is not None:
        return ""
    return (
        "The study names no floor, a design that cannot be undercut where it applies, as `vfork` is for fork and exec; "
        "so nothing here says how much of the cost no design could save."
    )


def _why_no_floor(digest: Digest, design: str) -> str:
    """Say why a design that forks by vfork may need more than others; nothing for another design."""
    if design not in digest.known or digest.known[design].creation != "vfork":
        return ""
    return f": under `{design}` children that never exec are copied eagerly, so it is a floor for fork and exec only"


def _way_to(digest: Digest, floor: Standing, found: Standing) -> str:
    """Say how far a sharing design gets from the baseline (1) towards a floor below it."""
    if found.ratio >= 1 - NO_DIFFERENCE:
        return "no sharing design comes nearer to it than the baseline does"
    if found.ratio < floor.ratio:
        still = f"`{found.design}` needs still less ({change(found.ratio)} than the baseline)"
        return f"{still}{_why_no_floor(digest, floor.design)}"
    return f"`{found.design}` goes {share((1 - found.ratio) / (1 - floor.ratio))} of that way"


def against_other_copies(digest: Digest) -> str:
    """Say how sharing designs do whose eager copy is not the baseline: those with other reverse mappings, for one."""
    groups: dict[str, list[Standing]] = {}
    for design in digest.sharing:
        other = digest.counterpart(design)
        found = digest.standings(other).get(design) if other and other != digest.baseline else None
        if other and found and found.ratio > 0:
            groups.setdefault(other, []).append(found)
    return " ".join(
        f"Against `{other}`, the eager copy most like them, on the typical cells: {_ordered(members)}."
        for other, members in groups.items()
    )


def _ordered(members: list[Standing]) -> str:
    """Return the change of each design, cheapest first, with that of its worst cell."""
    said = [
        f"`{each.design}` {change(each.ratio)} (worst cell: {change(each.worst.ratio)})"
        for each in sorted(members, key=lambda standing: standing.ratio)
    ]
    return spread_of(said, "design")


def _ranking(digest: Digest, chosen: pd.DataFrame) -> str:
    """Return the median of each design, lowest first."""
    medians = chosen.groupby("design", sort=False)[digest.metric].median().sort_values(kind="stable")
    said = [f"`{name}` {duration(value)}" for name, value in medians.items()]
    return f"kernel time a {digest.per} (median): {', '.join(said)}"


def _group(name: str, members: list[Standing]) -> str:
    """Return one outcome and the designs that have it, the furthest from the baseline first."""
    ordered = sorted(members, key=lambda standing: -abs(standing.ratio - 1))
    return f"{name} with {few([f'`{each.design}` ({change(each.ratio)})' for each in ordered])}"
