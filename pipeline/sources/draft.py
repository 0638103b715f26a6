"""What the reader of one format hands over, before groups are multiplied and kernel threads are told apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.errors import RefusedError
from simcore.workloads.shape import PROCESSES_MAX

NAME_FOR_MISSING_ROOT = "init"

# A line takes the more time for its length the shorter it is, and no listing has so many short ones.
SHORT_LINES_MAX = 20_000
SHORT_LINE = 40  # characters; the rows of ps are longer

# What the shape of a listing says.
PARENTS = "parents"  # who started whom
CGROUPS = "cgroups"  # which control group lies in which; parents are not told
FLAT = "none"  # nothing: every process hangs below the root


class ListingError(RefusedError):
    """A text is no listing of processes; the message says where, what is allowed and what to do."""


class Warned(NamedTuple):
    """Something in a listing that was repaired or could not be read.

    ``line`` counts from 1; ``text`` says what was found and what was done about it.
    """

    line: int
    text: str


class Line(NamedTuple):
    """A line of a listing without what mail, HTML and terminals put into it; ``number`` counts from 1."""

    number: int
    text: str


class Drawn(NamedTuple):
    """A process as it is drawn: once for a whole group of equal ones.

    ``parent`` is an index into the draft, -1 for the root; ``copies`` is the N of ``N*[...]`` and multiplies
    everything below as well; ``line`` counts from 1. ``kernel_thread`` is None where only name and parent tell;
    ``rss_kib`` is the resident size in KiB, None where the listing does not give it.
    """

    name: str
    parent: int
    copies: int
    line: int
    kernel_thread: bool | None = None
    rss_kib: int | None = None


@dataclass
class Draft:
    """The processes of a listing, root first and every parent before its children.

    ``format`` is what the listing looks like, in words. ``shape`` is PARENTS, CGROUPS or FLAT. ``threads`` are drawn
    things that are threads of a process, not processes. ``refused`` says why the text is refused though it looks like
    a listing; empty if it is not.
    """

    format: str = ""
    shape: str = PARENTS
    processes: list[Drawn] = field(default_factory=list)
    threads: list[Drawn] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    refused: str = ""

    def warn(self, line: int, text: str) -> None:
        """Remember what was repaired or left out in ``line``."""
        self.warnings.append(Warned(line, text))


def refuse_too_many(total: int, name: str, line: int) -> None:
    """Raise ListingError if a listing has more processes than a tree may have; ``name`` in ``line`` is the last."""
    if total > PROCESSES_MAX:
        raise ListingError(
            f"line {line}: with {name!r} there are {total} processes; at most {PROCESSES_MAX} are allowed; check the "
            "groups N*[...] or take a part of the listing"
        )
