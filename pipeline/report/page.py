"""Dataset -> one self-contained HTML file."""

from __future__ import annotations

import re
from dataclasses import replace as replaced
from shlex import quote
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline import analysis, rows, store
from pipeline.compare import NO_DIFFERENCE
from pipeline.errors import DatasetError
from pipeline.folders import replace
from pipeline.prices import cost_model
from pipeline.report import figures, tables
from pipeline.report.answer import answer
from pipeline.report.assumptions import assumed_share
from pipeline.report.digest import EVENTS, QUESTION_AXES, WORKLOAD, Axis, Digest, plain
from pipeline.report.ecdf import users_figure
from pipeline.report.event_times import Timing
from pipeline.report.hosts import host_table
from pipeline.report.judged import worst_standing
from pipeline.report.latencies import tail, tails
from pipeline.report.maps import maps
from pipeline.report.models import across_models
from pipeline.report.published import published_tables
from pipeline.report.questions import questions
from pipeline.report.remarks import on_latency, on_memory
from pipeline.report.sealing import csv_link, lifted, policy
from pipeline.report.searched import sections
from pipeline.report.slices import by_workload, slices, with_figures
from pipeline.report.style import HUES
from pipeline.report.terminal import terminal_lines
from pipeline.report.typical import each_slice
from pipeline.report.users import users_along, users_table
from pipeline.report.uses import explained, uses_table
from pipeline.report.verdict import verdict
from pipeline.report.words import counted, listed, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from pipeline.places import Where
    from simcore.costs import CostModel

TAILS: tuple[tuple[str, str], ...] = (("creation", "fork"), ("fault", "fault"))


def write_report(
    dataset: Where,
    out: Path,
    *,
    costs: CostModel | str | None = None,
    searched: Sequence[dict[str, Any]] = (),
) -> list[str]:
    """Write the report of a dataset.

    Parameters
    ----------
    dataset : Path or str
        What ``forkbench run`` made; it may be incomplete.
    out : Path
        The HTML file; its folder is made if need be, and the file is replaced whole.
    costs : CostModel or str, optional
        A cost model, or the name or file of one; the study's own if absent.
    searched : sequence of dict
        Findings of searches in wider spaces, as ``searched.read_findings`` returns them.

    Returns
    -------
    list of str
        The verdict in three lines for a terminal; whether the dataset is complete is for the caller to say.

    Raises
    ------
    DatasetError
        If there is no such dataset, or it holds no row.
    RefusedError
        If the cost model is unknown.
    """
    digest = replaced(read_digest(dataset, costs), searched=tuple(searched))
    page = render(digest, dataset)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace(out.parent, out.name, page.encode())
    return terminal_lines(digest)


def read_digest(dataset: Where, costs: CostModel | str | None) -> Digest:
    """Return a dataset as the report sees it."""
    plan = store.read_plan(dataset)
    model = cost_model(costs or plan.study["costs"])
    timing, hashed = Timing(model, EVENTS), rows.Checksum()
    known = store.completed(dataset)  # parts carry hashes too, so that it need not be worked out again

    def passing() -> Iterator[pa.Table]:
        for table in store.pieces(dataset):
            if known is None:
                hashed.add(table)
            yield table

    df = analysis.frame_of(passing(), planned=len(plan.cells), model=model, watch=timing.add)
    if not len(df):
        raise DatasetError(f"{dataset}: holds no row yet; a report needs at least one; run the study first")
    if known is not None and not df.attrs["complete"]:  # parts were lost since
        known = rows.checksum(store.read(dataset))
    df.attrs = {name: _settled(fact) for name, fact in df.attrs.items()}
    return Digest(df, timing.found(), model, checksum=known or hashed.digest())


class _Settled(dict[str, Any]):
    """Facts that nobody changes: pandas copies attrs deeply at every selection, and need not copy these."""

    def __deepcopy__(self, _: dict[int, Any]) -> _Settled:
        return self


def _settled(fact: Any) -> Any:
    """Return a fact of a study in a form that is cheap to copy."""
    if isinstance(fact, dict):
        return _Settled(fact)
    return tuple(fact) if isinstance(fact, list) else fact


def render(digest: Digest, dataset: Where) -> str:
    """Return the page; equal datasets under an equal path give equal bytes."""
    environment = Environment(
        loader=PackageLoader("pipeline.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"coded": coded, "csv_link": csv_link}
    body, lifted_style = lifted(environment.get_template("body.html").render(_content(digest, dataset)))
    style = environment.get_template("page.css").render(hues=HUES) + lifted_style
    script = environment.get_template("page.js").render()
    return environment.get_template("page.html").render(
        name=digest.df.attrs["name"], body=body, style=style, script=script, policy=policy(style, script)
    )


def coded(text: str) -> Markup:
    """Return a text, escaped, with what stands between backquotes set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before


def stamp(digest: Digest) -> str:
    """Return ``INCOMPLETE n/m`` for a dataset that lacks planned cells, else nothing."""
    facts = digest.df.attrs
    return "" if facts["complete"] else f"INCOMPLETE {len(digest.df)}/{facts['planned']}"


def _content(digest: Digest, dataset: Where) -> dict[str, Any]:
    """Return everything that the template shows."""
    facts = digest.df.attrs
    worst = worst_standing(digest)
    parts = slices(digest)
    swept = [axis.column for axis in digest.axes]
    asked, answers = questions(digest, parts)
    drawn, alone = with_figures(parts)
    return {
        "facts": facts,
        "checksum": digest.checksum,
        "stamp": stamp(digest),
        "answer": answer(digest, parts),
        "uses": uses_table(digest),
        "explained": explained(digest),
        "verdict": verdict(digest, parts),
        "alone": listed([part.where for part in alone]) if alone else "",
        "questions": asked,
        "answers": answers,
        "scope": _scope(digest),
        "key": figures.key(digest),
        "slices": drawn,
        "by_workload": len(digest.workloads) > 1,
        "workloads": listed(digest.df.attrs["workloads"]),
        "standing": [(figures.standing(part), tables.standing(part)) for part in drawn],
        "users": [(part, users_figure(part), users_table(part), users_along(part)) for part in drawn],
        "maps": maps(digest),
        "extremes": tables.extremes(digest),
        "searched": sections(digest.searched),
        "axes": [(figures.moves_with(part, axis), tables.along(part, axis)) for part, axis in _moves(digest)],
        "memory": [(on_memory(part), figures.memory(part), tables.memory(part)) for part in drawn],
        "deferred": bool((digest.df["deferred_copy_count"] > 0).any()),
        "on_latency": each_slice(drawn, on_latency),
        "tails": [
            (tails(part, event, name), tail(part, event, name)) for event, name in TAILS for part in drawn
        ],
        "parts": figures.where_time_goes(drawn, digest, worst.worst.trace_id if worst else None),
        "differences": [table for part in drawn for table in tables.makes_the_difference(part)],
        "acts": [tables.act_groups(part) for part in drawn],
        "sensitivity": [tables.sensitivity(part) for part in drawn],
        "across_models": [across_models(part) for part in drawn],
        "published": published_tables(),
        "host": host_table(),
        "designs": tables.designs(digest),
        "costs": tables.costs(digest.model),
        "model": digest.model,
        "assumed_share": share(assumed_share(digest)),
        "costs_listed": len(digest.model.listed()),
        "assumed": [tables.as_code(name) for name, cost in digest.model.listed().items() if cost.assumed],
        "fixed": _fixed(digest),
        "unswept": [name.replace("_", " ") for name in QUESTION_AXES if name not in swept],
        "per": digest.per,
        "baseline": digest.baseline,
        "population": digest.population[1],
        "cells_each": counted(digest.cells_each, "cell"),
        "none_below": share(NO_DIFFERENCE),
        "dataset": quote(str(dataset)),
        "study": quote(f"{dataset}/study.yaml"),
    }


def _moves(digest: Digest) -> list[tuple[Digest, Axis]]:
    """Return what to draw along which axis: the workloads, if there are several, then workload by workload."""
    parts = by_workload(digest)
    workloads = [(digest, axis) for axis in digest.axes if axis.column == WORKLOAD]
    return workloads + [move for part in parts for move in _moves_within(part, slices(part))]


def _moves_within(digest: Digest, parts: list[Digest]) -> list[tuple[Digest, Axis]]:
    """Return what to draw along which axis: the axis that tells slices apart once, the others for each slice."""
    left = {axis.column for part in parts for axis in part.axes}
    deciding = [(digest, axis) for axis in digest.axes if axis.column not in left]
    others = [axis for axis in digest.axes if axis.column in left]
    mine = {part.where: {axis.column: axis for axis in part.axes} for part in parts}
    return deciding + [
        (part, mine[part.where][axis.column])
        for axis in others
        for part in parts
        if axis.column in mine[part.where]
    ]


def _fixed(digest: Digest) -> str:
    """Return the parameters that are not swept, in words; of several workloads, one after another."""
    said = []
    shapes = {
        "tree_measured",
        "tree_depth",
        "tree_processes",
        "fan_out",
        "tree_sizes",
    }  # the tree's label says them
    for workload in digest.workloads:
        cells = digest.df[digest.df[WORKLOAD] == workload]
        sizes = set(cells["tree_sizes"].dropna()) if "tree_sizes" in cells else set()
        of_no_account = {"anon_pages"} if sizes and "fixed" not in sizes else set()
        columns = [name for name in digest.df.attrs["parameters"] if name not in shapes | of_no_account]
        known = {name: cells[name].dropna().unique().tolist() for name in columns}
        told = [f"{name.replace('_', ' ')} {plain(one[0])}" for name, one in known.items() if len(one) == 1]
        told += [f"processes of trees have sizes: {size}" for size in sorted(sizes - {"fixed"})]
        of = f"in {workload}: " if len(digest.workloads) > 1 else ""
        said += [of + ", ".join(told)] if told else []
    return "; ".join(said)


def _scope(digest: Digest) -> str:
    """Return what ran, in one line."""
    traces = counted(int(digest.df["trace_id"].nunique()), "trace")
    return f"{counted(len(digest.df), 'cell')}: {traces} under {counted(len(digest.designs), 'design')}"
