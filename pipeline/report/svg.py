"""matplotlib figures as inline SVG that follows the page: its colours, its fonts, its width.

Text stays text and is coloured by the page; every design's hue becomes a CSS variable, so one figure serves light,
dark and paper. Ids get the figure's name in front, so that many figures can stand in one page.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from markupsafe import Markup, escape

from pipeline.report.style import HUES, ROLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS: Any = {
    "svg.fonttype": "none",  # text is text: it can be searched, read and recoloured
    "svg.hashsalt": "forkbench",  # ids do not depend on chance
    "font.family": "DejaVu Sans",  # comes with matplotlib, so widths are the same everywhere
}
_FONT = re.compile(r"'?DejaVu Sans'?[^;\"<]*(?=[;\"])")
_DROPPED = (
    re.compile(r"^.*?(?=<svg)", re.DOTALL),  # prologue and doctype
    re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL),
    re.compile(
        r"<style[^>]*>.*?</style>\s*", re.DOTALL
    ),  # would apply to the whole page; the page says it once
    re.compile(r" xmlns(:xlink)?=\"[^\"]*\""),  # HTML knows them
    re.compile(r"<!--.*?-->\s*", re.DOTALL),
)


def inline(figure: Figure, name: str, title: str, description: str) -> Markup:
    """Return a figure as an <svg> element for an HTML page.

    Parameters
    ----------
    figure : matplotlib Figure
        Drawn with the colours of ``style``.
    name : str
        Unique in the page; letters, digits and hyphens.
    title, description : str
        What it shows, and what can be seen in it, for people who do not see it.
    """
    with mpl.rc_context(SETTINGS):
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    for pattern in _DROPPED:
        drawn = pattern.sub("", drawn)
    drawn = _own_ids(_page_colours(_FONT.sub("var(--sans)", drawn)), name)
    return Markup(_labelled(drawn, name, title, description))  # noqa: S704 - title and description are escaped


def _page_colours(drawn: str) -> str:
    """Replace each colour of ``style`` by its CSS variable."""
    variables = {light: f"var(--hue-{number})" for number, (light, _) in enumerate(HUES)}
    variables |= {colour: f"var(--{role})" for colour, role in ROLES.items()}
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: variables.get(found[0], found[0]), drawn)


def _own_ids(drawn: str, name: str) -> str:
    """Put the figure's name in front of every id and every reference to one."""
    drawn = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', drawn)
    drawn = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', drawn)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", drawn)


def _labelled(drawn: str, name: str, title: str, description: str) -> str:
    """Replace the opening tag: no fixed size, a role, a title and a description."""
    box = re.search(r'viewBox="([^"]+)"', drawn)
    if box is None:
        raise ValueError(f"figure {name!r}: matplotlib wrote an svg without viewBox; report this as a bug")
    opening = (
        f'<svg class="plot" viewBox="{box[1]}" role="img" aria-labelledby="{name}-title {name}-desc">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n<desc id="{name}-desc">{escape(description)}</desc>\n'
    )
    return re.sub(r"<svg[^>]*>\s*", lambda _: opening, drawn, count=1).strip()
