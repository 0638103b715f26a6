"""How users fare, as a figure: the share of them up to each ratio, and those that lose shaded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.compare import NO_DIFFERENCE
from pipeline.intervals import LEVEL
from pipeline.report.canvas import Group, panel
from pipeline.report.judged import candidates
from pipeline.report.style import INK, MUTED, RULE
from pipeline.report.svg import inline
from pipeline.report.users import over_listings, ratios
from pipeline.report.words import factor, share, slug

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pipeline.report.digest import Digest
    from pipeline.report.style import Look
    from pipeline.report.users import Fare

_LIMIT = 1 + NO_DIFFERENCE
_INCHES = 2.35
_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
Ratios = npt.NDArray[np.float64]


class _Drawn(NamedTuple):
    """What all panels are drawn from: ratios of each design, ascending; the ends of the scale; the floor's name."""

    values: dict[str, Ratios]
    ends: tuple[float, float]
    floor: str | None


def users_figure(digest: Digest) -> Group | None:
    """Return for each design that the verdict is about how its ratio lies over users; None for too few listings."""
    found = over_listings(digest)
    if not found:
        return None
    each = ratios(digest)
    judged = [name for name in candidates(digest) if name in found] or list(found)
    floor = digest.floor if digest.floor in found and digest.floor not in judged else None
    shown = judged if floor is None else [*judged, floor]
    values = {name: np.sort(each.loc[each["design"] == name, "ratio"].to_numpy(np.float64)) for name in shown}
    drawn = _Drawn(values, _ends(values), floor)
    panels = [_panel(digest, name, found[name], drawn) for name in judged]
    reading = (
        "Each step is one listing, a user: the curve's height is the share of users whose kernel time is at most so many "
        f"times that of {digest.baseline}."
    )
    thin = f" The thin grey curve is {digest.floor}, the floor." if floor is not None else ""
    details = (
        "Right of the upright line the design is dearer. The shaded part is as high as "
        f"the share of users that lose by more than {share(NO_DIFFERENCE)}, which stands beside it with its "
        f"{share(LEVEL)} interval, and as wide as what they lose. The dot is the median user, the bar through it its "
        f"interval.{thin} All panels share their scale."
    )
    numbers = each.rename(columns={"user": "listing", "value": "ns", "reference": "baseline_ns"})
    numbers = numbers.assign(loses=numbers["ratio"] > _LIMIT).drop(columns="difference")
    return Group(f"users{digest.suffix}", f"Over users{digest.at}", reading, panels, numbers, details)


def _ends(values: dict[str, Ratios]) -> tuple[float, float]:
    """Return the scale of all panels: every ratio and what is called no difference."""
    low = min(1 - 2 * NO_DIFFERENCE, *(float(each[0]) for each in values.values()))
    high = max(1 + 2 * NO_DIFFERENCE, *(float(each[-1]) for each in values.values()))
    air = 0.04 * (high - low)
    return low - air, high + air


def _panel(digest: Digest, name: str, fare: Fare, drawn: _Drawn) -> Markup:
    """Draw the users of one design."""
    values, (low, high) = drawn.values[name], drawn.ends
    with panel(name, _INCHES) as (figure, axes):
        if drawn.floor is not None:
            _steps(axes, drawn.values[drawn.floor], drawn.ends, color=MUTED, linewidth=0.8)
        _curve(axes, values, digest.looks[name], (low, high))
        _median(axes, fare, digest.looks[name])
        said = _losers(fare)
        # Few users on the left leave room for words above them; many leave room below.
        left = float((values <= low + 0.4 * (high - low)).mean()) < 0.65
        x, y = (low + 0.02 * (high - low), 0.97) if left else (high, 0.03)
        axes.text(x, y, "\n".join(said), fontsize=9, linespacing=1.35, ha="left" if left else "right",
                  va="top" if left else "bottom")  # fmt: skip
        axes.set(xlim=(low, high), ylim=(0, 1.02), ylabel="share of users")
        axes.set_yticks(_STEPS, [share(step) for step in _STEPS])
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(f"times {digest.baseline}, median of a user's cells")
        told = f"{fare.listings} users, median {factor(fare.median.value)}; {', '.join(said)}."
        title = f"{name} against {digest.baseline} over users{digest.at}"
        return inline(figure, slug(f"users {name}{digest.suffix}"), title, told)


def _curve(axes: Axes, values: Ratios, look: Look, ends: tuple[float, float]) -> None:
    """Draw the share of values up to each, and shade what lies beyond the limit of a loss."""
    count = len(values)
    kept = int((values <= _LIMIT).sum())
    axes.axvspan(_LIMIT, ends[1], color=RULE, alpha=0.35, linewidth=0)
    if kept < count:
        heights = np.arange(kept, count + 1) / count
        beyond = np.append(values[kept:], values[-1])
        axes.fill_betweenx(heights, _LIMIT, beyond, step="post", color=look.colour, alpha=0.3, linewidth=0)
    axes.axvline(1, color=INK, linewidth=0.9)
    _steps(axes, values, ends, color=look.colour, linewidth=1.6)


def _steps(axes: Axes, values: Ratios, ends: tuple[float, float], **looks: Any) -> None:
    """Draw the share of values up to each, from one end of the scale to the other."""
    count = len(values)
    reached = np.concatenate([[0.0], np.arange(1, count + 1) / count, [1.0]])
    axes.step(np.concatenate([[ends[0]], values, [ends[1]]]), reached, where="post", **looks)


def _median(axes: Axes, fare: Fare, look: Look) -> None:
    """Mark the median user, with its interval where there is one."""
    if not math.isnan(fare.median.low):
        axes.plot([fare.median.low, fare.median.high], [0.5, 0.5], color=look.colour, linewidth=4, alpha=0.5,
                  solid_capstyle="butt")  # fmt: skip
    axes.plot(fare.median.value, 0.5, "o", color=look.colour, markersize=5.5)


def _losers(fare: Fare) -> list[str]:
    """Return the share of users that lose, and its interval, a line each."""
    said = [f"{share(fare.losing.value)} lose"]
    if not math.isnan(fare.losing.low):
        said.append(f"({share(fare.losing.low)} to {share(fare.losing.high)})")
    return said
