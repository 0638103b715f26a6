"""The answer for who has five minutes, and the six questions."""

from __future__ import annotations

import pytest
from report_datasets import make_dataset

from pipeline.report.answer import answer
from pipeline.report.page import read_digest
from pipeline.report.questions import QUESTIONS, questions
from pipeline.report.slices import slices
from pipeline.report.words import factor


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


def test_answer__is_none_without_a_comparison(tmp_path):
    """Where no sharing design ran beside a baseline there is nothing to answer."""
    digest = read_digest(
        make_dataset(tmp_path, designs=["linux24", "vfork"], sweep={"exec_ratio": [1.0]}), None
    )
    assert answer(digest, slices(digest)) == []


def test_questions__are_answered_or_name_the_study(digest):
    """Each has a row; the bit per table is judged by the same pairs as the standings; the fourth names its study."""
    table = questions(digest, slices(digest))
    assert {row[0] for row in table.rows} == {question.asked for question in QUESTIONS}
    [fourth] = [row for row in table.rows if row[0].startswith("4.")]
    assert fourth[1:3] == ["not in this study", "`configs/designs.yaml` would tell"]
    mine = [row for row in table.rows if row[2] == "`phillips_mark` to `phillips`"]
    assert [row[3] for row in mine] == [
        factor(part.standings("phillips")["phillips_mark"].ratio) for part in slices(digest)
    ]
