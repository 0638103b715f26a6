"""matplotlib figures as inline SVG that follows the page: its colours, its fonts, its width.

Text stays text and is coloured by the page; every design's hue becomes a CSS variable, so one figure serves light,
dark and paper. Ids get the figure's name in front, so that many figures can stand in one page. What is drawn is not
changed by more than a twentieth of a unit, a fourteenth of a pixel; but groups that group nothing go, and numbers are
rounded, which makes a figure a third as long.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup

from pipeline.report.canvas import fit
from pipeline.report.style import HUES, ROLES
from pipeline.report.svg_settings import SETTINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMESPACES = re.compile(r' xmlns(:xlink)?="[^"]*"')
_NUMBER = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"(?:(?<=url\()|^)#([\w-]+)")
_FONT = re.compile(r";? *font-family:[^;]*")
_DROPPED = ("metadata", "style")  # a style sheet would apply to the whole page; the page says it once
_NOTHING = (
    {"style": "fill: none"},
    {"style": "fill: none; opacity: 0"},
)  # what a transparent ground is drawn as


def inline(figure: Figure, name: str, title: str, description: str) -> Markup:
    """Return a figure as an <svg> element for an HTML page.

    Parameters
    ----------
    figure : matplotlib Figure
        Drawn with the colours of ``style``, with one pair of axes.
    name : str
        Unique in the page; letters, digits and hyphens.
    title, description : str
        What it shows, and what can be seen in it, for people who do not see it.
    """
    with mpl.rc_context(SETTINGS):
        fit(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = _NAMESPACES.sub("", drawn[drawn.index("<svg") :]).replace("xlink:href", "href")
    root = ET.fromstring(_page_colours(drawn))  # noqa: S314 - matplotlib has just written it
    _slim(root)
    _own_ids(root, name)
    return Markup(ET.tostring(_labelled(root, name, title, description), encoding="unicode"))  # noqa: S704 - escaped by ET


def _page_colours(drawn: str) -> str:
    """Replace each colour of ``style`` by its CSS variable."""
    variables = {light: f"var(--hue-{number})" for number, (light, _) in enumerate(HUES)}
    variables |= {colour: f"var(--{role})" for colour, role in ROLES.items()}
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: variables.get(found[0], found[0]), drawn)


def _slim(root: ET.Element) -> None:
    """Round numbers, drop ids that nothing refers to, backgrounds, and groups that say nothing of what is in them."""
    wanted = {
        name
        for each in root.iter()
        for key, value in each.attrib.items()
        if key != "id"
        for name in _REFERENCE.findall(value)
    }
    for each in root.iter():
        each.tail = None
        if each.tag != "text":
            each.text = None
        if each.get("id") not in wanted:
            each.attrib.pop("id", None)
        for key in ("d", "x", "y", "width", "height", "transform"):
            if key in each.attrib:
                each.attrib[key] = _rounded(each.attrib[key])
        if each.get("transform", "").startswith(("rotate(0 ", "rotate(-0 ")):
            del each.attrib["transform"]
        if "style" in each.attrib:
            each.attrib["style"] = _FONT.sub("", each.attrib["style"]).strip("; ")
    _flatten(root)


def _flatten(parent: ET.Element) -> None:
    """Put what stands in a bare group in its place, all the way down."""
    flat: list[ET.Element] = []
    for each in parent:
        if each.tag in _DROPPED:
            continue
        _flatten(each)
        if each.tag in ("g", "defs") and not each.attrib and not (each.tag == "defs" and len(each)):
            flat += list(each)
        elif (
            each.tag != "path"
            or {key: value for key, value in each.attrib.items() if key != "d"} not in _NOTHING
        ):
            flat.append(each)
    parent[:] = flat


def _rounded(numbers: str) -> str:
    """Return coordinates to a tenth of a unit, without needless blanks."""
    shorter = _NUMBER.sub(lambda found: f"{round(float(found[0]), 1) + 0.0:g}", numbers)
    return re.sub(r"\s*([MLCQz])\s*", r"\1", shorter).strip()


def _own_ids(root: ET.Element, name: str) -> None:
    """Put the figure's name in front of every id and every reference to one."""
    for each in root.iter():
        for key, value in each.attrib.items():
            each.attrib[key] = f"{name}-{value}" if key == "id" else _REFERENCE.sub(rf"#{name}-\1", value)


def _labelled(root: ET.Element, name: str, title: str, description: str) -> ET.Element:
    """Return the figure without a fixed size, with a role, a title and a description."""
    found = ET.Element("svg", {
        "class": "plot", "viewBox": root.attrib["viewBox"], "role": "img",
        "aria-labelledby": f"{name}-title", "aria-describedby": f"{name}-desc",
    })  # fmt: skip
    ET.SubElement(found, "title", {"id": f"{name}-title"}).text = title
    ET.SubElement(found, "desc", {"id": f"{name}-desc"}).text = description
    found.extend(list(root))
    return found
