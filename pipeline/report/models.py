"""How the outcome changes with the cost model: the report's own beside those that ship."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.assumptions import side
from pipeline.report.judged import candidates, compared_designs
from pipeline.report.tables import Table, by_family
from pipeline.report.typical import each_slice
from pipeline.report.words import NOTHING, change, factor, few, listed
from simcore.costs import COST_MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.digest import Digest
    from pipeline.report.standings import Standing
    from simcore.costs import CostModel


def compared_models(model: CostModel) -> list[CostModel]:
    """Return the report's own cost model, then those that ship."""
    return [model, *(other for other in COST_MODELS.values() if other.digest != model.digest)]


def other_models(parts: Sequence[Digest]) -> str:
    """Say who does best under each cost model, and which designs change sides between them."""
    return each_slice(parts, _across)


def _across(digest: Digest) -> str:
    """Say it of one slice."""
    judged = {
        model.name: {each.design: each for each in compared_designs(digest.under(model)) if each.ratio > 0}
        for model in compared_models(digest.model)
    }
    found = judged[digest.model.name]
    if not found:
        return ""
    best = [f"{_best(mine)} under `{name}`" for name, mine in judged.items()]
    said = [f"On the typical cells the least time is that of {listed(best)}."]
    sides = {design: [side(mine[design].ratio) for mine in judged.values()] for design in found}
    moved = [f"`{design}` ({', '.join(each)})" for design, each in sides.items() if len(set(each)) > 1]
    if moved:
        said.append(
            f"Against `{digest.baseline}` the side changes with the model for {few(moved)}; "
            f"{'all others keep theirs' if len(moved) < len(sides) else 'none keeps its'}."
        )
    else:
        each = "every design" if len(sides) > 1 else "the design"
        said.append(f"Against `{digest.baseline}` {each} is on the same side under all of them.")
    return " ".join(said)


def _best(mine: dict[str, Standing]) -> str:
    """Return the design with the lowest ratio, and how low it is."""
    best = min(mine.values(), key=lambda each: each.ratio)
    return f"`{best.design}` ({change(best.ratio)})"


def across_models(digest: Digest) -> Table | None:
    """Return typical and worst ratios to the baseline under each cost model; None without a baseline."""
    if digest.baseline is None:
        return None
    models = compared_models(digest.model)
    found = [digest.under(model).standings(digest.baseline) for model in models]
    names = [name for name in digest.designs if name in found[0] and name != digest.baseline]
    if not names:
        return None
    rows = [
        [
            f"`{name}`",
            *(factor(standings[name].ratio) for standings in found),
            *(factor(standings[name].worst.ratio) for standings in found),
        ]
        for name in names
    ]
    groups = by_family(digest, rows)
    judged = candidates(digest)
    rows.append(["least", *(_least(each, judged, worst=worst) for worst in (False, True) for each in found)])
    headings = [f"{which}, {model.name}" for which in ("typical", "worst") for model in models]
    caption = (
        f"Kernel time as a multiple of {digest.baseline}'s under each cost model{digest.at}: the same counts, priced "
        "otherwise. Last row: the design with the least of those that the verdict is about."
    )
    return Table(caption, ["design", *headings], rows, groups=groups)


def _least(standings: dict[str, Standing], judged: Sequence[str], *, worst: bool) -> str:
    """Return the design with the lowest typical or worst ratio."""
    mine = {name: standings[name] for name in judged if name in standings and standings[name].ratio > 0}
    if not mine:
        return NOTHING
    return f"`{min(mine, key=lambda name: mine[name].worst.ratio if worst else mine[name].ratio)}`"
