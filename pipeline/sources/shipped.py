"""Listings that ship with the project, by the name that a study uses: ``data/listings.jsonl.xz``, one JSON object a line.

They are public listings of Linux machines of 1999 to 2026, as their authors posted them; user names were replaced.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pipeline.sources.listing import Listing, read_listing

_FILE = "listings.jsonl.xz"


class Shipped(NamedTuple):
    """A listing that ships.

    Parameters
    ----------
    name : str
        What a study calls it.
    published : str
        Where the text was found.
    year : int
        When the listing was made, or posted.
    kind : str
        What the machine was for: laptop, desktop, server-web, server-db, container, build, ci, shell, android, other.
    complete : bool
        Whether it shows all user processes of the machine, the root's line aside.
    same_machine_as : str or None
        Another shipped listing of the same machine, which is the one that counts where machines are counted.
    text : str
        The listing.
    """

    name: str
    published: str
    year: int
    kind: str
    complete: bool
    same_machine_as: str | None
    text: str


def _read() -> dict[str, Shipped]:
    """Return the shipped listings, in order of years."""
    packed = files("pipeline.sources").joinpath("data", _FILE).read_bytes()
    found = (Shipped(**json.loads(line)) for line in lzma.decompress(packed).decode().splitlines())
    return {shipped.name: shipped for shipped in found}


SHIPPED: dict[str, Shipped] = _read()


@cache
def shipped_listing(name: str) -> Listing:
    """Return a shipped listing, read; raises KeyError for a name that is not in SHIPPED."""
    return read_listing(SHIPPED[name].text)
