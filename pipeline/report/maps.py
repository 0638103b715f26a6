"""Maps of two axes: where the sharing design that does best costs less than the baseline, and where more."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.report.canvas import Group, panel
from pipeline.report.digest import WORKLOAD, plain
from pipeline.report.judged import candidates, champion
from pipeline.report.slices import by_workload, slices
from pipeline.report.style import HUES, INK
from pipeline.report.svg import inline
from pipeline.report.tables import Table
from pipeline.report.words import NOTHING, change, factor, listed, number, slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pipeline.report.digest import Axis, Digest

# Which axis is the size of a process, the likeliest first.
SIZES = ("anon_pages", "archive_pages", "file_pages", "child_writes")
WANTED: tuple[tuple[tuple[str, ...], str], ...] = (
    (SIZES, "exec_ratio"),
    (("tree_depth",), "library_sharing"),
)
MOST_ACROSS = 12  # of more values on an axis no map is drawn: its fields would be too small to read
_NUMBERS_ACROSS = 8
_MOST_DESIGNS = 3
_TOLD = 4  # crossings, in a sentence
_HEADINGS = {"ratio": "median", "high": "worst"}
_WIN, _LOSE = HUES[5][0], HUES[2][0]
_PALEST, _DEEPEST = 0.12, 0.6  # of a fill, so that the ink on it can be read


class Map(NamedTuple):
    """A figure, the ratios that it shows and where they cross 1; without panels a reason why there is none."""

    figure: Group
    ratios: Table | None
    crossings: Table | None


def maps(digest: Digest) -> list[Map]:
    """Return a map for each pair of axes that is wanted and swept; where there is none, one that says why.

    Where neither pair is swept, the first two axes of numbers are taken.
    """
    found = [each for part in by_workload(digest) for each in _of_workload(part)]
    return found or [Map(Group("maps", "Maps", _why_none(digest), []), None, None)]


def _why_none(digest: Digest) -> str:
    """Say why there is no map."""
    if digest.baseline is None or champion(digest) is None:
        return "There is no map, since no sharing design is compared with a baseline."
    numbers = [axis.label for axis in digest.axes if axis.numeric]
    swept = f"sweeps {listed(numbers)}" if numbers else "sweeps no number"
    return (
        f"There is no map: it needs two numbers that are swept in one workload, with {MOST_ACROSS} values at most, and "
        f"the study {swept}. Memory size and exec ratio, or tree depth and library sharing, would show where sharing "
        "changes from gain to loss."
    )


def _of_workload(part: Digest) -> list[Map]:
    """Return the maps of one workload: of a pair that has the axis which decides, one; of others, one a slice."""
    if part.baseline is None or champion(part) is None:
        return []
    drawn = []
    for pair in _pairs(part):
        columns = {axis.column for axis in pair}
        pieces = slices(part)
        if any(not columns <= {axis.column for axis in piece.axes} for piece in pieces):
            pieces = [part]
        drawn += [_map(piece, pair) for piece in pieces if champion(piece)]
    return drawn


def _pairs(part: Digest) -> list[tuple[Axis, Axis]]:
    """Return the pairs of axes to be drawn."""
    numbers = {
        axis.column: axis
        for axis in part.axes
        if axis.numeric and axis.column != WORKLOAD and 2 <= len(axis.points) <= MOST_ACROSS
    }
    wanted = []
    for firsts, second in WANTED:
        first = next((name for name in firsts if name in numbers), None)
        if first and second in numbers:
            wanted.append((numbers[first], numbers[second]))
    return wanted or list(combinations(numbers.values(), 2))[:1]


def _map(digest: Digest, pair: tuple[Axis, Axis]) -> Map:
    """Draw how sharing designs do over two axes: the median of the cells at each point, and the worst."""
    x, y = pair
    base, where = str(digest.baseline), f"{x.label} and {y.label}{digest.at}"
    cells = _cells(digest, pair)
    found = analysis.crossover(cells, digest.metric, base, x.column, y.column)
    shown = _shown(digest, found)
    mine = {name: found[found["design"] == name] for name in shown}
    panels = [_panel(digest, mine[name], pair, which) for name in shown for which in _HEADINGS]
    turned = analysis.crossings(found[found["design"].isin(shown)])
    also = f", then {listed(shown[1:])}, which change sides" if len(shown) > 1 else ""
    reading = (
        f"Each field is a value of {x.label} and one of {y.label}, blue where the design takes less kernel time than "
        f"{base}, orange where it takes more."
    )
    details = (
        f"The number is its time as a multiple of {base}'s: the median of the cells there, and the worst of them; blank "
        f"within {100 * NO_DIFFERENCE:g} %; on the line the ratio is 1. First {shown[0]}, which does best on the typical "
        f"cells{also}. {_told(turned, pair, shown)}{_floor(digest, found)}"
    )
    name = f"map-{slug(x.column)}-{slug(y.column)}{digest.suffix}"
    numbers = found.rename(columns={"ratio": "typical", "high": "worst", "low": "best"})
    figure = Group(name, where[0].upper() + where[1:], reading, panels, numbers, details)
    return Map(figure, _ratios(found, pair, digest), _crossings(turned, pair))


def _shown(digest: Digest, found: pd.DataFrame) -> list[str]:
    """Return the best sharing design, then those of the other candidates that change sides most evenly."""
    best = str(champion(digest))
    logs = np.log(found["ratio"].where(found["ratio"] > 0))
    over = logs.groupby(found["design"]).agg(["min", "max"])
    even = np.minimum(-over["min"], over["max"])
    judged = [
        name for name in candidates(digest) if name in digest.sharing and name != best and name in even.index
    ]
    turning = [name for name in judged if even[name] > NO_DIFFERENCE]
    return [best, *sorted(turning, key=lambda name: -float(even[name]))[: _MOST_DESIGNS - 1]]


def _ratios(found: pd.DataFrame, pair: tuple[Axis, Axis], digest: Digest) -> Table:
    """Return the ratios of all candidates over both axes."""
    x, y = pair
    rows = []
    for name in candidates(digest):
        mine = found[found["design"] == name]
        grid = {
            (a, b): (c, d) for a, b, c, d in mine[[x.column, y.column, "ratio", "high"]].to_numpy().tolist()
        }
        for across in y.points:
            cells = [grid.get((float(point), float(across))) for point in x.points]
            told = [f"{factor(cell[0])} / {factor(cell[1])}" if cell else NOTHING for cell in cells]
            rows.append([f"`{name}`", plain(across), *told])
    headings = ["design", y.label, *(f"{x.label} {plain(point)}" for point in x.points)]
    caption = f"Median / worst ratio to {digest.baseline} by {x.label} and {y.label}{digest.at}."
    return Table(caption, headings, rows)


def _crossings(turned: pd.DataFrame, pair: tuple[Axis, Axis]) -> Table | None:
    """Return where the designs that are drawn change sides; None if none does."""
    if not len(turned):
        return None
    columns = [axis.column for axis in pair]
    rows = [
        [f"`{each['design']}`", each["along"].replace("_", " "), *(number(each[column]) for column in columns),
         f"{plain(each['after'])} to {plain(each['before'])}", each["wins"]]
        for each in turned.to_dict("records")
    ]  # fmt: skip
    headings = ["design", "along", *(axis.label for axis in pair), "between", "cheaper"]
    caption = (
        "Where the median ratio crosses 1, read off between two neighbours of which nothing between was simulated; "
        "cheaper: on which side of it."
    )
    return Table(caption, headings, rows, frozenset({1, 4, 5}))


def _cells(digest: Digest, pair: Sequence[Axis]) -> pd.DataFrame:
    """Return the cells that lie on both axes, few columns of them."""
    rows = digest.core
    for axis in pair:
        rows = rows.loc[rows.index.intersection(digest.along(axis.column).index)]
    return rows


def _told(turned: pd.DataFrame, pair: tuple[Axis, Axis], shown: Sequence[str]) -> str:
    """Say where the best design changes sides, or that it does not."""
    mine = turned[turned["design"] == shown[0]]
    for axis, other in (pair, pair[::-1]):
        along = mine[mine["along"] == axis.column].sort_values([other.column, axis.column])
        if 0 < len(along) <= _TOLD:
            said = [
                f"{number(place)} at {other.label} {plain(across)}"
                for place, across in zip(
                    along[axis.column].tolist(), along[other.column].tolist(), strict=True
                )
            ]
            return f"Along {axis.label}, {shown[0]} crosses 1 at about {listed(said)}."
    if len(mine):
        return f"Where {shown[0]} crosses 1 stands in the table."
    return f"The median of {shown[0]} is nowhere on the other side."


def _floor(digest: Digest, found: pd.DataFrame) -> str:
    """Say between what the medians of the floor lie, if there is one."""
    mine = found.loc[found["design"] == digest.floor, "ratio"]
    if not len(mine):
        return ""
    ends = dict.fromkeys(factor(float(end)) for end in (mine.min(), mine.max()))
    return f" {digest.floor}, the floor, has {' to '.join(ends)} there."


def _panel(digest: Digest, mine: pd.DataFrame, pair: tuple[Axis, Axis], which: str) -> Markup:
    """Draw one map: the column ``which`` of ``analysis.crossover``."""
    x, y = pair
    grid = mine.pivot_table(index=y.column, columns=x.column, values=which)
    heading = f"{mine['design'].iloc[0]}: {_HEADINGS[which]}"
    with panel(heading, 0.9 + 0.34 * len(grid)) as (figure, axes):
        _fields(axes, grid)
        _contour(axes, grid)
        axes.set(xlim=(-0.5, len(grid.columns) - 0.5), ylim=(-0.5, len(grid) - 0.5))
        axes.set_xticks(range(len(grid.columns)), [plain(value) for value in grid.columns])
        axes.set_yticks(range(len(grid)), [plain(value) for value in grid.index])
        axes.grid(visible=False)
        axes.set_xlabel(x.label)
        axes.set_ylabel(y.label)
        title = f"{heading}, ratio to {digest.baseline} by {x.label} and {y.label}{digest.at}"
        low, high = float(np.nanmin(grid.to_numpy())), float(np.nanmax(grid.to_numpy()))
        name = slug(f"map {x.column} {y.column} {heading}{digest.suffix}")
        return inline(figure, name, title, f"From {change(low)} to {change(high)}.")


def _fields(axes: Axes, grid: pd.DataFrame) -> None:
    """Fill each field by the logarithm of its ratio; write the ratio above its middle, where the line may pass."""
    ratios = grid.to_numpy(np.float64)
    with np.errstate(divide="ignore"):
        heights = np.abs(np.log(ratios))
    reach = max(float(np.nanmax(np.where(np.isfinite(heights), heights, np.nan))), 2 * NO_DIFFERENCE)
    for (row, column), ratio in np.ndenumerate(ratios):
        if np.isnan(ratio):
            continue
        if abs(ratio - 1) > NO_DIFFERENCE:
            part = min(1.0, heights[row, column] / reach)
            axes.bar(column, 1, 1, row - 0.5, color=_WIN if ratio < 1 else _LOSE, linewidth=0,
                     alpha=_PALEST + (_DEEPEST - _PALEST) * part)  # fmt: skip
        if ratios.shape[1] <= _NUMBERS_ACROSS:
            axes.text(column, row + 0.05, factor(float(ratio)), ha="center", va="bottom", fontsize=9)


def _contour(axes: Axes, grid: pd.DataFrame) -> None:
    """Draw the line on which the ratio is 1, straight between the logarithms of neighbours."""
    ratios = grid.to_numpy(np.float64)
    heights = np.log(np.where(ratios > 0, ratios, np.nan))
    if np.nanmin(heights) < 0 < np.nanmax(heights):
        axes.contour(heights, levels=[0.0], colors=[INK], linewidths=1.6, zorder=2.5)
