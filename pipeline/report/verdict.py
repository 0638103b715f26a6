"""The verdict in plain words; every sentence is chosen and filled from the data.

Names of designs and commands stand between backquotes: the page sets them as code, the terminal drops the quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.report.words import change, counted, difference, duration, listed, share
from simcore.designs import DESIGNS

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.report.digest import Digest


class Statement(NamedTuple):
    """One finding: a short heading and its sentences."""

    heading: str
    text: str


def verdict(digest: Digest) -> list[Statement]:
    """Return the findings in the order in which a reader wants them; at least the first is always there."""
    found = [Statement("Typical", typical_case(digest))]
    found += [Statement("Worst", worst_case(digest))] if digest.baseline else []
    for heading, sentence in (
        ("Best", best_case),
        ("Where it pays", where_it_pays),
        ("Where the time goes", time_moved),
        ("Against the floor", against_floor),
        ("With reverse mapping", with_rmap),
    ):
        text = sentence(digest)
        found += [Statement(heading, text)] if text else []
    return found


def terminal_lines(digest: Digest) -> list[str]:
    """Return the verdict in three lines without markup: typical, worst, and the floor or what else there is to say."""
    third = against_floor(digest) or time_moved(digest) or scope(digest)
    lines = [typical_case(digest), worst_case(digest), third]
    return [line.replace("`", "") for line in lines]


def typical_case(digest: Digest) -> str:
    """Say which designs win and lose on the typical cells."""
    chosen, phrase = digest.population
    where = f"{_capital(phrase)} ({counted(_cells_each(chosen), 'cell')} a design)"
    if not digest.baseline:
        return f"{where}: {_ranking(digest, chosen)}. The baseline did not run, so nothing is called better or worse."
    compared = candidates(digest)
    if not compared:
        return f"{where}: {_ranking(digest, chosen)}. Only one design ran; a comparison needs a second."
    table = digest.typical(digest.baseline)
    groups = [
        ("less kernel time", table[table["ratio"] < 1 - NO_DIFFERENCE]),
        ("more kernel time", table[table["ratio"] > 1 + NO_DIFFERENCE]),
        ("no difference", table[(table["ratio"] - 1).abs() <= NO_DIFFERENCE]),
    ]
    said = [_group(name, rows.loc[rows.index.intersection(compared)], digest) for name, rows in groups]
    subject = "page-table sharing" if set(compared) <= set(digest.sharing) else "the other designs"
    return f"{where}: {subject} against `{digest.baseline}`: {'; '.join(text for text in said if text)}."


def worst_case(digest: Digest) -> str:
    """Say what the worst cell of the sweep is, and how to replay it."""
    if not digest.baseline or not candidates(digest):
        return f"Worst: there is nothing to compare; {scope(digest)}"
    cell = _extreme_cell(digest, digest.worst(digest.baseline), highest=True)
    count = counted(_cells_each(digest.df), "cell")
    lost = cell["ratio"] > 1 + NO_DIFFERENCE
    opening = (
        f"Worst of {count} of this sweep"
        if lost
        else f"No loss in any of the {count} of this sweep; the worst"
    )
    return f"{opening}: {_cell(digest, cell)} (`forkbench show {cell['cell_id']}`)."


def best_case(digest: Digest) -> str:
    """Say where sharing gains most."""
    if not digest.baseline or not candidates(digest):
        return ""
    cell = _extreme_cell(digest, digest.best(digest.baseline), highest=False)
    won = cell["ratio"] < 1 - NO_DIFFERENCE
    opening = "The largest gain of the sweep" if won else "No gain anywhere in the sweep; the best"
    return f"{opening}: {_cell(digest, cell)} (`forkbench show {cell['cell_id']}`)."


def where_it_pays(digest: Digest) -> str:
    """Say how the best design's result moves along each axis of the study."""
    design = champion(digest)
    if not digest.baseline or design is None or not digest.axes:
        return ""
    parts = []
    for axis in digest.axes:
        medians = axis_medians(digest, axis.column, design)
        if len(medians) > 1:
            low, high = medians.idxmin(), medians.idxmax()
            parts.append(f"{axis.label}: {change(medians[low])} at {low}, {change(medians[high])} at {high}")
    if not parts:
        return ""
    losing = _losing_share(digest, design)
    return (
        f"`{design}`, the design that does best on the typical cells, loses to `{digest.baseline}` in "
        f"{share(losing)} of all cells. Lowest and highest median along each axis: {'; '.join(parts)}."
    )


def time_moved(digest: Digest) -> str:
    """Say what fork itself gains, and what faults, exec and exit give back."""
    design = champion(digest)
    if not digest.baseline or design is None or digest.per != "fork":
        return ""
    chosen, _ = digest.population
    means = chosen.groupby("design")[["creation_ns_mean", "rest_ns_per_fork", "total_ns_per_fork"]].mean()
    fork, rest, total = (means.loc[design] - means.loc[digest.baseline]).tolist()
    return (
        f"Sharing moves work out of fork into what follows. Under `{design}` a fork itself takes "
        f"{duration(means['creation_ns_mean'][design])}, under `{digest.baseline}` "
        f"{duration(means['creation_ns_mean'][digest.baseline])} ({difference(fork)}); the faults, execs and exits "
        f"around it change by {difference(rest)} a fork; all together {difference(total)} a fork "
        "(means over the typical cells)."
    )


def against_floor(digest: Digest) -> str:
    """Say how much of the way from baseline to floor the best design goes."""
    design = champion(digest)
    if not (digest.baseline and digest.floor and design) or digest.floor == digest.baseline:
        return ""
    table = digest.typical(digest.baseline)
    floor, reached = table["ratio"][digest.floor], table["ratio"][design]
    gap = f"`{digest.floor}`, the floor, needs {_kernel_time(floor, digest.baseline)} on the typical cells"
    if floor >= 1 - NO_DIFFERENCE:
        return f"{gap}, so it is no floor there."
    if reached >= 1 - NO_DIFFERENCE:
        return f"{gap}; no sharing design comes nearer to it than the baseline does."
    return f"{gap}; `{design}` goes {share((1 - reached) / (1 - floor))} of that way."


def with_rmap(digest: Digest) -> str:
    """Say what sharing does for designs that keep reverse mappings, against the eager copy that keeps them too."""
    parts = []
    for design in digest.sharing:
        other = digest.counterpart(design)
        if DESIGNS[design].rmap != "none" and other:
            ratio = digest.typical(other)["ratio"][design]
            parts.append(f"`{design}` needs {_kernel_time(ratio, other)}")
    return (
        f"On the typical cells {listed(parts)}, the eager copy with the same reverse mappings."
        if parts
        else ""
    )


def scope(digest: Digest) -> str:
    """Say what the study covers."""
    designs = counted(len(digest.designs), "design")
    axes = listed([axis.label for axis in digest.axes]) or "nothing"
    return f"{designs} and {counted(len(digest.df), 'cell')} ran; swept: {axes}."


def candidates(digest: Digest) -> list[str]:
    """Return the designs a verdict against the baseline is about.

    These are the sharing designs with the baseline's reverse mappings (others answer another question); without any,
    every design but baseline and floor; without any, the floor.
    """
    rmap = DESIGNS[digest.baseline].rmap if digest.baseline in DESIGNS else None
    alike = [name for name in digest.sharing if name != digest.baseline and DESIGNS[name].rmap == rmap]
    others = [name for name in digest.designs if name not in (digest.baseline, digest.floor)]
    return alike or others or [name for name in digest.designs if name != digest.baseline]


def champion(digest: Digest) -> str | None:
    """Return the sharing design with the lowest typical ratio among the candidates, if there is one."""
    sharing = [name for name in candidates(digest) if name in digest.sharing]
    if not digest.baseline or not sharing:
        return None
    ratios = digest.typical(digest.baseline)["ratio"].reindex(sharing).dropna()
    return None if ratios.empty else str(ratios.idxmin())


def _ranking(digest: Digest, chosen: pd.DataFrame) -> str:
    """Return the median of each design, lowest first."""
    medians = chosen.groupby("design", sort=False)[digest.metric].median().sort_values(kind="stable")
    said = [f"`{name}` {duration(value)}" for name, value in medians.items()]
    return f"kernel time a {digest.per} (median): {', '.join(said)}"


def _group(name: str, rows: pd.DataFrame, digest: Digest) -> str:
    """Return one outcome and the designs that have it, the furthest from the baseline first."""
    if rows.empty:
        return ""
    ordered = rows.reindex((rows["ratio"] - 1).abs().sort_values(ascending=False, kind="stable").index)
    said = [
        f"`{design}` ({change(row['ratio'])}, {difference(row['difference'])} a {digest.per})"
        for design, row in ordered.iterrows()
    ]
    return f"{name} with {listed(said)}"


def _extreme_cell(digest: Digest, extremes: pd.DataFrame, *, highest: bool) -> pd.Series[Any]:
    """Return the row of the candidates' extremes that lies furthest out."""
    rows = extremes.loc[extremes.index.intersection(candidates(digest))]
    found = rows["ratio"].idxmax() if highest else rows["ratio"].idxmin()
    return rows.loc[found]


def _cell(digest: Digest, cell: pd.Series[Any]) -> str:
    """Return a cell's result and place in words."""
    extra = cell[digest.metric] - cell[digest.metric] / cell["ratio"]
    return (
        f"`{cell.name}` needs {_kernel_time(cell['ratio'], str(digest.baseline))}, "
        f"{difference(extra)} a {digest.per}, at {digest.point(cell)}"
    )


def _kernel_time(ratio: float, other: str) -> str:
    """Return ``13 % more kernel time than `other` `` for a ratio."""
    said = change(ratio)
    if said == "the same":
        return f"the same kernel time as `{other}`"
    if said.endswith("as much"):
        return f"{said.removesuffix(' as much')} the kernel time of `{other}`"
    return f"{said} kernel time than `{other}`"


def _losing_share(digest: Digest, design: str) -> float:
    """Return the share of all cells in which a design loses to the baseline."""
    ratio = analysis.paired(digest.df, digest.metric, str(digest.baseline))
    return float((ratio[digest.df["design"] == design].dropna() > 1 + NO_DIFFERENCE).mean())


def _cells_each(df: pd.DataFrame) -> int:
    """Return the largest number of cells that one design has."""
    return int(df["design"].value_counts().max())


def _capital(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def axis_medians(digest: Digest, column: str, design: str) -> pd.Series[float]:
    """Return the median ratio of a design to the baseline at each value of an axis."""
    df = digest.along(column)
    ratio = analysis.paired(df, digest.metric, str(digest.baseline))
    mine = df["design"] == design
    return ratio[mine].groupby(df.loc[mine, column]).median().dropna()
