"""What rests on assumed costs: how much of the time, and which verdicts change if the assumptions do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.compare import NO_DIFFERENCE
from pipeline.prices import assumed_ns
from pipeline.report.judged import compared_designs
from pipeline.report.typical import each_slice
from pipeline.report.words import few, share
from simcore.costs import Cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.digest import Digest

HALF, DOUBLE = 0.5, 2.0
SENSITIVITY: tuple[float, ...] = (HALF, 1.0, DOUBLE)


def rescaled(digest: Digest, scale: float) -> Digest:
    """Return the digest under its cost model with every assumed cost multiplied."""
    if scale == 1:
        return digest
    model = digest.model
    other = replace(
        model,
        name=f"{model.name}, assumed costs times {scale:g}",
        costs=_scaled(model.costs, scale),
        object_rmap=_scaled(model.object_rmap, scale),
    )
    return digest.under(other)


def _scaled(costs: dict[str, Cost], scale: float) -> dict[str, Cost]:
    """Return costs, the assumed ones multiplied."""
    return {act: Cost(cost.ns * scale, cost.source) if cost.assumed else cost for act, cost in costs.items()}


def assumed_share(digest: Digest) -> float:
    """Return the share of the typical cells' kernel time, all designs together, that assumed costs make up."""
    chosen, _ = digest.population
    total = float(chosen["total_ns"].sum())
    return float(assumed_ns(chosen, digest.model).sum()) / total if total else float("nan")


def how_sure(digest: Digest, parts: Sequence[Digest]) -> str:
    """Say which typical verdicts survive other assumptions, how much rests on them, and which machine is modelled."""
    machine = digest.model.prose.partition(". ")[0].removesuffix(".")
    said = [
        f"Assumed costs make up {share(assumed_share(digest))} of the kernel time on the typical cells.",
        f"The cost model `{digest.model.name}` stands for the machine of its name, not for the reader's: {machine}.",
    ]
    survival = each_slice(parts, _survival)
    return ("\n" if len(parts) > 1 else " ").join(filter(None, [survival, " ".join(said)]))


def _survival(digest: Digest) -> str:
    """Say which designs stay on their side of the baseline with assumed costs half or double, and which do not."""
    half, own, double = (_sides(rescaled(digest, scale)) for scale in SENSITIVITY)
    if not own:
        return ""
    kept = [f"`{name}` ({side})" for name, side in own.items() if half[name] == side == double[name]]
    moved = [
        f"`{name}` ({side}; {half[name]} at half, {double[name]} at double)"
        for name, side in own.items()
        if not half[name] == side == double[name]
    ]
    said = [f"keep their side: {few(kept)}"] if kept else []
    said += [f"change it: {few(moved)}"] if moved else []
    return f"With all assumed costs at half and at double, these verdicts {'; these '.join(said)}."


def survival(digest: Digest) -> tuple[int, int]:
    """Return how many candidates keep their side of the baseline with assumed costs half and double, and of how many."""
    return len(_sides(digest)) - len(unsure(digest)), len(_sides(digest))


def unsure(digest: Digest) -> set[str]:
    """Return the candidates that do not keep their side of the baseline with assumed costs half or double."""
    half, own, double = (_sides(rescaled(digest, scale)) for scale in SENSITIVITY)
    return {name for name, side in own.items() if not half[name] == side == double[name]}


def _sides(digest: Digest) -> dict[str, str]:
    """Return on which side of the baseline each candidate is on the typical cells."""
    return {each.design: side(each.ratio) for each in compared_designs(digest) if each.ratio > 0}


def side(ratio: float) -> str:
    """Return the side of a typical ratio in a word or two."""
    if abs(ratio - 1) <= NO_DIFFERENCE:
        return "no difference"
    return "less" if ratio < 1 else "more"
