"""Takes out what mail, HTML and terminals put into a listing: quoting, tags, entities, escapes, wrong encodings.

Everything is done in a few passes over the text, each of linear time. No pass makes a line, so that numbers of lines
stay those of the text; only ``<br>`` divides a line, and its parts keep the number.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from html.entities import html5
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.sources.draft import SHORT_LINE, SHORT_LINES_MAX, Line, ListingError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each entity ends in ';', and numbers are short: the standard library's reader takes long over what does neither.
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z]{2,8}));")
_TAG = re.compile(
    r"</?(?:pre|code|tt|samp|kbd|p|div|span|font|b|i|u|em|strong|a|td|tr|table|tbody|li|ul|html|body|blockquote)"
    r"(?:\s[^<>]{0,200})?/?>",
    re.IGNORECASE,
)
_BREAK = re.compile(r"<br\s?/?>", re.IGNORECASE)
_COLOUR = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
# Drawn with the line characters of a VT100, also where an archive has lost the escape characters.
_VT100 = re.compile(r"\x1b?\(0\x0f?([qtxmw]{1,3})\x1b?\(B")
_VT100_SIGNS = str.maketrans("qtxmw", "-|||+")
_SIGNS = str.maketrans(
    {
        "─": "-",
        "━": "-",
        "├": "|",
        "┣": "|",
        "└": "`",
        "┗": "`",
        "╰": "`",
        "│": "|",
        "┃": "|",
        "┬": "+",
        "┳": "+",
    }
    | {"\u2014": "---", "\u2212": "-", "\u2018": "`", "\u2019": "'"}  # dashes and quotes of word processors
    | dict.fromkeys("\u00a0\u2007\u202f\u3000", " ")
    | dict.fromkeys([chr(code) for code in range(32) if not chr(code).isspace()])
    | dict.fromkeys("\u200b\ufeff\x7f")
)
_LINE_SIGNS = "─├└│┬"
_WRONG_ENCODINGS = ("cp1252", "latin-1", "mac-roman")  # what UTF-8 has been read as
_QUOTING = re.compile(r"(?:[ \t]*>)+ ?")


def decoded(raw: bytes) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with its mark as Windows writes it; what is neither shows as U+FFFD."""
    utf16 = raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    return raw.decode("utf-16" if utf16 else "utf-8", errors="replace")


def cleaned(text: str) -> list[Line]:
    """Return the lines of a text, ASCII line drawing in place of every other, without blanks at their ends.

    Raises
    ------
    ListingError
        There are more than SHORT_LINES_MAX lines, and they are short.
    """
    most = max(SHORT_LINES_MAX, len(text) // SHORT_LINE)
    _refuse_too_many(len(text.splitlines()), most)
    text = _decoded(text)
    if "(0" in text:
        text = _VT100.sub(_vt100_signs, text)
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    lines = list(islice(_lines(text.translate(_SIGNS)), most + 1))
    _refuse_too_many(len(lines), most)
    return lines


def _refuse_too_many(lines: int, most: int) -> None:
    """Raise ListingError for more lines than a listing of that size may have."""
    if lines > most:
        raise ListingError(
            f"more than {most:,} lines of less than {SHORT_LINE} characters on average; up to {SHORT_LINES_MAX:,} lines "
            "may be so short; take a part of the listing"
        )


def _decoded(text: str) -> str:
    """Return a text without entities, and with line drawing that was read in a wrong encoding put right."""
    if "&" in text:
        text = _ENTITY.sub(_character, text)
    for encoding in _WRONG_ENCODINGS:
        if "├".encode().decode(encoding) in text or "└".encode().decode(encoding) in text:
            for sign in _LINE_SIGNS:
                text = text.replace(sign.encode().decode(encoding), sign)
    return text


def _character(entity: re.Match[str]) -> str:
    """Return what an entity stands for; what is no printable character stays as it is."""
    decimal, hexadecimal, name = entity.groups()
    if name:
        found = html5.get(f"{name};", entity[0])
    else:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        found = chr(code) if code <= 0x10FFFF else ""
    shown = found.isprintable() or found == "\N{NO-BREAK SPACE}"
    return found if found and shown else entity[0]


def _vt100_signs(found: re.Match[str]) -> str:
    """Return one group of a VT100's line characters in ASCII; ``mq`` closes a branch."""
    return "`-" if found[1] == "mq" else found[1].translate(_VT100_SIGNS)


def _lines(text: str) -> Iterator[Line]:
    """Yield the lines of a text without tags and mail quoting."""
    for number, line in enumerate(text.splitlines(), start=1):
        if "<" not in line:
            yield Line(number, _unquoted(line))
            continue
        for part in _BREAK.split(_TAG.sub("", line)):
            yield Line(number, _unquoted(part))


def _unquoted(line: str) -> str:
    """Return a line without the marks of a mail's quoting and without blanks at its end."""
    if ">" in line[:20] and (quoting := _QUOTING.match(line)):
        line = line[quoting.end() :]
    if "\t" in line:
        line = line.expandtabs()
    return line.rstrip()
