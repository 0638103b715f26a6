"""Listings that people damaged: whatever is done to a shipped one, it is read or refused, and never more than that."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_listing_properties import check

from pipeline.sources.shipped import SHIPPED

# A few hundred as a rule; thousands in the deep profile.
EXAMPLES = 5_000 if settings().max_examples > 1_000 else 300
SIGNS = "-+|`'[]{}()*>\\_ \t\n0123456789azAZ.:/&#;<─├└│┬\x1b\x0f\x00\u2028é"
LINES_MAX = 120  # of a listing that is damaged: more of the same takes longer and shows no more

NAMES = st.sampled_from(sorted(SHIPPED))
HUNKS = st.tuples(st.integers(0, 40_000), st.integers(1, 400))


def _part(text: str, hunk: tuple[int, int]) -> tuple[int, int]:
    """Return where a part of a text begins and ends."""
    start = hunk[0] % max(1, len(text))
    return start, min(len(text), start + hunk[1])


def _by_line(change):
    """Return a damage that does the same to each line; the number is its argument."""
    return lambda text, hunk, _: "\n".join(change(line, hunk[1]) for line in text.splitlines())


def _wrapped(line: str, width: int) -> str:
    """Return a line broken at a width."""
    width = max(20, width)
    return "\n".join(line[at : at + width] for at in range(0, len(line), width)) or line


def _deleted(text: str, hunk: tuple[int, int], _: str) -> str:
    start, end = _part(text, hunk)
    return text[:start] + text[end:]


def _inserted(text: str, hunk: tuple[int, int], noise: str) -> str:
    start, _end = _part(text, hunk)
    return text[:start] + noise + text[start:]


def _doubled(text: str, hunk: tuple[int, int], _: str) -> str:
    start, end = _part(text, hunk)
    return text[:end] + text[start:end] + text[end:]


def _sorted(text: str, hunk: tuple[int, int], _: str) -> str:
    lines = text.splitlines()
    turn = hunk[0] % len(lines) if lines else 0
    return "\n".join(reversed(lines[turn:])) + "\n" + "\n".join(lines[:turn])


DAMAGES = {
    "stripped": _by_line(lambda line, _: line.strip()),
    "collapsed": _by_line(lambda line, _: re.sub(" +", " ", line)),
    "quoted": _by_line(lambda line, _: f"> {line}"),
    "cut": _by_line(lambda line, width: line[: max(10, width)]),
    "cut and marked": _by_line(lambda line, width: line[:width] + "+" * (len(line) > width)),
    "wrapped": _by_line(_wrapped),
    "shifted": _by_line(lambda line, width: line[width % 40 :]),
    "indented": _by_line(lambda line, width: " " * (width % 9) + line),
    "without header": lambda text, hunk, _: "\n".join(text.splitlines()[1 + hunk[1] % 3 :]),
    "truncated": lambda text, hunk, _: text[: hunk[0] % max(1, len(text))],
    "beheaded": lambda text, hunk, _: text[hunk[0] % max(1, len(text)) :],
    "deleted": _deleted,
    "inserted": _inserted,
    "doubled": _doubled,
    "reordered": _sorted,
    "HTML": lambda text, _hunk, _noise: html.escape(text),
    "tags": lambda text, _hunk, _noise: "<pre>" + text.replace("\n", "<br>") + "</pre>",
    "misread": lambda text, _hunk, _noise: text.encode().decode("latin-1"),
    "joined": lambda text, _hunk, _noise: text.replace("\n", " "),
    "numbers": lambda text, hunk, _noise: re.sub(r"\d", str(hunk[1] % 10), text),
    "letters": lambda text, _hunk, _noise: re.sub("[a-z]", "P", text),
}
DAMAGE = st.tuples(st.sampled_from(sorted(DAMAGES)), HUNKS, st.text(SIGNS, max_size=60))


@settings(max_examples=EXAMPLES)
@given(NAMES, st.lists(DAMAGE, min_size=1, max_size=5))
def test_damaged_listing__is_read_or_refused(name, damages):
    """Up to five damages of any sort leave a listing that is sound, or a refusal with a reason."""
    text = "\n".join(SHIPPED[name].text.splitlines()[:LINES_MAX])
    for damage, hunk, noise in damages:
        text = DAMAGES[damage](text, hunk, noise)
    check(text)


@settings(max_examples=EXAMPLES)
@given(NAMES, NAMES, HUNKS, HUNKS)
def test_listings_spliced__are_read_or_refused(one, other, cut, paste):
    """A part of one listing in the midst of another is read or refused."""
    text, part = SHIPPED[one].text, SHIPPED[other].text
    start, end = _part(part, (paste[0], paste[1] * 5))
    at = cut[0] % max(1, len(text))
    check(text[max(0, at - 3_000) : at] + part[start:end] + text[at : at + 3_000])


ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.text(SIGNS.replace("\n", ""), max_size=12)),
    max_size=12,
)


@settings(max_examples=EXAMPLES)
@given(
    ROWS,
    st.sampled_from(
        ["PID PPID CMD", "PID PPID LWP RSS CMD", "PID TTY STAT TIME COMMAND", "PID RSS ARGS", ""]
    ),
)
def test_made_up_table__is_read_or_refused(rows, header):
    """Rows with any parents, circles among them, and any commands, give a sound tree or a refusal."""
    columns = max(2, len(header.split()) - 1)
    lines = [" ".join([str(pid), *[str(ppid)] * (columns - 1), command]) for pid, ppid, command in rows]
    check("\n".join([header, *lines]))


@pytest.mark.parametrize(
    "text",
    [
        "PID PPID CMD\n" + "".join(f"{pid} {pid - 1} a\n" for pid in range(1, 19_000)),
        "PID PPID CMD\n" + "".join(f"{pid} {pid} a\n" for pid in range(2, 19_000)),
        "PID PPID CMD\n" + "1 1 a\n" * 19_000,
        "PID PPID CMD\n" + "9" * 400_000,
        "PID PPID CMD\n1 0 " + " " * 400_000 + "x",
        "PID PPID TIME CMD\n1 0 " + "1" * 400_000,
        "PID PPID START TTY CMD\n1 0 " + "Oct 1" * 100_000,
        "PID CMD PPID\n1 " + " x" * 200_000,
        "PID TTY STAT TIME COMMAND\n" + "".join(f"{n} ? S 0:00 {' ' * n}\\_ a\n" for n in range(1, 900)),
        "PID " + "A " * 200_000 + "CMD\n1",
        "PID\n" * 19_000,
        ("     |-" + "x" * 60 + "\n" + "y" * 60 + "\n") * 4_000,
        "a\n" + "".join("| " * n + "|-b\n" for n in range(600)),
        "a\n|-" + "a," * 200_000,
        "├─a.slice\n" + "│ ├─7 a\n" * 19_000,
        "&#" + "9" * 400_000,
        "&#xD800;&#0;&#x110000;&nbsp;&NewLine;|-a",
        "&a" * 200_000,
        "<p " * 130_000,
        "<br>" * 100_000,
        "\x1b[" * 200_000,
        "(0q" * 130_000,
        "\t" * 400_000,
        "a---b\n" + "|-c---d\n" * 19_000,
    ],
    ids=lambda text: f"{text[:12]!r}...{text[-6:]!r}",
)
def test_hostile_text__is_read_in_one_pass(text):
    """Texts that make a reader go back and forth (quadratic in 400,000 characters would not end) are done at once."""
    check(text)
