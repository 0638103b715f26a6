"""The six questions that the proposal of 2002 left open, each answered by setting one design beside another."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline import analysis
from pipeline.intervals import FEWEST, LEVEL
from pipeline.report.canvas import Group, panel
from pipeline.report.figures import MARKS, ROW_INCHES, name_rows, scale_ratios, standing_marks
from pipeline.report.judged import champion, compared_designs, span, worst_standing
from pipeline.report.slices import cells_at
from pipeline.report.style import INK, MUTED
from pipeline.report.svg import inline
from pipeline.report.tables import Table
from pipeline.report.typical import EXECS
from pipeline.report.words import NOTHING, change, factor, listed, share, slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pipeline.report.digest import Digest
    from pipeline.report.standings import Standing


class Question(NamedTuple):
    """What was asked, in short as well, which design beside which would tell, and which shipped study has both."""

    asked: str
    short: str
    pairs: tuple[tuple[str, str], ...]
    study: str


class Found(NamedTuple):
    """What a study says of a question at one place: a design against another, and over users if there are enough.

    Parameters
    ----------
    place : str
        Where the cells lie, empty for all of them.
    standing : Standing
        The first design.
    other : str
        The second one.
    users : tuple of float or None
        Median over listings of the ratio, and its interval.
    floor : float or None
        What the study's floor has there, on the typical cells; None if it has none, if it is one of the two, or if
        the other one shares: how far a floor lies says nothing of two ways to share.
    """

    place: str
    standing: Standing
    other: str
    users: tuple[float, float, float] | None
    floor: float | None


class Answer(NamedTuple):
    """A question, what this study says of it in words, and the figure; none if the study cannot answer."""

    asked: str
    said: list[str]
    figure: Group | None


QUESTIONS: tuple[Question, ...] = (
    Question(
        "1. What does sharing cost on fork and exec, where nearly nothing is gained?",
        "1. fork and exec",
        (),
        "profiles",
    ),
    Question(
        "2. Is a bit per table worth keeping that says “its CoWable ptes are read-only”?",
        "2. bit per table",
        (("phillips_mark", "phillips_sole"), ("phillips_mark", "phillips")),
        "phillips-2002",
    ),
    Question(
        "3. Is it better to write-protect at the directory entry than pte by pte?",
        "3. directory entry",
        (("linus_pmd", "phillips_sole"), ("linus_pmd", "phillips")),
        "phillips-2002",
    ),
    Question(
        "4. What of shared mappings, which are not inherited through a fork?",
        "4. shared mappings",
        (("shared_mmap", "mainline"),),
        "designs",
    ),
    Question(
        "5. Does sharing give reclaim its reverse mappings without fork paying for them?",
        "5. reclaim",
        (
            ("linus_rmap", "rmap25"),
            ("phillips_rmap", "rmap25"),
            ("linus_rmap", "linux24"),
            ("linux26", "rmap25"),
        ),
        "phillips-2002",
    ),
    Question("6. What is the worst case, beside the typical one?", "6. worst case", (), "typical"),
)


MOST_TOLD = 4  # places told one by one
# Workloads of nothing else; where a study has them, they are asked.
_FORK_AND_EXEC = {"fork_exec", "fork_sh", "shell"}
_FIRST = (("phillips", "linux24"),)  # the first proposal beside the kernel that it was for


def questions(digest: Digest, parts: Sequence[Digest]) -> tuple[Table, list[Answer]]:
    """Return what this study says of each question, slice by slice, or why it does not: as a table, and one by one."""
    found = [(question, _found(question, digest, parts)) for question in QUESTIONS]
    table = _table(found)
    return table, [_answer(digest, number, *each) for number, each in enumerate(found, start=1)]


def _table(found: Sequence[tuple[Question, list[Found]]]) -> Table:
    """Return all answers as a table."""
    over_users = any(each.users for _, mine in found for each in mine)
    rows = []
    for question, mine in found:
        for each in mine:
            compared = f"`{each.standing.design}` to `{each.other}`"
            row = [question.short, each.place or "all cells", compared, *_figures(each.standing)]
            rows.append([*row, *([_interval(each)] if over_users else [])])
        if not mine:
            would = f"`configs/{question.study}.yaml` would tell"
            rows.append([question.short, "not in this study", would, *[NOTHING] * (5 if over_users else 4)])
    caption = (
        "Kernel time of the first design as a multiple of the second's on the same trace; above 1 it is dearer. Typical: "
        "median over the typical cells; middle 80 %: from the 10th to the 90th percentile of them; worst: the worst cell "
        "of this sweep. Traces carry no noise, so the range is that of the cells, not an error of measurement."
    )
    headings = ["question", "where", "compared", "typical", "middle 80 %", "worst", "cells lost"]
    if over_users:
        headings.append("median user")
        caption += f" Median user: over listings, each with the median of its cells, and its {share(LEVEL)} interval."
    return Table(caption, headings, rows, frozenset({1, 2}))


def _found(question: Question, digest: Digest, parts: Sequence[Digest]) -> list[Found]:
    """Return what a question asks for, place by place."""
    if question is QUESTIONS[0]:
        asked = [part for part in parts if set(part.workloads) <= _FORK_AND_EXEC]
        parts = [_most_exec(part) for part in asked or parts if _execs(part)]
    found = []
    for part in parts:
        for design, other in question.pairs or _judged(question, part):
            standings = part.standings(other) if {design, other} <= set(digest.designs) else {}
            if design in standings and standings[design].ratio > 0:
                users, floor = _over_users(part, design, other), _floor(part, design, other)
                found.append(Found(part.where, standings[design], other, users, floor))
    return found


def _floor(part: Digest, design: str, other: str) -> float | None:
    """Return ``Found.floor``: what a floor that is neither of the two has beside one that does not share."""
    if part.floor in (None, design, other) or other in part.sharing:
        return None
    found = part.standings(other).get(str(part.floor))
    return found.ratio if found is not None and found.ratio > 0 else None


def _judged(question: Question, part: Digest) -> list[tuple[str, str]]:
    """Return the best sharing design beside the baseline, and the dearest one: on typical cells, or in any cell."""
    best, base, worst = champion(part), part.baseline, worst_standing(part)
    if best is None or base is None or worst is None:
        return []
    if question is QUESTIONS[-1]:
        return [(name, base) for name in dict.fromkeys([best, worst.design])]
    dearest = max(compared_designs(part), key=lambda each: each.ratio).design
    eras = [pair for pair in _FIRST if set(pair) <= set(part.designs) and base != pair[1]]
    return [*((name, base) for name in dict.fromkeys([best, dearest])), *eras]


def _over_users(part: Digest, design: str, other: str) -> tuple[float, float, float] | None:
    """Return the median over listings and its interval, if there are enough of them."""
    if "tree_measured" not in part.core.columns or not part.core["tree_measured"].any():
        return None
    place = f"users against {other}"
    if place not in part.kept:
        part.kept[place] = analysis.typical(part.core, part.metric, other).to_dict("index")
    row = part.kept[place].get(design)
    if row is None or row["users"] < FEWEST:
        return None
    return row["user_ratio"], row["user_low"], row["user_high"]


def _execs(digest: Digest) -> bool:
    """Return whether children of these cells exec, at one ratio or at another."""
    return bool((digest.df["execs"] > 0).any())


def _most_exec(part: Digest) -> Digest:
    """Return the cells with the highest exec ratio, where it is swept."""
    ratios = next((axis for axis in part.axes if axis.column == EXECS), None)
    return part if ratios is None else cells_at(part, ratios, ratios.points[-1])


def _figures(found: Standing) -> list[str]:
    """Return the figures of one row."""
    between = f"{factor(found.low)} to {factor(found.high)}"
    return [factor(found.ratio), between, factor(found.worst.ratio), share(found.losing)]


def _interval(found: Found) -> str:
    """Return the median over users with its interval, or a dash."""
    if found.users is None:
        return NOTHING
    middle, low, high = found.users
    return f"{factor(middle)} ({factor(low)} to {factor(high)})"


def _answer(digest: Digest, number: int, question: Question, found: list[Found]) -> Answer:
    """Return one question with its sentences and its figure, or why there is none."""
    if not found:
        return Answer(question.asked, [_why_not(question, digest)], None)
    told = [_sentence(each) for each in found]
    if len(found) > MOST_TOLD:
        ordered = sorted(found, key=lambda each: each.standing.ratio)
        told = [f"Least of {len(found)}: {_sentence(ordered[0])}", f"Most: {_sentence(ordered[-1])}"]
        told += [_sentence(each) for each in ordered[1:-1] if each.users]
    return Answer(question.asked, told, _figure(digest, number, question, found))


def _sentence(found: Found) -> str:
    """Return what is found at one place in words."""
    each = found.standing
    opening = f"At {found.place}, " if found.place else ""
    said = f"{opening}`{each.design}` against `{found.other}`: {change(each.ratio)} on the typical cells"
    if each.low < each.high:
        said += f" (middle 80 %: {span([each.low, each.high])})"
    if found.users:
        said += f"; median user {change(found.users[0])} ({span(list(found.users[1:]))})"
    return (
        f"{said}; in its worst cell {change(each.worst.ratio)}."
        if each.worst.ratio > each.ratio
        else f"{said}."
    )


def _why_not(question: Question, digest: Digest) -> str:
    """Say why this study cannot answer, and which would."""
    would = f"`configs/{question.study}.yaml` would tell."
    if question.pairs:
        lacking = [name for name in dict.fromkeys(name for pair in question.pairs for name in pair)
                   if name not in digest.designs]  # fmt: skip
        if lacking:
            return (
                f"This study cannot answer: {listed([f'`{name}`' for name in lacking])} did not run. {would}"
            )
        return f"This study cannot answer: the designs share no trace on which they take time. {would}"
    if champion(digest) is None:
        return f"This study cannot answer: no sharing design is compared with a baseline. {would}"
    return f"This study cannot answer: no child execs. {would}"


def _figure(digest: Digest, number: int, question: Question, found: list[Found]) -> Group:
    """Draw typical and worst at each place, a panel for each pair of designs."""
    pairs = dict.fromkeys((each.standing.design if question.pairs else "", each.other) for each in found)
    panels = []
    for design, other in pairs:
        mine = [each for each in found if each.other == other and design in ("", each.standing.design)]
        both = "Best and worst" if question is QUESTIONS[-1] else "Best and dearest"
        if (mine[0].standing.design, other) in _FIRST:
            both = mine[0].standing.design
        panels.append(_panel(digest, (number, design or both), mine, named=not design))
    reading = "A row is a place in the study; left of the upright line the first design is cheaper."
    details = MARKS
    if any(each.floor is not None for each in found):
        details += f" The grey tick is {digest.floor}, the floor, on the typical cells."
    numbers = pd.DataFrame([_numbers(each) for each in found])
    return Group(f"question-{number}", question.asked, reading, panels, numbers, details)


def _panel(digest: Digest, what: tuple[int, str], mine: list[Found], *, named: bool) -> Markup:
    """Draw one panel; its rows are named after their designs as well if these differ."""
    (number, first), other = what, mine[0].other
    heading = f"{first}, {other} = 1"
    labels = [_label(each, named=named) for each in mine]
    heights = [0.55 + 0.55 * (1 + label.count("\n")) for label in labels]  # a row has room for its name
    ends = list(itertools.accumulate(heights))
    rows = [end - height / 2 for end, height in zip(ends, heights, strict=True)]
    with panel(heading, ROW_INCHES * ends[-1] + 0.95) as (figure, axes):
        axes.axvline(1, color=INK, linewidth=0.9)
        for row, each in zip(rows, mine, strict=True):
            standing_marks(axes, each.standing, digest.looks[each.standing.design], row)
        _floors(axes, {row: each.floor for row, each in zip(rows, mine, strict=True) if each.floor})
        scale_ratios(axes)
        name_rows(axes, labels)
        axes.set_yticks(rows, labels)
        axes.set_ylim(ends[-1], 0)
        axes.set_xlabel(f"times {other}, on the same trace")
        said = "; ".join(_sentence(each).replace("`", "").removesuffix(".") for each in mine)
        return inline(figure, slug(f"question {number} {heading}"), f"{heading}, by place", f"{said}.")


def _floors(axes: Axes, floors: dict[float, float]) -> None:
    """Draw a tick at each row's floor, all of them as one line with gaps."""
    gap = float("nan")
    across = [end for ratio in floors.values() for end in (ratio, ratio, gap)]
    down = [end for row in floors for end in (row - 0.28, row + 0.28, gap)]
    axes.plot(across, down, color=MUTED, linewidth=1.6)


def _label(found: Found, *, named: bool) -> str:
    """Return the name of a row, its parts below one another."""
    place = found.place.removeprefix("workload ") or "all cells"
    words = [*([found.standing.design] if named else []), *place.split(", ")]
    return "\n".join(words)


def _numbers(found: Found) -> dict[str, object]:
    """Return what a figure shows of one place."""
    each = found.standing
    median, low, high = found.users or (float("nan"),) * 3
    return {
        "where": found.place or "all cells",
        "design": each.design,
        "against": found.other,
        "typical": each.ratio,
        "p10": each.low,
        "p90": each.high,
        "worst": each.worst.ratio,
        "worst_cell": each.worst.cell_id,
        "best": each.best.ratio,
        "losing_cells": each.losing,
        "floor": float("nan") if found.floor is None else found.floor,
        "median_user": median,
        "median_user_low": low,
        "median_user_high": high,
    }
