"""The answer for who has five minutes: whether to share, which variant, what the worst is, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.compare import NO_DIFFERENCE
from pipeline.latency import quantiles
from pipeline.report.assumptions import assumed_share, side, survival, unsure
from pipeline.report.hosts import beside_host
from pipeline.report.judged import champion, compared_designs, needs, span, worst_standing
from pipeline.report.users import users_line
from pipeline.report.uses import named, uses
from pipeline.report.words import all_of, change, counted, difference, duration, few, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.digest import Digest
    from pipeline.report.standings import Standing

_MOST_USES = 4  # named of those where a design saves, or costs


def answer(digest: Digest, parts: Sequence[Digest]) -> list[tuple[str, str]]:
    """Return four questions with their answers, a line a paragraph; none if no sharing design has a baseline."""
    if champion(digest) is None:
        return []
    return [
        ("Should page tables be shared at fork?", whether(uses(digest))),
        ("Which variant?", _which(digest)),
        ("What is the worst that can happen?", _worst(digest)),
        ("How sure is that?", _how_sure(digest, parts)),
    ]


def whether(found: Sequence[Digest]) -> str:
    """Say where the best sharing design wins, makes no difference and loses, and what others cost where none wins."""
    where: dict[str, list[tuple[str, float]]] = {}
    dearest: tuple[float, str, str] = (1.0, "", "")
    for use in found:
        best = champion(use)
        if best and use.baseline:
            ratio = use.standings(use.baseline)[best].ratio
            doubt = (
                " (assumed costs decide)" if side(ratio) != "no difference" and best in unsure(use) else ""
            )
            where.setdefault(side(ratio), []).append((f"{named(use)}{doubt}", ratio))
            if side(ratio) == "no difference":
                others = ((each.ratio, named(use), each.design) for each in compared_designs(use))
                dearest = max(dearest, *others)
    words = (("less", "Yes"), ("no difference", "It makes no difference"), ("more", "No"))
    said = []
    for outcome, word in words:
        if outcome in where:
            there = [(place, ratio) for place, ratio in where[outcome] if place]
            moved = f" ({span([ratio for _, ratio in where[outcome]])} kernel time)"
            at = f": {'; '.join(place for place, _ in there)}" if there else ""
            said.append(f"{word}{moved if outcome != 'no difference' else ''}{at}.")
    if side(dearest[0]) == "more" and dearest[1]:
        ratio, place, design = dearest
        said.append(
            f"Where the best makes no difference others may cost: `{design}` {change(ratio)} at {place}."
        )
    said[0] = f"With the sharing design that does best there, on typical cells: {said[0]}"
    return "\n".join(said)


def _recommended(digest: Digest) -> list[Standing]:
    """Return the sharing design that does best on typical cells, and the one that does best where it does worst."""
    judged = [each for each in compared_designs(digest) if each.ratio > 0]
    best = min(judged, key=lambda each: each.ratio)
    safest = min(judged, key=lambda each: each.worst.ratio)
    return [best] if safest.design == best.design else [best, safest]


def recommended(digest: Digest) -> list[str]:
    """Return a sentence for each design that may be chosen: what for, and how it stands to the baseline."""
    found = _recommended(digest)
    heads = ["Best on typical cells", "Least risk"]
    if len(found) == 1:
        heads = ["Best on typical cells, and of least risk"]
    return [
        f"{head}: `{each.design}` ({change(each.ratio)} in the median, {change(each.worst.ratio)} in its worst cell, "
        f"against `{digest.baseline}`)."
        for head, each in zip(heads, found, strict=True)
    ]


def _which(digest: Digest) -> str:
    """Say which sharing design does best, which does best where it does worst, what they are, and where each pays."""
    lines = []
    for said, each in zip(recommended(digest), _recommended(digest), strict=True):
        row = digest.known.get(each.design)
        what = f" {_sentence(row.prose)}{'' if row.merged else ' Linux does not have it.'}" if row else ""
        lines.append(f"{said}{what} {_balance(digest, each.design)}")
    if digest.floor and digest.floor != digest.baseline and len(uses(digest)) > 1:
        lines.append(f"Without sharing: `{digest.floor}`, the floor. {_balance(digest, digest.floor)}")
    return "\n".join(line.rstrip() for line in lines)


def _balance(digest: Digest, design: str) -> str:
    """Say where a design saves and where it costs, use by use, the furthest from the baseline first."""
    found = uses(digest)
    if len(found) < 2:
        return ""
    ratios = {
        named(use): use.standings(use.baseline)[design].ratio
        for use in found
        if use.baseline and design in use.standings(use.baseline)
    }
    order = sorted(ratios.items(), key=lambda item: -abs(item[1] - 1))
    saves = [f"{where} {change(ratio)}" for where, ratio in order if side(ratio) == "less"]
    costs = [f"{where} {change(ratio)}" for where, ratio in order if side(ratio) == "more"]
    said = [
        f"It {verb} at {few(places, _MOST_USES)}."
        for verb, places in (("saves", saves), ("costs", costs))
        if places
    ]
    doubtful = [
        named(use)
        for use in found
        if side(ratios.get(named(use), 0.0)) == "no difference" and design in unsure(use)
    ]
    if not costs:
        said.append("It costs at none.")
    if doubtful:
        said.append(f"At {few(doubtful, _MOST_USES)} assumed costs decide.")
    return " ".join(said)


def _sentence(text: str) -> str:
    """Return a text as a sentence."""
    return f"{text.removesuffix('.')}."


def _worst(digest: Digest) -> str:
    """Say what the worst cells and faults of the recommended designs are, then the worst of all, and how many lose."""
    worst = worst_standing(digest)
    if worst is None:
        return ""
    slowest = quantiles(digest.times_everywhere("fault"), [1.0])["ns_q1"].to_dict()
    lines = []
    for each in _recommended(digest):
        fault = ""
        if each.design in slowest and digest.baseline in slowest:
            fault = (
                f" Its slowest fault takes {duration(slowest[each.design])} where that of `{digest.baseline}` takes "
                f"{duration(slowest[digest.baseline])}."
            )
        lines.append(f"`{each.design}` {_told(digest, each)}.{fault}")
    if worst.design not in [each.design for each in _recommended(digest)]:
        lines.append(
            f"Of the {len(compared_designs(digest))} designs compared: `{worst.design}` {_told(digest, worst)}."
        )
    lost = [f"`{each.design}` {share(each.losing)}" for each in compared_designs(digest)]
    lines.append(
        f"Dearer by more than {share(NO_DIFFERENCE)}: {few(lost)} of {all_of(digest.cells_each, 'cell')}. "
        "That is the worst of a grid; nothing proves that no worse case exists."
    )
    return "\n".join(lines)


def _told(digest: Digest, standing: Standing) -> str:
    """Say what a design needs in its worst cell, and where that is."""
    worst = standing.worst
    needed = needs(worst.ratio, str(digest.baseline))
    return (
        f"{needed} in its worst cell, {difference(worst.difference)} a {digest.per}, at "
        f"{digest.place(worst)} (`forkbench show {worst.cell_id}`)"
    )


def _how_sure(digest: Digest, parts: Sequence[Digest]) -> str:
    """Say what was counted exactly, what was sampled, and what rests on assumptions."""
    kept = [survival(use) for use in uses(digest)]
    stable, judged = sum(first for first, _ in kept), sum(second for _, second in kept)
    over_users = (
        "Intervals over the machines at hand stand under “Users” below."
        if users_line(parts)
        else "The cells are a grid, not a sample of users, so no interval over users follows from them."
    )
    host = beside_host(digest.model)
    costs = digest.model.listed()
    assumed = sum(cost.assumed for cost in costs.values())
    return (
        "This is a simulation: its counts are exact, and every design ran the same traces, so ratios carry no noise. "
        f"Times are counts times the costs of `{digest.model.name}`, {assumed} of {counted(len(costs), 'cost')} assumed "
        f"({share(assumed_share(digest))} of the kernel time): with all of these at half and at double, {stable} of "
        f"{counted(judged, 'verdict')} keep their side. {host}Locks, contention and what other processors wait "
        f"for have no price. {over_users}"
    )
