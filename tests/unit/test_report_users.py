"""Over users: each listing counts once, however many cells it has, and too few listings show nothing."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from pipeline.intervals import median_estimate, share_interval
from pipeline.report.digest import Digest
from pipeline.report.ecdf import users_figure
from pipeline.report.users import over_listings, users_along, users_line, users_table
from pipeline.report.words import NOTHING, share
from simcore.costs import PC_2002

GAP = "\N{NO-BREAK SPACE}"


def digest(times, *, baseline="linux24", measured=True):
    """Return a digest of designs -> listing -> total ns per fork at exec ratio 0, 0.5, ...; None where it did not run."""
    rows = [
        {
            "cell_id": f"{design}-{listing}-{point}", "trace_id": f"{listing}-{point}", "design": design,
            "workload": "tree", "geometry": "i386", "replicate": 0, "creations": 1, "exec_ratio": point / 2,
            "tree": listing, "tree_measured": measured, "total_ns_per_fork": ns,
        }
        for design, listings in times.items()
        for listing, values in listings.items()
        for point, ns in enumerate(values)
    ]  # fmt: skip
    df = pd.DataFrame(rows)
    df.attrs = {"baseline": baseline, "floor": "vfork", "parameters": ["tree", "exec_ratio"]}
    return Digest(df, {}, PC_2002)


def listings(*values):
    """Return listings a, b, c, ... with the times of each."""
    return {
        name: list(each) if isinstance(each, tuple) else [each]
        for name, each in zip("abcdefgh", values, strict=False)
    }


def same(value, count=5):
    """Return listings that all have one time."""
    return listings(*[value] * count)


def test_over_listings__fewer_than_five_show_nothing():
    """Four listings, or trees that are no listings, or no baseline: no table and no line."""
    few = digest({"linux24": same(100.0, 4), "phillips": same(90.0, 4)})
    generated = digest({"linux24": same(100.0), "phillips": same(90.0)}, measured=False)
    alone = digest({"linux24": same(100.0), "phillips": same(90.0)}, baseline="mainline")
    for each in (few, generated, alone):
        assert over_listings(each) == {}
        assert users_table(each) is None
        assert users_along(each) == []
        assert users_line([each]) == ""


def test_over_listings__counts_a_listing_once():
    """A listing's ratio is the median over its cells: 0.8, 0.9, 1.3 are 0.9, and so it does not lose.

    The others have 0.9, 1.0, 1.1, 1.2: median of five 1.0, of which two lose; p10 and p90 lie 0.4 steps from the ends.
    """
    base = listings((100.0, 100.0, 100.0), *[(100.0,)] * 4)
    mine = listings((80.0, 90.0, 130.0), (90.0,), (100.0,), (110.0,), (120.0,))
    found = over_listings(digest({"linux24": base, "phillips": mine}))
    assert list(found) == ["phillips"]
    each = found["phillips"]
    assert (each.listings, each.worst, each.losing.value) == (5, "e", 0.4)
    assert (round(each.median.value, 6), round(each.highest, 6)) == (1.0, 1.2)
    assert all(math.isnan(value) for value in (each.p10, each.p90, each.median.low, each.losing.low))
    assert "5 listings cannot bound the median at 95 %; 6 can" in each.why
    assert "5 listings cannot bound a share; 6 can" in each.why


def test_over_listings__has_the_intervals_of_the_analysis():
    """Of eight listings, median and losing share have the bounds that the analysis gives."""
    values = (0.8, 0.9, 0.95, 1.0, 1.02, 1.1, 1.2, 1.3)
    mine = listings(*[(100 * value,) for value in values])
    each = over_listings(digest({"linux24": same(100.0, 8), "phillips": mine}))["phillips"]
    assert each.median == pytest.approx((*median_estimate(values)[:3], ""))
    assert (each.losing.low, each.losing.high) == share_interval(4, 8)
    assert each.why.count("8 listings cannot bound the 0.") == 2


def test_figure__shades_and_says_who_loses():
    """Two of eight lose: the share and its interval stand in the panel; where nobody loses nothing is shaded."""
    values = (0.8, 0.9, 0.9, 0.9, 0.95, 1.0, 1.2, 1.3)
    times = {"linux24": same(100.0, 8), "phillips": listings(*[(100 * value,) for value in values]),
             "linus_pmd": same(90.0, 8)}  # fmt: skip
    found = users_figure(digest(times))
    low, high = share_interval(2, 8)
    loses, keeps = (str(panel).replace(GAP, " ") for panel in found.panels)
    assert f"25 % lose, ({share(low)} to {share(high)})".replace(GAP, " ") in loses
    assert ">25 % lose<" in loses
    assert ">0 % lose<" in keeps
    assert loses.count("<path") == keeps.count("<path") + 1
    assert found.numbers.groupby("design")["loses"].sum().to_dict() == {
        "linus_pmd": 0,
        "linux24": 0,
        "phillips": 2,
    }


def test_over_listings__leaves_out_what_has_no_pair():
    """A design is judged on the listings on which the baseline ran too."""
    found = over_listings(
        digest({"linux24": same(100.0, 5), "phillips": same(90.0, 7), "vfork": {"a": [80.0]}})
    )
    assert found["phillips"].listings == 5
    assert (found["vfork"].listings, found["vfork"].worst) == (1, "a")


def test_table__says_where_there_is_no_interval():
    """One listing gives no interval, several that are alike have no worst one; the caption says how to read it."""
    table = users_table(digest({"linux24": same(100.0), "phillips": same(90.0), "vfork": {"a": [80.0]}}))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["`vfork`"][:3] == ["1", "0.80", NOTHING]
    assert rows["`vfork`"][-1] == NOTHING
    assert rows["`phillips`"] == [
        "5", "0.90", NOTHING, NOTHING, NOTHING, "0.90", "all alike", f"0{GAP}%", NOTHING,
    ]  # fmt: skip
    assert "5 listings cannot bound the median" in table.caption
    assert "Read a row as" in table.caption


def test_table__counts_listings_once_where_all_designs_have_as_many():
    """The number stands in the caption; a column of its own tells designs apart that ran on fewer."""
    table = users_table(digest({"linux24": same(100.0), "phillips": listings(90.0, 90.0, 90.0, 90.0, 120.0)}))
    assert table.caption.startswith("5 listings, each one machine")
    assert "listings" not in table.headings
    (row,) = table.rows
    assert [row[place] for place in table.words] == ["e"]


def test_line__tells_median_losers_and_what_they_depend_on():
    """At exec ratio 0 all gain, at 0.5 all lose; a listing's median of 0.9 and 1.2 is 1.05, so all lose."""
    both = digest(
        {"linux24": same((100.0, 100.0)), "phillips": same((90.0, 120.0)), "linus_pmd": same((90.0, 90.0))}
    )
    line = users_line([both]).replace(GAP, " ")
    assert line == (
        "Over 5 listings, one a user, against `linux24` (medians; in brackets, and behind the shares that lose, 95 % "
        "intervals): `linus_pmd` 10 % less, 0 % lose; `phillips` 5.0 % more, 100 % lose. "
        "How many lose depends on what was swept: `phillips` 0 % at exec ratio 0, 100 % at 0.5."
    )
    (along,) = users_along(both)
    assert along.headings == ["design", "exec ratio 0", "exec ratio 0.5"]
    assert {row[0]: [cell.replace(GAP, " ") for cell in row[1:]] for row in along.rows} == {
        "`phillips`": ["0.90; 0 %", "1.20; 100 %"],
        "`linus_pmd`": ["0.90; 0 %", "0.90; 0 %"],
    }


def test_line__puts_designs_that_fare_alike_together():
    """What two designs have in common is said once."""
    line = users_line([digest({"linux24": same(100.0), "phillips": same(90.0), "linus_pmd": same(90.0)})])
    assert "`phillips` and `linus_pmd` 10" in line
