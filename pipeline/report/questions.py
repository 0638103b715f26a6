"""The six questions that the proposal of 2002 left open, each answered by setting one design beside another."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.judged import champion
from pipeline.report.tables import Table
from pipeline.report.words import NOTHING, factor, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.digest import Digest
    from pipeline.report.standings import Standing


class Question(NamedTuple):
    """What was asked, which design beside which would tell, and which shipped study has both."""

    asked: str
    pairs: tuple[tuple[str, str], ...]
    study: str


QUESTIONS: tuple[Question, ...] = (
    Question("1. What does sharing cost on fork and exec, where nearly nothing is gained?", (), "profiles"),
    Question(
        "2. Is a bit per table worth keeping that says “its CoWable ptes are read-only”?",
        (("phillips_mark", "phillips_sole"), ("phillips_mark", "phillips")),
        "phillips-2002",
    ),
    Question(
        "3. Is it better to write-protect at the directory entry than pte by pte?",
        (("linus_pmd", "phillips_sole"), ("linus_pmd", "phillips")),
        "phillips-2002",
    ),
    Question(
        "4. What of shared mappings, which are not inherited through a fork?",
        (("shared_mmap", "mainline"),),
        "designs",
    ),
    Question(
        "5. Does sharing give reclaim its reverse mappings without fork paying for them?",
        (("linus_rmap", "rmap25"), ("phillips_rmap", "rmap25"), ("linus_rmap", "linux24")),
        "phillips-2002",
    ),
    Question("6. What is the worst case, beside the typical one?", (), "typical"),
)


def questions(digest: Digest, parts: Sequence[Digest]) -> Table:
    """Return the questions with what this study says of each, slice by slice, or which shipped study would."""
    rows = [row for question in QUESTIONS for row in _answers(question, digest, parts)]
    caption = (
        "Kernel time of the first design as a multiple of the second's on the same trace; above 1 it is dearer. Typical: "
        "median over the typical cells; middle 80 %: from the 10th to the 90th percentile of them; worst: the worst cell "
        "of this sweep. Traces carry no noise, so the range is that of the cells, not an error of measurement."
    )
    headings = ["question", "where", "compared", "typical", "middle 80 %", "worst", "cells lost"]
    return Table(caption, headings, rows, frozenset({1, 2}))


def _answers(question: Question, digest: Digest, parts: Sequence[Digest]) -> list[list[str]]:
    """Return the rows of one question."""
    rows = [
        [question.asked, place, f"`{found.design}` to `{other}`", *_figures(found)]
        for place, found, other in _found(question, digest, parts)
    ]
    if rows:
        return rows
    return [
        [question.asked, "not in this study", f"`configs/{question.study}.yaml` would tell", *[NOTHING] * 4]
    ]


def _found(question: Question, digest: Digest, parts: Sequence[Digest]) -> list[tuple[str, Standing, str]]:
    """Return where, which standing and against whom, for what a question asks."""
    if question is QUESTIONS[0]:
        parts = [part for part in parts if _execs(part)]
    found = []
    for part in parts:
        best, base = champion(part), part.baseline
        mine = question.pairs or (((best, base),) if best and base else ())
        for design, other in mine:
            standings = part.standings(other) if {design, other} <= set(digest.designs) else {}
            if design in standings and standings[design].ratio > 0:
                found.append((part.where or "all cells", standings[design], other))
    return found


def _execs(digest: Digest) -> bool:
    """Return whether children of these cells exec, at one ratio or at another."""
    return bool((digest.df["execs"] > 0).any())


def _figures(found: Standing) -> list[str]:
    """Return the figures of one row."""
    between = f"{factor(found.low)} to {factor(found.high)}"
    return [factor(found.ratio), between, factor(found.worst.ratio), share(found.losing)]
