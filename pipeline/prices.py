"""What acts cost in rows of several designs: a model may price an act by the reverse mappings that a design keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline import cost_files
from pipeline.errors import RefusedError, did_you_mean
from pipeline.lineup import rmap_of
from simcore.acts import ACTS
from simcore.costs import COST_MODELS, CostModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

FloatArray = npt.NDArray[np.float64]
OWN = "own_designs"  # where a frame remembers the designs that its study defines


def cost_model(model: CostModel | str) -> CostModel:
    """Return a cost model by its name or its file (.yaml, .yml); a CostModel is returned as it is.

    Raises
    ------
    RefusedError
        If no cost model has that name, or the file is none.
    """
    if isinstance(model, CostModel):
        return model
    if model not in COST_MODELS and cost_files.is_file(model):
        return cost_files.load(model).model
    if model not in COST_MODELS:
        raise RefusedError(
            f"cost model: unknown name {model!r}{did_you_mean(model, COST_MODELS)}; "
            f"known are {', '.join(sorted(COST_MODELS))}; use one of them, or the file of one (.yaml)"
        )
    return COST_MODELS[model]


def priced(counts: Mapping[int, FloatArray], costs: FloatArray, size: int) -> FloatArray:
    """Return ns [size]: counts of acts (index in ACTS -> float64 [size]) times costs, added in the order of ACTS.

    The order is fixed so that equal counts give equal floats, whichever way they were stored.
    """
    total = np.zeros(size)
    for index in range(len(ACTS)):
        if index in counts and costs[index] > 0:
            total += counts[index] * costs[index]
    return total


def by_rmap(df: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Return reverse mappings (a value of the axis ``rmap``) -> which rows have a design that keeps them, bool [rows].

    A design that neither ships nor stands in ``df.attrs["own_designs"]`` is taken for one without.
    """
    known: dict[str, Any] = rmap_of(df.attrs.get(OWN, {}))
    kept = df["design"].map(known).fillna("none").to_numpy(str)
    return {str(rmap): kept == rmap for rmap in np.unique(kept)}


def priced_rows(counts: Mapping[int, FloatArray], df: pd.DataFrame, model: CostModel) -> FloatArray:
    """Return ns [rows]: what ``priced`` gives for each row of a frame under the costs that hold for its design."""
    total = np.zeros(len(df))
    for rmap, mine in by_rmap(df).items():
        chosen = {act: count[mine] for act, count in counts.items()}
        total[mine] = priced(chosen, model.vector(rmap), int(mine.sum()))
    return total


def spent(df: pd.DataFrame, model: CostModel) -> dict[str, FloatArray]:
    """Return act -> ns [rows] spent on it, for every act that the model prices for some design."""
    found = {act: np.zeros(len(df)) for act in model.costs | model.object_rmap}
    for rmap, mine in by_rmap(df).items():
        for act, cost in model.under(rmap).items():
            found[act][mine] = df[act].to_numpy(np.float64)[mine] * cost.ns
    return found


def assumed_ns(df: pd.DataFrame, model: CostModel) -> FloatArray:
    """Return ns [rows] that rest on assumed costs."""
    total = np.zeros(len(df))
    for rmap, mine in by_rmap(df).items():
        for act, cost in model.under(rmap).items():
            if cost.assumed:
                total[mine] += df[act].to_numpy(np.float64)[mine] * cost.ns
    return total
