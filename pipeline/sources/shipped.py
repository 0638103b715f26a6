"""Listings that ship with the project, by the name that a study uses."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple


class Source(NamedTuple):
    """A file in ``data`` and where its text was published."""

    file: str
    published: str


SOURCES: dict[str, Source] = {
    "phillips-2002": Source(
        "phillips-2002-pstree.txt",
        "Daniel Phillips, linux-kernel, 30 Jan 2002, Message-Id E16VsPE-0000DZ-00@starship.berlin; "
        "indentation collapsed by the archive",
    ),
}


def shipped_text(name: str) -> str:
    """Return the text of a shipped listing; raises KeyError for a name that is not in SOURCES."""
    return files("pipeline.sources").joinpath("data", SOURCES[name].file).read_text(encoding="utf-8")


SHIPPED: dict[str, str] = {name: shipped_text(name) for name in SOURCES}
