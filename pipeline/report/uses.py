"""What runs on the reader's machine: a row for each use that the study has, with what each design costs there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.compare import CONSTRUCTED, NO_DIFFERENCE
from pipeline.prices import OWN
from pipeline.report.assumptions import unsure
from pipeline.report.digest import WORKLOAD
from pipeline.report.judged import candidates
from pipeline.report.slices import by_workload, cells_at, slices
from pipeline.report.tables import Table
from pipeline.report.words import NOTHING, counted, duration, share, signed_share
from simcore.geometry import GEOMETRIES
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from pipeline.report.digest import Digest

_MOST_POINTS = 8  # of an axis of words, such as recorded programs, that are uses of their own
_PAGES = re.compile(r"\b\w+ pages (\d+)$")


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
    return slices(part)


def named(use: Digest) -> str:
    """Return where a use lies, without the word workload; how many measured trees it has; pages with their size."""
    where = use.where.removeprefix(f"{WORKLOAD} ")
    trees = _listings(use)
    if trees > 1 and where:
        where += f" (trees of {counted(trees, 'listing')})"
    sizes = {GEOMETRIES[name].page_bytes for name in use.df["geometry"].unique() if name in GEOMETRIES}
    found = _PAGES.search(where)
    mib = int(found[1]) * min(sizes) / 2**20 if found and len(sizes) == 1 else 0
    return f"{where} ({mib:,.0f} MiB of {min(sizes) // 1024} KiB pages)" if mib >= 1 else where


def _listings(use: Digest) -> int:
    """Return how many measured process trees a use has."""
    if "tree_measured" not in use.df.columns:
        return 0
    return int(use.df.loc[use.df["tree_measured"] == True, "tree"].nunique())  # noqa: E712


def uses_table(digest: Digest) -> Table | None:
    """Return a row for each use with the change under each candidate; nothing of one use, or without a baseline."""
    found = uses(digest)
    names = [name for name in candidates(digest) if name in digest.sharing]
    if len(found) < 2 or digest.baseline is None or not names:
        return None
    rows = []
    for use in found:
        standings, shaky = use.standings(digest.baseline), unsure(use)
        moves = [
            f"{percent(standings[name].ratio)}{' ?' if name in shaky else ''}"
            if name in standings
            else NOTHING
            for name in names
        ]
        rows.append([named(use), _what_runs(use), *moves, *_forks(use, names)])
    caption = (
        f"Find what runs on your machine: kernel time against {digest.baseline} on the same trace, median of the "
        "typical cells of each use; below 0 sharing saves, 0 % is anything within "
        f"{share(NO_DIFFERENCE)}. “?”: with all assumed costs at half or at double "
        "the design is no longer on that side. Last, a fork by itself: its mean, median of these cells, and the shortest "
        f"of the sharing designs. A cell is a trace under a design; typical are {digest.population[1]}."
    )
    headings = ["use", "what runs", *names, f"a fork, {digest.baseline}", "a fork, shortest"]
    return Table(caption, headings, rows, frozenset({1}))


def _forks(use: Digest, names: list[str]) -> tuple[str, str]:
    """Return how long a fork takes under the baseline, and under the sharing design that forks fastest."""
    found = use.population[0].groupby("design")["creation_ns_mean"].median().to_dict()
    shortest = min(
        (name for name in names if found.get(name, 0) > 0), key=lambda name: found[name], default=None
    )
    told = f"{duration(found[shortest])} (`{shortest}`)" if shortest else NOTHING
    return duration(found.get(use.baseline, float("nan"))), told


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
