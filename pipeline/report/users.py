"""How designs do over listings: one listing is one machine and one user, and counts once however many cells it has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.report.digest import plain
from pipeline.report.judged import candidates, span
from pipeline.report.tables import Table, by_family
from pipeline.report.words import NOTHING, change, counted, factor, listed, share
from pipeline.resampling import RESAMPLED, SURE, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.report.digest import Axis, Digest
    from pipeline.resampling import Interval, Spread

FEWEST = 5  # of fewer listings no distribution is shown
MUCH = 0.1  # a share of listings that is told of


def over_listings(digest: Digest) -> dict[str, Spread]:
    """Return how each design's kernel time against the baseline lies over listings, in the order of ``Digest.designs``.

    A listing's ratio is the median over its cells. Nothing is returned without a baseline, or for fewer than FEWEST
    listings; a design that shares no listing with the baseline does not appear.
    """
    cells = digest.df
    if digest.baseline is None or "tree_measured" not in cells.columns:
        return {}
    measured = cells["tree_measured"].astype("boolean").fillna(value=False).to_numpy(bool)
    if cells.loc[measured, "tree"].nunique() < FEWEST:
        return {}
    ratio = analysis.paired(cells, digest.metric, digest.baseline)[measured]
    names = [cells.loc[measured, "design"], cells.loc[measured, "tree"]]
    by_design: dict[str, dict[str, float]] = {}
    for design, listing, value in ratio.groupby(names).median().dropna().reset_index().to_numpy().tolist():
        by_design.setdefault(design, {})[listing] = value
    return {
        name: spread(by_design[name], 1 + NO_DIFFERENCE)
        for name in digest.designs
        if name in by_design and name != digest.baseline
    }


def users_table(digest: Digest) -> Table | None:
    """Return typical user, extremes and losers for each design; None where there are too few listings."""
    found = over_listings(digest)
    if not found:
        return None
    numbers = {each.listings for each in found.values()}
    apart = len(numbers) > 1  # only then each row has its number
    rows = [
        [
            f"`{name}`",
            *([f"{each.listings}"] if apart else []),
            factor(each.median),
            _bounds(each.interval, factor),
            factor(each.p10),
            factor(each.p90),
            factor(each.highest),
            each.worst or "all alike",
            share(each.losing),
            _bounds(each.losing_interval, share),
        ]
        for name, each in found.items()
    ]
    sure = share(SURE)
    headings = ["design", *(["listings"] if apart else [])]
    headings += [f"times {digest.baseline}, median", f"{sure} interval", "p10", "p90", "worst"]
    words = frozenset({len(headings)})
    headings += ["worst listing", "listings that lose", f"{sure} interval"]
    return Table(_caption(digest, max(numbers)), headings, rows, words, by_family(digest, rows))


def users_line(parts: Sequence[Digest]) -> str:
    """Return for each slice with enough listings how the typical user fares, and how many lose; a line each."""
    said = [(part.where, _fares(part)) for part in parts]
    return "\n".join(f"At {where}: {text}" if where else text for where, text in said if text)


def users_along(digest: Digest) -> list[Table]:
    """Return for each axis the typical user and the share that lose at each of its values: what the outcome rests on."""
    if not over_listings(digest):
        return []
    tables = []
    for axis in (axis for axis in digest.axes if not axis.of_trees):
        at = {point: over_listings(_at(digest, axis, point)) for point in axis.points}
        names = [name for name in digest.designs if any(name in found for found in at.values())]
        rows = [[f"`{name}`", *(_fares_at(found.get(name)) for found in at.values())] for name in names]
        caption = (
            f"The same listings{digest.at}, by {axis.label}: kernel time as a multiple of {digest.baseline}'s, median "
            "over listings; then the share of them that lose."
        )
        headings = ["design", *(f"{axis.label} {plain(point)}" for point in axis.points)]
        tables.append(Table(caption, headings, rows, groups=by_family(digest, rows)))
    return tables


def _at(digest: Digest, axis: Axis, point: object) -> Digest:
    """Return the cells with one value of an axis."""
    return replace(digest, df=digest.df[digest.df[axis.column] == point])


def _fares_at(found: Spread | None) -> str:
    """Return a median over listings and the share that lose."""
    return f"{factor(found.median)}; {share(found.losing)}" if found else NOTHING


def _fares(digest: Digest) -> str:
    """Return how the typical user fares under the candidates, and how many lose; nothing for too few listings."""
    found = over_listings(digest)
    judged = {name: found[name] for name in candidates(digest) if name in found}
    if not judged:
        return ""
    listings = max(each.listings for each in judged.values())
    alike: dict[str, list[str]] = {}
    for name, each in sorted(judged.items(), key=lambda pair: pair[1].median):
        alike.setdefault(_outcome(each), []).append(f"`{name}`")
    said = "; ".join(f"{listed(names)} {outcome}" for outcome, names in alike.items())
    return (
        f"Over {counted(listings, 'listing')}, one a user, against `{digest.baseline}` (medians; in brackets, and behind "
        f"the shares that lose, {share(SURE)} intervals): {said}. {_depends_on(digest, list(judged))}".rstrip()
    )


def _outcome(found: Spread) -> str:
    """Return the median and the share that lose in words, each with its interval unless that says nothing new."""
    usual = change(found.median)
    bounds = span(list(found.interval)) if found.interval else usual
    sure = "" if bounds == usual else f" ({bounds})"
    return f"{usual}{sure}, {share(found.losing)} lose ({_bounds(found.losing_interval, share)})"


def _depends_on(digest: Digest, names: Sequence[str]) -> str:
    """Say along which axis the share of losing listings of a design moves most, where it moves by MUCH."""
    moves: dict[str, tuple[float, str]] = {}
    for axis in (axis for axis in digest.axes if not axis.of_trees):
        at = {point: over_listings(_at(digest, axis, point)) for point in axis.points}
        for name in names:
            lost = {point: found[name].losing for point, found in at.items() if name in found}
            low, high = min(lost, key=lost.__getitem__), max(lost, key=lost.__getitem__)
            said = f"`{name}` {share(lost[low])} at {axis.label} {plain(low)}, {share(lost[high])} at {plain(high)}"
            moves[name] = max(moves.get(name, (0.0, "")), (lost[high] - lost[low], said))
    told = [said for distance, said in moves.values() if distance >= MUCH]
    return f"How many lose depends on what was swept: {'; '.join(told)}." if told else ""


def _bounds(interval: Interval | None, told: Callable[[float], str]) -> str:
    """Return ``0.91 to 0.95``, or that a single listing has no interval."""
    return f"{told(interval.low)} to {told(interval.high)}" if interval else "none: one listing"


def _caption(digest: Digest, listings: int) -> str:
    """Return how to read the table."""
    lost = share(NO_DIFFERENCE)
    return (
        f"{counted(listings, 'listing')}, each one machine and one user, its ratio the median over its cells{digest.at}. "
        "Read a row as: half of the users need less kernel time than the median says, one in ten less than p10, one in "
        f"ten more than p90. Would other machines have said the same? The first interval holds {share(SURE)} of the "
        f"medians of {RESAMPLED:,} samples of as many listings, drawn again from these; the second is the score interval "
        f"of the share of listings that lose, that is in which the design is more than {lost} dearer than "
        f"{digest.baseline}. "
        "Both take the listings for a random sample of machines, which they are not: people posted them."
    )
