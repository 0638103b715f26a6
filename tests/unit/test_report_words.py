"""Numbers in words."""

from __future__ import annotations

import pytest

from pipeline.report import words

GAP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("ns", "said"),
    [
        (0, f"0{GAP}ns"),
        (950, f"950{GAP}ns"),
        (1_234, f"1.23{GAP}µs"),
        (-59_500, f"\N{MINUS SIGN}59.5{GAP}µs"),
        (2_345_678, f"2.35{GAP}ms"),
        (123_456_789_012, f"123{GAP}s"),
        (float("nan"), words.NOTHING),
    ],
)
def test_duration__picks_the_unit_that_reads_best(ns, said):
    """Three digits and a unit; a missing value is a dash."""
    assert words.duration(ns) == said


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (1.0, "the same"),
        (1.004, "the same"),
        (0.996, "the same"),
        (1.0711, f"7.1{GAP}% more"),
        (0.87, f"13{GAP}% less"),
        (2.44, "2.4 times as much"),
        (0.25, f"75{GAP}% less"),
    ],
)
def test_change__says_which_way_and_how_far(ratio, said):
    """Ratios near 1 are no difference; large ones are multiples."""
    assert words.change(ratio) == said


def test_factor__shows_three_places_near_one():
    """Where designs are close, two places would hide the difference."""
    assert [words.factor(ratio) for ratio in (1.0704, 0.964, 1.4567, 12.345)] == [
        "1.070",
        "0.964",
        "1.46",
        "12.35",
    ]
    assert words.factor(float("nan")) == words.NOTHING


def test_difference__carries_a_sign():
    """More is marked with a plus, less with a minus, nothing with neither."""
    assert words.difference(1_000).startswith("+")
    assert words.difference(-1_000).startswith("\N{MINUS SIGN}")
    assert words.difference(0) == f"0{GAP}ns"


def test_listed__reads_like_a_sentence():
    """No, one, two and three items."""
    assert [words.listed(list("abc")[:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_few__counts_those_that_it_does_not_name():
    """A list that is too long ends with how many are left."""
    assert words.few(list("abcd"), 4) == "a, b, c and d"
    assert words.few(list("abcde"), 4) == "a, b, c and 2 others"


def test_spread_of__names_the_ends_of_a_long_list():
    """Of many items only the first and the last are said."""
    assert words.spread_of(["a", "b"], "design") == "a, b"
    assert words.spread_of(list("abcde"), "design") == "5 designs, from a to e"


def test_counted__knows_the_plural():
    """One cell, several cells."""
    assert words.counted(1, "cell") == "1 cell"
    assert words.counted(2_430, "cell") == "2,430 cells"


def test_all_of__knows_the_singular():
    """The only cell, all cells."""
    assert words.all_of(1, "cell") == "the only cell"
    assert words.all_of(2_430, "cell") == "all 2,430 cells"
