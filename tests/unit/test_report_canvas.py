"""Labels that do not overlap, looks that do not change, SVG that fits in a page."""

from __future__ import annotations

import re
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.canvas import panel, spread, within
from pipeline.report.figures import _limits
from pipeline.report.style import BY_PMD, BY_PTE, COPYING, FAMILIES, HUES, INK, LATER, OTHER, family, looks
from pipeline.report.svg import inline
from pipeline.report.words import slug
from simcore.designs import DESIGNS, derived


@given(st.lists(st.floats(-1e3, 1e3), max_size=12).map(sorted), st.floats(0.001, 50))
def test_spread__keeps_the_gap_and_the_middle(heights, gap):
    """Places are ascending, at least a gap apart, and their mean is that of the wishes."""
    places = spread(heights, gap)
    assert all(above - below >= gap - 1e-6 for below, above in pairwise(places))
    if heights:
        assert sum(places) / len(places) == pytest.approx(sum(heights) / len(heights), abs=1e-6)


def test_spread__leaves_room_alone():
    """Heights that are far enough apart stay where they are."""
    assert spread([0.0, 1.0, 5.0], 0.5) == [0.0, 1.0, 5.0]
    assert spread([1.0, 1.0], 0.5) == [0.75, 1.25]


@given(st.lists(st.floats(-10, 10), max_size=12).map(sorted))
def test_within__keeps_names_beside_the_axes(heights):
    """However crowded an edge is, names stay between the axes' ends, a gap apart and in their order."""
    places = within(spread(heights, 0.08), 0.08, 0.0, 1.0)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert all(above - below >= 0.08 - 1e-9 for below, above in pairwise(places))


def test_within__leaves_alone_what_fits():
    """Names that lie between the ends are not moved."""
    assert within([0.1, 0.5], 0.08, 0.0, 1.0) == [0.1, 0.5]


def test_limits__make_no_mountain_of_a_molehill():
    """Ratios that are called equal do not fill a panel; other values keep their own range, with a little air."""
    low, high = _limits(pd.Series([1.0012, 1.0016]), least=0.04)
    assert (low, high) == pytest.approx((0.9814, 1.0214))
    assert _limits(pd.Series([1.0, 2.0]), least=0.04) == pytest.approx((0.94, 2.06))
    assert _limits(pd.Series([5.0, 5.0])) == pytest.approx((4.75, 5.25))


def test_panel__writes_no_offset_in_a_corner():
    """Ticks of nearly equal values say the values themselves."""
    with panel("near") as (figure, axes):
        axes.plot([0, 1], [1.0012, 1.0016])
        drawn = inline(figure, "near", "near", "near")
    assert "+1" not in re.sub(r"<desc.*?</desc>", "", drawn)
    assert re.search(r">1\.0012\d*<", drawn)


def test_look__of_designs_differ():
    """No two designs have the same hue, marker and dash; the same mechanism has the same hue."""
    look = looks(DESIGNS, DESIGNS)
    assert list(look) == list(DESIGNS)
    assert len(set(look.values())) == len(DESIGNS)
    assert look["phillips"].hue == look["phillips_rmap"].hue
    assert look["linux24"].hue == look["rmap25"].hue
    assert look["linus_rmap"].chains
    assert not look["linus_pmd"].chains
    assert not look["mainline"].chains


def test_look__tells_lines_of_a_family_apart():
    """Within a family, and beside any eager copy or vfork, hue and dash alone tell two lines apart."""
    look = looks(DESIGNS, DESIGNS)
    copying = [name for name, row in DESIGNS.items() if family(row) == COPYING]
    for heading in FAMILIES:
        drawn = {*copying, *(name for name, row in DESIGNS.items() if family(row) == heading)}
        assert len({(look[name].hue, look[name].chains) for name in drawn}) == len(drawn), heading


def test_look__does_not_depend_on_what_ran():
    """A design that ships looks the same in every report; a study's own and unknown ones come after it."""
    mine = {"mine": derived("mine", DESIGNS["linus_pmd"], {"last_sharer": "copies"})}
    shipped = looks(DESIGNS, ["linux24"])
    found = looks(DESIGNS | mine, ["linux24", "mine", "from-the-future"])
    assert {name: found[name] for name in DESIGNS} == shipped
    assert list(found)[-2:] == ["mine", "from-the-future"]
    assert len({found[name] for name in ("linus_pmd", "mine", "mccracken_fixed")}) == 3


def test_look__of_a_design_by_another_name():
    """Two designs of the same mechanism and dash get hues of their own."""
    twin = {"twin": derived("twin", DESIGNS["linus_pmd"], {})}
    found = looks(DESIGNS | twin, [])
    assert found["twin"].hue != found["linus_pmd"].hue


def test_family__follows_the_axes():
    """Designs that copy, those of 2002 by what write-protects, those of later systems; and strangers."""
    grouped = {
        heading: [name for name, row in DESIGNS.items() if family(row) == heading] for heading in FAMILIES
    }
    assert grouped[COPYING] == ["linux24", "rmap25", "linux26", "shared_mmap", "mainline", "vfork"]
    assert all(DESIGNS[name].wrprotect != "pmd" for name in grouped[BY_PTE])
    assert grouped[BY_PMD] == ["linus_pmd", "linus_rmap", "mccracken", "mccracken_gt3", "mccracken_fixed"]
    assert grouped[LATER] == ["odf", "odf_paper", "cow_pte", "cow_pte_v5", "async_fork"]
    assert family(None) == OTHER
    assert family(derived("mine", DESIGNS["linux24"], {"rmap": "object"})) == COPYING


def drawn(name="figure-1", title="A < B", description="falls & rises"):
    """Return a small figure."""
    with panel("Title") as (figure, axes):
        axes.plot([0, 1], [1, 0], "o-", color=HUES[3][0])
        axes.axhline(0.5, color=INK)
        return str(inline(figure, name, title, description))


def test_inline__is_the_same_every_time():
    """No date and no random id."""
    assert drawn() == drawn()


def test_inline__has_title_description_and_role():
    """Somebody who does not see the figure is told what it shows; both texts are escaped."""
    svg = drawn()
    assert svg.startswith('<svg class="plot" viewBox="0 0 ')
    assert 'role="img" aria-labelledby="figure-1-title" aria-describedby="figure-1-desc"' in svg
    assert '<title id="figure-1-title">A &lt; B</title>' in svg
    assert '<desc id="figure-1-desc">falls &amp; rises</desc>' in svg


def test_inline__ids_are_its_own():
    """Every id carries the figure's name, and every reference points to an id of the figure."""
    svg = drawn("fig")
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    assert all(name.startswith("fig-") for name in ids)
    assert set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids


def test_inline__takes_colours_and_fonts_from_the_page():
    """CSS variables colour text, axes and lines, so that one figure serves light and dark; the page says the font."""
    svg = drawn()
    assert "var(--hue-3)" in svg
    assert "var(--ink)" in svg
    assert "font-family" not in svg
    assert not re.search(r"#[0-9a-f]{6}", svg)
    assert ">Title</text>" in svg


def test_inline__names_nothing_outside_of_the_page():
    """No namespace, doctype, metadata or style element is left that a page does not need."""
    svg = drawn()
    assert "http" not in svg
    assert "<style" not in svg
    assert "<metadata" not in svg


def test_slug__is_an_id():
    """Anything becomes lower case letters, digits and hyphens."""
    assert slug("Tail, of a <fork>: Worst_case") == "tail-of-a-fork-worst-case"
