"""What a search of a wider space found, beside the worst cells of the sweep: its findings come as a file of JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import RefusedError
from pipeline.report.tables import Table
from pipeline.report.words import NOTHING, change, counted, factor, few, number, share, signed, signed_share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_KEYS = (
    "study",
    "dataset",
    "objective",
    "said",
    "worst",
    "designs",
    "neighbours",
    "peaked",
    "drivers",
    "even",
)
_MOST_DRIVERS = 3  # named in words


class Section(NamedTuple):
    """What one search found: its name, its sentences, and its tables."""

    study: str
    said: list[str]
    designs: Table
    neighbours: Table | None
    drivers: Table


def read_findings(file: Path) -> dict[str, Any]:
    """Return what ``forkbench search --findings`` wrote.

    Raises
    ------
    RefusedError
        If the file cannot be read, or holds something else.
    """
    what = "what 'forkbench search STUDY --findings FILE' writes is allowed; run it, and give its FILE"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RefusedError(f"{file}: {(error.strerror or str(error)).lower()}; {what}") from None
    except ValueError:
        raise RefusedError(f"{file}: this is no JSON; {what}") from None
    lacking = [key for key in _KEYS if key not in found] if isinstance(found, dict) else list(_KEYS)
    if lacking:
        raise RefusedError(f"{file}: {', '.join(lacking)} missing; {what}")
    known: dict[str, Any] = found
    try:
        sections([known])
        worst_found([known], [])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{file}: not what a search found ({error!r}); {what}") from None
    return known


def worst_found(findings: Sequence[dict[str, Any]], designs: Sequence[str]) -> list[str]:
    """Return a sentence for each search: how high its worst is, and how high that of each design that is asked for."""
    said = []
    for found in findings:
        worst = found["worst"]
        heights = {each["design"]: each["height"] for each in found["designs"]}
        others = [
            f"`{name}` {_height(found, heights[name])}"
            for name in designs
            if name in heights and name != worst["design"]
        ]
        said.append(
            f"Searched for in the wider space of `{found['study']}`: `{worst['design']}` "
            f"{_height(found, worst['height'])} ({found['said']}; `{worst['replay']}`)"
            f"{'; there ' + few(others) if others else ''}."
        )
    return said


def sections(findings: Sequence[dict[str, Any]]) -> list[Section]:
    """Return what each search found: where the worst lies, how sharp the peak is, and what drives it."""
    return [
        Section(found["study"], _said(found), _designs(found), _neighbours(found), _drivers(found))
        for found in findings
    ]


def _said(found: dict[str, Any]) -> list[str]:
    """Return the sentences of one search."""
    worst, objective = found["worst"], found["objective"]
    at = ", ".join(f"{axis.replace('_', ' ')} {value}" for axis, value in worst["at"].items())
    drivers = [
        f"{each['label'].replace('_', ' ')} ({share(each['share'])} of the variance)"
        for each in found["drivers"]
        if each["share"] is not None and each["share"] > (each["chance"] or 0.0)
    ]
    said = f"{found['said'][:1].upper()}{found['said'][1:]}"
    lines = [
        f"{said}: `{worst['design']}` {_height(found, worst['height'])}, at {at}. Replay: `{worst['replay']}`.",
        (
            f"Objective: {objective['told']}; times are those of {objective['costs']}. Nothing proves that no point of "
            "the space is worse."
        ),
    ]
    if drivers:
        lines.append(f"What drives it, more than chance would: {few(drivers, _MOST_DRIVERS)}.")
    if not found["peaked"]:
        lines.append("A neighbour of the worst is higher still: a larger budget may go on from it.")
    return lines


def _height(found: dict[str, Any], height: float) -> str:
    """Return a value of the objective: a change from the baseline, or the metric itself."""
    objective = found["objective"]
    if objective["baseline"] is None:
        return f"with {objective['metric']} of {number(height)}"
    return f"{change(height)} than `{objective['baseline']}`".replace("the same than", "the same as")


def _designs(found: dict[str, Any]) -> Table:
    """Return the dearest cell of each design."""
    objective = found["objective"]
    rows = [
        [f"`{each['design']}`", factor(each["height"]), f"`{each['replay']}`"] for each in found["designs"]
    ]
    unit = f"times {objective['baseline']}" if objective["baseline"] else objective["metric"]
    caption = (
        f"The highest of each design among the {counted(found['points'], 'point')} of {found['study']}; "
        "the search looked for the first."
    )
    return Table(caption, ["design", unit, "replay"], rows, frozenset({2}))


def _neighbours(found: dict[str, Any]) -> Table | None:
    """Return how sharp the peak is; nothing if it has no neighbour."""
    top, at = found["worst"]["height"], found["worst"]["at"]
    rows = []
    for each in found["neighbours"]:
        height = each["height"]
        moved = NOTHING if height is None or not top else signed_share(height / top - 1)
        rows.append([each["axis"].replace("_", " "), at[each["axis"]], each["value"], moved])
    caption = "How sharp the peak is: the objective where one parameter is changed, beside the worst."
    headings = ["parameter", "at the worst", "changed to", "objective"]
    return Table(caption, headings, rows, frozenset()) if rows else None


def _drivers(found: dict[str, Any]) -> Table:
    """Return which axes drive the objective."""
    rows = [
        [
            each["label"].replace("_", " "),
            *(NOTHING if each[key] is None else share(each[key]) for key in ("share", "chance")),
            NOTHING if each["rank"] is None else signed(each["rank"]),
        ]
        for each in found["drivers"]
    ]
    caption = (
        f"What drives the objective, over {counted(found['even'], 'point')} that fill the space evenly: the share of its "
        "variance that one parameter explains, the share that chance would, and the rank correlation."
    )
    return Table(caption, ["parameter", "variance", "by chance", "rank correlation"], rows, frozenset())
