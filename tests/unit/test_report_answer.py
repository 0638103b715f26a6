"""The answer for who has five minutes, and the six questions."""

from __future__ import annotations

import pytest
from report_datasets import make_dataset

from pipeline import analysis
from pipeline.report.answer import answer
from pipeline.report.assumptions import unsure
from pipeline.report.page import read_digest
from pipeline.report.questions import QUESTIONS, questions
from pipeline.report.slices import slices
from pipeline.report.terminal import terminal_lines
from pipeline.report.uses import explained, named, percent, uses, uses_table
from pipeline.report.values import by_value
from pipeline.report.verdict import verdict
from pipeline.report.words import change, factor


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Return a small study with two sizes of process."""
    sweep = {"anon_pages": [60, 2000], "exec_ratio": [0.0, 1.0]}
    workload = {"tree": {"file_pages": 20, "tree": {"depth": 2, "fan_out": 2}}}
    return read_digest(make_dataset(tmp_path_factory.mktemp("answer"), workload=workload, sweep=sweep), None)


def test_answer__says_four_things_of_the_data(digest):
    """Whether, which, the worst with its replay line, how sure; the worst named is the worst there is."""
    said = dict(answer(digest, slices(digest)))
    assert list(said) == [
        "Should page tables be shared at fork?",
        "Which variant?",
        "What is the worst that can happen?",
        "How sure is that?",
    ]
    standings = digest.standings("linux24")
    judged = [standings[name] for name in ("phillips", "phillips_mark", "linus_pmd")]
    worst, best = max(judged, key=lambda each: each.worst.ratio), min(judged, key=lambda each: each.ratio)
    assert f"forkbench show {worst.worst.cell_id}" in said["What is the worst that can happen?"]
    assert f"`{best.design}`" in said["Which variant?"]
    assert "not a sample of users" in said["How sure is that?"]


def test_uses__have_a_row_each_with_the_change_of_each_design(tmp_path):
    """A value of an axis of words and a workload are uses; a constructed worst case is none, and not typical either."""
    tree = {"tree": {"depth": 1, "fan_out": 2}, "anon_pages": 12, "file_pages": 20}
    digest = read_digest(
        make_dataset(
            tmp_path,
            designs=["linux24", "phillips", "linus_pmd"],
            workload={"tree": tree, "shell": {"children": 3}, "adversary": {}},
            sweep={"tree": {"first": ["child", "parent"]}},
        ),
        None,
    )
    assert "adversary" not in set(digest.population[0]["workload"])
    table = uses_table(digest)
    assert table.headings == [
        "use",
        "what runs",
        "phillips",
        "linus_pmd",
        "a fork, linux24",
        "a fork, shortest",
    ]
    assert [row[0] for row in table.rows] == ["tree, first child", "tree, first parent", "shell"]
    assert [row[1].split()[0] for row in table.rows] == ["A", "A", "A"]
    for row, use in zip(table.rows, uses(digest), strict=True):
        ratios = analysis.typical(use.df, digest.metric, "linux24")["ratio"]
        for cell, design in zip(row[2:4], ("phillips", "linus_pmd"), strict=True):
            shaky = design in unsure(use)
            assert cell == percent(ratios[design]) + (" ?" if shaky else "")
    said = dict(answer(digest, slices(digest)))
    assert "tree, first child" in said["Should page tables be shared at fork?"]
    assert "adversary" not in said["Should page tables be shared at fork?"]


def test_uses__of_a_slice_whose_cells_differ_are_its_ends(tmp_path):
    """What a median over written and unwritten memory would hide is told apart; equal cells stay one use."""
    digest = read_digest(
        make_dataset(
            tmp_path,
            designs=["mainline", "odf"],
            baseline="mainline",
            floor=None,
            costs="x86-64-2025",
            workload={"snapshot": {"children": 2, "anon_pages": 40_000, "child_writes": 1}},
            sweep={"parent_writes": [0, 64, 20_000]},
        ),
        None,
    )
    kept, lost = uses(digest)
    assert [named(kept), named(lost)] == ["parent writes 0", "parent writes 20000 (78 MiB)"]
    ratios = [use.standings("mainline")["odf"].ratio for use in (kept, lost)]
    assert ratios[0] < 0.9
    assert abs(ratios[1] - 1) < 0.005
    said = dict(answer(digest, slices(digest)))["Should page tables be shared at fork?"].split("\n")
    assert (
        said[0] == f"Yes, with `odf` (kernel time on typical cells): {change(ratios[0])} at parent writes 0."
    )
    assert said[1] == "No difference, with the best of them: parent writes 20000 (78 MiB)."
    assert uses(kept) == [kept]


def test_terminal__of_many_uses_says_the_answer(tmp_path):
    """With more uses than a few, the terminal has no sentence for each, but whether, the worst and which design."""
    workload = {
        "tree": {"tree": {"depth": 1, "fan_out": 2}, "anon_pages": 12, "file_pages": 20},
        "shell": {"children": 3},
        "fork_exit": {},
        "fork_exec": {},
    }
    digest = read_digest(
        make_dataset(tmp_path, designs=["linux24", "linus_pmd"], workload=workload, sweep={}), None
    )
    first, second, third = terminal_lines(digest)
    answered = dict(answer(digest, slices(digest)))
    assert first == answered["Should page tables be shared at fork?"].replace("`", "").replace("\n", " ")
    assert second.startswith(("Worst of 4 cells", "No loss in any of the 4 cells"))
    assert third.startswith("Best on average, and least risk: linus_pmd (")
    assert "`" not in third


def test_explained__tells_shipped_designs_from_those_of_the_study(tmp_path):
    """A shipped design has its year and whether Linux has it; of one's own there is neither."""
    designs = ["linux24", "linus_pmd", {"mine": {"base": "linux24", "creation": "vfork"}}]
    digest = read_digest(make_dataset(tmp_path, designs=designs, floor="mine"), None)
    told = dict(explained(digest))
    assert list(told) == ["linux24", "mine", "linus_pmd"]
    assert told["linux24"].endswith("(2001; in Linux).")
    assert told["linus_pmd"].endswith("(2002; not in Linux).")
    assert told["mine"] == "linux24 with creation: vfork (defined in this study)."


def test_percent__has_a_sign_and_no_difference_is_nothing():
    """A ratio as a change: below 1 with the minus sign of the page, twice as much as 100 % more."""
    assert [percent(ratio) for ratio in (0.939, 1.12, 2.0, 1.004, 0.996)] == [
        "\N{MINUS SIGN}6.1\N{NO-BREAK SPACE}%", "+12\N{NO-BREAK SPACE}%", "+100\N{NO-BREAK SPACE}%",
        "0\N{NO-BREAK SPACE}%", "0\N{NO-BREAK SPACE}%",
    ]  # fmt: skip


def test_uses__of_one_have_no_table(tmp_path):
    """One workload whose outcome no axis turns: the answer says it all."""
    digest = read_digest(
        make_dataset(tmp_path, designs=["linux24", "phillips"], sweep={"exec_ratio": [0.0]}), None
    )
    assert uses_table(digest) is None


def test_answer__is_none_without_a_comparison(tmp_path):
    """Where no sharing design ran beside a baseline there is nothing to answer."""
    digest = read_digest(
        make_dataset(tmp_path, designs=["linux24", "vfork"], sweep={"exec_ratio": [1.0]}), None
    )
    assert answer(digest, slices(digest)) == []


def test_questions__are_answered_or_name_the_study(digest):
    """Each has a row; the bit per table is judged by the same pairs as the standings; the fourth names its study."""
    table, answers = questions(digest, slices(digest))
    assert [each.asked for each in answers] == [question.asked for question in QUESTIONS]
    assert {row[0] for row in table.rows} == {question.short for question in QUESTIONS}
    [fourth] = [row for row in table.rows if row[0].startswith("4.")]
    assert fourth[1:3] == ["not in this study", "`configs/designs.yaml` would tell"]
    mine = [row for row in table.rows if row[2] == "`phillips_mark` to `phillips`"]
    assert [row[3] for row in mine] == [
        factor(part.standings("phillips")["phillips_mark"].ratio) for part in slices(digest)
    ]


def test_questions__have_a_figure_or_say_why_not(digest):
    """The fourth names the design that did not run; every other has a sentence for each row, and a figure."""
    table, answers = questions(digest, slices(digest))
    for number, each in enumerate(answers, start=1):
        assert (each.figure is None) == (number == 4)
        assert all(each.said)
        rows = [row for row in table.rows if each.asked.startswith(row[0][:2])]
        assert number == 4 or len(each.figure.numbers) == len(rows)
    [said] = answers[3].said
    assert said.startswith("This study cannot answer: `shared_mmap` and `mainline` did not run.")


def test_questions__first_is_about_children_that_exec(digest):
    """Where the exec ratio is swept, only cells with the highest one count for fork and exec."""
    _, answers = questions(digest, slices(digest))
    found = answers[0].figure.numbers
    assert all("exec ratio 1" in where for where in found["where"])
    for part in slices(digest):
        execs = analysis.typical(part.df[part.df["exec_ratio"] == 1], part.metric, "linux24")["ratio"]
        judged = execs[["phillips", "phillips_mark", "linus_pmd"]]
        mine = found[found["where"].str.startswith(part.where)]
        assert mine["typical"].min() == judged.min()
        assert mine["typical"].max() == judged.max()


def test_value_by_value__tells_each_word_of_an_axis(tmp_path):
    """An axis of words has a line for each value, with the ends that the standings of those cells have; numbers none."""
    sweep = {"first": ["child", "parent"], "exec_ratio": [0.0, 1.0]}
    digest = read_digest(
        make_dataset(tmp_path, designs=["linux24", "phillips", "linus_pmd"], sweep=sweep), None
    )
    lines = by_value(digest).splitlines()
    assert [line.partition(",")[0] for line in lines] == ["At first child", "At first parent"]
    for line, value in zip(lines, sweep["first"], strict=True):
        ratios = analysis.typical(digest.df[digest.df["first"] == value], digest.metric, "linux24")["ratio"]
        for design in ("phillips", "linus_pmd"):
            assert f"`{design}` {change(ratios[design])}" in line
    assert "Value by value" in [statement.heading for statement in verdict(digest)]
