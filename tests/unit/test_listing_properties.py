"""Reading listings: any tree survives drawing and reading; any text is read or refused."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.sources.listing import Listing, ListingError, read_listing

TO_UTF8 = {"---": "───", "-+-": "─┬─", "|-": "├─", "`-": "└─", "| ": "│ "}


class Drawn(NamedTuple):
    """A tree as it is drawn: ``copies`` times this name with these children."""

    name: str
    copies: int
    children: list[Drawn]


def _name(text: str) -> str:
    """Return a name that pstree can print without ambiguity."""
    return "p" + " ".join(re.sub("-{3,}", "--", text).split())


NAMES = st.text("abz019_./:- #", max_size=14).map(_name)
COPIES = st.sampled_from([1, 1, 1, 2, 3])
LEAVES = st.builds(Drawn, NAMES, COPIES, st.just([]))
TREES = st.recursive(
    LEAVES,
    lambda trees: st.builds(Drawn, NAMES, COPIES, st.lists(trees, min_size=1, max_size=4)),
    max_leaves=20,
).map(lambda tree: Drawn("init", 1, [tree, *tree.children]))


def draw(tree: Drawn, signs: dict[str, str], groups: int = 0) -> list[str]:
    """Return the lines that pstree prints for a tree, columns intact."""
    shown = f"{tree.copies}*[{tree.name}" if tree.copies > 1 else tree.name
    groups += tree.copies > 1
    if not tree.children:
        return [shown + "]" * groups]
    below = [draw(child, signs, groups) for child in tree.children]
    if len(below) == 1:
        return [shown + signs["---"] + below[0][0], *(" " * (len(shown) + 3) + line for line in below[0][1:])]
    lines = []
    for number, child in enumerate(below):
        last = number == len(below) - 1
        head = " " * (len(shown) + 1) + signs["`-" if last else "|-"]
        tail = " " * (len(shown) + 1) + ("  " if last else signs["| "])
        lines += [(head if number else shown + signs["-+-"]) + child[0], *(tail + line for line in child[1:])]
    return lines


def expand(tree: Drawn) -> tuple:
    """Return a tree with its groups written out, as nested tuples (name, children)."""
    return (tree.name, [each for child in tree.children for each in [expand(child)] * child.copies])


def nested(listing: Listing) -> tuple:
    """Return a listing's nodes as nested tuples (name, children)."""
    made = [(node.name, []) for node in listing.nodes]
    for index, node in enumerate(listing.nodes[1:], start=1):
        made[node.parent][1].append(made[index])
    return made[0]


def collapse(line: str) -> str:
    """Return a line as mail archives show it: blanks at its beginning gone, runs of blanks one."""
    return re.sub(" +", " ", line).strip()


@settings(deadline=None)
@given(TREES)
def test_drawn_tree__is_read_back(tree):
    """What pstree draws is read as the same tree, in ASCII and UTF-8, intact, collapsed, stripped and quoted."""
    ascii_lines = draw(tree, {sign: sign for sign in TO_UTF8})
    utf8_lines = draw(tree, TO_UTF8)
    expected = expand(tree)
    for lines in (
        ascii_lines,
        utf8_lines,
        [collapse(line) for line in ascii_lines],
        [collapse(line) for line in utf8_lines],
        [line.lstrip() for line in ascii_lines],
        ["> " + collapse(line) for line in ascii_lines],
    ):
        listing = read_listing("\n".join(lines))
        assert nested(listing) == expected
        assert listing.warnings == ()


def check(text: str) -> None:
    """Read a text and hold whatever comes out to what a listing promises."""
    try:
        listing = read_listing(text)
    except ListingError:
        return
    assert listing.nodes[0].parent == -1
    assert not listing.nodes[0].kernel_thread
    assert all(0 <= node.parent < index for index, node in enumerate(listing.nodes) if index)
    assert all(node.name.strip() == node.name != "" for node in listing.nodes)
    lines = len(text.splitlines())
    assert all(1 <= warned.line <= lines and warned.text for warned in listing.warnings)


@settings(deadline=None)
@given(st.text("-+|`'[]{}()*> \n09ab─├└│┬", max_size=200))
@example("a-+-\n|-\n`-\n")
@example("8*[a---b]")
@example("a---{b}-+-c\n`-d")
@example("a------+------b")
@example("1*[---1*[---")
def test_drawing_like_text__is_read_or_refused(text):
    """Scraps of drawings give a sound listing or a ListingError, never anything else."""
    check(text)


@settings(deadline=None)
@given(st.text())
def test_any_text__is_read_or_refused(text):
    """Any text at all gives a sound listing or a ListingError, never anything else."""
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" + "---a" * 90_000,
        "a" + "-+-a" * 90_000,
        "a" + "-" * 400_000,
        "a-+-b\n" + "|" * 400_000,
        "a-+-b\n" + " " * 400_000 + "x",
        "a-+-b\n" + "| |-c-+-d\n" * 40_000,
        "a---" + "(" * 400_000,
        "a---" + "+" * 400_000,
        "a---" + "]" * 400_000,
        "a---" + "9" * 400_000 + "*[b",
        "> " * 200_000,
        "x---y\n" * 60_000,
        "a-+-b\n" + "stray\n" * 60_000,
    ],
    ids=lambda text: f"{text[:6]!r}...{text[-4:]!r}",
)
def test_hostile_text__is_read_in_one_pass(text):
    """Texts that make a reader go back and forth (quadratic in 400,000 characters would not end) are done at once."""
    check(text)
