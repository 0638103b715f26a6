"""Redo the figures of a report from the Parquet alone: python docs/redo_figures.py results/typical --out figures.

Of each figure two files are written: NAME.svg, and NAME.csv with every number that it shows. Each function here makes one
figure: the first lines are the analysis, the others draw. docs/analysis.md tells what the columns are.

A report draws some figures for several selections of cells, along each axis, or against another eager copy than the
baseline. Those come from --where, --along, --map and --baseline:

python docs/redo_figures.py results/flagship --where 'workload == "snapshot" and anon_pages == 4000' --along exec_ratio
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from pipeline import analysis, store
from pipeline.errors import DatasetError, RefusedError
from pipeline.report.questions import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

METRIC = "total_ns_per_fork"
MAPS = (("anon_pages", "exec_ratio"), ("tree_depth", "library_sharing"))  # the axes of the report's maps
ACTS_OF = {
    "fork": ["fork", "vfork", "deferred_copy"],
    "read faults": ["read_fault"],
    "write faults": ["write_fault"],
    "exec": ["exec"],
    "exit": ["exit"],
    "mappings": ["mmap", "munmap", "mprotect", "madvise", "stack_grow"],
    "reclaim": ["reclaim"],
}


def worst_beside_typical(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Kernel time of each design as a multiple of the baseline's: median (dot), middle 80 % (bar), worst cell (cross)."""
    typical = analysis.typical(df, METRIC, df.attrs["baseline"])
    worst = analysis.worst(df, METRIC, df.attrs["baseline"])
    shown = typical[["ratio", "ratio_p10", "ratio_p90"]].join(
        worst[["ratio", "cell_id", "said", "replay"]].add_prefix("worst_")
    )
    rows = np.arange(len(shown))
    axes.hlines(rows, shown["ratio_p10"], shown["ratio_p90"], linewidth=5, alpha=0.4)
    axes.plot(shown["ratio"], rows, "o", shown["worst_ratio"], rows, "x")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(rows, shown.index)
    axes.set_xlabel(f"kernel time per fork, times {df.attrs['baseline']}")
    return shown.reset_index()


def users(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """ECDF over users (listings): right of 1 + margin they lose; the share of them is in the legend with its interval."""
    shown = analysis.users(df, METRIC, df.attrs["baseline"])
    losers = analysis.losers(df, METRIC, df.attrs["baseline"])
    for design, lost in losers.iterrows():
        ratios = np.sort(shown.loc[shown["design"] == design, "ratio"])
        label = f"{design}: {lost['share']:.1%} lose ({lost['low']:.1%} to {lost['high']:.1%})"
        axes.step(ratios, np.arange(1, len(ratios) + 1) / len(ratios), where="post", label=label)
    axes.axvspan(1 + losers.attrs["margin"], max(axes.get_xlim()[1], 1.01), color="black", alpha=0.08)
    axes.set(xlabel=f"kernel time per fork, times {df.attrs['baseline']}", ylabel="share of users")
    return shown.merge(losers[["share", "low", "high"]].reset_index(), on="design", how="left")


def tails_of_forks(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Share of forks that take longer; each curve ends where the next quantile is more than the events support."""
    return _tail(df, axes, "fork")


def tails_of_faults(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Share of minor faults that take longer; each curve ends where the events support no further quantile."""
    return _tail(df, axes, "fault")


def _tail(df: pd.DataFrame, axes: Axes, event: str) -> pd.DataFrame:
    """Draw a tail as far as it is supported."""
    table = store.read(df.attrs["dataset"])
    mine = pc.is_in(table["cell_id"], value_set=pa.array(df["cell_id"], pa.string()))
    found = analysis.tail(table.filter(mine), df.attrs["costs"], event)
    highest = found["design"].map(found.attrs["highest"])
    shown = found[found["ccdf"] >= 1 - highest - 1e-12]
    for design, mine in shown.groupby("design", sort=False):
        axes.step(mine["ns"] / 1000, mine["ccdf"], where="post", label=str(design))
    axes.set(xscale="log", yscale="log", xlabel=f"latency of a {event}, µs", ylabel="share that takes longer")
    return shown


def crossover(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Median ratio of the cheapest design over two axes; blue: it wins, red: it loses. CSV: all, crossings."""
    asked = df.attrs["map"]
    found = [
        (workload, *pair)
        for workload, names in _swept(df).items()
        for pair in ((asked,) if asked else (*MAPS, tuple(names[-2:])))
        if len(pair) == 2 and set(pair) <= set(names)
    ]
    if not found:
        names = sorted({name for mine in _swept(df).values() for name in mine})
        raise RefusedError(
            f"crossover: no workload sweeps {' and '.join(asked or ['two numbers'])}, only {', '.join(names) or 'none'}; "
            "a map needs two; name two with --map"
        )
    workload, x, y = found[0]
    df = df[df["workload"] == workload]
    shown = analysis.crossover(df, METRIC, df.attrs["baseline"], x, y)
    floor = df.attrs["floor"]
    best = shown[shown["design"] != floor].groupby("design")["ratio"].median().idxmin()
    grid = shown[shown["design"] == best].pivot_table(index=y, columns=x, values="ratio")
    heights = np.log(grid.to_numpy())
    reach = max(float(np.nanmax(np.abs(heights))), 1e-6)
    mesh = axes.pcolormesh(
        np.arange(len(grid.columns) + 1),
        np.arange(len(grid) + 1),
        heights,
        cmap="RdBu_r",
        vmin=-reach,
        vmax=reach,
    )
    mesh.set_edgecolor("white")
    for (row, column), ratio in np.ndenumerate(grid.to_numpy()):
        axes.text(column + 0.5, row + 0.5, f"{ratio:.3f}", ha="center", va="center", backgroundcolor="white")
    axes.set_xticks(np.arange(len(grid.columns)) + 0.5, [f"{value:g}" for value in grid.columns])
    axes.set_yticks(np.arange(len(grid)) + 0.5, [f"{value:g}" for value in grid.index])
    axes.set(xlabel=x, ylabel=y, title=f"{best} against {df.attrs['baseline']}")
    return shown.merge(analysis.crossings(shown)[["design", "along", x, y]], how="outer")


def _swept(df: pd.DataFrame) -> dict[str, list[str]]:
    """Return the numbers that each workload sweeps, in the order of the parameters."""
    numbers = [
        name
        for name in df.attrs["parameters"]
        if pd.api.types.is_numeric_dtype(df[name]) and not pd.api.types.is_bool_dtype(df[name])
    ]
    return {
        str(workload): [name for name in numbers if len(mine[name].dropna().unique()) > 1]
        for workload, mine in df.groupby("workload", sort=False)
    }


def along(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Median ratio (line) along the number that moves it most, or along --along. CSV: along all of them, and the worst.

    A report draws the shape of trees of generated ones alone: --where '~tree_measured'.
    """
    df = df.assign(ratio=analysis.paired(df, METRIC, df.attrs["baseline"]))
    parts = []
    for workload, names in _swept(df).items():
        mine = df[df["workload"] == workload]
        for name in names:
            usual = analysis.population(mine)[0].groupby(["design", name])["ratio"].median()
            worst = mine.groupby(["design", name])["ratio"].max()
            found = pd.DataFrame({"typical": usual, "worst": worst}).dropna().reset_index()
            parts.append(found.rename(columns={name: "value"}).assign(workload=workload, axis=name))
    asked = df.attrs["along"]
    parts = [part for part in parts if asked in (None, part["axis"].iloc[0])]
    if not parts:
        raise RefusedError(f"along: no workload sweeps {asked or 'a number'}; a line needs two of its values")
    shown = pd.concat(parts)[["workload", "axis", "value", "design", "typical", "worst"]]
    reach = shown.groupby(["workload", "axis", "design"])["typical"].agg(lambda of: of.max() - of.min())
    distances: dict[Any, float] = reach.groupby(["workload", "axis"]).mean().to_dict()
    most, axis = max(distances, key=lambda place: distances[place])
    for design, mine in shown[(shown["workload"] == most) & (shown["axis"] == axis)].groupby("design"):
        axes.plot(mine["value"].astype(float), mine["typical"], "o-", label=str(design))
    axes.set(xlabel=axis, ylabel=f"kernel time per fork, times {df.attrs['baseline']}", title=most)
    return shown


def questions(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Pairs of designs that the questions of 2002 set beside each other: median (dot) and worst cell (cross)."""
    ran = set(df["design"])
    parts = []
    for design, other in dict.fromkeys(pair for question in QUESTIONS for pair in question.pairs):
        if {design, other} <= ran:
            cells = df.assign(ratio=analysis.paired(df, METRIC, other))
            usual, _ = analysis.population(cells)
            mine = usual[usual["design"] == design].groupby("workload", sort=False)["ratio"]
            found = mine.agg(typical="median").join(
                cells[cells["design"] == design].groupby("workload")["ratio"].max().rename("worst")
            )
            parts.append(found.reset_index().assign(design=design, against=other))
    if not parts:
        raise RefusedError("questions: no two designs ran that a question sets beside each other")
    shown: pd.DataFrame = pd.concat(parts)[["design", "against", "workload", "typical", "worst"]]
    names = shown["design"] + " to " + shown["against"] + ", " + shown["workload"]
    axes.plot(shown["typical"], names, "o", shown["worst"], names, "x")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("kernel time per fork, times the second design's")
    return shown


def where_time_goes(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Mean kernel time per fork on the typical cells, by the event in which it is spent."""
    cells, _ = analysis.population(df)
    parts = {
        name: sum(cells[f"{kind}_ns_total"] for kind in kinds)
        / cells["creations"].where(cells["creations"] > 0)
        for name, kinds in ACTS_OF.items()
    }
    shown = pd.DataFrame(parts).groupby(cells["design"], sort=False).mean()
    left = np.zeros(len(shown))
    for name in shown.columns:
        axes.barh(shown.index, shown[name] / 1000, left=left, label=name)
        left += shown[name].to_numpy() / 1000
    axes.set_xlabel("kernel time per fork, µs")
    return shown.add_suffix("_ns_per_fork").reset_index()


def memory(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Page tables at their peak as a multiple of the baseline's: typical cells (dot) and worst (cross)."""
    typical = analysis.typical(df, "pgtable_bytes_max", df.attrs["baseline"])
    worst = analysis.worst(df, "pgtable_bytes_max", df.attrs["baseline"])
    shown = typical[["value", "ratio", "user_ratio", "user_low", "user_high"]].join(
        worst[["ratio", "cell_id", "replay"]].add_prefix("worst_")
    )
    rows = np.arange(len(shown))
    axes.plot(shown["ratio"], rows, "o", shown["worst_ratio"], rows, "x")
    axes.set_yticks(rows, shown.index)
    axes.set_xlabel(f"page-table bytes, times {df.attrs['baseline']}")
    return shown.reset_index()


def choice(df: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """Fork against faults; hollow designs are beaten in every metric by another one."""
    shown = analysis.pareto(df, baseline=df.attrs["baseline"])
    for name, row in shown.iterrows():
        fork, fault = row["creation_ns_mean"], row["fault_ns_per_fork"]
        axes.plot(fork, fault, "o", color="C0", fillstyle="full" if row["efficient"] else "none")
        axes.annotate(str(name), (fork, fault), fontsize=7)
    axes.set(xlabel="time of a fork", ylabel="faults per fork", title=f"times {df.attrs['baseline']}")
    return shown.reset_index()


FIGURES: dict[str, Callable[[pd.DataFrame, Axes], pd.DataFrame]] = {
    each.__name__: each
    for each in (
        worst_beside_typical, users, tails_of_forks, tails_of_faults, crossover, along, questions,
        where_time_goes, memory, choice,
    )
}  # fmt: skip


def opened(
    dataset: Path | str, costs: str | None = None, where: str | None = None, baseline: str | None = None
) -> pd.DataFrame:
    """Return a dataset, or the cells for which an expression of pandas holds, as a frame that knows where it lies."""
    df = analysis.load(dataset)
    df = df if costs is None else analysis.recost(df, costs)
    df.attrs |= {"dataset": str(dataset), "costs": costs or df.attrs["costs"], "along": None, "map": None}
    df.attrs["baseline"] = baseline or df.attrs["baseline"]
    try:
        chosen = df if where is None else df.query(where)
    except Exception as why:  # whatever pandas raises of an expression
        raise RefusedError(
            f"--where: {where}: {why}; write it as for DataFrame.query, as in workload == 'tree'"
        ) from why
    if not len(chosen):
        raise RefusedError(
            f"--where: no cell has {where}; df.columns lists what can be asked for; ask for less"
        )
    return chosen


def redo(df: pd.DataFrame, name: str) -> tuple[Figure, pd.DataFrame]:
    """Return a figure and the numbers that it shows."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    numbers = FIGURES[name](df, axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)
    return figure, numbers


def main() -> None:
    """Write all figures of a dataset; those that it does not support are named with the reason."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--costs", help="cost model: a name or a file; default: the study's")
    parser.add_argument("--where", help="only cells for which this expression of pandas holds")
    parser.add_argument("--baseline", help="design to compare with; default: the study's baseline")
    parser.add_argument(
        "--along", metavar="AXIS", help="the line's axis; default: the number that moves most"
    )
    parser.add_argument(
        "--map", metavar=("X", "Y"), nargs=2, help="the map's axes; default: those of a report"
    )
    asked = parser.parse_args()
    # matplotlib misses mathematical fonts, which nothing here needs.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    mpl.rcParams["svg.hashsalt"] = "forkbench"  # the same file each time
    asked.out.mkdir(parents=True, exist_ok=True)
    try:
        df = opened(asked.dataset, asked.costs, asked.where, asked.baseline)
    except (DatasetError, RefusedError) as why:
        parser.error(str(why))
    df.attrs |= {"along": asked.along, "map": asked.map}
    for name in FIGURES:
        try:
            figure, numbers = redo(df, name)
        except RefusedError as why:
            print(f"{name}: left out: {why}")
            continue
        figure.savefig(asked.out / f"{name}.svg", metadata={"Date": None})
        numbers.to_csv(asked.out / f"{name}.csv", index=False)
        print(f"{name}: {asked.out / name}.svg, .csv ({len(numbers):,} rows)")


if __name__ == "__main__":
    main()
