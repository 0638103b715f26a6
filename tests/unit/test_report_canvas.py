"""Labels that do not overlap, looks that do not change, SVG that fits in a page."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.canvas import panel, spread
from pipeline.report.style import HUES, INK, family, look
from pipeline.report.svg import inline
from pipeline.report.words import slug
from simcore.designs import DESIGNS


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


def test_look__of_designs_differ():
    """No two designs have the same hue, marker and dash; the same mechanism has the same hue."""
    assert len({look(name) for name in DESIGNS}) == len(DESIGNS)
    assert look("phillips").hue == look("phillips_rmap").hue
    assert look("linus_rmap").rmap
    assert not look("linus_pmd").rmap


def test_look__of_a_design_from_elsewhere():
    """A dataset may hold a design that this version does not know; it is drawn all the same."""
    assert look("from-the-future").hue == len(HUES) - 1
    assert family("from-the-future") == "Other designs"


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
    assert 'role="img" aria-labelledby="figure-1-title figure-1-desc"' in svg
    assert '<title id="figure-1-title">A &lt; B</title>' in svg
    assert '<desc id="figure-1-desc">falls &amp; rises</desc>' in svg


def test_inline__ids_are_its_own():
    """Every id carries the figure's name, and every reference points to an id of the figure."""
    svg = drawn("fig")
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    assert all(name.startswith("fig-") for name in ids)
    assert set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids


def test_inline__takes_colours_and_fonts_from_the_page():
    """Nothing but CSS variables colours text, axes and lines, so that one figure serves light and dark."""
    svg = drawn()
    assert "var(--hue-3)" in svg
    assert "var(--ink)" in svg
    assert "var(--sans)" in svg
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
