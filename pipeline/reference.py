"""The reference of studies, as Markdown: written from the tables with which studies are validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.design_entries import MOST_TABLES
from pipeline.joint_entries import LINEAR, LOG
from pipeline.sampling import METHODS
from pipeline.study_keys import MAX_CELLS, TABLE
from pipeline.values import brief
from pipeline.yaml_marks import MAX_BYTES, MAX_DEPTH, MAX_NODES
from simcore.costs import COST_MODELS
from simcore.designs import AXES, DESIGNS
from simcore.geometry import GEOMETRIES
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.study_keys import Key
    from simcore.workloads.parameters import Parameter

_SAMPLE = (
    ("method", f"one of {', '.join(METHODS)}; `latin-hypercube` if it is left out"),
    ("points", "how many points; with `sobol` a power of two"),
    ("seed", "a whole number; the study's seed if it is left out"),
    (
        "of",
        f"axis -> `{{from: 1, to: 9, scale: {LOG}}}` (scale `{LINEAR}` if it is left out), or a list to draw from",
    ),
)


_HEAD = f"""\
# Reference of studies

Written by `forkbench reference --out docs/study-reference.md`, from what studies are validated with;
[studies.md](studies.md) explains.

A study is one YAML document of at most {MAX_BYTES:,} characters, {MAX_DEPTH} levels and {MAX_NODES:,} values, with at
most {MAX_CELLS:,} cells.
"""
_CONDITIONS = """\
## Conditions of exclude and only_when

A condition is a mapping; its keys are parameters, `geometry`, `design` and `workload`, its values a value, a list of
values, or for numbers a range `{from: 1, to: 9}` with one end or two. It holds where all of them do; a workload without a
parameter that it names is never meant.
"""


def reference() -> str:
    """Return the whole reference."""
    lines = [
        _HEAD,
        "## Keys",
        "",
        *_table(("key", "written as", "means", "if it is left out"), map(_key, TABLE)),
        "",
        "## Keys of sample",
        "",
        *_table(("key", "is"), ((f"`{name}`", meaning) for name, meaning in _SAMPLE)),
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in METHODS.items()),
        "",
        _CONDITIONS,
        *_names(),
        *_workloads(),
        *_axes(),
    ]
    return "\n".join(lines)


def _key(key: Key) -> tuple[str, ...]:
    """Return the row of a key."""
    silent = key.silent or (f"`{key.default}`" if not key.needed else "needed")
    return f"`{key.name}`", key.form, key.meaning, silent


def _names() -> list[str]:
    """Return the names of geometries, cost models and designs."""
    named: tuple[tuple[str, Iterable[str]], ...] = (
        ("geometries", GEOMETRIES), ("cost models", COST_MODELS), ("designs", DESIGNS),
    )  # fmt: skip
    lines = ["## Names", ""]
    return lines + [f"- {noun}: {', '.join(f'`{name}`' for name in names)}" for noun, names in named] + [""]


def _workloads() -> list[str]:
    """Return the parameters of each workload."""
    lines = ["## Workloads", ""]
    for workload in WORKLOADS.values():
        rows = (
            (
                f"`{each.name}`",
                allowed(each),
                "needed" if each.default is None else f"`{brief(each.default)}`",
            )
            for each in workload.parameters
        )
        lines += [f"### {workload.name}", "", workload.prose, ""]
        lines += [*_table(("parameter", "allowed", "default"), rows), ""]
    return lines


def allowed(each: Parameter) -> str:
    """Return what a parameter may be."""
    ranges = {
        "choice": f"one of {', '.join(each.choices)}",
        "tree": "a listing's name, {listing: FILE}, {population: NAME} or {depth: 3, fan_out: 2}",
        "capture": "a file that forkbench capture wrote",
        "recording": "a name that forkbench trace stats lists, or a file that forkbench trace wrote",
    }
    noun = "whole number" if each.kind == "int" else "number"
    return ranges.get(each.kind, f"{noun} from {each.low:,} to {each.high:,} {each.unit}".rstrip())


def _axes() -> list[str]:
    """Return the axes of designs, and their values."""
    rows: list[tuple[str, ...]] = [
        (f"`{axis}`", ", ".join(f"`{value}`" for value in entries)) for axis, entries in AXES.items()
    ]
    rows.append(("`more_than`", f"for `fork: link_if_more_than`: a whole number from 0 to {MOST_TABLES:,}"))
    return ["## Axes of designs", "", *_table(("axis", "values"), rows), ""]


def _table(headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> list[str]:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
