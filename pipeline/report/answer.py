"""The answer for who has five minutes: whether to share, which variant, what the worst is, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.compare import NO_DIFFERENCE
from pipeline.report.assumptions import side, survival
from pipeline.report.judged import champion, compared_designs, needs, span, worst_standing
from pipeline.report.typical import places
from pipeline.report.users import users_line
from pipeline.report.words import all_of, change, counted, few, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.digest import Digest


def answer(digest: Digest, parts: Sequence[Digest]) -> list[tuple[str, str]]:
    """Return four questions with their answers; none if no sharing design is compared with a baseline."""
    if champion(digest) is None:
        return []
    return [
        ("Should page tables be shared at fork?", _whether(parts)),
        ("Which variant?", _which(digest)),
        ("What is the worst that can happen?", _worst(digest)),
        ("How sure is that?", _how_sure(digest, parts)),
    ]


def _whether(parts: Sequence[Digest]) -> str:
    """Say where the best sharing design wins, makes no difference and loses."""
    where: dict[str, list[tuple[str, float]]] = {}
    for part in parts:
        best = champion(part)
        if best and part.baseline:
            ratio = part.standings(part.baseline)[best].ratio
            where.setdefault(side(ratio), []).append((part.where, ratio))
    words = (("less", "Yes"), ("no difference", "It makes no difference"), ("more", "No"))
    said = []
    for outcome, word in words:
        if outcome in where:
            found = where[outcome]
            at = f" at {places([place for place, _ in found])}" if any(place for place, _ in found) else ""
            moved = span([ratio for _, ratio in found])
            said.append(f"{word}{at}{f' ({moved} kernel time)' if outcome != 'no difference' else ''}.")
    return f"With the design that does best there, on the typical cells: {' '.join(said)}"


def _which(digest: Digest) -> str:
    """Say which sharing design does best, and which does best where it does worst."""
    judged = [each for each in compared_designs(digest) if each.ratio > 0]
    best = min(judged, key=lambda each: each.ratio)
    safest = min(judged, key=lambda each: each.worst.ratio)
    base = f"`{digest.baseline}`"
    said = f"Over all typical cells `{best.design}`: {change(best.ratio)} than under {base} in the median"
    said = said.replace("the same than under", "the same as under").replace(
        "as much than under", "as much as under"
    )
    worst = f"in its worst cell it {needs(best.worst.ratio, str(digest.baseline))}"
    if safest.design == best.design:
        return f"{said}; {worst}, and no other does better in its own."
    return f"{said}; {worst}. Least risk: `{safest.design}` ({change(safest.worst.ratio)}) in its worst cell."


def _worst(digest: Digest) -> str:
    """Say what the worst cell is, and how many cells lose."""
    worst = worst_standing(digest)
    if worst is None:
        return ""
    lost = [f"`{each.design}` {share(each.losing)}" for each in compared_designs(digest)]
    return (
        f"Of {all_of(digest.cells_each, 'cell')} of this sweep the worst is `{worst.design}` at "
        f"{digest.place(worst.worst)}: it {needs(worst.worst.ratio, str(digest.baseline))} "
        f"(`forkbench show {worst.worst.cell_id}`). "
        f"Dearer by more than {share(NO_DIFFERENCE)}: {few(lost)} of the cells. "
        "That is the worst of a grid; nothing proves that no worse case exists."
    )


def _how_sure(digest: Digest, parts: Sequence[Digest]) -> str:
    """Say what was counted exactly, what was sampled, and what rests on assumptions."""
    kept = [survival(part) for part in parts]
    stable, judged = sum(first for first, _ in kept), sum(second for _, second in kept)
    over_users = (
        "Intervals over the machines at hand stand under “Users” below."
        if users_line(parts)
        else "The cells are a grid, not a sample of users, so no interval over users follows from them."
    )
    return (
        "Counts are exact, and every design ran the same traces: no figure carries noise. "
        f"Times are those of the cost model `{digest.model.name}`: with all its assumed costs at half and at double, "
        f"{stable} of {counted(judged, 'verdict')} keep their side. {over_users}"
    )
