"""What the reader of one format hands over, before groups are multiplied and kernel threads are told apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.errors import RefusedError


class ListingError(RefusedError):
    """A text is no listing of processes; the message says where, what is allowed and what to do."""


class Warned(NamedTuple):
    """Something in a listing that was repaired or could not be read.

    ``line`` counts from 1; ``text`` says what was found and what was done about it.
    """

    line: int
    text: str


class Drawn(NamedTuple):
    """A process as it is drawn: once for a whole group of equal ones.

    ``parent`` is an index into the draft, -1 for the root; ``copies`` is the N of ``N*[...]`` and multiplies
    everything below as well; ``line`` counts from 1.
    """

    name: str
    parent: int
    copies: int
    line: int


@dataclass
class Draft:
    """The processes of a listing, root first and every parent before its children.

    ``threads`` are drawn things that are threads of a process, not processes. ``refused`` says why the text is
    refused though it is drawn in a known way; empty if it is not.
    """

    processes: list[Drawn] = field(default_factory=list)
    threads: list[Drawn] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    refused: str = ""

    def warn(self, line: int, text: str) -> None:
        """Remember what was repaired or left out in ``line``."""
        self.warnings.append(Warned(line, text))
