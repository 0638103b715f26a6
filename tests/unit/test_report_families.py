"""All designs at once: each in its family, beside the eager copy most like it, in tables and figures that can be read."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from report_datasets import make_dataset

from pipeline.compare import paired
from pipeline.report import figures, tables
from pipeline.report.digest import Axis, Digest
from pipeline.report.families import OWN_COPY, axis_table, families
from pipeline.report.page import read_digest
from pipeline.report.style import BY_PMD, BY_PTE, COPYING, LATER, OTHER
from pipeline.report.verdict import verdict
from pipeline.report.words import factor
from simcore.acts import EVENT_KINDS
from simcore.costs import PC_2002
from simcore.designs import DESIGNS

EAGER = {
    "linux24": {"linux24", "vfork", "phillips", "phillips_drop", "phillips_sole", "phillips_mark", "linus_pmd"},
    "rmap25": {"rmap25", "phillips_rmap", "linus_rmap", "mccracken", "mccracken_gt3", "mccracken_fixed"},
    "linux26": {"linux26"},
    "mainline": {"mainline", "shared_mmap", "odf", "odf_paper", "cow_pte", "cow_pte_v5", "async_fork"},
}  # fmt: skip


def of(*names, **facts):
    """Return a digest that knows nothing but which designs ran."""
    df = pd.DataFrame({"design": list(names)})
    df.attrs = {"baseline": "linux24", "floor": "vfork"} | facts
    return Digest(df, {}, PC_2002)


ALL = of(*DESIGNS)


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Return a study of all designs as a report sees it."""
    sweep = {"tree": ["phillips-2002", {"depth": 1, "fan_out": 2}], "exec_ratio": [0.0, 1.0]}
    folder = make_dataset(tmp_path_factory.mktemp("all"), designs=list(DESIGNS), sweep=sweep)
    return read_digest(folder, None)


def test_counterpart__is_the_eager_copy_most_alike():
    """Each design is compared with the copy that keeps its reverse mappings and, of two, faults as it does."""
    for other, names in EAGER.items():
        assert {name for name in DESIGNS if ALL.counterpart(name) == other} == names


def test_counterpart__is_the_next_best_of_those_that_ran():
    """Without the copy most alike another with the same reverse mappings serves, else none."""
    assert of("linux24", "linux26", "odf").counterpart("odf") == "linux26"
    assert of("linux24", "odf").counterpart("odf") is None
    assert of("linux24", "odf").reference("odf") == "linux24"
    assert of("linux26", "odf").reference("odf") is None
    assert of("linux24", "rmap25", "linus_rmap").reference("linus_rmap") == "rmap25"
    assert of("linux24", "rmap25", "linus_rmap").reference("rmap25") == "linux24"
    assert of("stranger", "linux24").counterpart("stranger") is None


def test_families__hold_each_design_once():
    """Families follow the axes, and designs come family by family."""
    assert list(ALL.families) == [COPYING, BY_PTE, BY_PMD, LATER]
    assert sorted(ALL.designs) == sorted(DESIGNS)
    assert list(of("linux24", "stranger", "odf").families) == [COPYING, LATER, OTHER]


def test_families__say_what_they_are_multiples_of():
    """A family with one eager copy is a multiple of that, one with several of each one's own."""
    found = {fam.heading: fam for fam in families(ALL)}
    assert found[COPYING].against == "linux24"
    assert (found[BY_PTE].references, found[BY_PTE].against) == (["linux24", "rmap25"], OWN_COPY)
    assert (found[LATER].references, found[LATER].against) == (["mainline"], "mainline")
    assert "vfork" in found[BY_PTE].designs
    assert "vfork" not in found[LATER].designs
    assert found[LATER].everybody[0] == "mainline"
    assert [fam.heading for fam in families(of("linux24", "vfork", "phillips"))] == [BY_PTE]
    assert [fam.heading for fam in families(of("linux24", "vfork"))] == [COPYING]
    assert families(of("linus_pmd"))[0].against is None


def test_families__are_drawn_with_few_lines_each(digest):
    """No panel of lines has more than eight."""
    assert max(len(fam.everybody) for fam in families(digest)) <= 8
    assert len(figures.moves_with(digest, digest.axes[0]).panels) == 2 * len(families(digest))


def test_standing__leaves_no_design_out_and_no_axis_to_the_cost_of_rmap(digest):
    """Each design stands beside the copy most like it, and the copies beside one another."""
    panels = figures.standing(digest).panels
    titles = [re.search(r"<title[^>]*>([^<,]*)", str(panel)).group(1) for panel in panels]
    assert titles == [
        "Kernel time against linux24", "Kernel time against vfork", "Copying against linux24",
        "Kernel time against rmap25", "Kernel time against mainline",
    ]  # fmt: skip
    rows = [
        re.findall(r"(\w+): typical", str(panel).partition("<desc")[2].partition("</desc>")[0])
        for panel in panels
    ]
    assert set(rows[0]) == EAGER["linux24"]
    assert set(rows[2]) == {"linux24", "rmap25", "linux26", "shared_mmap", "mainline", "vfork"}
    assert [set(names) for names in rows[3:]] == [EAGER["rmap25"], EAGER["mainline"]]


def test_key__names_each_design_once(digest):
    """The legend has a panel for each family."""
    key = figures.key(digest)
    assert len(key.panels) == len(digest.families)
    named = [
        name for panel in key.panels for name in re.findall(r"<text[^>]*>([a-z0-9_]+)</text>", str(panel))
    ]
    assert sorted(named) == sorted(DESIGNS)


def test_axis_table__shows_each_design_against_its_own_copy(digest):
    """What is drawn as a multiple is 1 for the reference itself, and the ratio of the paired times else."""
    axis = digest.axes[0]
    table = axis_table(digest, axis)
    copies = table[table["design"].isin(["linux24"])]
    assert set(copies["typical"]) == set(copies["worst"]) == {1.0}
    cells = digest.df[digest.df["tree_measured"]].pivot_table(
        index="trace_id", columns="design", values=digest.metric
    )
    where = digest.df.set_index("trace_id")[axis.column].to_dict()
    ratio = (cells["odf"] / cells["mainline"]).groupby(where).median()
    drawn = table[table["design"] == "odf"].set_index("x")["typical"]
    assert drawn.to_dict() == pytest.approx(ratio.to_dict())


def test_along__what_only_generated_trees_vary_is_shown_of_them_alone(tmp_path):
    """Measured trees at one value of an axis make no step there, and the other values have typical cells as well."""
    generated = [{"depth": 1, "fan_out": 2}, {"depth": 2, "fan_out": 2}]
    made = make_dataset(
        tmp_path,
        designs=["linux24", "linus_pmd"],
        sweep={"tree": ["phillips-2002", *generated], "library_sharing": [0.0, 0.75]},
        only_when=[{"cells": {"library_sharing": [0.0]}, "when": {"tree": generated}}],
    )
    digest = read_digest(made, None)
    [axis] = [axis for axis in digest.axes if axis.column == "library_sharing"]
    assert digest.generated_alone("library_sharing")
    assert not digest.along("library_sharing")["tree_measured"].any()
    table = axis_table(digest, axis)
    mine = table[table["design"] == "linus_pmd"].set_index("x")
    cells = digest.df[~digest.df["tree_measured"]]
    ratio = cells.assign(ratio=paired(cells, digest.metric, "linux24"))
    ratio = ratio[ratio["design"] == "linus_pmd"].groupby("library_sharing")["ratio"]
    assert mine["typical"].to_dict() == pytest.approx(ratio.median().to_dict())
    assert mine["worst"].to_dict() == pytest.approx(ratio.max().to_dict())
    assert "generated trees, which alone are swept" in figures.moves_with(digest, axis).details


@pytest.mark.parametrize(
    ("points", "crowded"),
    [
        ((0, 64, 4096), True),
        ((250, 1000, 4000), False),
        ((0.0, 0.5, 1.0), False),
        (("a", "b"), False),
        ((1, 2), False),
    ],
)
def test_axis__whose_labels_would_run_into_each_other_is_drawn_evenly(points, crowded):
    """0 and 64 lie nowhere apart beside 4096; powers do on a logarithmic scale."""
    assert Axis("some", "some", "", points).crowded == crowded


def test_along__of_many_values_has_a_row_for_each(tmp_path):
    """A table with more columns than fit on paper goes down instead: each value a group, each design a row in it."""
    ratios = [number / 10 for number in range(11)]
    digest = read_digest(
        make_dataset(
            tmp_path,
            designs=["linux24", "linus_pmd"],
            workload={"tree": {"anon_pages": 12, "file_pages": 20, "tree": {"depth": 1, "fan_out": 2}}},
            sweep={"exec_ratio": ratios},
        ),
        None,
    )
    table = tables.along(digest, digest.axes[0])
    assert table.headings == ["exec ratio", "design", "times", "typical", "worst"]
    assert len(table.rows) == 2 * len(ratios)
    assert list(table.groups) == list(range(0, 22, 2))
    drawn = axis_table(digest, digest.axes[0]).set_index(["x", "design"])["typical"]
    assert [row[3] for row in table.rows] == [
        factor(drawn[float(row[0]), row[1].strip("`")]) for row in table.rows
    ]


def test_tables__are_grouped_by_family_and_not_too_wide(digest):
    """Rows of designs stand under their family's heading; no table has a column for each of many designs."""
    for table in (tables.standing(digest), tables.memory(digest), tables.designs(digest)):
        assert list(table.groups.values()) == list(digest.families)
        assert len(table.rows) == len(DESIGNS)
        assert all(len(row) == len(table.headings) for row in table.rows)
    axis = digest.axes[0]
    assert len(tables.along(digest, axis).headings) == 2 + len(axis.points)
    for table in tables.makes_the_difference(digest):
        assert len(table.headings) <= 10


def test_makes_the_difference__of_many_designs_comes_in_several_tables(digest):
    """Designs that do not fit beside one another are told in further tables, each once."""
    many = Digest(
        digest.df[~digest.df["design"].isin(EAGER["linux24"] - {"linux24", "vfork"})],
        digest.events,
        digest.model,
    )
    found = tables.makes_the_difference(many)
    assert len(found) == 2
    named = [name for table in found for name in table.headings[1:-1]]
    assert sorted(named) == sorted(set(many.designs) - {"linux24", "vfork"})


def test_standing__without_a_floor_has_no_column_for_it(digest):
    """A study without a floor is compared with its baseline alone."""
    frame = digest.df.copy()
    frame.attrs = digest.df.attrs | {"floor": None}
    without = Digest(frame, digest.events, digest.model)
    assert "times vfork, typical" in tables.standing(digest).headings
    assert not [heading for heading in tables.standing(without).headings if "vfork" in heading]
    [told] = [found.text for found in verdict(without) if found.heading == "Against the floor"]
    assert told == (
        "The study names no floor, a design that cannot be undercut where it applies, as `vfork` is for fork and exec; "
        "so nothing here says how much of the cost no design could save."
    )


def test_verdict__of_all_designs_stays_short(digest):
    """No finding is a wall of names."""
    for statement in verdict(digest):
        assert len(statement.text) < 1_200, statement.heading
        assert statement.text.count("`") <= 60, statement.heading


def test_parts__cover_every_kind_of_event():
    """Each kind of event belongs to one part of the time, so that bars add up."""
    kinds = [kind for kinds, _ in figures.PARTS.values() for kind in kinds]
    assert sorted(kinds) == sorted(EVENT_KINDS)


def test_parts__that_take_no_time_are_not_drawn(digest):
    """A legend names only what can be seen."""
    table = figures.part_table(digest, digest.df)
    assert "reclaim" not in table.columns
    assert (table.sum() > 0).all()
    assert list(table.index) == digest.designs
