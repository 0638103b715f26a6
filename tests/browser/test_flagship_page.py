"""The page that is committed, as a person sees it: many uses, listings, adversaries and a search in one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PAGE = Path(__file__).parents[2] / "reports" / "flagship.html"
UNFOLD = "document.querySelectorAll('details').forEach(each => { each.open = true })"


@pytest.fixture(
    params=[(1280, "screen"), (320, "screen"), (700, "print")], ids=lambda found: f"{found[0]}-{found[1]}"
)
def flagship(request, browser):
    """Yield the page, unfolded; ``flagship.heard`` holds console messages and requests."""
    width, medium = request.param
    shown = browser.new_page(viewport={"width": width, "height": 800})
    shown.heard = []
    shown.on("console", lambda message: shown.heard.append(message.text))
    shown.on("pageerror", lambda error: shown.heard.append(str(error)))
    shown.on("request", lambda asked: shown.heard.append(asked.url) if asked.url != PAGE.as_uri() else None)
    shown.goto(PAGE.as_uri())
    shown.emulate_media(media=medium)
    shown.evaluate(UNFOLD)
    yield shown
    shown.close()


def test_flagship__is_silent_and_as_wide_as_its_window(flagship):
    """Nothing is asked for, nothing is wrong, nothing is cut off at the side."""
    flagship.wait_for_load_state("networkidle")
    assert flagship.heard == []
    assert flagship.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_flagship__labels_of_axes_do_not_overlap(flagship):
    """Numbers along an axis of a figure keep clear of one another."""
    crossed = """[...document.querySelectorAll('svg.plot')].flatMap(plot => {
        const boxes = [...plot.querySelectorAll('text')].filter(each => /^[0-9.,]+$/.test(each.textContent))
            .map(each => each.getBoundingClientRect());
        const crossing = boxes.some((one, at) => boxes.slice(at + 1).some(other =>
            one.left < other.right - 1 && other.left < one.right - 1
            && one.top < other.bottom - 3 && other.top < one.bottom - 3));
        return crossing ? [plot.getAttribute('aria-labelledby')] : [];
    })"""
    assert flagship.evaluate(crossed) == []
