"""How matplotlib writes SVG, the same on every machine."""

from __future__ import annotations

from typing import Any

SETTINGS: Any = {
    "svg.fonttype": "none",  # text is text: it can be searched, read and recoloured
    "svg.hashsalt": "forkbench",  # ids do not depend on chance
    "font.family": "DejaVu Sans",  # comes with matplotlib, so widths are the same everywhere
}
