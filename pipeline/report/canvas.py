"""One panel at a time: matplotlib settings, empty axes, lines and labels in the designs' looks.

Panels are small on purpose: the page sets them side by side where there is room and below one another where there is
not, so no figure has to shrink on a narrow screen.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.report.style import INK, MUTED, RULE, look
from pipeline.report.svg import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from markupsafe import Markup
    from matplotlib.axes import Axes

WIDTH_INCHES = 4.7  # 338 units wide, so that 9.5 units of text stay readable on a phone
_RC: Any = SETTINGS | {
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.size": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}


class Group(NamedTuple):
    """Panels that belong together.

    Parameters
    ----------
    name : str
        Unique in the page.
    heading, reading : str
        What it shows, and one sentence on how to read it.
    panels : sequence of Markup
        Inline SVG.
    """

    name: str
    heading: str
    reading: str
    panels: Sequence[Markup]


@contextmanager
def panel(title: str, height_inches: float = 3.0) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure with one pair of axes, under the report's settings."""
    with mpl.rc_context(_RC), sns.axes_style(rc={key: _RC[key] for key in _RC if key.startswith("axes.")}):
        figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        axes.set_axisbelow(True)
        yield figure, axes


def lines(axes: Axes, data: pd.DataFrame, x: str, y: str) -> None:
    """Draw one line per design of ``data`` (columns ``design``, x, y) and write its name at its right end."""
    names = list(dict.fromkeys(data["design"]))
    before = len(axes.lines)
    sns.lineplot(
        data=data, x=x, y=y, hue="design", style="design", hue_order=names, style_order=names,
        palette={name: look(name).colour for name in names},
        markers={name: look(name).marker for name in names},
        dashes={name: look(name).dashes for name in names},
        errorbar=None, estimator=None, legend=False, ax=axes,
    )  # fmt: skip
    for name, line in zip(names, axes.lines[before:], strict=True):
        dress(line, name)
    ends = data.sort_values(x, kind="stable").groupby("design", sort=False).last()
    label_ends(axes, {str(name): (row[x], row[y]) for name, row in ends.iterrows()})


def dress(line: Line2D, design: str) -> None:
    """Give a line the markers of a design."""
    chosen = look(design)
    line.set(
        markerfacecolor=chosen.face,
        markeredgecolor=chosen.colour,
        markeredgewidth=1.1,
        markersize=5,
        clip_on=False,
    )


def label_ends(axes: Axes, ends: dict[str, tuple[float, float]]) -> None:
    """Write each design's name beside its last point, moved apart where names would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.075
    order = sorted(ends, key=lambda name: (ends[name][1], name))
    heights = spread([ends[name][1] for name in order], gap, low, high)
    right = max(x for x, _ in ends.values())
    for name, height in zip(order, heights, strict=True):
        axes.annotate(
            name, (right, height), xytext=(8, 0), textcoords="offset points", va="center", fontsize=9,
            color=look(name).colour, annotation_clip=False,
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return ascending heights moved as little as a sweep up and a sweep down need to keep ``gap`` between them.

    They stay within [low, high] as far as there is room.
    """
    moved = list(heights)
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    ceiling = high
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    below = low - moved[0] if moved and moved[0] < low - gap else 0.0
    return [height + below for height in moved]


def marker_handle(design: str) -> Line2D:
    """Return a sample of a design's line for a legend."""
    chosen = look(design)
    on_off = chosen.dashes
    sample = Line2D([], [], color=chosen.colour, marker=chosen.marker, label=design)
    sample.set_linestyle((0, on_off) if isinstance(on_off, tuple) else "-")
    dress(sample, design)
    return sample
