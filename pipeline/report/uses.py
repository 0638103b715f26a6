"""What runs on the reader's machine: a row for each use that the study has, with what each design costs there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipeline import analysis
from pipeline.compare import CONSTRUCTED, NO_DIFFERENCE
from pipeline.prices import OWN
from pipeline.report.assumptions import side, unsure
from pipeline.report.digest import WORKLOAD
from pipeline.report.judged import candidates, champion
from pipeline.report.slices import by_workload, cells_at, slices
from pipeline.report.tables import Table
from pipeline.report.words import NOTHING, counted, duration, share, signed_share
from simcore.geometry import GEOMETRIES
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from pipeline.report.digest import Axis, Digest

_MOST_POINTS = 8  # of an axis of words, such as recorded programs, that are uses of their own
_MOST_SPLITS = 2  # axes at whose ends a slice is two uses
_MINORITY = 0.05  # share of cells on another side, from which on a slice is split
_FAR = 0.02  # how far the medians along an axis lie apart, at least
_PAGES = re.compile(r"\b\w+ (?:pages|writes) (\d+)\b")


def uses(digest: Digest) -> list[Digest]:
    """Return the cells of each use: a workload, a value of its axis of words, or a slice; no constructed worst cases."""
    if "uses" not in digest.kept:
        parts = by_workload(digest)
        kept = [part for part in parts if part.workloads != [CONSTRUCTED]] or parts
        digest.kept["uses"] = [use for part in kept for use in _of(part)]
    found: list[Digest] = digest.kept["uses"]
    return found


def _of(part: Digest) -> list[Digest]:
    """Return the uses of one workload."""
    for axis in part.axes:
        if not axis.numeric and axis.column != WORKLOAD and len(axis.points) <= _MOST_POINTS:
            return [cells_at(part, axis, point) for point in axis.points]
    return [use for piece in slices(part) for use in _split(piece, _MOST_SPLITS)]


def _split(use: Digest, times: int) -> list[Digest]:
    """Return the cells at both ends of the axis that moves a use most, while its best design saves in some cells only.

    A slice is told apart by medians; a median over data bases that are written to and others that are not would
    promise both what only one of them gets.
    """
    best = champion(use)
    if times == 0 or best is None or use.baseline is None:
        return [use]
    cells = use.core[use.usual]
    ratios = analysis.paired(cells, use.metric, use.baseline)[cells["design"] == best].dropna()
    if ratios.map(side).value_counts(normalize=True).max() > 1 - _MINORITY:
        return [use]
    reach: list[tuple[float, Axis, dict[Any, float]]] = []
    for axis in use.axes:
        if axis.numeric and not axis.of_trees:
            medians = ratios.groupby(cells.loc[ratios.index, axis.column]).median().to_dict()
            reach.append((max(medians.values()) - min(medians.values()), axis, medians))
    reach = [each for each in reach if each[0] >= _FAR]
    if not reach:
        return [use]
    _, axis, medians = max(reach, key=lambda each: each[0])
    ends = (min(medians, key=lambda point: medians[point]), max(medians, key=lambda point: medians[point]))
    return [
        piece
        for point in axis.points
        if point in ends
        for piece in _split(cells_at(use, axis, point), times - 1)
    ]


def named(use: Digest) -> str:
    """Return where a use lies, without the word workload; how many measured trees it has; pages with their size."""
    where = use.where.removeprefix(f"{WORKLOAD} ")
    trees = _listings(use)
    if trees > 1 and where:
        where += f" (trees of {counted(trees, 'listing')})"
    sizes = {GEOMETRIES[name].page_bytes for name in use.df["geometry"].unique() if name in GEOMETRIES}
    page = min(sizes, default=0) if len(sizes) == 1 else 0

    def sized(found: re.Match[str]) -> str:
        mib = int(found[1]) * page / 2**20
        return f"{found[0]} ({mib:,.0f} MiB)" if mib >= 1 else found[0]

    return _PAGES.sub(sized, where)


def _listings(use: Digest) -> int:
    """Return how many measured process trees a use has."""
    if "tree_measured" not in use.df.columns:
        return 0
    return int(use.df.loc[use.df["tree_measured"] == True, "tree"].nunique())  # noqa: E712


def uses_table(digest: Digest) -> Table | None:
    """Return a row for each use with the change under each candidate; nothing of one use, or without a baseline."""
    found = uses(digest)
    names = [name for name in candidates(digest) if name in digest.sharing]
    shown = (
        [*names, digest.floor] if digest.floor and digest.floor not in (digest.baseline, *names) else names
    )
    if len(found) < 2 or digest.baseline is None or not names:
        return None
    rows = []
    for use in found:
        standings, shaky = use.standings(digest.baseline), unsure(use)
        moves = [
            f"{percent(standings[name].ratio)}{' ?' if name in shaky else ''}"
            if name in standings
            else NOTHING
            for name in shown
        ]
        rows.append([named(use), _what_runs(use), *moves, *_forks(use, names)])
    caption = (
        f"Find what runs on your machine: kernel time against {digest.baseline} on the same trace, median of the "
        "typical cells of each use; below 0 sharing saves, 0 % is anything within "
        f"{share(NO_DIFFERENCE)}. “?”: with all assumed costs at half or at double "
        "the design is no longer on that side. Last, a fork by itself: its mean, median of these cells, and the shortest "
        f"of the sharing designs.{_floor_words(digest, shown)} A cell is a trace under a design; typical are "
        f"{digest.population[1]}."
    )
    headings = ["use", "what runs", *shown, f"a fork, {digest.baseline}", "a fork, shortest"]
    return Table(caption, headings, rows, frozenset({1}))


def _floor_words(digest: Digest, shown: list[str]) -> str:
    """Say what the floor is, where it has a column."""
    return f" {digest.floor}, the floor, shares nothing." if digest.floor in shown else ""


def _forks(use: Digest, names: list[str]) -> tuple[str, str]:
    """Return how long a fork takes under the baseline, and under the sharing design that forks fastest."""
    found = use.population[0].groupby("design")["creation_ns_mean"].median().to_dict()
    shortest = min((found[name] for name in names if found.get(name, 0) > 0), default=float("nan"))
    return duration(found.get(use.baseline, float("nan"))), duration(shortest)


def explained(digest: Digest) -> list[tuple[str, str]]:
    """Return baseline, floor and candidates with what each is, its year, and whether Linux has it."""
    roles = [role for role in (digest.baseline, digest.floor) if role]
    names = list(dict.fromkeys([*roles, *candidates(digest)]))
    own = digest.df.attrs.get(OWN, {})
    told = []
    for name in names:
        if name in digest.known:
            row = digest.known[name]
            merged = f"{row.year}; {'in Linux' if row.merged else 'not in Linux'}"
            what = row.prose.removesuffix(".")
            told.append((name, f"{what} ({'defined in this study' if name in own else merged})."))
    return told


def percent(ratio: float) -> str:
    """Return a ratio as a change in percent with its sign; what counts as no difference is 0."""
    return share(0) if abs(ratio - 1) <= NO_DIFFERENCE else signed_share(ratio - 1)


def _what_runs(use: Digest) -> str:
    """Return the first clause of what a workload is; its first sentence if another one begins with the same words."""
    if _listings(use) > 1:
        return "All processes of a real machine, as its ps lists them, start up and are taken down"
    known = [WORKLOADS[name].prose for name in use.workloads if name in WORKLOADS]
    if not known:
        return NOTHING
    clause = re.split(r"[:;.]", known[0])[0]
    alike = [row for row in WORKLOADS.values() if row.prose.startswith(clause)]
    return clause if len(alike) == 1 else known[0].partition(".")[0]
