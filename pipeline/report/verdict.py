"""The verdict in plain words; every sentence is chosen and filled from the data.

Names of designs and commands stand between backquotes: the page sets them as code, the terminal drops the quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.report.assumptions import how_sure
from pipeline.report.digest import plain
from pipeline.report.judged import champion, compared_designs, needs, outcome, span, worst_standing
from pipeline.report.models import other_models
from pipeline.report.remarks import slowest_faults
from pipeline.report.slices import slices
from pipeline.report.typical import (
    against_floor,
    against_other_copies,
    each_slice,
    no_floor,
    places,
    time_moved,
    typical_case,
    where_most_exec,
)
from pipeline.report.users import users_line
from pipeline.report.values import by_value
from pipeline.report.words import all_of, change, counted, difference, listed, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from pipeline.report.digest import Digest
    from pipeline.report.standings import Extreme


MOST_AXES = 2


class Statement(NamedTuple):
    """One finding: a short heading and its sentences, those of each slice of the study on a line of their own."""

    heading: str
    text: str


def verdict(digest: Digest, parts: Sequence[Digest] | None = None) -> list[Statement]:
    """Return the findings in the order in which a reader wants them; the first is always there.

    ``parts`` are the slices of the digest, for who has them already.
    """
    parts = slices(digest) if parts is None else parts
    said = (
        ("In short", in_short(digest, parts)),
        ("Typical", each_slice(parts, typical_case)),
        ("Users", users_line(parts)),
        ("Worst", worst_case(digest)),
        ("Slowest fault", " ".join(slowest_faults(digest))),
        ("Best", best_case(digest)),
        ("Where it pays and where not", each_slice(parts, where_it_pays)),
        ("Value by value", by_value(digest)),
        ("Where the time goes", each_slice(parts, time_moved)),
        ("Against the floor", each_slice(parts, against_floor) or no_floor(digest)),
        ("Against other eager copies", each_slice(parts, against_other_copies)),
        ("How sure", how_sure(digest, parts)),
        ("Other cost models", other_models(parts)),
    )
    return [Statement(heading, text) for heading, text in said if text]


def in_short(digest: Digest, parts: Sequence[Digest]) -> str:
    """Answer in one sentence: the span over the typical cells, and over all; nothing if no sharing is compared."""
    compared = [standing for standing in compared_designs(digest) if standing.ratio > 0]
    if not compared or any(standing.design not in digest.sharing for standing in compared):
        return ""
    found: dict[tuple[str, str], list[str]] = {}
    several = len(digest.workloads) > 1
    for part in parts:
        mine = [standing for standing in compared_designs(part) if standing.ratio > 0]
        usual = span([standing.ratio for standing in mine])
        found.setdefault((outcome(mine), f"{usual} kernel time"), []).append(part.where)
    said = [_outcome(places(where), *result, several=several) for result, where in found.items()]
    worst, best = max(each.worst.ratio for each in compared), min(each.best.ratio for each in compared)
    base, typical = digest.baseline, f"on the typical cells ({digest.population[1]})"
    whole = f"Over {all_of(digest.cells_each, 'cell')} of the sweep: {span([best, worst])}."
    if several:
        return "\n".join([f"Sharing page tables, against `{base}`, {typical}:", *said, whole])
    opening = f"Against `{base}`, {typical}, sharing page tables"
    return f"{opening} {listed(said)}. {whole} {where_most_exec(parts)}".rstrip()


def _outcome(where: str, won: str, usual: str, *, several: bool) -> str:
    """Return how a slice comes out: of several workloads as a sentence, else as a part of one."""
    if several:
        return f"At {where} it {won} ({usual})."
    return f"{won}{f' at {where}' if where else ''} ({usual})"


def worst_case(digest: Digest) -> str:
    """Say what the worst cell of the sweep is, and how to replay it; nothing if there is nothing to compare."""
    worst = worst_standing(digest)
    if worst is None:
        return ""
    cells = digest.cells_each
    among = "the only cell" if cells == 1 else f"any of the {counted(cells, 'cell')}"
    lost = worst.worst.ratio > 1 + NO_DIFFERENCE
    opening = (
        f"Worst of {counted(cells, 'cell')} of this sweep"
        if lost
        else f"No loss in {among} of this sweep; the worst"
    )
    return f"{opening}: {_cell(digest, worst.design, worst.worst)}."


def best_case(digest: Digest) -> str:
    """Say where the gain is largest; nothing if there is nothing to compare."""
    compared = compared_designs(digest)
    if not compared:
        return ""
    best = min(compared, key=lambda standing: standing.best.ratio)
    won = best.best.ratio < 1 - NO_DIFFERENCE
    opening = "Largest gain of the sweep" if won else "No gain in any cell of the sweep; the nearest to one"
    return f"{opening}: {_cell(digest, best.design, best.best)}."


def where_it_pays(digest: Digest) -> str:
    """Say in how many cells the best design loses, and which axes move its result most."""
    design = champion(digest)
    moves = [_span(digest, axis.column, axis.label, design) for axis in digest.axes] if design else []
    said = [
        text
        for distance, text in sorted(moves, key=lambda move: -move[0])[:MOST_AXES]
        if distance > NO_DIFFERENCE
    ]
    if design is None or not said:
        return ""
    losing = digest.standings(str(digest.baseline))[design].losing
    return (
        f"`{design}`, of these the design that does best on the typical cells, loses to `{digest.baseline}` in "
        f"{share(losing)} of {counted(digest.cells_each, 'cell')}. What moves its median most is {listed(said)}."
    )


def scope(digest: Digest) -> str:
    """Say what the study covers."""
    axes = listed([axis.label for axis in digest.axes]) or "nothing"
    return (
        f"Scope: {counted(len(digest.designs), 'design')}, {counted(len(digest.df), 'cell')}; swept: {axes}."
    )


def axis_medians(digest: Digest, column: str, design: str) -> pd.Series[float]:
    """Return the median ratio of a design to the baseline at each value of an axis, over all cells."""
    cells = digest.along(column)
    ratio = analysis.paired(cells, digest.metric, str(digest.baseline))
    mine = cells["design"] == design
    return ratio[mine].groupby(cells.loc[mine, column]).median().dropna()


def _cell(digest: Digest, design: str, cell: Extreme) -> str:
    """Return a cell's result and place in words."""
    return (
        f"`{design}` {needs(cell.ratio, str(digest.baseline))}, {difference(cell.difference)} a {digest.per}, "
        f"at {digest.place(cell)} (`forkbench show {cell.cell_id} --simulate`)"
    )


def _span(digest: Digest, column: str, label: str, design: str) -> tuple[float, str]:
    """Return how far an axis moves a design's median ratio, and where it is best and worst; 0 if at one value only."""
    medians = axis_medians(digest, column, design).to_dict()
    if len(medians) < 2:
        return 0.0, ""
    low, high = min(medians, key=lambda value: medians[value]), max(medians, key=lambda value: medians[value])
    said = f"{label} ({change(medians[low])} at {plain(low)}, {change(medians[high])} at {plain(high)})"
    return medians[high] - medians[low], said
