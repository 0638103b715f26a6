"""What a person sees in a browser: wide and narrow, light and dark, on paper."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

WIDTHS = (1280, 320)
SCHEMES = ("light", "dark")


@pytest.fixture(
    params=[(width, scheme) for width in WIDTHS for scheme in SCHEMES],
    ids=lambda found: f"{found[0]}-{found[1]}",
)
def page(request, browser, report_file):
    """Yield the report in one width and scheme; ``page.heard`` holds console messages and requests."""
    width, scheme = request.param
    shown = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    shown.heard = []
    shown.on("console", lambda message: shown.heard.append(message.text))
    shown.on("pageerror", lambda error: shown.heard.append(str(error)))
    shown.on(
        "request", lambda asked: shown.heard.append(asked.url) if asked.url != report_file.as_uri() else None
    )
    shown.goto(report_file.as_uri())
    yield shown
    shown.close()


def test_page__is_silent(page):
    """No console message, no error, and no request but for the page itself."""
    page.wait_for_load_state("networkidle")
    assert page.heard == []


def test_page__never_scrolls_sideways(page):
    """The body is as wide as the window; what is wider scrolls in a box of its own."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    too_wide = """[...document.querySelectorAll('main *, header *')].filter(each =>
        !each.closest('.scroll, pre, svg') && each.getBoundingClientRect().right > window.innerWidth + 1
    ).map(each => each.outerHTML.slice(0, 80))"""
    assert page.evaluate(too_wide) == []


def test_page__wide_tables_scroll_from_the_keyboard(page):
    """A table's box takes the focus, and an arrow key moves it if it is wider than the window."""
    page.evaluate(UNFOLD)
    box = page.locator(".scroll").first
    box.focus()
    assert page.evaluate("document.activeElement.className") == "scroll"
    if page.evaluate("document.activeElement.scrollWidth > document.activeElement.clientWidth"):
        for _ in range(100):  # a busy browser may drop the first presses
            page.keyboard.press("ArrowRight")
            if page.evaluate("document.activeElement.scrollLeft > 0"):
                break
        assert page.evaluate("document.activeElement.scrollLeft > 0")


def test_page__figures_fill_their_place_and_stay_readable(page):
    """Every figure has a size, and the smallest text in it is at least 9 pixels high."""
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg.plot')].map(each => each.getBoundingClientRect().width)"
    )
    assert min(sizes) >= 280
    smallest = """Math.min(...[...document.querySelectorAll('svg.plot text')].map(each =>
        parseFloat(getComputedStyle(each).fontSize) * Math.hypot(each.getScreenCTM().a, each.getScreenCTM().b)))"""
    assert page.evaluate(smallest) >= 9


def test_page__text_stands_out_from_its_ground(page):
    """Text of page and figures has a contrast of at least 4.5 with the ground, in light and in dark."""
    assert page.evaluate(CONTRAST) == []


def test_page__labels_in_figures_do_not_overlap(page):
    """Names of designs at the ends of lines keep clear of one another."""
    assert page.evaluate(OVERLAPS) == []


def test_page__prints_on_light_paper(browser, report_file):
    """Paper is light even for those who read in the dark, and nothing is cut off at its width."""
    shown = browser.new_page(viewport={"width": 700, "height": 1000}, color_scheme="dark")
    shown.goto(report_file.as_uri())
    shown.emulate_media(media="print", color_scheme="dark")
    assert shown.evaluate("getComputedStyle(document.body).color") == "rgb(20, 21, 22)"
    assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    shown.close()


def test_page__can_be_photographed(page, tmp_path):
    """A full screenshot exists and is not blank: whoever wants to look finds it in the test's folder."""
    picture = page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert len(picture) > 50_000


def test_page__has_nothing_that_axe_finds(page):
    """axe finds no violation, with everything unfolded."""
    page.evaluate(UNFOLD)
    assert found_by_axe(page) == []


def test_page__has_nothing_that_axe_finds_on_paper(browser, report_file):
    """Nor does it in print."""
    shown = browser.new_page(viewport={"width": 700, "height": 1000})
    shown.goto(report_file.as_uri())
    shown.emulate_media(media="print")
    shown.evaluate(UNFOLD)
    assert found_by_axe(shown) == []
    assert not shown.locator(".tools").first.is_visible()
    shown.close()


def found_by_axe(page):
    """Return what axe finds: rule and first element."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed: pip install .[browser]"
    )
    found = axe.Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found]


def test_page__tables_sort_from_the_keyboard(page):
    """Enter on a heading sorts by numbers upwards, then downwards, then as it was; the order is announced."""
    table = page.locator("#standing-table")
    column = f"[...document.querySelectorAll('#standing-table tbody tr:not(.group)')].map({CELL})"
    before = page.evaluate(column)
    heading = table.locator("thead th").nth(2)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.evaluate(column) == sorted(before)
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.evaluate(column) == sorted(before, reverse=True)
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") is None
    assert page.evaluate(column) == before


def test_page__tables_filter(page):
    """Typing keeps the rows that hold the text, and says how many; emptied, all are back."""
    page.evaluate(UNFOLD)
    tools = page.locator(".tools", has=page.locator("input")).first
    rows = tools.locator("xpath=following-sibling::div[1]//tbody/tr[not(@class)]")
    field, all_of_them = tools.locator("input"), rows.count()
    word = rows.first.locator("th").inner_text()
    field.fill(word)
    kept = rows.filter(visible=True)
    assert 0 < kept.count() < all_of_them
    assert all(word in text for text in kept.all_inner_texts())
    assert tools.locator("[role=status]").inner_text() == f"{kept.count()} of {all_of_them} rows"
    field.fill("")
    assert rows.filter(visible=True).count() == all_of_them


def test_page__saves_numbers_without_a_network(page):
    """The CSV behind a figure and that of a table are saved, and the policy and the console have nothing to say."""
    page.evaluate(UNFOLD)
    for place, column in (
        (page.locator("a[download='standing.csv']"), "design"),
        (page.get_by_role("button", name="Save as CSV").first, "question"),
    ):
        with page.expect_download() as saved:
            place.click()
        text = saved.value.path().read_text(encoding="utf-8")
        assert saved.value.suggested_filename.endswith(".csv")
        assert text.startswith(f"{column},")
        assert len(text.splitlines()) > 5
    assert [heard for heard in page.heard if not heard.startswith(("data:", "blob:"))] == []


UNFOLD = "document.querySelectorAll('details').forEach(each => { each.open = true })"
CELL = "row => parseFloat(row.cells[2].textContent)"

# Relative luminance and contrast as in WCAG 2.2; text without a ground of its own stands on the body's.
CONTRAST = """(() => {
  const light = colour => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
    const linear = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
  }
  const ground = light(getComputedStyle(document.body).backgroundColor)
  const texts = [...document.querySelectorAll('p, dt, dd, li, th, td, h1, h2, h3, a, summary, svg text')]
  return texts.map(each => {
    const style = getComputedStyle(each)
    const own = light(each instanceof SVGElement ? style.fill : style.color)
    const ratio = (Math.max(own, ground) + 0.05) / (Math.min(own, ground) + 0.05)
    return ratio < 4.5 ? `${each.textContent.slice(0, 40)}: ${ratio.toFixed(2)}` : ''
  }).filter(Boolean)
})()"""

OVERLAPS = """(() => [...document.querySelectorAll('svg.plot')].flatMap(plot => {
  const boxes = [...plot.querySelectorAll('text')].filter(each => each.textContent.trim()).map(each => {
    const box = each.getBoundingClientRect()
    return {text: each.textContent, left: box.left, right: box.right, top: box.top + box.height / 4,
            bottom: box.bottom - box.height / 4}
  })
  return boxes.flatMap((one, place) => boxes.slice(place + 1).filter(two =>
    one.left < two.right && two.left < one.right && one.top < two.bottom && two.top < one.bottom
  ).map(two => `${one.text} / ${two.text}`))
}))()"""
