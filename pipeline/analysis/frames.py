"""A dataset as a tidy frame, and times on it.

Columns of ``load``, besides those of ``pipeline.schema``:

* each parameter of the workloads, empty where a row's workload has none of that name; a parameter that is called like
  another column gets ``_param`` behind its name. The parameter ``tree`` becomes ``tree`` (a label), ``tree_measured``,
  ``tree_depth``, ``tree_processes``, ``fan_out``, and ``tree_sizes``: fixed, measured or drawn;
* ``creations``: forks and vforks, the same for every design on one trace;
* ``<kind>_count``: events of each kind; ``<kind>:<act>``: acts of that kind, for acts that occur at all;
* times under the cost model, see ``recost``.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline import store
from pipeline.errors import DatasetError
from pipeline.latency import KIND_WIDTH, flattened, kind_totals
from pipeline.prices import OWN, cost_model, priced_rows
from pipeline.schema import PROVENANCE_KEY, STUDY_KEY
from simcore.acts import ACT, ACTS, EVENT_KINDS
from simcore.workloads.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from pipeline.latency import Entries, IntArray
    from pipeline.places import Where
    from simcore.costs import CostModel

# What a frame remembers of its study.
_STUDY_FACTS = (
    "name",
    "question",
    "geometry",
    "costs",
    "baseline",
    "floor",
    "seed",
    "replicates",
)
TIME_COLUMNS: tuple[str, ...] = (
    "total_ns",
    "total_ns_per_fork",
    "rest_ns_per_fork",
    "creation_ns_total",
    "creation_ns_mean",
    "fault_ns_total",
    "fault_ns_mean",
    "fault_ns_per_fork",
    *(f"{kind}_ns_{stat}" for kind in EVENT_KINDS for stat in ("total", "mean")),
)


def load(path: Where) -> pd.DataFrame:
    """Return a dataset as a tidy frame: one row a cell, sorted by ``cell_id``, times under the study's cost model.

    ``df.attrs`` holds the provenance: ``name``, ``question``, ``workloads`` (names), ``geometry``, ``costs``,
    ``baseline``, ``floor`` (None if there is none), ``seed``, ``replicates`` and ``own_designs`` (name -> base and
    axes) of the study; ``parameters`` (columns that are parameters), ``planned`` (cells), ``complete`` (whether all of
    them ran) and ``provenance`` (what made the rows).

    Raises
    ------
    DatasetError
        If the folder is no dataset, or a row's vectors do not add up to its totals.
    """
    return frame_of(store.pieces(path), planned=len(store.read_plan(path).cells))


def frame_of(
    tables: Iterable[pa.Table],
    planned: int,
    *,
    model: CostModel | str | None = None,
    watch: Callable[[pa.Table, list[Entries]], None] | None = None,
) -> pd.DataFrame:
    """Return what ``load`` returns, from the rows that ``store.pieces`` gave and the number of planned cells.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        The rows, piece by piece.
    planned : int
        Number of planned cells.
    model : CostModel or str, optional
        What an act costs, if not what the study says.
    watch : callable, optional
        Is given each piece with its vectors flat, once: to flatten them is most of the work.
    """
    frame, known = _tidied(tables, watch)
    study = json.loads(known[STUDY_KEY.encode()])
    frame.attrs |= {key: study[key] for key in _STUDY_FACTS}
    frame.attrs |= {
        "workloads": _workloads(study),
        OWN: study.get(OWN, {}),
        "planned": planned,
        "complete": len(frame) == planned,
        "provenance": json.loads(known[PROVENANCE_KEY.encode()]),
    }
    return recost(frame, model or str(study["costs"]))


def _workloads(study: dict[str, Any]) -> list[str]:
    """Return the names of a study's workloads; earlier versions knew one only."""
    return [grid["workload"] for grid in study["grids"]] if "grids" in study else [study["workload"]]


def tidy(table: pa.Table) -> pd.DataFrame:
    """Return rows of ``pipeline.schema`` as a tidy frame without times."""
    return _tidied([table])[0]


def _tidied(
    tables: Iterable[pa.Table], watch: Callable[[pa.Table, list[Entries]], None] | None = None
) -> tuple[pd.DataFrame, dict[bytes, bytes]]:
    """Return rows that come in one table or several as ``tidy`` does, and what the tables say of themselves."""
    totals, plains = [], []
    for table in tables:
        flats = list(flattened(table["vectors"]))
        totals += [kind_totals(flat) for flat in flats]
        if watch is not None:
            watch(table, flats)
        plains.append(table.drop_columns(["vectors"]))
    whole = pa.concat_tables(plains)
    plain: pd.DataFrame = whole.to_pandas(use_threads=False)
    by_kind = _by_kind(totals, len(plain))
    _check_totals(plain, by_kind)
    parameters = _parameters(plain["params"], taken=set(plain.columns))
    creations = pd.DataFrame({"creations": plain["forks"] + plain["vforks"]})
    frame = pd.concat([plain.drop(columns="params"), parameters, creations, by_kind], axis=1)
    frame.attrs = {"parameters": list(parameters.columns)}
    return frame, whole.schema.metadata or {}


def recost(df: pd.DataFrame, model: CostModel | str) -> pd.DataFrame:
    """Return the frame with times under another cost model; counts are untouched and nothing is simulated.

    Parameters
    ----------
    df : DataFrame
        What ``load`` returned, or a selection of its rows.
    model : CostModel or str
        What an act costs; where it depends on the reverse mappings that a design keeps, each row is priced by its own.

    Returns
    -------
    DataFrame
        A new frame whose time columns, in ns, are: ``total_ns`` (kernel time of the whole trace),
        ``total_ns_per_fork`` (the same divided by ``creations``), ``creation_ns_total`` and ``_mean`` (forks and
        vforks), ``rest_ns_per_fork`` (everything but forks and vforks, divided by ``creations``),
        ``fault_ns_total``, ``_mean`` and ``_per_fork`` (read and write faults; divided by ``creations``), and
        ``<kind>_ns_total`` and ``_mean`` for each kind of event; a mean is NaN where nothing happened.
    """
    chosen = cost_model(model)
    times = {"total_ns": priced_rows({ACT[act.name]: _floats(df, act.name) for act in ACTS}, df, chosen)}
    for kind in EVENT_KINDS:
        named = {ACT[act.name]: f"{kind}:{act.name}" for act in ACTS if f"{kind}:{act.name}" in df.columns}
        counts = {index: _floats(df, column) for index, column in named.items()}
        times[f"{kind}_ns_total"] = priced_rows(counts, df, chosen)
        times[f"{kind}_ns_mean"] = _ratio(times[f"{kind}_ns_total"], _floats(df, f"{kind}_count"))
    creations = _floats(df, "creations")
    times["creation_ns_total"] = times["fork_ns_total"] + times["vfork_ns_total"]
    times["creation_ns_mean"] = _ratio(times["creation_ns_total"], creations)
    times["fault_ns_total"] = times["read_fault_ns_total"] + times["write_fault_ns_total"]
    faults = _floats(df, "read_fault_count") + _floats(df, "write_fault_count")
    times["fault_ns_mean"] = _ratio(times["fault_ns_total"], faults)
    times["fault_ns_per_fork"] = _ratio(times["fault_ns_total"], creations)
    times["total_ns_per_fork"] = _ratio(times["total_ns"], creations)
    times["rest_ns_per_fork"] = _ratio(times["total_ns"] - times["creation_ns_total"], creations)
    block = pd.DataFrame({name: times[name] for name in TIME_COLUMNS}, index=df.index)
    recosted = pd.concat([df.drop(columns=list(TIME_COLUMNS), errors="ignore"), block], axis=1)
    recosted.attrs = dict(df.attrs) | {"costs": chosen.name}
    return recosted


def _floats(df: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """Return a column as float64."""
    return df[column].to_numpy(np.float64)


def _ratio(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return above / below, NaN where below is 0."""
    quotients: npt.NDArray[np.float64] = np.full(len(above), np.nan)
    np.divide(above, below, out=quotients, where=below > 0)
    return quotients


def _by_kind(totals: list[tuple[IntArray, IntArray]], rows: int) -> pd.DataFrame:
    """Return ``<kind>_count`` and, where it is not zero throughout, ``<kind>:<act>``, from pieces of some rows each."""
    always = np.arange(len(EVENT_KINDS)) * KIND_WIDTH + len(ACTS)
    acts = np.unique(np.concatenate([always, *(found for found, _ in totals)]))
    order = np.concatenate([always, acts[acts % KIND_WIDTH != len(ACTS)]])
    place: IntArray = np.zeros(len(EVENT_KINDS) * KIND_WIDTH, np.int64)
    place[order] = np.arange(len(order))
    # A row of the block is a column of the frame, which takes it over as it is: it may be hundreds of megabytes.
    block = np.zeros((len(order), rows), np.int64)
    first = 0
    for found, counts in totals:
        block[place[found], first : first + counts.shape[1]] = counts
        first += counts.shape[1]
    names = [_column_of(*divmod(int(each), KIND_WIDTH)) for each in order]
    return pd.DataFrame(block.T, columns=pd.Index(names), copy=False)


def _column_of(kind: int, act: int) -> str:
    """Return the name of the column of an act of a kind of event, or, for act len(ACTS), of the events."""
    return f"{EVENT_KINDS[kind]}_count" if act == len(ACTS) else f"{EVENT_KINDS[kind]}:{ACTS[act].name}"


def _check_totals(plain: pd.DataFrame, by_kind: pd.DataFrame) -> None:
    """Refuse rows whose vectors do not add up to the stored totals."""
    wrong: npt.NDArray[np.bool_] = np.zeros(len(plain), bool)
    for act in ACT:
        parts = [f"{kind}:{act}" for kind in EVENT_KINDS if f"{kind}:{act}" in by_kind.columns]
        total: IntArray = sum((by_kind[part].to_numpy() for part in parts), np.zeros(len(plain), np.int64))
        wrong |= total != plain[act].to_numpy(np.int64)
    if wrong.any():
        first = plain["cell_id"].iloc[int(np.argmax(wrong))]
        raise DatasetError(
            f"cell {first!r}: its vectors do not add up to its totals "
            f"({int(wrong.sum())} such cells); the dataset is damaged; run the study again into a new directory"
        )


def _parameters(params: pd.Series[str], taken: set[str]) -> pd.DataFrame:
    """Return a column per parameter; each distinct JSON text is read once."""
    codes, texts = pd.factorize(params)
    rows = [_expanded(json.loads(text)) for text in texts]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(_whole_with_gaps(rows), "Int64"))
    frame = frame.take(codes).reset_index(drop=True)
    return frame.rename(columns={name: f"{name}_param" for name in frame.columns if name in taken})


def _whole_with_gaps(rows: list[dict[str, Any]]) -> list[str]:
    """Return the parameters that are whole numbers, but of some workloads only: pandas would make floats of them."""
    names = {name for row in rows for name in row}
    found = {name: [row[name] for row in rows if name in row] for name in names}
    return [
        name
        for name, known in found.items()
        if len(known) < len(rows) and all(type(value) is int for value in known)
    ]


def _expanded(values: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as scalars: a tree becomes label and shape, a capture or recording its label, others JSON."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name == "tree" and isinstance(value, dict):
            flat.update(_tree(value))
        elif isinstance(value, dict) and ("packed" in value or "digest" in value):
            flat[name] = str(value["label"])
        else:
            flat[name] = json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value
    return flat


def _tree(tree: dict[str, Any]) -> dict[str, Any]:
    """Return what a tree parameter says: a measured tree goes by its label, a complete one by its shape."""
    parents = shape_of(tree).parents
    measured = "parents" in tree
    return {
        "tree": str(tree["label"]) if measured else f"depth {tree['depth']}, fan-out {tree['fan_out']}",
        "tree_measured": measured,
        "tree_depth": _depth(parents),
        "tree_processes": len(parents),
        "fan_out": max(Counter(parents[1:]).values(), default=0),
        "tree_sizes": _sizes_of(tree.get("resident_kib")),
    }


def _sizes_of(sizes: list[int | None] | None) -> str:
    """Return where the sizes of a tree's processes come from: one for all, the listing, or the fitted distribution."""
    if sizes is None:
        return "fixed"
    measured = sum(size is not None for size in sizes)
    if measured in (0, len(sizes)):
        return "measured" if measured else "drawn"
    return f"{measured} of {len(sizes)} measured, the others drawn"


def _depth(parents: list[int]) -> int:
    """Return the levels below the root of a tree whose parents come before their children."""
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    return max(depths)
