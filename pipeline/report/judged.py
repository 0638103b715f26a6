"""Who is judged against whom, and the words for an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.compare import NO_DIFFERENCE
from pipeline.report.words import change

if TYPE_CHECKING:
    from pipeline.report.digest import Digest
    from pipeline.report.standings import Standing


def candidates(digest: Digest) -> list[str]:
    """Return the designs that a verdict against the baseline is about.

    These are the sharing designs with the baseline's reverse mappings (others answer another question); without any,
    every design but baseline and floor; without any, whatever is not the baseline.
    """
    rmap = digest.known[digest.baseline].rmap if digest.baseline in digest.known else None
    alike = [name for name in digest.sharing if name != digest.baseline and digest.known[name].rmap == rmap]
    others = [name for name in digest.designs if name not in (digest.baseline, digest.floor)]
    return alike or others or [name for name in digest.designs if name != digest.baseline]


def compared_designs(digest: Digest) -> list[Standing]:
    """Return the standings of the candidates against the baseline."""
    if digest.baseline is None:
        return []
    standings = digest.standings(digest.baseline)
    return [standings[name] for name in candidates(digest) if name in standings]


def champion(digest: Digest) -> str | None:
    """Return the sharing design with the lowest typical ratio among the candidates, if there is one."""
    sharing = [each for each in compared_designs(digest) if each.design in digest.sharing and each.ratio > 0]
    return min(sharing, key=lambda standing: standing.ratio).design if sharing else None


def worst_standing(digest: Digest) -> Standing | None:
    """Return the candidate with the highest ratio in any cell, if there is anything to compare."""
    return max(compared_designs(digest), key=lambda standing: standing.worst.ratio, default=None)


def outcome(compared: list[Standing]) -> str:
    """Say in a few words who wins on the typical cells."""
    wins = sum(standing.ratio < 1 - NO_DIFFERENCE for standing in compared)
    losses = sum(standing.ratio > 1 + NO_DIFFERENCE for standing in compared)
    if len(compared) in (wins, losses):
        return "wins" if wins else "loses"
    if not wins + losses:
        return "makes no difference"
    if not wins or not losses:
        return f"{'wins' if wins else 'loses'} with {wins or losses} of {len(compared)} designs"
    return f"wins with {wins} and loses with {losses} of {len(compared)} designs"


def span(ratios: list[float]) -> str:
    """Return the lowest and the highest of some ratios in words: ``3.1 % less to 15 % more``."""
    low, high = change(min(ratios)), change(max(ratios))
    return low if low == high else f"{low} to {high}"


def needs(ratio: float, other: str) -> str:
    """Return ``needs 13 % more kernel time than `other` `` for a ratio."""
    said = change(ratio)
    if said == "the same":
        return f"needs the same kernel time as `{other}`"
    if said.endswith("as much"):
        return f"needs {said.removesuffix(' as much')} the kernel time of `{other}`"
    return f"needs {said} kernel time than `{other}`"
