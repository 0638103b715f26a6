"""How designs do over listings: one listing is one machine and one user, and counts once however many cells it has."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.intervals import LEVEL, Estimate
from pipeline.report.digest import plain
from pipeline.report.judged import candidates, span
from pipeline.report.slices import cells_at
from pipeline.report.tables import Table, by_family
from pipeline.report.words import NOTHING, change, counted, factor, listed, share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from pipeline.report.digest import Digest

FEWEST = 5  # of fewer listings no distribution is shown
MUCH = 0.1  # a share of listings that is told of


class Fare(NamedTuple):
    """How the ratios of one design to the baseline lie over listings.

    Parameters
    ----------
    listings : int
        How many there are, at least 1.
    median, losing : Estimate
        Of the ratio, and the share of listings above 1 + NO_DIFFERENCE; bounds are NaN where too few bound them.
    p10, p90 : float
        Quantiles of the ratio; NaN where too few listings bound them.
    highest : float
        The highest ratio.
    worst : str or None
        The listing that has it, the first by name among equals; None if all of several are alike.
    why : str
        What is NaN, and the reason; else empty.
    """

    listings: int
    median: Estimate
    p10: float
    p90: float
    highest: float
    worst: str | None
    losing: Estimate
    why: str


def over_listings(digest: Digest) -> dict[str, Fare]:
    """Return how each design's kernel time against the baseline lies over listings, in the order of ``Digest.designs``.

    A listing's ratio is the median over its cells. Nothing is returned without a baseline, or for fewer than FEWEST
    listings; a design that shares no listing with the baseline does not appear.
    """
    if "over listings" not in digest.kept:
        digest.kept["over listings"] = _worked_out(digest)
    found: dict[str, Fare] = digest.kept["over listings"]
    return found


def ratios(digest: Digest) -> pd.DataFrame:
    """Return what ``analysis.users`` does of the primary metric; empty without a baseline or measured trees."""
    return analysis.users(digest.core, digest.metric, str(digest.baseline))


def _worked_out(digest: Digest) -> dict[str, Fare]:
    """Work out what ``over_listings`` returns."""
    cells = digest.core
    if digest.baseline is None or "tree_measured" not in cells.columns:
        return {}
    each = ratios(digest)
    if each["user"].nunique() < FEWEST:
        return {}
    asked = (cells, digest.metric, digest.baseline)
    usual, lost = analysis.typical(*asked).to_dict("index"), analysis.losers(*asked).to_dict("index")
    mine = dict(iter(each.sort_values(["ratio", "user"], ascending=[False, True]).groupby("design")))
    return {
        name: _fare(mine[name], usual[name], lost[name])
        for name in digest.designs
        if name in lost and name != digest.baseline
    }


def _fare(mine: pd.DataFrame, usual: dict[Any, Any], lost: dict[Any, Any]) -> Fare:
    """Return how one design fares; ``mine`` are its listings, the worst first."""
    several = len(mine) > 1
    alike = several and mine["ratio"].iloc[0] == mine["ratio"].iloc[-1]
    return Fare(
        listings=len(mine),
        median=Estimate(usual["user_ratio"], usual["user_low"], usual["user_high"], ""),
        p10=usual["user_p10"],
        p90=usual["user_p90"],
        highest=float(mine["ratio"].iloc[0]),
        worst=None if alike else str(mine["user"].iloc[0]),
        losing=Estimate(lost["share"], lost["low"], lost["high"], ""),
        why="; ".join(dict.fromkeys(filter(None, [usual["why"], *_of_share(lost["why"])]))),
    )


def _of_share(why: str) -> list[str]:
    """Return of the reasons of ``analysis.losers`` that which is about the share."""
    return re.findall(r"[^;]*cannot bound a share; [\d,]+ can", why)


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
            factor(each.median.value),
            bounds(each.median, factor),
            factor(each.p10),
            factor(each.p90),
            factor(each.highest),
            each.worst or "all alike",
            share(each.losing.value),
            bounds(each.losing, share),
        ]
        for name, each in found.items()
    ]
    sure = share(LEVEL)
    headings = ["design", *(["listings"] if apart else [])]
    headings += [f"times {digest.baseline}, median", f"{sure} interval", "p10", "p90", "worst"]
    words = frozenset({len(headings)})
    headings += ["worst listing", "listings that lose", f"{sure} interval"]
    return Table(_caption(digest, found), headings, rows, words, by_family(digest, rows))


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
        at = {point: over_listings(cells_at(digest, axis, point)) for point in axis.points}
        names = [name for name in digest.designs if any(name in found for found in at.values())]
        rows = [[f"`{name}`", *(_fares_at(found.get(name)) for found in at.values())] for name in names]
        caption = (
            f"The same listings{digest.at}, by {axis.label}: kernel time as a multiple of {digest.baseline}'s, median "
            "over listings; then the share of them that lose."
        )
        headings = ["design", *(f"{axis.label} {plain(point)}" for point in axis.points)]
        tables.append(Table(caption, headings, rows, groups=by_family(digest, rows)))
    return tables


def _fares_at(found: Fare | None) -> str:
    """Return a median over listings and the share that lose."""
    return f"{factor(found.median.value)}; {share(found.losing.value)}" if found else NOTHING


def _fares(digest: Digest) -> str:
    """Return how the typical user fares under the candidates, and how many lose; nothing for too few listings."""
    found = over_listings(digest)
    judged = {name: found[name] for name in candidates(digest) if name in found}
    if not judged:
        return ""
    listings = max(each.listings for each in judged.values())
    alike: dict[str, list[str]] = {}
    for name, each in sorted(judged.items(), key=lambda pair: pair[1].median.value):
        alike.setdefault(_outcome(each), []).append(f"`{name}`")
    said = "; ".join(f"{listed(names)} {outcome}" for outcome, names in alike.items())
    return (
        f"Over {counted(listings, 'listing')}, one a user, against `{digest.baseline}` (medians; in brackets, and behind "
        f"the shares that lose, {share(LEVEL)} intervals): {said}. {_depends_on(digest, list(judged))}".rstrip()
    )


def _outcome(found: Fare) -> str:
    """Return the median and the share that lose in words, each with its interval unless that says nothing new."""
    usual = change(found.median.value)
    sure = span([found.median.low, found.median.high]) if found.median.low > 0 else usual
    said = f"{usual}{'' if sure == usual else f' ({sure})'}, {share(found.losing.value)} lose"
    return said if math.isnan(found.losing.low) else f"{said} ({bounds(found.losing, share)})"


def _depends_on(digest: Digest, names: Sequence[str]) -> str:
    """Say along which axis the share of losing listings of a design moves most, where it moves by MUCH."""
    moves: dict[str, tuple[float, str]] = {}
    for axis in (axis for axis in digest.axes if not axis.of_trees):
        at = {point: over_listings(cells_at(digest, axis, point)) for point in axis.points}
        for name in names:
            lost = {point: found[name].losing.value for point, found in at.items() if name in found}
            low, high = min(lost, key=lost.__getitem__), max(lost, key=lost.__getitem__)
            said = f"`{name}` {share(lost[low])} at {axis.label} {plain(low)}, {share(lost[high])} at {plain(high)}"
            moves[name] = max(moves.get(name, (0.0, "")), (lost[high] - lost[low], said))
    told = [said for distance, said in moves.values() if distance >= MUCH]
    return f"How many lose depends on what was swept: {'; '.join(told)}." if told else ""


def bounds(found: Estimate, told: Callable[[float], str]) -> str:
    """Return ``0.91 to 0.95``, or a dash if there are none."""
    return NOTHING if math.isnan(found.low) else f"{told(found.low)} to {told(found.high)}"


def _caption(digest: Digest, found: dict[str, Fare]) -> str:
    """Return how to read the table."""
    lost = share(NO_DIFFERENCE)
    reasons = list(dict.fromkeys(each.why for each in found.values() if each.why))
    refused = f" A dash: {'; '.join(reasons)}." if reasons else ""
    listings = counted(max(each.listings for each in found.values()), "listing")
    return (
        f"{listings}, each one machine and one user, its ratio the median over its cells{digest.at}. "
        "Read a row as: half of the users need less kernel time than the median says, one in ten less than p10, one in "
        f"ten more than p90. Would other machines have said the same? Of such intervals {share(LEVEL)} hold the figure "
        "of all machines: the median's comes from the ranks of the ratios, that of the share of listings that lose, in "
        f"which the design is more than {lost} dearer than {digest.baseline}, is the score interval. "
        f"Both take the listings for a random sample of machines, which they are not: people posted them.{refused}"
    )
