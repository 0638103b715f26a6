"""The tables of the report, as text ready to be shown; names between backquotes are set as code."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline.compare import NO_DIFFERENCE
from pipeline.prices import spent
from pipeline.report.assumptions import SENSITIVITY, rescaled
from pipeline.report.digest import plain
from pipeline.report.families import axis_table
from pipeline.report.judged import candidates
from pipeline.report.words import NOTHING, counted, difference, duration, factor, number, share, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.digest import Axis, Digest
    from pipeline.report.standings import Standing
    from simcore.costs import Cost, CostModel

# Groups of acts by the beginning of their names, in the order in which a table shows them.
ACT_GROUPS: dict[str, tuple[str, ...]] = {
    "system calls, tasks": (
        "forks",
        "vforks",
        "execs",
        "exits",
        "mmaps",
        "munmaps",
        "mprotects",
        "madvises",
        "stack_grows",
        "reclaims",
    ),
    "vmas": ("vmas_",),
    "fault entry": ("faults_",),
    "page tables": ("leaf_", "upper_", "pmds_"),
    "ptes": ("ptes_", "file_ptes_"),
    "pages": ("pages_", "shm_pages_"),
    "page references": ("refs_",),
    "reverse mapping": ("rmap_",),
    "huge pages": ("huge_",),
    "TLB": ("tlb_",),
}
_SMALLEST_US = 0.05
_MOST_COLUMNS = 8  # designs that stand side by side


class Table(NamedTuple):
    """A table for the page.

    Parameters
    ----------
    caption : str
        What it shows.
    headings : list of str
        One per column. The first column holds names; the others hold numbers, unless they are in ``words``.
    rows : list of list of str
        The cells.
    words : frozenset of int
        Columns after the first that hold text.
    groups : dict
        Number of a row, from 0 -> heading of the group of rows that begins with it.
    """

    caption: str
    headings: list[str]
    rows: list[list[str]]
    words: frozenset[int] = frozenset()
    groups: dict[int, str] = {}  # noqa: RUF012 - never changed


_MOST_COLUMNS = 9  # values of an axis beside one another


def by_family(digest: Digest, rows: Sequence[list[str]]) -> dict[int, str]:
    """Return the groups of rows that have a design's name in front, in the order of ``Digest.designs``."""
    home = {f"`{name}`": heading for heading, names in digest.families.items() for name in names}
    headings = [home[row[0]] for row in rows]
    begins = [number for number, heading in enumerate(headings) if heading not in headings[:number]]
    return {number: headings[number] for number in begins} if len(begins) > 1 else {}


def standing(digest: Digest) -> Table:
    """Return worst beside typical per design, against baseline, floor, and the eager copy that is most like it."""
    chosen, phrase = digest.population
    medians = chosen.groupby("design")[digest.metric].median().to_dict()
    copies = {name: digest.counterpart(name) for name in digest.designs}
    apart = {name: other for name, other in copies.items() if other not in (None, name, digest.baseline)}
    rows = []
    for name in digest.designs:
        row = [f"`{name}`", duration(medians.get(name, float("nan")))]
        for role in (digest.baseline, digest.floor):
            row += _ratios(digest.standings(role).get(name)) if role else []
        if apart:
            other = apart.get(name)
            row += [f"`{other}`", *_ratios(digest.standings(other).get(name))] if other else [NOTHING] * 3
        if digest.baseline:
            found = digest.standings(digest.baseline).get(name)
            row.append(share(found.losing) if found else NOTHING)
        rows.append(row)
    headings = ["design", f"kernel time a {digest.per}"]
    for role in (digest.baseline, digest.floor):
        headings += [f"times {role}, {which}" for which in ("typical", "worst")] if role else []
    words = frozenset({len(headings)}) if apart else frozenset()
    headings += ["its eager copy", "times that, typical", "times that, worst"] if apart else []
    headings += ["cells lost"] if digest.baseline else []
    caption = (
        f"Kernel time, also as a multiple of another design's on the same trace{digest.at}. Typical: median over "
        f"{phrase}. Worst: worst of {counted(digest.cells_each, 'cell')} of this sweep{digest.at}."
    )
    return Table(
        f"{caption} {_standing_notes(digest, apart)}".rstrip(),
        headings,
        rows,
        words,
        by_family(digest, rows),
    )


def _standing_notes(digest: Digest, apart: dict[str, str]) -> str:
    """Explain the columns of ``standing`` that are there."""
    notes = []
    if digest.baseline:
        notes.append(
            f"Cells lost: share of them in which the design is more than {share(NO_DIFFERENCE)} dearer than the baseline."
        )
    if apart:
        notes.append(
            "Its eager copy: of the copying designs that ran, the one with the same reverse mappings that is most like "
            "it, where that is not the baseline."
        )
    return " ".join(notes)


def extremes(digest: Digest) -> Table | None:
    """Return where each design does worst and best, with the commands that replay the cells."""
    if not digest.baseline:
        return None
    rows = []
    standings = digest.standings(digest.baseline)
    for name in [name for name in digest.designs if name in standings and name != digest.baseline]:
        found = standings[name]
        for which, cell in (("worst", found.worst), ("best", found.best)):
            extra = difference(cell.difference)
            replay = f"`forkbench show {cell.cell_id} --simulate`"
            rows.append([f"`{name}`", which, factor(cell.ratio), extra, digest.place(cell), replay])
    caption = f"The worst and the best cell of this sweep for each design, against {digest.baseline}."
    headings = [
        "design",
        "which cell",
        f"times {digest.baseline}",
        f"difference a {digest.per}",
        "where",
        "replay",
    ]
    return Table(caption, headings, rows, frozenset({1, 4, 5}), by_family(digest, rows)) if rows else None


def along(digest: Digest, axis: Axis) -> Table:
    """Return the numbers behind the panels of one axis: typical and worst at each value.

    A design is a row; of more values than fit on paper beside one another each has a row of its own.
    """
    table = axis_table(digest, axis)
    shown = factor if digest.baseline else number
    if len(axis.points) > _MOST_COLUMNS:
        return _down(digest, axis, table)
    rows = []
    for name in digest.designs:
        mine = table[table["design"] == name].set_index("x")
        cells = [
            f"{shown(float(mine['typical'][value]))} / {shown(float(mine['worst'][value]))}"
            if value in mine.index
            else NOTHING
            for value in axis.points
        ]
        rows.append([f"`{name}`", *([f"`{digest.reference(name)}`"] if digest.baseline else []), *cells])
    unit = (
        "as multiples of the kernel time of the design named beside it"
        if digest.baseline
        else f"in µs of kernel time a {digest.per}"
    )
    headings = ["design", *(["times"] if digest.baseline else [])]
    headings += [f"{axis.label} {plain(value)}" for value in axis.points]
    words = frozenset({1}) if digest.baseline else frozenset()
    return Table(
        f"Typical / worst by {axis.label}{digest.at}, {unit}.", headings, rows, words, by_family(digest, rows)
    )


def _down(digest: Digest, axis: Axis, table: pd.DataFrame) -> Table:
    """Return the numbers of an axis with many values: a row for each value and design, value by value."""
    shown = factor if digest.baseline else number
    known = table.set_index(["x", "design"])[["typical", "worst"]].to_dict("index")
    rows: list[list[str]] = []
    groups: dict[int, str] = {}
    for value in axis.points:
        mine = [name for name in digest.designs if (value, name) in known]
        if mine:
            groups[len(rows)] = f"{axis.label} {plain(value)}"
        for name in mine:
            cells = [shown(float(known[value, name][which])) for which in ("typical", "worst")]
            rows.append([plain(value), f"`{name}`", f"`{digest.reference(name)}`", *cells])
    caption = f"Typical and worst by {axis.label}{digest.at}, as multiples of the time of the design named beside it."
    headings = [axis.label, "design", "times", "typical", "worst"]
    if digest.baseline is None:
        rows = [[*row[:2], *row[3:]] for row in rows]
        headings.remove("times")
        caption = f"Typical and worst by {axis.label}{digest.at}, in µs of kernel time a {digest.per}."
    return Table(caption, headings, rows, frozenset({1, 2}) if digest.baseline else frozenset({1}), groups)


def memory(digest: Digest) -> Table:
    """Return page-table and reverse-mapping memory, typical and worst."""
    kib = digest.df[["design"]].assign(
        allocated=digest.df["pgtable_bytes_max"] / 1024,
        charged=digest.df["pgtable_charged_bytes_max"] / 1024,
        rmap=digest.df["rmap_bytes_max"] / 1024,
    )
    usual = kib.loc[digest.population[0].index].groupby("design").median()
    highest = kib.groupby("design").max()
    base = digest.standings(digest.baseline, "pgtable_bytes_max") if digest.baseline else {}
    rows = []
    for name in digest.designs:
        values = [
            f"{frame[column].get(name, float('nan')):,.0f}"
            for column in ("allocated", "charged", "rmap")
            for frame in (usual, highest)
        ]
        rows.append([f"`{name}`", *values, *_ratios(base.get(name))])
    whats = ("allocated", "charged", "rmap elements")
    headings = ["design", *(f"{what}, {which}" for what in whats for which in ("typical", "highest"))]
    headings += [
        f"allocated, times {digest.baseline or 'baseline'}, {which}" for which in ("typical", "worst")
    ]
    caption = (
        f"Peak memory in KiB{digest.at}: median over the typical cells, and the highest of the sweep. Allocated: page "
        "tables at all levels. Charged: what the mms are told (VmPTE summed). A typical ratio is the median of the "
        "cells' ratios, not the quotient of two medians."
    )
    return Table(caption, headings, rows, groups=by_family(digest, rows))


def act_groups(digest: Digest) -> Table:
    """Return what each design pays for: time by group of acts, on the typical cells."""
    chosen, _ = digest.population
    count = chosen["creations"].to_numpy() if digest.per == "fork" else 1
    by_act = spent(chosen, digest.model)
    by_group = {
        group: sum(ns for act, ns in by_act.items() if act.startswith(prefixes)) / count
        for group, prefixes in ACT_GROUPS.items()
    }
    means = chosen[["design"]].assign(**by_group).groupby("design").mean()
    us: dict[str, list[float]] = {
        str(name): (means.loc[[name]].to_numpy()[0] / 1000).tolist() for name in means.index
    }
    rows = [
        [f"`{name}`", *(number(part) for part in us[name]), number(sum(us[name]))]
        for name in digest.designs
        if name in us
    ]
    caption = (
        f"Mean µs a {digest.per} by what is done, over the typical cells{digest.at}; costs are listed below."
    )
    return Table(caption, ["design", *by_group, "all"], rows, groups=by_family(digest, rows))


def makes_the_difference(digest: Digest) -> list[Table]:
    """Return which acts make designs dearer or cheaper than another, largest first, and whose costs are assumed.

    The candidates are compared with the baseline, other sharing designs with the eager copy that is most like them; one
    table for each few designs.
    """
    ran = set(digest.population[0]["design"].unique())
    judged = candidates(digest)
    groups = {digest.baseline: [name for name in judged if name in ran]}
    for name in digest.sharing:
        if name in ran and name not in judged and name != digest.baseline:
            groups.setdefault(digest.reference(name), []).append(name)
    return [
        _difference(digest, other, shown[first : first + _MOST_COLUMNS])
        for other, shown in groups.items()
        if other in ran and other is not None
        for first in range(0, len(shown), _MOST_COLUMNS)
    ]


def _difference(digest: Digest, other: str, shown: list[str]) -> Table:
    """Return the table of ``makes_the_difference`` between some designs and another."""
    chosen, _ = digest.population
    count = chosen["creations"].to_numpy() if digest.per == "fork" else 1
    by_act = {act: ns / count / 1000 for act, ns in spent(chosen, digest.model).items()}
    means = pd.DataFrame(by_act, chosen.index).groupby(chosen["design"]).mean()
    more = (means.loc[shown] - means.loc[other]).T
    more = more.loc[more.abs().max(axis=1).sort_values(ascending=False, kind="stable").index]
    rows = [
        [f"`{act}`", *(signed(float(value)) for value in values), _support(digest, str(act), [other, *shown])]
        for act, values in zip(more.index, more.to_numpy(), strict=True)
        if abs(values).max() >= _SMALLEST_US
    ]
    total = ["all acts", *(signed(float(value)) for value in more.sum()), ""]
    caption = (
        f"What makes the difference: µs a {digest.per} more than under {other}, by act; mean over the typical "
        f"cells{digest.at}. Acts that differ by less than 0.05 µs are left out."
    )
    return Table(caption, ["act", *shown, "cost"], [*rows, total], frozenset({len(shown) + 1}))


def _support(digest: Digest, act: str, names: list[str]) -> str:
    """Return whether what an act costs under some designs is assumed or sourced."""
    rmaps = {digest.known[name].rmap if name in digest.known else "none" for name in names}
    found = {_kind(costs[act]) for costs in map(digest.model.under, sorted(rmaps)) if act in costs}
    return " or ".join(sorted(found))


def _kind(cost: Cost) -> str:
    """Return whether a cost is assumed or sourced; of a calibrated one whether it is measured or derived."""
    said = cost.source.partition(":")[0]
    return "assumed" if cost.assumed else said if said in ("measured", "derived") else "sourced"


def sensitivity(digest: Digest) -> Table | None:
    """Return how the ratios to the baseline move if every assumed cost is halved or doubled."""
    if not digest.baseline:
        return None
    found = [rescaled(digest, scale).standings(digest.baseline) for scale in SENSITIVITY]
    rows = [
        [
            f"`{name}`",
            *(factor(part[name].ratio) for part in found),
            *(factor(part[name].worst.ratio) for part in found),
        ]
        for name in digest.designs
        if name in found[0] and name != digest.baseline
    ]
    headings = [
        f"{which}, assumed times {scale:g}" for which in ("typical", "worst") for scale in SENSITIVITY
    ]
    caption = (
        f"Kernel time as a multiple of {digest.baseline}'s if all assumed costs were half or double what they "
        f"are{digest.at}; sourced costs stay. A verdict that changes sides between the columns rests on assumptions."
    )
    return Table(caption, ["design", *headings], rows, groups=by_family(digest, rows)) if rows else None


def designs(digest: Digest) -> Table:
    """Return what each design is and where it comes from."""
    own = digest.df.attrs.get("own_designs", {})
    rows = []
    for name in digest.designs:
        row = digest.known.get(name)
        if row is None:
            said = [NOTHING, NOTHING, "Not known to this version of forkbench.", "the dataset"]
        elif name in own:
            said = [NOTHING, "no", row.prose, row.origin]
        else:
            said = [str(row.year), "merged" if row.merged else "not merged", row.prose, row.origin]
        rows.append([f"`{name}`", *said])
    headings = ["design", "year", "in Linux", "what it does", "source"]
    words = frozenset({2, 3, 4})
    return Table("The designs of this study.", headings, rows, words, by_family(digest, rows))


def costs(model: CostModel) -> Table:
    """Return the cost model: every number and where it comes from."""
    rows = [
        [as_code(name), number(cost.ns), _between(cost), _kind(cost), cost.source]
        for name, cost in model.listed().items()
    ]
    return Table(f"Cost model {model.name}: ns for one act. Acts that are not listed cost nothing.",
                 ["act", "ns", "95 % interval", "kind", "source"], rows, frozenset({3, 4}))  # fmt: skip


def _between(cost: Cost) -> str:
    """Return the interval of a cost, a dash where there is none."""
    return f"{number(cost.interval[0])} to {number(cost.interval[1])}" if cost.interval else NOTHING


def as_code(name: str) -> str:
    """Return the name of a listed cost with its act between backquotes."""
    act, space, rest = name.partition(" ")
    return f"`{act}`{space}{rest}"


def _ratios(found: Standing | None) -> list[str]:
    """Return the typical and the worst ratio, or dashes."""
    return [factor(found.ratio), factor(found.worst.ratio)] if found else [NOTHING, NOTHING]
