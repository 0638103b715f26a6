"""A page that only does what was written into it: one style sheet, one script, and a policy that allows these by hash.

Style attributes would need a policy that allows any style, so each becomes a class; equal ones share it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    import pandas as pd

_STYLED = re.compile(r'<(?P<before>[a-z]+[^<>]*?) style="(?P<style>[^"]*)"')
_SAFE = ",:;.()+-*/ "  # of a data URI, besides letters and digits


def lifted(body: str) -> tuple[str, str]:
    """Return a page's body with classes instead of style attributes, and the style sheet that tells what they are.

    Text of the data cannot look like an attribute: a quote in it is written ``&#34;``.
    """
    classes: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        name = classes.setdefault(found["style"], f"s{len(classes)}")
        return f'<{found["before"]} class="{name}"'

    body = _STYLED.sub(named, body)
    return body, "\n".join(
        f".{name}{{{style.replace(': ', ':').replace('; ', ';')}}}" for style, name in classes.items()
    )


def allowed(text: str) -> str:
    """Return the source expression that allows an inline script or style sheet of exactly this text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def policy(style: str, script: str) -> str:
    """Return the content security policy of a page with one style sheet and one script."""
    return (
        f"default-src 'none'; style-src {allowed(style)}; script-src {allowed(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def csv_link(numbers: pd.DataFrame) -> str:
    """Return a frame as a data URI of CSV, six significant digits a number: what a link can save without a network."""
    text = numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return f"data:text/csv;charset=utf-8,{quote(text, safe=_SAFE.replace(' ', ''))}"
