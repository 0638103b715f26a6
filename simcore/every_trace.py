"""Every short trace, walked as a tree: an event is simulated once for all traces that go on from it.

One trace holds a beginning and then each letter of an alphabet once. A machine that is copied and put before a letter
does that event next, so a word of letters is a trace, and words that begin alike share the machine of their beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Node = TypeVar("Node")


class Steps(Protocol[Node]):
    """What happens on the way through the tree."""

    def before(self, node: Node) -> None:
        """Make a node ready to be copied, once for all steps from it."""

    def step(self, node: Node, path: tuple[int, ...], *, last: bool) -> Node | None:
        """Do the last letter of a path behind a copy of ``node``; return the copy, None if nothing is tried behind it."""


def walk(
    steps: Steps[Node], node: Node, letters: Sequence[int], depth: int, path: tuple[int, ...] = ()
) -> None:
    """Try every word of up to ``depth`` letters behind a node, depth first."""
    steps.before(node)
    last = len(path) + 1 == depth
    for letter in letters:
        word = (*path, letter)
        after = steps.step(node, word, last=last)
        if after is not None and not last:
            walk(steps, after, letters, depth, word)
