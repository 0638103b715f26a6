"""From a command line, as ps shows it, to the name of the program."""

from __future__ import annotations

import re
from typing import NamedTuple

_BRACKETS = re.compile(r"\[([^\[\]]+)\](?:\s|$)")
_NAME_MAX = 64  # characters; a name in a listing is 15 long, a file's rarely more than this


class Command(NamedTuple):
    """The name of a program; ``bracketed``: ps found no command line, as of kernel threads and zombies."""

    name: str
    bracketed: bool
    defunct: bool


def command_name(text: str) -> Command:
    """Return the program's name: ``/usr/sbin/sshd -D`` is sshd, ``-bash`` bash, ``postgres: writer`` postgres.

    ``[kworker/0:1]`` keeps what is in the brackets. An empty text has the name ``?``.
    """
    text = text.strip()
    defunct = text.endswith("<defunct>")
    brackets = _BRACKETS.match(text) if text.startswith("[") else None
    if brackets:
        return Command(brackets[1].strip()[:_NAME_MAX].strip() or "?", bracketed=True, defunct=defunct)
    word = text.split(None, 1)[0] if text else "?"
    if word.startswith(("/", "./", "../", "~/")):  # kworker/0:1 is no path
        word = word.split(":", 1)[0].rstrip("/").rpartition("/")[2] or word
    name = word.lstrip("-@").rstrip(":") or word
    return Command(name[:_NAME_MAX], bracketed=False, defunct=defunct)
