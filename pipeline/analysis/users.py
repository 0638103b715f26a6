"""Designs over users: one listing is one machine and one user, and counts once however many cells it has.

The simulator is exact and every design faces the same traces, so a ratio on one trace has no noise and needs no
interval. Which listings are at hand has: the intervals say what other listings, drawn like these, would have given. They
rest on ranks and counts (``pipeline.intervals``), which is what drawing listings again comes to for medians and shares,
without what that gets wrong for few of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.analysis.asked import Asked
from pipeline.compare import NO_DIFFERENCE, paired, population, reference
from pipeline.errors import RefusedError, counted
from pipeline.intervals import (
    FEWEST,
    LEVEL,
    Estimate,
    median_estimate,
    quantile_estimate,
    refusal,
    share_interval,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

LISTING, MEASURED = "tree", "tree_measured"
_USER = "listing"


def users(df: pd.DataFrame, metric: str, baseline: str, by: str = LISTING) -> pd.DataFrame:
    """Return how each user fares under each design: what every other function here summarises.

    Parameters
    ----------
    df : DataFrame
        What ``load`` returned, or a selection of it.
    metric : str
        A column of numbers of which less is better.
    baseline : str
        Name of a design; traces on which it did not run are left out.
    by : str
        The column that tells users apart; rows without a value are left out. ``tree`` means measured trees alone, since
        generated ones are nobody's.

    Returns
    -------
    DataFrame
        A row for each design, in order of appearance, and user, by name: ``design``, ``user``, ``cells`` (compared),
        ``value`` and ``reference`` (median of the metric, and of the baseline's), ``ratio`` and ``difference`` (medians
        over the user's cells of quotient and of metric less the baseline's on the same trace). Empty if there are no
        users.

    Raises
    ------
    RefusedError
        If metric, baseline or ``by`` is unknown, or a design has two rows on one trace; all faults at once.
    """
    asked = Asked("users", df)
    _checked(asked, df, metric, baseline, by)
    asked.done()
    return _users(df, metric, baseline, by)


def _checked(asked: Asked, df: pd.DataFrame, metric: str, baseline: str, by: str) -> None:
    """Note what is wrong with the arguments that all functions here have."""
    asked.metric(metric)
    asked.design(baseline)
    if by != LISTING or LISTING in df.columns:
        asked.column(by, "by")


def _users(df: pd.DataFrame, metric: str, baseline: str, by: str) -> pd.DataFrame:
    """Return what ``users`` does, of arguments that are right."""
    chosen = rows_of_users(df, by)
    if not len(chosen):
        names = ["value", "reference", "ratio", "difference"]
        return pd.DataFrame({"design": [], "user": [], "cells": []} | {name: np.zeros(0) for name in names})
    below = reference(chosen, metric, baseline)
    cells = pd.DataFrame(
        {
            "design": chosen["design"],
            "user": chosen[by],
            "value": chosen[metric].astype("float64"),
            "reference": below,
            "ratio": paired(chosen, metric, baseline),
            "difference": chosen[metric] - below,
        }
    ).dropna(subset="ratio")
    groups = cells.groupby(["design", "user"])
    found = groups[["value", "reference", "ratio", "difference"]].median()
    found.insert(0, "cells", groups.size())
    ran = {name: number for number, name in enumerate(chosen["design"].unique())}
    return (
        found.reset_index()
        .sort_values("design", key=lambda names: names.map(ran), kind="stable")
        .reset_index(drop=True)
    )


def rows_of_users(df: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return the rows that belong to somebody."""
    if by not in df.columns or (by == LISTING and MEASURED not in df.columns):
        return df.iloc[:0]
    mine = df[by].notna()
    if by == LISTING:
        mine &= df[MEASURED].astype("boolean").fillna(value=False).astype(bool)
    return df[mine]


def typical(
    df: pd.DataFrame, metric: str, baseline: str, by: str = LISTING, level: float = LEVEL
) -> pd.DataFrame:
    """Return how each design does against the baseline: over the typical cells, and over users with an interval.

    Parameters are those of ``users``; ``level`` in (0, 1) is how often such an interval is to hold the median of all
    users, of whom those at hand are a sample.

    Returns
    -------
    DataFrame
        Index ``design`` in order of appearance. Over cells (those of measured trees where there are any): ``cells``;
        ``value`` (median of the metric); ``ratio`` (median of the paired ratios), ``ratio_p10``, ``ratio_p90``;
        ``difference`` (median of metric less the baseline's); ``losing`` (share of the cells in which the design is
        worse by more than NO_DIFFERENCE). Over users, each with the median of its cells: ``users`` (how many);
        ``user_ratio``, ``user_low``, ``user_high`` (median and its interval); ``user_p10``, ``user_p90``; ``why`` (what
        the users at hand do not support and is therefore NaN, and the reason; else empty).
        ``attrs["population"]`` says which cells these are, ``attrs["level"]`` the level.

    Raises
    ------
    RefusedError
        As ``users``, and if the level is not between 0 and 1.
    """
    asked = Asked("typical", df)
    _checked(asked, df, metric, baseline, by)
    asked.between("level", level, 0, 1)
    asked.done()
    summary = _over_cells(df, metric, baseline)
    over = {name: _lying(ratios, level) for name, ratios, _ in _by_design(_users(df, metric, baseline, by))}
    lying = pd.DataFrame([over.get(str(name), _lying(np.zeros(0), level)) for name in summary.index])
    found = pd.concat([summary, lying.set_index(summary.index)], axis=1)
    found.attrs = summary.attrs | {"level": level}
    return found


def _over_cells(df: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return how each design does over the typical cells."""
    chosen, phrase = population(df)
    ratio = paired(chosen, metric, baseline)
    with_ratio = pd.DataFrame(
        {
            "design": chosen["design"],
            metric: chosen[metric],
            "ratio": ratio,
            "difference": chosen[metric] - reference(chosen, metric, baseline),
            "losing": (ratio > 1 + NO_DIFFERENCE).astype("float64").where(ratio.notna()),
        }
    )
    groups = with_ratio.groupby("design", sort=False)
    summary = pd.DataFrame(
        {
            "cells": groups["ratio"].count(),
            "value": groups[metric].median(),
            "ratio": groups["ratio"].median(),
            "ratio_p10": groups["ratio"].quantile(0.1),
            "ratio_p90": groups["ratio"].quantile(0.9),
            "difference": groups["difference"].median(),
            "losing": groups["losing"].mean(),
        }
    )
    summary.attrs["population"] = phrase
    return summary


def _by_design(found: pd.DataFrame) -> Iterator[tuple[str, npt.NDArray[np.float64], pd.DataFrame]]:
    """Yield design, ratios of its users, and the rows they come from."""
    for name, mine in found.groupby("design", sort=False):
        yield str(name), mine["ratio"].to_numpy(np.float64), mine


def _lying(ratios: npt.NDArray[np.float64], level: float) -> dict[str, float | int | str]:
    """Return where the ratios of users lie, with what they do not support as NaN."""
    if not len(ratios):
        nothing = dict.fromkeys(("user_ratio", "user_low", "user_high", "user_p10", "user_p90"), math.nan)
        return {"users": 0} | nothing | {"why": "no listings: cells of the sweep are nobody's machine"}
    middle = median_estimate(ratios, level, _USER)
    tails = [quantile_estimate(ratios, q, level, _USER) for q in (0.1, 0.9)]
    reasons = [*dict.fromkeys([middle.why, *(each.why for each in tails)])]
    return {
        "users": len(ratios),
        "user_ratio": middle.value,
        "user_low": middle.low,
        "user_high": middle.high,
        "user_p10": tails[0].value,
        "user_p90": tails[1].value,
        "why": "; ".join(filter(None, reasons)),
    }


def losers(
    df: pd.DataFrame, metric: str, baseline: str, margin: float = NO_DIFFERENCE, by: str = LISTING
) -> pd.DataFrame:
    """Return the share of users for whom a design loses against its baseline, and how much they lose.

    Parameters
    ----------
    df, metric, baseline, by
        As in ``users``.
    margin : float
        From 0, below 10; a user loses if the median of its ratios is above 1 + margin. The default is NO_DIFFERENCE: the
        costs do not support a finer statement.

    Returns
    -------
    DataFrame
        Index ``design``, without the baseline, in order of appearance; ``users``; ``losers`` (how many); ``share`` in
        [0, 1] and its 95 % interval ``low``, ``high``; ``loss_median``, ``loss_p90`` (how much more the losers need than
        under the baseline, 0.03 for 3 %), ``loss_max`` (the worst of them) and ``worst_user`` (empty if nobody loses);
        ``why`` (what is NaN because too few support it, and the reason). ``attrs["margin"]`` is the margin.

    Raises
    ------
    RefusedError
        As ``users``; if there are no users at all, or the margin is out of range.
    """
    asked = Asked("losers", df)
    _checked(asked, df, metric, baseline, by)
    asked.between("margin", margin, 0, 10, ends=True)
    asked.done()
    found = _needed_users("losers", df, _users(df, metric, baseline, by), by)
    rows = {name: _lost(ratios, mine, margin) for name, ratios, mine in _by_design(found) if name != baseline}
    columns = ["users", "losers", "share", "low", "high", "loss_median", "loss_p90", "loss_max"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[*columns, "worst_user", "why"])
    table = table.rename_axis("design")
    table.attrs = {"margin": margin}
    return table


def _needed_users(where: str, df: pd.DataFrame, found: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return users; refuse if there are none."""
    if len(found):
        return found
    told = (
        "no row runs a measured tree"
        if by == LISTING
        else f"no row with a {by!r} has a ratio to the baseline"
    )
    raise RefusedError(
        f"analysis.{where}: df: there are no users among its {len(df):,} rows, since {told}; cells of a sweep are "
        "nobody's machine, so no share of users can be told; run a study with workload: {tree: {population: NAME}}, or "
        "name the column that tells users apart with by="
    )


def _lost(ratios: npt.NDArray[np.float64], mine: pd.DataFrame, margin: float) -> dict[str, float | int | str]:
    """Return how many lose, and how much."""
    losing = ratios > 1 + margin
    losses = ratios[losing] - 1
    share = _share(int(losing.sum()), len(ratios))
    parts = [quantile_estimate(losses, q, what="loser") for q in (0.5, 0.9)]
    reasons = [share.why, *(each.why for each in parts if len(losses))]
    worst = mine["user"].iloc[int(np.argmax(ratios))] if len(losses) else ""
    return {
        "users": len(ratios),
        "losers": int(losing.sum()),
        "share": share.value,
        "low": share.low,
        "high": share.high,
        "loss_median": parts[0].value,
        "loss_p90": parts[1].value,
        "loss_max": float(losses.max()) if len(losses) else math.nan,
        "worst_user": str(worst),
        "why": "; ".join(filter(None, reasons)),
    }


def _share(hits: int, of: int) -> Estimate:
    """Return a share of users with its interval, or the reason why it has none."""
    if of < FEWEST:
        why = f"{counted(of, _USER)} cannot bound a share; {FEWEST} can"
        return Estimate(hits / of, math.nan, math.nan, why)
    return Estimate(hits / of, *share_interval(hits, of), "")


def effect(
    df: pd.DataFrame, metric: str, baseline: str, margin: float = NO_DIFFERENCE, by: str = LISTING
) -> pd.DataFrame:
    """Return the size of each design's effect over users, with 95 % intervals.

    Parameters are those of ``losers``.

    Returns
    -------
    DataFrame
        Index ``design``, without the baseline; ``users``; ``ratio`` with ``ratio_low``, ``ratio_high`` (median user's
        metric as a multiple of the baseline's); ``difference`` with ``difference_low``, ``difference_high`` (median
        user's metric less the baseline's, in the metric's unit); ``better`` with ``better_low``, ``better_high`` and
        ``worse`` with ``worse_low``, ``worse_high`` (shares of users whose ratio is below 1 - margin, above 1 + margin);
        ``superiority`` (chance that the design is better for a user, one without a difference counting half);
        ``total_ratio`` (all users' metrics together as a multiple: what a fleet of such machines would see; sums of so
        few and so unequal users have no interval that holds); ``why`` (what is NaN, and the reason).

    Raises
    ------
    RefusedError
        As ``losers``.
    """
    asked = Asked("effect", df)
    _checked(asked, df, metric, baseline, by)
    asked.between("margin", margin, 0, 1, ends=True)
    asked.done()
    found = _needed_users("effect", df, _users(df, metric, baseline, by), by)
    rows = {name: _sizes(mine, margin) for name, _, mine in _by_design(found) if name != baseline}
    return pd.DataFrame(list(rows.values()), index=pd.Index(list(rows), name="design"))


def _sizes(mine: pd.DataFrame, margin: float) -> dict[str, float | int | str]:
    """Return the effect sizes of one design."""
    ratios = mine["ratio"].to_numpy(np.float64)
    better, worse = int((ratios < 1 - margin).sum()), int((ratios > 1 + margin).sum())
    estimates = {
        "ratio": median_estimate(ratios, what=_USER),
        "difference": median_estimate(mine["difference"], what=_USER),
        "better": _share(better, len(ratios)),
        "worse": _share(worse, len(ratios)),
    }
    row: dict[str, float | int | str] = {"users": len(ratios)}
    for name, each in estimates.items():
        row |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    row["superiority"] = (better + (len(ratios) - better - worse) / 2) / len(ratios)
    row["total_ratio"] = float(mine["value"].sum() / mine["reference"].sum())
    row["why"] = refusal(0.5, len(ratios), what=_USER)
    return row
