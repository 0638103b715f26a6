"""How long forks and faults take: tails on the typical cells and on all, and the quantiles that events support."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from pipeline.analysis.tails import highest_quantile
from pipeline.intervals import needed, refusal
from pipeline.latency import quantiles
from pipeline.report.canvas import Group, falling, legend_below, marker_handle, panel, thinned
from pipeline.report.families import Family, families
from pipeline.report.judged import champion
from pipeline.report.svg import inline
from pipeline.report.tables import Table, by_family
from pipeline.report.words import NOTHING, counted, duration, slug

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pipeline.report.digest import Digest
    from pipeline.report.style import Look

TOLD: tuple[float, ...] = (0.5, 0.99, 0.999)
_NAMES = {0.5: "median", 0.99: "p99", 0.999: "p99.9"}
_MARKS: tuple[tuple[float, str], ...] = ((0.5, "o"), (0.99, "D"), (1.0, "x"))


class _Tail(NamedTuple):
    """Latencies over some cells: what they are called, and ``design``, ``us``, ``times``."""

    cells: str
    timed: pd.DataFrame


def tails(digest: Digest, event: str, name: str) -> Group | None:
    """How often an event takes longer than a given time, per design, on the typical cells and on all cells."""
    found = [_Tail(cells, timed.assign(us=timed["ns"] / 1000)) for cells, timed in _over_cells(digest, event)]
    if not len(found[0].timed):
        return None
    panels = [_panel(digest, tail, name, fam) for fam in _shown(digest) for tail in found]
    reading = (
        f"Each curve falls from all {name}s, at the top, to the slowest one: above a time on the horizontal axis, the "
        f"height is the share of {name}s that take longer, both on logarithmic scales."
    )
    details = (
        f"Dot: median, diamond: p99, cross: the slowest. Where a curve is thin, fewer {name}s lie beyond than it takes "
        "to bound such a quantile."
    )
    numbers = pd.concat([_numbers(tail) for tail in found])
    heading = f"How long a {name} takes{digest.at}"
    return Group(f"tail-{name}{digest.suffix}", heading, reading, panels, numbers, details)


def _over_cells(digest: Digest, event: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the latencies on the typical cells and, if these are not all, on all."""
    found = [("typical", digest.times_of(event))]
    if len(digest.population[0]) < len(digest.df):
        found.append(("all cells", digest.times_of_all(event)))
    return found


def _numbers(tail: _Tail) -> pd.DataFrame:
    """Return the steps of the curves."""
    steps = thinned(tail.timed)
    total = steps.groupby("design")["times"].transform("sum")
    longer = 1 - steps.groupby("design")["times"].cumsum() / total
    return steps[["design"]].assign(cells=tail.cells, us=steps["us"], longer=longer)


def _shown(digest: Digest) -> list[Family]:
    """Return the families; in a slice of a study baseline, floor and the sharing design that does best, in one panel.

    A page about a dozen workloads would be nothing but tails otherwise; the table has them all.
    """
    if not digest.where or digest.baseline is None:
        return families(digest)
    chosen = [name for name in (champion(digest), digest.floor) if name and name != digest.baseline]
    return [Family("Baseline, floor, best sharing", [digest.baseline], chosen)]


def _panel(digest: Digest, tail: _Tail, name: str, fam: Family) -> Markup:
    """Draw one panel of ``tails``."""
    marked = quantiles(tail.timed, [q for q, _ in _MARKS])
    present = {design: digest.looks[design] for design in fam.everybody if design in marked.index}
    heading = f"{fam.heading}: {tail.cells}"
    with panel(heading, 2.6 + 0.2 * ((len(present) + 2) // 3)) as (figure, axes):
        events = {str(design): int(number) for design, number in marked["events"].items()}
        supported = {design: _least_share(events[design]) for design in present}
        falling(axes, thinned(tail.timed), present, supported)
        _mark(axes, marked, present)
        axes.set_xlabel(f"µs a {name}")
        axes.set_ylabel("take longer")
        handles = [marker_handle(design, chosen, marker=False) for design, chosen in present.items()]
        legend_below(figure, handles, list(present), ncols=3, handlelength=2.2, columnspacing=1.2)
        slowest = marked["ns_q1"].to_dict()
        said = ", ".join(f"{design} {duration(slowest[design])}" for design in present)
        title = f"Latency of a {name}{digest.at}: {heading}"
        place = slug(f"tail {name} {heading}{digest.suffix}")
        return inline(figure, place, title, f"The slowest {name}: {said}.")


def _least_share(events: int) -> float:
    """Return the least share beyond a time that so many events can bound; 1 if not even a median."""
    highest = highest_quantile(events)
    return 1.0 if math.isnan(highest) else 1 - highest


def _mark(axes: Axes, marked: pd.DataFrame, present: Mapping[str, Look]) -> None:
    """Mark median, p99 and the slowest event of each design, as far as its events support them."""
    rows = marked.to_dict("index")
    for design, chosen in present.items():
        row = rows[design]
        for q, marker in _MARKS:
            if q == 1 or not refusal(q, int(row["events"])):
                height = 1 / row["events"] if q == 1 else 1 - q
                axes.plot(row[f"ns_q{q:g}"] / 1000, height, marker, color=chosen.colour, markersize=5, zorder=3,
                          markerfacecolor=chosen.face, markeredgewidth=1.2, clip_on=False)  # fmt: skip


def tail(digest: Digest, event: str, name: str) -> Table | None:
    """Return quantiles of an event's latency, typical and over all cells; what events do not support is refused."""
    parts = [quantiles(timed, (*TOLD, 1.0)) for _, timed in _over_cells(digest, event)]
    if not len(parts[0]):
        return None
    slowest = quantiles(digest.times_everywhere(event), [1.0])["ns_q1"].to_dict()
    rows = []
    for design in (name for name in digest.designs if name in parts[0].index):
        usual, everywhere = (found.loc[[design]].to_dict("records")[0] for found in (parts[0], parts[-1]))
        row = [f"`{design}`", f"{usual['events']:,.0f}", duration(usual["ns_mean"]), *_told(usual)]
        rows.append(row + (_told(everywhere) if len(parts) > 1 else []))
        rows[-1] += [duration(slowest[design])] if digest.where else []
    columns = [*_NAMES.values(), "slowest"]
    headings = ["design", f"{name}s", "mean", *columns]
    headings += [f"{column}, all cells" for column in columns] if len(parts) > 1 else []
    headings += ["slowest of the sweep"] if digest.where else []
    caption = (
        f"Latency of a {name} on the typical cells{digest.at}{', and on all' if len(parts) > 1 else ''}: every {name} is "
        f"counted. A quantile is told if the {name}s bound it from both sides; the slowest stands for nothing beyond it."
        f"{_refused(parts, name)}"
    )
    return Table(caption, headings, rows, groups=by_family(digest, rows))


def _told(found: Mapping[Hashable, Any]) -> list[str]:
    """Return the quantiles in words, a dash for one that the events do not support, then the slowest."""
    events = int(found["events"])
    told = [NOTHING if refusal(q, events) else duration(found[f"ns_q{q:g}"]) for q in TOLD]
    return [*told, duration(found["ns_q1"])]


def _refused(parts: Sequence[pd.DataFrame], name: str) -> str:
    """Say which quantiles are refused, and why."""
    said = []
    for q in TOLD:
        short = {int(events) for found in parts for events in found["events"] if refusal(q, int(events))}
        if short:
            most = counted(max(short), name)
            few = most if len(short) == 1 else f"{min(short):,} to {most}"
            said.append(f"{few} cannot bound {_NAMES[q]}, {counted(needed(q), name)} can")
    return f" A dash: {'; '.join(said)}." if said else ""
