"""One panel at a time: matplotlib settings, empty axes, lines and labels in the designs' looks.

Panels are small on purpose: the page sets them side by side where there is room and below one another where there is
not, so no figure has to shrink on a narrow screen.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from pipeline.report.style import INK, MUTED, PAPER, RULE
from pipeline.report.svg_settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.axis import XAxis

    from pipeline.report.style import Look

WIDTH_INCHES = 4.2  # 302 units, so that text of 9.5 units is 10 pixels high on the narrowest phone
UNITS_AN_INCH = 72  # of an SVG
_AIR = 3.0  # units around what is drawn
_WIDEST, _NARROWEST = 3.4, 1.3
_STEPS = 1000  # of a falling curve
_DECADES = 8  # labels on a logarithmic axis
_RC: Any = SETTINGS | {
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.formatter.useoffset": False,  # 1.0012, not 0.0002 and +1.001 in a corner
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
    "axes.titley": 1.0,  # else matplotlib measures all labels twice more, in case some stand above the axes
    "figure.facecolor": "none",
    "font.size": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "text.color": INK,
    "xtick.bottom": False,  # the grid says where values lie
    "xtick.minor.bottom": False,
    "ytick.left": False,
    "ytick.minor.left": False,
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
    numbers : DataFrame, optional
        What is drawn, as numbers.
    details : str
        What its marks are, and what else there is to know; may be empty.
    """

    name: str
    heading: str
    reading: str
    panels: Sequence[Markup]
    numbers: pd.DataFrame | None = None
    details: str = ""


@contextmanager
def panel(title: str, height_inches: float = 3.0) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure with one pair of axes, under the report's settings."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=UNITS_AN_INCH)
        axes = figure.add_subplot()
        axes.set_title(title)
        axes.set_axisbelow(True)
        yield figure, axes


def fit(figure: Figure) -> None:
    """Place the axes so that their labels, and a legend below them, end at the edge of the panel.

    matplotlib's own layout engines do it too, but draw everything several times to find out.
    """
    pen = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    [axes] = figure.axes
    width, height = figure.bbox.width, figure.bbox.height
    below = sum(legend.get_window_extent(pen).height + _AIR for legend in figure.legends)
    inner, outer = axes.get_window_extent(pen), axes.get_tightbbox(pen)
    if outer is None:
        return
    left, bottom = _AIR + inner.x0 - outer.x0, _AIR + below + inner.y0 - outer.y0
    right, top = width - _AIR - (outer.x1 - inner.x1), height - _AIR - (outer.y1 - inner.y1)
    axes.set_position((left / width, bottom / height, (right - left) / width, (top - bottom) / height))


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], **looks: Any) -> None:
    """Put a legend at the lower left of a panel; ``fit`` makes room for it."""
    figure.legend(
        handles=handles, labels=labels, loc="lower left", bbox_to_anchor=(0, 0), borderaxespad=0.2, **looks
    )


def lines(axes: Axes, data: pd.DataFrame, x: str, y: str, looks: Mapping[str, Look]) -> None:
    """Draw one line per design of ``data`` (columns ``design``, x, y) and write its name at its right end.

    Axes that have their labels already are drawn in a fraction of the time: seaborn need not measure their ticks.
    """
    names = list(dict.fromkeys(data["design"]))
    before = len(axes.lines)
    sns.lineplot(
        data=data, x=x, y=y, hue="design", style="design", hue_order=names, style_order=names,
        palette={name: looks[name].colour for name in names},
        markers={name: looks[name].marker for name in names},
        dashes={name: looks[name].dashes for name in names},
        errorbar=None, estimator=None, legend=False, ax=axes,
    )  # fmt: skip
    for name, line in zip(names, axes.lines[before:], strict=True):
        dress(line, looks[name])
    layer(dict(zip(names, axes.lines[before:], strict=True)))
    last = data.sort_values(x, kind="stable").groupby("design", sort=False)[y].last()
    label_ends(axes, {str(name): float(height) for name, height in last.items()}, looks)


def falling(
    axes: Axes, data: pd.DataFrame, designs: Mapping[str, Look], supported: Mapping[str, float]
) -> None:
    """Draw, for each design, the share of ``times`` whose ``us`` is longer, on logarithmic scales.

    Shares below ``supported`` of a design are drawn thin: they are those of these events and stand for no others.
    """
    data = data[data["design"].isin(designs)]
    rarest = 1 / data.groupby("design")["times"].sum().max()
    bottom = min(rarest, 0.1)
    places = data.loc[data["us"] > 0, "us"]
    ends = (places.min() / 1.15, places.max() * 1.15) if len(places) else (0.1, 1.0)
    for number, (design, chosen) in enumerate(designs.items()):
        mine = data[data["design"] == design]
        longer = 1 - mine["times"].cumsum().to_numpy() / mine["times"].sum()
        us = np.concatenate([[ends[0]], np.maximum(mine["us"], ends[0])])
        height = np.concatenate([[1.0], np.where(longer > rarest / 2, longer, bottom / 2)])
        sure = int((height >= supported[design] - 1e-12).sum())
        width = _WIDEST - number * (_WIDEST - _NARROWEST) / max(1, len(designs) - 1)
        look: Any = {"color": chosen.colour, "linestyle": _line_style(chosen), "zorder": 2 + number / 100}
        axes.step(
            us[: sure + 1], np.maximum(height[: sure + 1], bottom / 2), where="post", linewidth=width, **look
        )
        axes.step(us[sure:], height[sure:], where="post", linewidth=0.8, **look)
    axes.set(xscale="log", yscale="log", ylim=(bottom * 0.6, 1.3), xlim=ends)
    decades(axes.xaxis)
    axes.yaxis.set_major_locator(LogLocator(numticks=_DECADES))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    axes.minorticks_off()


def decades(axis: XAxis) -> None:
    """Name the decades of a logarithmic axis, and 2 and 5 between them where there is room, in plain numbers."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 30 else (1,), numticks=_DECADES))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))


def thinned(data: pd.DataFrame) -> pd.DataFrame:
    """Return a distribution (columns ``design``, ``us``, ``times``) with as many steps as can be told apart.

    Steps nearer to each other than a thousandth of the logarithmic axis, about a third of a pixel, become one at the
    longest of them, so that no share is drawn too low.
    """
    place = np.log(data["us"].where(data["us"] > 0))
    low, high = place.min(), place.max()
    width = (high - low) / _STEPS or 1.0
    step = np.ceil((place - low) / width).fillna(-1)
    grouped = data.groupby(["design", step], sort=True)
    return grouped.agg(us=("us", "max"), times=("times", "sum")).reset_index("design").reset_index(drop=True)


def stacked(axes: Axes, table: pd.DataFrame, fills: dict[str, str]) -> list[Any]:
    """Draw a bar per row of ``table``, stacked from its columns in their order; return the legend's handles."""
    handles = []
    before = np.zeros(len(table))
    for part, fill in fills.items():
        size = table[part].to_numpy(np.float64)
        handles.append(
            axes.barh(
                range(len(table)), size, 0.75, before, color=fill, edgecolor=PAPER, linewidth=0.8, label=part
            )
        )
        before = before + size
    axes.set_yticks(range(len(table)), [str(name) for name in table.index])
    return handles


def _line_style(look: Look) -> Any:
    """Return matplotlib's line style of a design."""
    return (0, look.dashes) if isinstance(look.dashes, tuple) else "-"


def layer(drawn: dict[str, Line2D]) -> None:
    """Draw the first line widest and at the bottom, the last one thinnest and on top: equal lines stay visible."""
    step = (_WIDEST - _NARROWEST) / max(1, len(drawn) - 1)
    for number, line in enumerate(drawn.values()):
        line.set(linewidth=_WIDEST - number * step, zorder=2 + number / 100)


def dress(line: Line2D, look: Look) -> None:
    """Give a line the markers of a design."""
    line.set(
        markerfacecolor=look.face,
        markeredgecolor=look.colour,
        markeredgewidth=1.1,
        markersize=5,
        clip_on=False,
    )


def label_ends(axes: Axes, ends: dict[str, float], looks: Mapping[str, Look]) -> None:
    """Write each design's name at the right edge, at the height of its last point or as near as names allow."""
    low, high = axes.get_ylim()
    order = sorted(ends, key=lambda name: (ends[name], name))
    gap = (high - low) * min(0.08, 0.9 / max(1, len(order) - 1))
    margin = (high - low) * 0.04  # above it stands the title
    heights = within(spread([ends[name] for name in order], gap), gap, low + margin, high - margin)
    for name, height in zip(order, heights, strict=True):
        axes.annotate(
            name, (1, height), xycoords=axes.get_yaxis_transform(), xytext=(8, 0), textcoords="offset points",
            va="center", fontsize=9, color=looks[name].colour, annotation_clip=False,
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return ascending heights at least ``gap`` apart, moved as little as that needs (in squares, all together).

    Neighbours that are too near form a block, and a block lies where its members wish it to on average.
    """
    blocks: list[list[float]] = []  # wishes of a block's lowest member, as each member sees it
    for rank, height in enumerate(heights):
        blocks.append([height - rank * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    places = [_mean(block) for block in blocks for _ in block]
    return [place + rank * gap for rank, place in enumerate(places)]


def within(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return ascending places at least ``gap`` apart, pushed into [low, high], where there must be room for them."""
    moved = list(places)
    for bound, order in ((high, range(len(moved) - 1, -1, -1)), (low, range(len(moved)))):
        limit = bound
        for rank in order:
            moved[rank] = min(moved[rank], limit) if bound == high else max(moved[rank], limit)
            limit = moved[rank] + (-gap if bound == high else gap)
    return moved


def _mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)


def marker_handle(design: str, look: Look, *, marker: bool = True) -> Line2D:
    """Return a sample of a design's line for a legend."""
    sample = Line2D([], [], color=look.colour, marker=look.marker if marker else "", label=design)
    sample.set_linestyle(_line_style(look))
    dress(sample, look)
    return sample
