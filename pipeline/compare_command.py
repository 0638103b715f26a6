"""forkbench compare: what changed from one dataset to another, and whether it may have."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import click

from pipeline.dataset_argument import DATASET
from pipeline.errors import counted

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.places import Where

REGRESSED = 1  # exit code: a rule is broken
_SHOWN = 3  # cells of one side alone that are named


@click.command()
@click.argument("before", type=DATASET)
@click.argument("after", type=DATASET)
@click.option("--metric", "metrics", multiple=True, metavar="COLUMN", help="What to compare; repeatable.")
@click.option(
    "--fail-on", "fail_on", multiple=True, metavar="RULE",
    help="'METRIC>5%' (median of a design), 'worst:METRIC>5%' (any cell), 'METRIC@DESIGN>5%'; repeatable.",
)  # fmt: skip
@click.option(
    "--costs", metavar="MODEL", help="One cost model for both: a name, or a file. [default: theirs]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    before: Where,
    after: Where,
    metrics: tuple[str, ...],
    fail_on: tuple[str, ...],
    costs: str | None,
    *,
    as_json: bool,
) -> None:
    """Compare two datasets of one study, made by two versions, say: each cell with the same trace and design.

    Exit code 0: no rule is broken; 1: one is; 2: they cannot be compared.
    """
    from pipeline import analysis
    from pipeline.analysis.versions import CHANGES, regressions, rules

    frames = [analysis.load(path) for path in (before, after)]
    both = [name for name in frames[0].select_dtypes("number").columns if name in frames[1].columns]
    designs = sorted(set(frames[0]["design"]) & set(frames[1]["design"]))
    asked = rules(fail_on, both, designs)
    wanted = list(dict.fromkeys([*(metrics or CHANGES), *(rule.metric for rule in asked)]))
    table = analysis.compare(frames[0], frames[1], wanted, costs)
    broken = regressions(table, asked)
    if as_json:
        click.echo(json.dumps(_facts(table, broken), indent=2))
    else:
        click.echo("\n".join(_lines(table, frames, broken, checked=len(asked))))
    if broken:
        sys.exit(REGRESSED)


def _facts(table: pd.DataFrame, broken: list[str]) -> dict[str, Any]:
    """Return the comparison as plain data; what is not a finite number is told in words or is null."""
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]
    return {"rows": rows, "regressions": broken} | {str(name): value for name, value in table.attrs.items()}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "infinite" if math.isinf(value) else None
    return value


def _lines(table: pd.DataFrame, frames: list[pd.DataFrame], broken: list[str], *, checked: int) -> list[str]:
    """Return the comparison for people."""
    versions = [df.attrs["provenance"].get("model_version", "unknown")[:12] for df in frames]
    same = "the same simulator" if versions[0] == versions[1] else f"simulators {' and '.join(versions)}"
    lines = [
        f"{counted(int(table['cells'].max()), 'cell')} a design at most in both, by {same}; times: {table.attrs['costs']}"
    ]
    for side in ("before", "after"):
        if lone := table.attrs[f"only_{side}"]:
            some = ", ".join(f"{design} on {trace}" for trace, design in lone[:_SHOWN])
            lines.append(
                f"only {side}: {counted(len(lone), 'cell')} ({some}{', ...' if len(lone) > _SHOWN else ''})"
            )
    if table.attrs["other_traces"]:
        lines.append(
            f"note: the trace itself changed in {counted(table.attrs['other_traces'], 'cell')}: another workload"
        )
    for metric, rows in table.groupby("metric", sort=False):
        lines += [
            "",
            f"{metric}: change, least to most of all cells; cells that changed; interval over listings",
        ]
        width = max(map(len, rows["design"])) + 2
        lines += [f"  {row['design']:<{width}}{_told(row)}" for row in rows.to_dict("records")]
    if checked:
        lines += ["", *(f"REGRESSION  {text}" for text in broken)]
        lines += [] if broken else [f"{counted(checked, 'rule')} kept"]
    return lines


def _told(row: dict[Any, Any]) -> str:
    """Return the change of one design."""
    if not row["cells"]:
        return str(row["why"])
    change, least, most, low, high = (
        f"{100 * row[name]:+.3g}" for name in ("change", "least", "most", "low", "high")
    )
    sure = f"{low} to {high} % over {row['users']}" if not row["why"] else f"none ({row['why']})"
    return f"{change} %  ({least} to {most} %); {row['changed']:,} of {row['cells']:,}; {sure}"
