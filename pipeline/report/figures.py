"""The figures of the report: small seaborn panels, each with its words for people who do not see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.compare import NO_DIFFERENCE
from pipeline.report.canvas import Group, decades, legend_below, lines, marker_handle, panel, stacked
from pipeline.report.digest import FEW_POINTS, WORKLOAD, plain
from pipeline.report.families import OWN_COPY, Family, axis_table, families
from pipeline.report.style import COPYING, INK, PAPER
from pipeline.report.svg import inline
from pipeline.report.words import duration, factor, listed, slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pipeline.report.digest import Axis, Digest
    from pipeline.report.standings import Standing
    from pipeline.report.style import Look

# Parts of the time of a trace, and their fills: pale, so that they cannot be taken for the hues of designs.
PARTS: dict[str, tuple[tuple[str, ...], str]] = {
    "fork": (("fork", "vfork"), "#77aadd"),
    "write faults": (("write_fault",), "#ee8866"),
    "read faults": (("read_fault",), "#eedd88"),
    "exec": (("exec",), "#44bb99"),
    "exit": (("exit",), "#bbcc33"),
    "mappings": (("mmap", "munmap", "mprotect", "madvise", "stack_grow"), "#dddddd"),
    "deferred copying": (("deferred_copy",), "#99ddff"),
    "reclaim": (("reclaim",), "#ffaabb"),
}
ROW_INCHES = 0.27  # of a panel with one row per design
TICKS = 5  # below a panel whose scale may need five digits
_LETTERS_ABREAST = 40  # below a panel
MARKS = (
    "The marker is the median over the typical cells, the thick bar holds their middle 80 %, the cross is the worst cell "
    "of the sweep, and the thin line ends at the best one."
)
_FAR = 20  # times the least memory: beyond, what is little could not be told apart on a plain scale


def key(digest: Digest) -> Group:
    """Return a legend of all designs of the study, family by family."""
    panels = []
    for heading, names in digest.families.items():
        with panel(heading, 0.19 * ((len(names) + 1) // 2) + 0.42) as (figure, axes):
            axes.set_axis_off()
            axes.legend(
                handles=[marker_handle(name, digest.looks[name]) for name in names], ncols=2, loc="upper left",
                borderaxespad=0, handlelength=3.2, bbox_to_anchor=(0, 1),
            )  # fmt: skip
            described = f"Line and marker of each design: {listed(names)}."
            panels.append(inline(figure, slug(f"key {heading}"), f"Key: {heading}", described))
    reading = "Families follow what fork does, and in a family an equal hue stands for an equal mechanism."
    details = "A dashed line with hollow markers keeps a pte_chain element for each pte."
    return Group("key", "Key", reading, panels, details=details)


def standing(digest: Digest) -> Group | None:
    """Worst beside typical per design, against baseline and floor."""
    reading = "Each row is a design; further left is cheaper, and the upright line is the design it is compared with."
    details = (
        f"{MARKS} Designs whose eager copy is not the baseline, because they keep reverse mappings or fault otherwise, "
        "have a panel against that copy, if it ran."
    )
    panels = [_standing(digest, *compared) for compared in _comparisons(digest)]
    if not panels:
        return None
    numbers = _standing_numbers(digest)
    heading = f"Worst beside typical{digest.at}"
    return Group(f"standing{digest.suffix}", heading, reading, panels, numbers, details)


def _standing_numbers(digest: Digest) -> pd.DataFrame:
    """Return what the panels of ``standing`` show, a row for each design and what it is compared with."""
    rows = [
        {
            "design": name,
            "against": against,
            "typical": found.ratio,
            "p10": found.low,
            "p90": found.high,
            "worst": found.worst.ratio,
            "worst_cell": found.worst.cell_id,
            "best": found.best.ratio,
            "best_cell": found.best.cell_id,
        }
        for _, against, shown in _comparisons(digest)
        for name, found in digest.standings(against).items()
        if name in shown
    ]
    return pd.DataFrame(rows).drop_duplicates(["design", "against"])


def _comparisons(digest: Digest) -> list[tuple[str, str, list[str]]]:
    """Return the panels of ``standing``: what is special about each, what it compares with, and its designs.

    The cost of reverse mappings is several times the effect of sharing: on one axis with it, that could not be seen.
    """
    roles = [name for name in dict.fromkeys([digest.baseline, digest.floor]) if name]
    apart: dict[str, list[str]] = {}
    for name in digest.designs:
        other = digest.counterpart(name)
        if digest.baseline and other and other != digest.baseline and name not in roles:
            apart.setdefault(other, []).append(name)
    moved = {name for names in apart.values() for name in names}
    near = [name for name in digest.designs if name not in moved]
    found = [("Kernel time", role, near) for role in roles]
    # An eager copy alone beside itself would say nothing: it stands with all the others that copy.
    if digest.baseline and any(set(names) == {other} for other, names in apart.items()):
        copying = digest.families[COPYING]
        found = found[1:] if set(near) <= set(copying) else found
        found.append((COPYING, digest.baseline, copying))
    return found + [
        ("Kernel time", other, list(dict.fromkeys([other, *names])))
        for other, names in apart.items()
        if set(names) != {other}
    ]


def _standing(digest: Digest, special: str, against: str, shown: Sequence[str]) -> Markup:
    """Draw one panel of ``standing``."""
    standings = [found for name, found in digest.standings(against).items() if name in shown]
    with panel(f"{special}, {against} = 1", ROW_INCHES * len(standings) + 0.95) as (figure, axes):
        axes.axvline(1, color=INK, linewidth=0.9)
        for row, found in enumerate(standings):
            standing_marks(axes, found, digest.looks[found.design], row)
        scale_ratios(axes)
        name_rows(axes, [found.design for found in standings])
        axes.set_xlabel(f"times {against}, on the same trace")
        described = [
            f"{found.design}: typical {factor(found.ratio)}, worst {factor(found.worst.ratio)}"
            for found in standings
        ]
        title = f"{special} against {against}, typical and worst{digest.at}"
        name = slug(f"standing {special} {against}{digest.suffix}")
        return inline(figure, name, title, f"{'; '.join(described)}.")


def standing_marks(axes: Axes, found: Standing, chosen: Look, row: float) -> None:
    """Draw the range, the worst cell, the middle 80 % and the median of one design."""
    ends = [found.best.ratio, found.worst.ratio]
    axes.plot(ends, [row, row], color=chosen.colour, linewidth=0.8)
    axes.plot(found.worst.ratio, row, "x", color=chosen.colour, markersize=6, markeredgewidth=1.6)
    middle = [found.low, found.high]
    axes.plot(middle, [row, row], color=chosen.colour, linewidth=4, alpha=0.45, solid_capstyle="butt")
    [mark] = axes.plot(found.ratio, row, chosen.marker, color=chosen.colour, markersize=6.5)
    mark.set(markerfacecolor=chosen.face, markeredgewidth=1.3)


def scale_ratios(axes: Axes) -> None:
    """Widen a scale of ratios so that differences that are called none look like none."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 1 - 2 * NO_DIFFERENCE), max(high, 1 + 2 * NO_DIFFERENCE))
    axes.locator_params(axis="x", nbins=TICKS)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Put names at the rows of a panel that has one row per design, first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def moves_with(digest: Digest, axis: Axis) -> Group:
    """How the cost moves along one axis of the study: the typical case and the worst, family by family."""
    table = axis_table(digest, axis)
    panels = []
    for fam in families(digest):
        shown = table[table["design"].isin(fam.designs)]
        if len(shown):
            panels += [_moving((digest, axis), shown, fam, which) for which in ("typical", "worst")]
    unit = (
        "as a multiple of the design named at the side, on the same trace"
        if digest.baseline
        else "in microseconds"
    )
    numbers = table.assign(against=table["design"].map(digest.reference)).rename(columns={"x": axis.column})
    mixed = any(fam.against == OWN_COPY for fam in families(digest))
    copies = f"; “{OWN_COPY}” is, of the copying designs that ran, the one most like it" if mixed else ""
    along = f"{axis.meaning or axis.label}{', evenly spaced' if axis.crowded else ''}"
    reading = f"Left to right is {along}, and up is dearer."
    details = (
        f"Kernel time a {digest.per} is {unit}{copies}. "
        f"“Typical” is the median over the typical cells at each value{_instead(digest, axis)}, “worst” the highest of "
        "all cells at it; a family's two panels share their scale. Where lines coincide, the widest lies at the bottom."
    )
    name = f"axis-{slug(axis.column)}{digest.suffix}"
    return Group(name, f"With {axis.label}{digest.at}", reading, panels, numbers, details)


def _instead(digest: Digest, axis: Axis) -> str:
    """Say what stands for typical cells along an axis that no measured tree lies on."""
    if axis.of_trees:
        return " (of the generated trees, all of them: the measured tree has one shape)"
    return (
        " (of the generated trees, which alone are swept along it)"
        if digest.generated_alone(axis.column)
        else ""
    )


def _moving(along: tuple[Digest, Axis], shown: pd.DataFrame, fam: Family, which: str) -> Markup:
    """Draw one panel of ``moves_with``: the column ``which`` of ``axis_table``."""
    digest, axis = along
    data = shown.assign(rank=shown["design"].map(fam.designs.index)).sort_values(["rank", "x"])
    heading = f"{fam.heading}: {which}"
    with panel(heading) as (figure, axes):
        if not axis.numeric or axis.crowded:
            data = data.assign(x=data["x"].map(axis.points.index))
            _name_points(axes, [plain(value) for value in axis.points])
        elif axis.logarithmic:
            axes.set_xscale("log")
            axes.minorticks_off()
        if axis.numeric and not axis.crowded and len(axis.points) <= FEW_POINTS:
            axes.set_xticks(list(axis.points), [plain(value) for value in axis.points])
        # As along an axis of ratios, differences that are called none look like none.
        least = 4 * NO_DIFFERENCE if fam.against else 0.0
        axes.set_ylim(*_limits(pd.concat([shown["typical"], shown["worst"]]), least))
        if fam.against:
            axes.axhline(1, color=INK, linewidth=0.9)
        axes.set(xlabel=axis.label, ylabel=f"times {fam.against}" if fam.against else "µs")
        before = len(axes.lines)
        lines(axes, data, "x", which, digest.looks)
        if axis.column == WORKLOAD:  # there is nothing between one workload and the next
            for line in axes.lines[before:]:
                line.set_linestyle("none")
        title = f"Kernel time with {axis.label}{digest.at}. {heading}"
        return inline(figure, slug(f"axis {axis.column} {heading}{digest.suffix}"), title, _ends(data, which))


def _name_points(axes: Axes, names: Sequence[str]) -> None:
    """Put names at the points of an axis without numbers, upright if side by side they would run into each other."""
    upright = sum(map(len, names)) > _LETTERS_ABREAST
    axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)


def _ends(data: pd.DataFrame, which: str) -> str:
    """Say where each line starts and ends."""
    parts = []
    for name, rows in data.groupby("design", sort=False):
        parts.append(f"{name} from {factor(rows[which].iloc[0])} to {factor(rows[which].iloc[-1])}")
    return f"From the first to the last value: {'; '.join(parts)}."


def _limits(values: pd.Series[float], least: float = 0.0) -> tuple[float, float]:
    """Return axis limits with a little air, ``least`` apart at least."""
    low, high = float(values.min()), float(values.max())
    air = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    air = max(air, (least - (high - low)) / 2)
    return low - air, high + air


def memory(digest: Digest) -> Group:
    """Page-table memory: as allocated against as charged."""
    chosen, _ = digest.population
    medians = chosen.groupby("design")[["pgtable_bytes_max", "pgtable_charged_bytes_max"]].median() / 1024
    most = digest.df.groupby("design")["pgtable_bytes_max"].max() / 1024
    medians = medians.assign(worst=most.loc[medians.index])
    reading = "Each row is a design, and further left its page tables take less memory at their peak."
    details = (
        "Filled: memory really allocated, median over the typical cells. Hollow: what the mms are charged (VmPTE summed; "
        "the design says in whose a shared table counts, pgds count in none); where the two lie apart, accounting and "
        "memory disagree. Cross: the most that is allocated in any cell."
    )
    values = medians.to_dict("index")
    names = [name for name in digest.designs if name in values]
    with panel("Peak page-table memory", ROW_INCHES * len(names) + 0.95) as (figure, axes):
        for row, name in enumerate(names):
            allocated, charged, worst = values[name].values()
            colour = digest.looks[name].colour
            axes.plot([allocated, charged], [row, row], color=colour, linewidth=1)
            axes.plot(worst, row, "x", color=colour, markersize=6, markeredgewidth=1.6, clip_on=False)
            axes.plot(
                charged, row, "o", color=colour, markersize=6, markerfacecolor=PAPER, markeredgewidth=1.3,
                clip_on=False,
            )  # fmt: skip
            axes.plot(allocated, row, "o", color=colour, markersize=6, clip_on=False)
        name_rows(axes, names)
        _scale_memory(axes, [each for found in values.values() for each in found.values()])
        said = [
            f"{name}: {found['pgtable_bytes_max']:,.0f} KiB allocated, "
            f"{found['pgtable_charged_bytes_max']:,.0f} charged, at worst {found['worst']:,.0f}"
            for name, found in values.items()
        ]
        drawn = inline(
            figure,
            f"memory-typical{digest.suffix}",
            f"Peak page-table memory{digest.at}",
            f"{'; '.join(said)}.",
        )
    numbers = medians.loc[names].add_suffix("_kib").rename_axis("design").reset_index()
    heading = f"Page-table memory{digest.at}"
    return Group(f"memory{digest.suffix}", heading, reading, [drawn], numbers, details)


def _scale_memory(axes: Axes, values: list[float]) -> None:
    """Scale the axis of memory from nothing on, or by its logarithm where little and much lie far apart."""
    low, high = min(values), max(values)
    if low > 0 and high > _FAR * low:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.3, high * 1.3)
        decades(axes.xaxis)
        axes.minorticks_off()
        axes.set_xlabel("KiB, logarithmic")
    else:
        axes.set_xlim(0, 1.04 * high or 1)
        axes.set_xlabel("KiB")


def where_time_goes(slices: Sequence[Digest], whole: Digest, trace_id: str | None) -> Group:
    """Where the kernel time goes: on the typical cells of each slice and, if named, on the trace of the worst cell."""
    panels = []
    for digest in slices:
        title = f"Typical cells, mean{digest.at}"
        panels.append(parts(digest, digest.population[0], title, f"parts-typical{digest.suffix}"))
    if trace_id is not None:
        there = whole.df[whole.df["trace_id"] == trace_id]
        panels.append(parts(whole, there, "The worst cell's trace", "parts-worst"))
    reading = "Each bar is the kernel time of a design, split by the kind of event that spends it."
    details = "Sharing shortens the part called fork; look for what it adds to the others."
    if trace_id is not None:
        details += " The last panel shows all designs on the trace of the cell that the verdict calls worst."
    numbers = pd.concat(
        [part_table(each, each.population[0]).assign(cells=f"typical{each.at}") for each in slices]
        + ([part_table(whole, there).assign(cells="the worst cell's trace")] if trace_id is not None else [])
    )
    numbers = numbers.rename_axis("design").reset_index().fillna(0.0)
    return Group("parts", "Where the time goes", reading, panels, numbers, details)


def parts(digest: Digest, cells: pd.DataFrame, title: str, name: str) -> Markup:
    """Stack where the kernel time of some cells goes, per design: fork, faults, exec, exit, mmap."""
    table = part_table(digest, cells)
    with panel(title, ROW_INCHES * len(table) + 1.35) as (figure, axes):
        handles = stacked(axes, table, {part: PARTS[part][1] for part in table.columns})
        legend_below(figure, handles, list(table.columns), ncols=3, handlelength=1.2)
        axes.set_xlabel(f"µs of kernel time a {digest.per}")
        axes.set_ylabel("")
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        described = "; ".join(f"{design}: {', '.join(_part_words(row))}" for design, row in table.iterrows())
        return inline(figure, name, title, f"{described}.")


def part_table(digest: Digest, cells: pd.DataFrame) -> pd.DataFrame:
    """Return mean microseconds a fork (or trace) of each part, index design, columns those of PARTS that take any."""
    count = cells["creations"] if digest.per == "fork" else 1
    columns = {
        part: sum((cells[f"{kind}_ns_total"] for kind in kinds), start=pd.Series(0.0, cells.index))
        / count
        / 1000
        for part, (kinds, _) in PARTS.items()
    }
    means = pd.DataFrame(columns).groupby(cells["design"]).mean()
    means = means[[part for part in PARTS if means[part].any()]]
    return means.loc[[name for name in digest.designs if name in means.index]]


def _part_words(row: pd.Series[float]) -> list[str]:
    """Return the parts of a row in words."""
    return [f"{part} {duration(value * 1000)}" for part, value in row.items()]
