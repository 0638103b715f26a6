"""What a search makes as large as it can: a metric of designs, as a multiple of the baseline's or by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.analysis import TIME_COLUMNS, paired, recost
from pipeline.errors import RefusedError, counted, did_you_mean
from pipeline.schema import row_schema
from simcore.acts import ACTS, EVENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from pipeline.study import Study
    from simcore.costs import CostModel

DEFAULT = "total_ns"
_NO_METRICS = ("replicate", "seed")


class Objective(NamedTuple):
    """What is to be large.

    Parameters
    ----------
    metric : str
        A column of ``analysis.load``.
    designs : tuple of str
        Those that count; at a point it is the dearest of them, in its dearest replicate.
    baseline : str or None
        The metric is divided by that design's on the same trace; None takes it as it is.
    costs : CostModel or None
        Of times; None for the study's.
    """

    metric: str
    designs: tuple[str, ...]
    baseline: str | None
    costs: CostModel | None

    def priced(self, df: pd.DataFrame) -> pd.DataFrame:
        """Return rows of ``analysis.load`` with times under the cost model that is asked for, and with the metric."""
        found = df if self.costs is None else recost(df, self.costs)
        # An act that occurs nowhere has no column.
        return found if self.metric in found.columns else found.assign(**{self.metric: 0})

    def heights(self, df: pd.DataFrame) -> pd.Series[float]:
        """Return the value of each row of ``priced`` that has one, by row; those of other designs are left out."""
        found = df[self.metric] if self.baseline is None else paired(df, self.metric, self.baseline)
        mine = found.astype("float64")[df["design"].isin(self.designs)]
        return mine[np.isfinite(mine.to_numpy())]

    @property
    def told(self) -> str:
        """What it is, in words."""
        against = "" if self.baseline is None else f", as a multiple of {self.baseline}'s on the same trace"
        return f"{self.metric}{against}"


def objective_of(
    study: Study, metric: str, designs: Sequence[str], costs: CostModel | None, *, absolute: bool
) -> Objective:
    """Return an objective that fits a study.

    Raises
    ------
    RefusedError
        If metric or designs are unknown, or nothing is left to compare; all faults at once.
    """
    faults = []
    known = metrics()
    if metric not in known:
        near = did_you_mean(metric, known)
        told = near if near.startswith("; did") else "; docs/analysis.md names them"
        faults.append(f"--objective: {metric!r} is no metric{told}")
    faults += [
        f"--design: {name!r} is none of the study's designs{did_you_mean(name, study.designs)}"
        for name in dict.fromkeys(designs)
        if name not in study.designs
    ]
    baseline = None if absolute else study.baseline
    if baseline in designs:
        faults.append(
            f"--design: {baseline!r} is the baseline, which the others are compared with; name another, or add --absolute"
        )
    chosen = tuple(name for name in study.designs if name != baseline and name in (designs or study.designs))
    if not chosen and not faults:
        faults.append(f"designs: {baseline!r} is the only one; add a design to compare, or use --absolute")
    if faults:
        head = f"{study.name}: {counted(len(faults), 'problem')}"
        raise RefusedError("\n".join([head, *(f"  {fault}" for fault in faults)]))
    return Objective(metric, chosen, baseline, costs)


def metrics() -> list[str]:
    """Return the columns of numbers that every dataset has, and those of acts by kind of event."""
    counts = [field.name for field in row_schema() if pa.types.is_integer(field.type)]
    kinds = [f"{kind}:{act.name}" for kind in EVENT_KINDS for act in ACTS]
    named = [name for name in counts if name not in _NO_METRICS]
    return [*TIME_COLUMNS, *named, "creations", *(f"{kind}_count" for kind in EVENT_KINDS), *kinds]
