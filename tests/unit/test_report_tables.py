"""The tables of a report add up, and agree with the frame that they were made from."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from report_datasets import make_dataset

from pipeline import analysis, store
from pipeline.report import figures, tables
from pipeline.report.assumptions import assumed_share
from pipeline.report.latencies import tail, tails
from pipeline.report.page import read_digest
from pipeline.report.remarks import on_latency, on_memory
from pipeline.report.words import NOTHING, duration, factor, number, signed
from simcore.costs import PC_2002


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a small dataset."""
    return make_dataset(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def digest(dataset):
    """Return it as a report sees it."""
    return read_digest(dataset, None)


@pytest.fixture(scope="module")
def means(digest):
    """Return the mean µs per fork of each design over the typical cells, straight from the frame."""
    typical = digest.df[digest.df["tree"] == "phillips-2002"]
    return (typical.groupby("design")["total_ns_per_fork"].mean() / 1000).to_dict()


def column(table, heading):
    """Return a column as a mapping from the name of the row."""
    place = table.headings.index(heading)
    return {row[0].strip("`"): row[place] for row in table.rows}


def test_act_groups__add_up_to_the_kernel_time(digest, means):
    """The groups of acts sum to the time of the typical cells."""
    assert column(tables.act_groups(digest), "all") == {name: number(means[name]) for name in digest.designs}


def test_makes_the_difference__adds_up_to_the_difference(digest, means):
    """Acts that differ sum to the difference between design and baseline."""
    table, chains = tables.makes_the_difference(digest)
    assert chains.headings[1:-1] == ["linus_rmap"]
    assert column(chains, "linus_rmap")["all acts"] == signed(means["linus_rmap"] - means["rmap25"])
    assert table.headings[1:-1] == ["phillips", "phillips_mark", "linus_pmd"]
    assert column(table, "linus_pmd")["all acts"] == signed(means["linus_pmd"] - means["linux24"])
    assert column(table, "cost")["pmds_written"] == "assumed"
    assert column(table, "cost")["ptes_copied_unshare"] == "sourced"


def test_standing__shows_the_paired_ratios(digest):
    """Typical and worst stand side by side, against baseline and floor."""
    table = tables.standing(digest)
    typical = analysis.typical(digest.df, "total_ns_per_fork", "linux24")["ratio"]
    worst = analysis.worst(digest.df, "total_ns_per_fork", "vfork")["ratio"]
    assert column(table, "times linux24, typical") == {name: factor(typical[name]) for name in digest.designs}
    assert column(table, "times vfork, worst") == {name: factor(worst[name]) for name in digest.designs}
    chains = column(table, "times that, typical")
    assert column(table, "its eager copy")["linus_rmap"] == "`rmap25`"
    assert chains["phillips"] == NOTHING
    assert chains["linus_rmap"] == factor(
        analysis.typical(digest.df, "total_ns_per_fork", "rmap25")["ratio"]["linus_rmap"]
    )


def test_standing__says_what_a_lost_cell_is(digest):
    """The caption has the threshold above which a cell counts as lost."""
    caption = tables.standing(digest).caption.replace("\N{NO-BREAK SPACE}", " ")
    assert "design is more than 0.5 % dearer than the baseline" in caption


def test_extremes__name_cells_that_exist(digest):
    """Each replay line shows a cell of the design in whose row it stands."""
    table = tables.extremes(digest)
    owner = digest.df.set_index("cell_id")["design"].to_dict()
    assert len(table.rows) == 2 * (len(digest.designs) - 1)
    assert all(
        owner[row[5].strip("`").removeprefix("forkbench show ").removesuffix(" --simulate")]
        == row[0].strip("`")
        for row in table.rows
    )


def test_sensitivity__scales_assumed_costs_alone(digest):
    """The middle column is the verdict's own; the others are those of a model with scaled assumptions."""
    table = tables.sensitivity(digest)
    own = tables.standing(digest)
    same = column(table, "typical, assumed times 1")
    assert same == {name: column(own, "times linux24, typical")[name] for name in same}
    scaled = {
        act: cost._replace(ns=cost.ns * 2) if cost.assumed else cost for act, cost in PC_2002.costs.items()
    }
    twice = analysis.recost(digest.df, type(PC_2002)("twice", "", scaled))
    worst = analysis.worst(twice, "total_ns_per_fork", "linux24")["ratio"]
    assert column(table, "worst, assumed times 2") == {name: factor(worst[name]) for name in same}


def test_assumed_share__is_a_share(digest):
    """Some, but not all, of the time comes from assumed costs."""
    assert 0 < assumed_share(digest) < 1


def test_along__has_every_value_of_the_axis(digest):
    """One column per value; a measured tree does not lie on the axis of depths."""
    depth, execs = digest.axes
    assert (depth.column, depth.points) == ("tree_depth", (1, 3))
    assert (execs.column, execs.points) == ("exec_ratio", (0.0, 1.0))
    table = tables.along(digest, depth)
    assert table.headings == ["design", "times", "tree depth 1", "tree depth 3"]
    assert column(table, "tree depth 1")["linux24"] == "1.000 / 1.000"
    others = {name: other for name, other in column(table, "times").items() if other != "`linux24`"}
    assert others == {"linus_rmap": "`rmap25`"}


def test_tail__counts_every_fork(dataset, digest):
    """Under every design the typical cells fork equally often, and the slowest of the sweep is no faster."""
    table = tail(digest, "creation", "fork")
    assert set(column(table, "forks").values()) == {str(2 * 47)}
    typical = pa.array(digest.population[0]["cell_id"])
    table_of_all = store.read(dataset)
    rows = table_of_all.filter(pc.is_in(table_of_all["cell_id"], typical))
    for heading, source in (("slowest", rows), ("slowest, all cells", table_of_all)):
        found = analysis.latency(source, "pc-2002", "creation", q=[1.0])["ns_q1"]
        assert column(table, heading) == {name: duration(found[name]) for name in digest.designs}


def test_tail__refuses_what_too_few_events_support(digest):
    """94 forks bound a median, but neither p99 nor p99.9: dashes, and the caption says how many it takes."""
    table = tail(digest, "creation", "fork")
    assert NOTHING not in column(table, "median").values()
    assert set(column(table, "p99").values()) == set(column(table, "p99.9").values()) == {NOTHING}
    assert "94 to 126 forks cannot bound p99, 368 forks can" in table.caption


def test_tails__thin_where_events_support_no_quantile(digest):
    """Each panel has a curve in two strengths, and the numbers are shares that fall to 0 for each design and cells."""
    found = tails(digest, "fault", "fault")
    assert {panel.partition(": ")[2] for panel in titles(found)} >= {"typical", "all cells"}
    for _, steps in found.numbers.groupby(["design", "cells"]):
        assert steps["us"].is_monotonic_increasing
        assert steps["longer"].is_monotonic_decreasing
        assert steps["longer"].iloc[-1] == 0


def titles(group):
    """Return what the panels of a figure are called."""
    return [
        str(panel).partition("<title")[2].partition("</title>")[0].partition(">")[2].partition(": ")[2]
        for panel in group.panels
    ]


def test_figure__keeps_chains_on_an_axis_of_their_own(digest):
    """Designs with reverse mappings are drawn against the eager copy that has them, and nowhere else."""
    panels = {str(panel).partition("<title")[2].partition("</title>")[0].partition(">")[2]: str(panel)
              for panel in figures.standing(digest).panels}  # fmt: skip
    assert [title.partition(",")[0] for title in panels] == [
        "Kernel time against linux24",
        "Kernel time against vfork",
        "Kernel time against rmap25",
    ]
    near, _, apart = (text.partition("<desc")[2].partition("</desc>")[0] for text in panels.values())
    assert "linus_pmd" in near
    assert "linus_rmap" not in near
    assert "linus_rmap" in apart
    assert "linux24" not in apart


def test_figure__shows_whole_markers_of_memory(digest):
    """No marker is cut at the edge of its panel: only grid lines and bars are clipped."""
    [panel] = figures.memory(digest).panels
    marks = re.findall(r"(?:<g[^>]*>)?<use[^>]*>", str(panel))
    assert len(marks) >= 2 * len(digest.designs)
    assert not any("clip-path" in mark for mark in marks)


def test_remarks__speak_of_what_was_measured(digest):
    """Memory and latency open with a sentence about the sharing designs."""
    assert "memory for page tables" in on_memory(digest) or "No sharing design needs less" in on_memory(
        digest
    )
    assert "the median fork takes" in on_latency(digest)
    assert "; the median fault takes" in on_latency(digest)
