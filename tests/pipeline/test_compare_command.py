"""Two datasets of one study: equal ones have no change, others are told cell by cell, and rules decide the exit code."""

from __future__ import annotations

import json

import pytest
from report_datasets import SMALL, make_dataset

from pipeline import analysis, cli
from pipeline.errors import RefusedError


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the small dataset, and one of fewer designs under another cost model."""
    made = tmp_path_factory.mktemp("two")
    few = {"designs": ["linux24", "phillips", "vfork"], "costs": "x86-64-2025"}
    return make_dataset(made / "one"), make_dataset(made / "other", **few)


@pytest.fixture(scope="module")
def df(folders):
    """Return the small dataset as a frame."""
    return analysis.load(folders[0])


def asked(capsys, *arguments):
    """Return exit code and output of the command."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", *map(str, arguments)])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return ended.value.code, told.out + told.err


def test_equal_datasets__have_no_change(folders, capsys):
    """Exit code 0, every change is 0, every rule is kept."""
    code, told = asked(
        capsys, folders[0], folders[0], "--fail-on", "total_ns>0%", "--fail-on", "worst:forks>0%"
    )
    assert code == 0, told
    assert "2 rules kept" in told
    facts = json.loads(asked(capsys, folders[0], folders[0], "--json")[1])
    assert {row["change"] for row in facts["rows"]} == {0.0}
    assert {row["changed"] for row in facts["rows"]} == {0}
    assert (facts["only_before"], facts["other_traces"]) == ([], 0)


def test_compare__pairs_by_trace_and_tells_the_most_changed_cell(df):
    """One dearer cell moves the extreme, not the median; all dearer move both."""
    later = df.copy()
    mine = later.index[later["design"] == "phillips"]
    later.loc[mine[2], "total_ns"] *= 1.5
    row = analysis.compare(df, later.iloc[::-1], ["total_ns"]).set_index("design").loc["phillips"]
    assert row[["cells", "changed", "change", "least"]].tolist() == [len(mine), 1, 0, 0]
    assert row["most"] == pytest.approx(0.5)
    assert row["cell_id"] == later.loc[mine[2], "cell_id"]
    later.loc[mine, "total_ns"] *= 2
    assert analysis.compare(df, later, ["total_ns"]).set_index("design").loc[
        "phillips", "change"
    ] == pytest.approx(1)


def test_compare__from_nothing_to_something_is_infinite(df):
    """0 stays 0 without a change; 0 that became 1 is more than any rule allows."""
    found = analysis.compare(df.assign(n=0), df.assign(n=(df["design"] == "vfork").astype(int)), ["n"])
    changes = found.set_index("design")["change"].to_dict()
    assert (changes["linux24"], changes["vfork"]) == (0, float("inf"))


def test_compare__has_an_interval_over_listings(df):
    """Eight listings with changes 1 to 8 % have the interval of these eight; without listings there is the reason."""
    trace = min(df["trace_id"])
    one = df[(df["trace_id"] == trace) & (df["design"] == "vfork")]
    before = one.loc[one.index.repeat(8)].reset_index(drop=True)
    before["trace_id"] = before["tree"] = [f"m{number}" for number in range(8)]
    before["tree_measured"] = True
    after = before.assign(total_ns=before["total_ns"] * [1 + 0.01 * (number + 1) for number in range(8)])
    row = analysis.compare(before, after, ["total_ns"]).iloc[0]
    assert (row["users"], row["why"]) == (8, "")
    assert 0.01 < row["low"] < 0.02 < row["change"] < 0.07 < row["high"] < 0.08
    alone = analysis.compare(
        before.assign(tree_measured=False), after.assign(tree_measured=False), ["total_ns"]
    ).iloc[0]
    assert alone["why"] == "no listings: cells of a sweep are no sample"


def test_rules__decide_the_exit_code(folders, capsys, monkeypatch):
    """A median and a worst cell over their limits are regressions, with the figure; a lone design can be named."""
    plain = analysis.load(folders[0])
    later = plain.copy()
    later.loc[later["design"] == "vfork", "pgtable_bytes_max"] *= 2
    given = iter([plain, later])
    monkeypatch.setattr(analysis, "load", lambda _path: next(given))
    code, told = asked(
        capsys, "a", "b", "--fail-on", "worst:pgtable_bytes_max>5%", "--fail-on", "total_ns>5%"
    )
    assert code == 1
    assert "REGRESSION  worst:pgtable_bytes_max>5%: vfork +100 % (worst of 6 cells, " in told
    given = iter([plain, later])
    assert asked(capsys, "a", "b", "--fail-on", "pgtable_bytes_max@phillips>5%")[0] == 0


def test_different_cost_models__are_refused_or_made_one(folders, capsys):
    """Times under two models are not compared; under one named model they are, and cells of one side are told."""
    code, told = asked(capsys, *folders)
    assert code == 2
    assert "times are under 'pc-2002' before and 'x86-64-2025' after" in told
    code, told = asked(capsys, *folders, "--costs", "pc-2002")
    assert code == 0, told
    assert "only before: 24 cells (" in told
    assert asked(capsys, *folders, "--metric", "forks")[0] == 0


def test_faults__are_refused_all_at_once(folders, df, capsys):
    """Unknown metrics and rules that are none, with the nearest name; exit code 2."""
    rules = ["--fail-on", "totel_ns>5%", "--fail-on", "forks", "--fail-on", "forks@vfrok>1%"]
    code, told = asked(capsys, folders[0], folders[0], *rules)
    assert code == 2
    assert "--fail-on: 3 problems" in told
    assert "did you mean 'total_ns'?" in told
    assert "did you mean 'vfork'?" in told
    code, told = asked(capsys, folders[0], folders[0], "--metric", "design", "--metric", "forkz")
    assert (code, "2 problems" in told, "did you mean 'forks'?" in told) == (2, True, True)
    with pytest.raises(RefusedError, match="trace and design in common"):
        analysis.compare(df, df.assign(trace_id="x" + df["trace_id"]))


def test_datasets_of_other_seeds__share_nothing(folders, tmp_path, capsys):
    """Another seed gives other traces; the refusal says what makes traces equal."""
    other = make_dataset(tmp_path, seed=SMALL["seed"] + 1, designs=["linux24"])
    code, told = asked(capsys, folders[0], other)
    assert code == 2
    assert "compare two datasets of one study" in told
