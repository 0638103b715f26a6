"""Findings as plain data, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.search.search import Findings, Wish
    from pipeline.study import Study


def facts(study: Study, wish: Wish, path: Path, found: Findings) -> dict[str, Any]:
    """Return what was asked and what was found, as plain data."""
    objective = wish.objective
    counts = ("points", "left_out", "without", "cells", "simulated", "failed")
    return {
        "study": study.name,
        "dataset": str(path),
        "objective": {
            "metric": objective.metric,
            "baseline": objective.baseline,
            "designs": list(objective.designs),
            "costs": study.costs if objective.costs is None else objective.costs.name,
            "told": objective.told,
        },
        "budget": wish.budget,
        "seed": wish.seed,
        "said": found.said,
        **{name: getattr(found, name) for name in counts},
        "worst": {"at": found.at, **found.designs[0]},
        "designs": found.designs,
        "neighbours": [each._asdict() for each in found.neighbours],
        "peaked": found.peaked,
        "drivers": [each._asdict() for each in found.drivers],
        "even": found.even,
        "checksum": found.checksum,
    }


def lines(told: dict[str, Any]) -> str:
    """Return the facts in words."""
    worst, objective = told["worst"], told["objective"]
    cells = f"{counted(told['cells'], 'cell')}, {told['simulated']:,} simulated now"
    missing = (
        f"; {told['left_out']:,} more points are left out by rules or do not fit" * bool(told["left_out"])
        + f"; {told['without']:,} more have no value" * bool(told["without"])
        + f"; {counted(told['failed'], 'cell')} failed" * bool(told["failed"])
    )
    found = [
        f"{told['study']}: {told['said']} ({cells}{missing})",
        f"objective: {objective['told']}; times: {objective['costs']}",
        f"value:     {_value(worst, objective)}",
        f"design:    {worst['design']}",
        *(f"  {axis}: {value}" for axis, value in worst["at"].items()),
        f"replay:    {worst['replay']}",
    ]
    found += ["", *_others(told["designs"])] if len(told["designs"]) > 1 else []
    found += ["", *_neighbourhood(told), "", *_sensitivity(told), ""]
    return "\n".join([*found, f"dataset:   {told['dataset']}", f"checksum:  {told['checksum']}"])


def _value(worst: dict[str, Any], objective: dict[str, Any]) -> str:
    """Return the highest value, with what it is made of."""
    if worst["baseline"] is None:
        return _number(worst["height"])
    own, base = _number(worst["metric"]), _number(worst["baseline"])
    return f"{worst['height']:.4f}, {own} beside {base} of {objective['baseline']}"


def _number(value: float) -> str:
    """Return a number with six digits at least; thousands stay whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _others(designs: list[dict[str, Any]]) -> list[str]:
    """Return the dearest cell of each design."""
    width = max(len(each["design"]) for each in designs) + 2
    return [
        "highest of each design among these points (the search looked for the first):",
        *(f"  {each['design']:<{width}}{each['height']:>12.6g}  {each['replay']}" for each in designs),
    ]


def _neighbourhood(told: dict[str, Any]) -> list[str]:
    """Return how sharp the peak is: a line for each axis."""
    top = told["worst"]["height"]
    by_axis: dict[str, list[str]] = {}
    for each in told["neighbours"]:
        change = "no value" if each["height"] is None else _change(each["height"], top)
        by_axis.setdefault(each["axis"], []).append(f"{each['value']}: {change}")
    end = "" if told["peaked"] else "; a neighbour is higher still: a larger --budget may go on from it"
    return [
        f"neighbourhood: the objective where one parameter is changed, beside the worst{end}",
        *(f"  {axis} ({told['worst']['at'][axis]})  {';  '.join(found)}" for axis, found in by_axis.items()),
    ]


def _change(height: float, top: float) -> str:
    """Return how a value compares with the highest."""
    return (
        "equal" if height == top else f"{100 * (height - top) / abs(top):+.2g} %" if top else f"{height:.6g}"
    )


def _sensitivity(told: dict[str, Any]) -> list[str]:
    """Return which axes drive the objective, as a table."""
    head = f"what drives it, over {counted(told['even'], 'point')} that fill the space evenly:"
    width = max([len(each["label"]) for each in told["drivers"]] + [len("parameter")]) + 2
    rows = [
        f"  {each['label']:<{width}}{_share(each['share']):>10}{_share(each['chance']):>14}{_rank(each['rank']):>18}"
        for each in told["drivers"]
    ]
    return [head, f"  {'parameter':<{width}}{'variance':>10}{'by chance':>14}{'rank correlation':>18}", *rows]


def _share(value: float | None) -> str:
    """Return a share in percent, a dash for none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def _rank(value: float | None) -> str:
    """Return a correlation, a dash for none."""
    return "-" if value is None else f"{value:+.2f}"
