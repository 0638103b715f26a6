"""Times of a running kernel beside predicted ones: the shipped outcome of ``forkbench validate --host --time --json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.report.tables import Table
from pipeline.report.words import counted, listed, share, signed_share

if TYPE_CHECKING:
    from simcore.costs import CostModel

OUTCOME = Path(__file__).parents[1] / "truth" / "data" / "host.json"


def beside_host(model: CostModel) -> str:
    """Return a sentence on how far times of the model are from those of a host; nothing of a model not tried there."""
    found = _outcome()
    if found["digest"] != model.digest:
        return ""
    said = [
        f"{share(abs(each['bias']))} {'low' if each['bias'] < 0 else 'high'} for {each['what']}"
        for each in found["qualities"]
    ]
    return f"Beside a host under {found['machine']['kernel']} they are {listed(said)} (medians). "


def _outcome() -> dict[str, Any]:
    """Return what was found on the host."""
    found: dict[str, Any] = json.loads(OUTCOME.read_text(encoding="utf-8"))
    return found


def host_table() -> Table:
    """Return how far predicted times are from those of a host, for each thing that was timed."""
    found = _outcome()
    machine = found["machine"]
    steps = sum(each["steps"] for each in found["qualities"])
    rows = [
        [
            each["what"],
            f"{each['steps']:,}",
            share(each["median"]),
            share(each["p90"]),
            signed_share(each["bias"]),
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
