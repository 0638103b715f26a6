"""Recorded traces that ship with the project, by the name that a study uses: ``data/NAME.parquet``.

``forkbench trace record`` made each of them; docs/traces.md says of what.
"""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".parquet"
_FOLDER = Path(__file__).parent / "data"


def shipped_traces() -> dict[str, Path]:
    """Return the files of the traces that ship, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob(f"*{SUFFIX}"))}
