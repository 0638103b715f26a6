"""Times of a running kernel beside predicted ones: the shipped outcome of ``forkbench validate --host --time --json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.report.tables import Table
from pipeline.report.words import counted, share

OUTCOME = Path(__file__).parents[1] / "truth" / "data" / "host.json"


def host_table() -> Table:
    """Return how far predicted times are from those of a host, for each thing that was timed."""
    found: dict[str, Any] = json.loads(OUTCOME.read_text(encoding="utf-8"))
    machine = found["machine"]
    steps = sum(each["steps"] for each in found["qualities"])
    rows = [
        [
            each["what"],
            f"{each['steps']:,}",
            share(each["median"]),
            share(each["p90"]),
            f"{'+' if each['bias'] > 0 else ''}{share(each['bias'])}",
            share(each["spread_median"]),
            share(each["spread_p90"]),
        ]
        for each in found["qualities"]
    ]
    caption = (
        f"{counted(steps, 'step')} of random scripts timed under {machine['kernel']} ({machine['processor']}, "
        f"{machine['date']}), and what {found['costs']} predicts for them, to which they gave no number. Signed: the "
        "median error with its sign. Halves: how far medians of even and odd rounds lie apart; no model can undercut "
        "that by much."
    )
    headings = ["step", "timed", "error, median", "p90", "signed", "halves, median", "p90 of halves"]
    return Table(caption, headings, rows)
