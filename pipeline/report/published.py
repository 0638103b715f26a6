"""Published tables beside the simulator: the shipped outcome of ``forkbench validate --published --json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.report.tables import Table
from pipeline.report.words import NOTHING, counted, listed, number, share, signed_share

OUTCOME = Path(__file__).parents[1] / "truth" / "data" / "published.json"
NEAR = 0.15  # of a published ratio, as pipeline.truth.published has it


def published_tables() -> tuple[str, Table]:
    """Return how near the tested ratios are, in words, and every published ratio beside the simulated one."""
    found: list[dict[str, Any]] = json.loads(OUTCOME.read_text(encoding="utf-8"))
    tested = [(each["name"], row) for each in found for row in each["rows"] if not row["fit"]]
    off = [name for name, row in tested if abs(row["error"]) > NEAR]
    fitted = sum(row["fit"] for each in found for row in each["rows"])
    said = (
        f"Of {counted(len(tested), 'published ratio')} that gave the cost models no number, "
        f"{len(tested) - len(off)} come out within {share(NEAR)}; {counted(fitted, 'other')} gave one, and test nothing."
    )
    if off:
        missing = [each["missing"] for each in found if each["name"] in off and each["missing"]]
        said += f" Those that do not are of {listed(list(dict.fromkeys(off)))}. {' '.join(missing)}"
    rows = [_row(each, row) for each in found for row in each["rows"]]
    sources = "; ".join(f"{each['name']}: {each['source']}" for each in found)
    caption = (
        "Ratios within published tables, and the same programs simulated. Hardware differs between tables, so only "
        "ratios within one are compared; predicted are designs that nobody published there. Sources: "
        f"{sources}."
    )
    headings = ["table", "case", "ratio of", "published", "simulated", "error", "kind", "predicted"]
    return said, Table(caption, headings, rows, frozenset({1, 2, 6, 7}))


def _row(table: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """Return one ratio."""
    case = ", ".join(f"{key} {value}" for key, value in row["params"].items())
    predicted = ", ".join(f"`{name}` {number(ratio)}" for name, ratio in row["predicted"].items())
    kind = "fitted" if row["fit"] else "tested"
    ratios = [number(row["published"]), number(row["simulated"]), signed_share(row["error"])]
    return [table["name"], case, table["ratio"], *ratios, kind, predicted or NOTHING]
