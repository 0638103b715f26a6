"""A dataset as CSV, JSON or Markdown, for programs and people that read no Parquet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline import analysis
from pipeline.errors import RefusedError, did_you_mean
from pipeline.schema import row_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from pipeline.places import Where

_PEOPLE = ("forks", "vforks", "minor_faults", "pgtable_bytes_max", "total_ns_per_fork")
_LINES = 5_000  # rows of Markdown at once


def exported(path: Where, form: str, costs: str | None, columns: Sequence[str]) -> Iterator[str]:
    """Yield a dataset as text, piece by piece: one row a cell, sorted by cell id.

    Parameters
    ----------
    path : Path or str
        The dataset's folder, or its URL.
    form : {"csv", "json", "markdown"}
        CSV has one heading line; JSON an object with ``study``, ``columns`` (name -> unit and meaning) and ``rows``;
        Markdown a table.
    costs : str or None
        Cost model of the time columns; None for the study's.
    columns : sequence of str
        Those to write, in this order; none for all, in Markdown for what tells cells apart and a few counts.

    Raises
    ------
    RefusedError
        If a column is not there, or the folder is no dataset.
    """
    df = analysis.load(path)
    df = df if costs is None else analysis.recost(df, costs)
    wrong = [name for name in columns if name not in df.columns]
    if wrong:
        told = "; ".join(f"unknown column {name!r}{_near(name, df)}" for name in wrong)
        raise RefusedError(f"--columns: {told}; without --columns all are written")
    chosen = df[list(columns or (_for_people(df) if form == "markdown" else df.columns))]
    if form == "csv":
        yield chosen.to_csv(index=False)
    elif form == "json":
        yield json.dumps(_document(chosen, df.attrs), indent=1, default=str) + "\n"
    else:
        yield from _markdown(chosen)


def _near(name: str, df: pd.DataFrame) -> str:
    """Return the nearest column's name; there are too many to list them."""
    near = did_you_mean(name, df.columns)
    return near if near.startswith("; did") else ""


def _for_people(df: pd.DataFrame) -> list[str]:
    """Return the columns that tell cells apart, and a few counts."""
    several = ["workload", "geometry", "replicate", *df.attrs["parameters"]]
    varied = [name for name in several if len(df[name].drop_duplicates()) > 1]
    counts = [name for name in _PEOPLE if name in df.columns]
    return list(dict.fromkeys(["cell_id", "design", *varied, *counts]))


def _document(chosen: pd.DataFrame, attrs: dict[Any, Any]) -> dict[str, Any]:
    """Return rows with what they are."""
    known = {field.name: field.metadata or {} for field in row_schema()}
    units = {
        name: {key: known[name].get(key.encode(), b"").decode() for key in ("unit", "meaning")}
        for name in map(str, chosen.columns)
        if name in known
    }
    plain = json.loads(chosen.to_json(orient="records", double_precision=15))
    return {"study": dict(attrs), "columns": units, "rows": plain}


def _markdown(df: pd.DataFrame) -> Iterator[str]:
    """Yield a Markdown table."""
    yield "| " + " | ".join(map(str, df.columns)) + " |\n|" + "---|" * len(df.columns) + "\n"
    for start in range(0, len(df), _LINES):
        part = df.iloc[start : start + _LINES]
        yield "".join(
            f"| {' | '.join(map(_cell, row))} |\n" for row in part.itertuples(index=False, name=None)
        )


def _cell(value: Any) -> str:
    """Return a value in a cell of a table."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")
