"""The answer for who has five minutes: whether to share, which variant, what the worst is, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.compare import NO_DIFFERENCE
from pipeline.latency import quantiles
from pipeline.report.assumptions import assumed_share, side, survival, unsure
from pipeline.report.hosts import beside_host
from pipeline.report.judged import champion, compared_designs, needs, span, worst_standing
from pipeline.report.searched import worst_found
from pipeline.report.users import users_line
from pipeline.report.uses import named, uses
from pipeline.report.words import all_of, change, counted, difference, duration, few, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.digest import Digest
    from pipeline.report.standings import Standing

_MOST_USES = 4  # named of those where a design saves, or costs
_NEARLY = 0.9  # of the largest saving: a steadier design that gets so much of it is named instead


def answer(digest: Digest, parts: Sequence[Digest]) -> list[tuple[str, str]]:
    """Return four questions with their answers, a line a paragraph; none if no sharing design has a baseline."""
    if champion(digest) is None:
        return []
    return [
        ("Should page tables be shared at fork?", whether(digest)),
        ("Which variant?", _which(digest)),
        ("What is the worst that can happen?", _worst(digest)),
        ("How sure is that?", _how_sure(digest, parts)),
    ]


def whether(digest: Digest) -> str:
    """Say where a sharing design saves, and which; where none does; what the others cost there."""
    saves: dict[str, list[tuple[float, str]]] = {}
    others: dict[str, list[str]] = {}
    dearest: tuple[float, str, str] = (1.0, "", "")
    for use in uses(digest):
        best, where = champion(use), named(use)
        if best is None or use.baseline is None:
            continue
        ratio = use.standings(use.baseline)[best].ratio
        if side(ratio) == "less":
            chosen = _steadiest(digest, use, best)
            mine = use.standings(use.baseline)[chosen].ratio
            saves.setdefault(chosen, []).append((mine, f"{_moved(mine, where)}{_doubt(use, chosen)}"))
            continue
        told = f"{_moved(ratio, where)}{_doubt(use, best)}" if side(ratio) == "more" else where
        others.setdefault(side(ratio), []).append(told)
        if side(ratio) == "no difference":
            dearest = max(dearest, *((each.ratio, where, each.design) for each in compared_designs(use)))
    lines: list[str] = []
    for design, places in sorted(saves.items(), key=lambda item: (-len(item[1]), item[0])):
        head = f"With `{design}`" if lines else f"Yes, with `{design}` (kernel time on typical cells)"
        lines.append(f"{head}: {'; '.join(place for _, place in sorted(places))}.")
    for outcome, word in (("no difference", "No difference, with the best of them"), ("more", "No")):
        if outcome in others:
            at = "; ".join(place for place in others[outcome] if place)
            lines.append(f"{word}{': ' if at else ''}{at}.")
    if side(dearest[0]) == "more":
        ratio, place, design = dearest
        lines.append(f"There others may cost: `{design}` {_moved(ratio, place)}.")
    return "\n".join(lines)


def _steadiest(digest: Digest, use: Digest, best: str) -> str:
    """Return, of the designs that save nearly as much at a use as the best one, the one of least risk in the study."""
    standings = use.standings(str(use.baseline))
    enough = 1 - _NEARLY * (1 - standings[best].ratio)
    near = {each.design for each in compared_designs(use) if 0 < each.ratio <= enough} & set(use.sharing)
    return min((each for each in compared_designs(digest) if each.design in near), key=_risk).design


def _risk(standing: Standing) -> tuple[float, float]:
    """Return what designs of less risk have less of: the ratio of the worst cell, then that of the typical one."""
    return standing.worst.ratio, standing.ratio


def _moved(ratio: float, where: str) -> str:
    """Return a change with its place, if it has one."""
    return f"{change(ratio)} at {where}" if where else change(ratio)


def _doubt(use: Digest, design: str) -> str:
    """Return a remark where assumed costs decide on which side a design is."""
    return " (assumed costs decide)" if design in unsure(use) else ""


def _recommended(digest: Digest) -> list[Standing]:
    """Return the sharing design that does best where it does worst, and the one that does best on average."""
    judged = [each for each in compared_designs(digest) if each.ratio > 0]
    safest = min(judged, key=_risk)
    best = min(judged, key=lambda each: (_on_average(digest, each.design), each.ratio))
    return [best] if safest.design == best.design else [safest, best]


def _by_use(digest: Digest, design: str) -> list[float]:
    """Return the typical ratio of a design at each use where it ran."""
    found = [use.standings(use.baseline).get(design) for use in uses(digest) if use.baseline]
    return [each.ratio for each in found if each and each.ratio > 0]


def _on_average(digest: Digest, design: str) -> float:
    """Return the geometric mean of a design's typical ratios over the uses: one of many cells weighs as any other."""
    return float(np.exp(np.mean(np.log(_by_use(digest, design)))))


def recommended(digest: Digest) -> list[str]:
    """Return a sentence for each design that may be chosen: what for, and how it stands to the baseline."""
    found, several = _recommended(digest), len(uses(digest)) > 1
    best = "Best on average" if several else "Least on typical cells"
    heads = ["Least risk", best] if len(found) > 1 else [f"{best}, and least risk"]
    said = []
    for head, each in zip(heads, found, strict=True):
        usual = f"{change(each.ratio)} in the median typical cell"
        if several:
            ratios = _by_use(digest, each.design)
            usual = f"{change(_on_average(digest, each.design))} in the mean of {len(ratios)} uses, {span(ratios)}"
        worst = f"{change(each.worst.ratio)} in its worst cell, against `{digest.baseline}`"
        said.append(f"{head}: `{each.design}` ({usual}; {worst}).")
    return said


def _which(digest: Digest) -> str:
    """Say which sharing design does best, which does best where it does worst, what they are, and where each pays."""
    lines = []
    for said, each in zip(recommended(digest), _recommended(digest), strict=True):
        row = digest.known.get(each.design)
        what = f" {_sentence(row.prose)}{'' if row.merged else ' Linux does not have it.'}" if row else ""
        lines.append(f"{said}{what} {_balance(digest, each.design)}")
    if len(lines) > 1 and len(uses(digest)) > 1:
        lines.insert(0, "No variant is best everywhere.")
    if digest.floor and digest.floor != digest.baseline and len(uses(digest)) > 1:
        how = ""
        if digest.floor in digest.known and digest.known[digest.floor].creation == "vfork":
            how = " Programs that exec must ask for it, by vfork or posix_spawn; for others it does nothing."
        lines.append(f"Without sharing: `{digest.floor}`, the floor.{how} {_balance(digest, digest.floor)}")
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
    moves = [
        [_moved(ratio, where) for where, ratio in order if side(ratio) == way] for way in ("less", "more")
    ]
    said = [f"It needs {few(places, _MOST_USES)}." for places in moves if places]
    doubtful = [
        named(use)
        for use in found
        if side(ratios.get(named(use), 0.0)) == "no difference" and design in unsure(use)
    ]
    if not moves[1]:
        said.append("It needs more at none.")
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
    lines = [
        f"`{each.design}` {_told(digest, each)}.{_faults(digest, each.design)}"
        for each in _recommended(digest)
    ]
    if worst.design not in [each.design for each in _recommended(digest)]:
        lines.append(
            f"Of the {len(compared_designs(digest))} designs compared: `{worst.design}` {_told(digest, worst)}."
        )
    lost = [f"`{each.design}` {share(each.losing)}" for each in compared_designs(digest)]
    lines.append(
        f"Dearer by more than {share(NO_DIFFERENCE)}: {few(lost)} of {all_of(digest.cells_each, 'cell')}. "
        "That is the worst of a grid; nothing proves that no worse case exists."
    )
    lines += worst_found(digest.searched, [each.design for each in _recommended(digest)])
    return "\n".join(lines)


def _faults(digest: Digest, design: str) -> str:
    """Say how long the slowest faults of a design take, and those of the baseline; nothing where one has none."""
    found = quantiles(digest.times_everywhere("fault"), [0.999, 1.0])
    if design not in found.index or digest.baseline not in found.index:
        return ""
    slowest, usual = found["ns_q1"].to_dict(), found["ns_q0.999"].to_dict()
    return (
        f" Its slowest fault takes {duration(slowest[design])} where that of `{digest.baseline}` takes "
        f"{duration(slowest[digest.baseline])}; all but one in a thousand take at most {duration(usual[design])} and "
        f"{duration(usual[digest.baseline])}."
    )


def _told(digest: Digest, standing: Standing) -> str:
    """Say what a design needs in its worst cell, and where that is."""
    worst, over = standing.worst, f" for each {digest.per}" if digest.per == "fork" else ""
    needed = needs(worst.ratio, str(digest.baseline))
    if worst.ratio > 1 and abs(worst.ratio - 1) <= NO_DIFFERENCE:
        needed = f"needs at most {share(worst.ratio - 1)} more kernel time than `{digest.baseline}`,"
    return (
        f"{needed} in its worst cell ({difference(worst.difference)} over the whole run{over}), at "
        f"{digest.place(worst)} (`forkbench show {worst.cell_id} --simulate`)"
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
        f"{counted(judged, 'verdict')} keep their side. {host}So trust a sign without a doubt noted more than a size. "
        f"Locks, contention and what other processors wait for have no price. {over_users}"
    )
