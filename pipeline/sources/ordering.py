"""Puts the processes of a table in the order of a draft: the root first, every parent before its children."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.sources.draft import Draft, Drawn

if TYPE_CHECKING:
    from collections.abc import Sequence


def in_order(draft: Draft, found: Sequence[Drawn], root: int | None, missing: str) -> None:
    """Add ``found`` to the draft, depth first, children in the order in which they are listed.

    Parameters
    ----------
    draft : Draft
        Without processes; they are added, and warnings.
    found : sequence of Drawn
        In any order; ``parent`` is an index into it, -1 for those that hang below the root.
    root : int or None
        The index of the root; None if it is not listed, and then one with the name ``missing`` is put in its place.
    """
    children: list[list[int]] = [[] for _ in found]
    top: list[int] = []
    for index, drawn in enumerate(found):
        if index != root:
            (children[drawn.parent] if drawn.parent >= 0 else top).append(index)
    if root is None:
        line = found[0].line
        draft.warn(
            line, f"the process that started the others is not listed; {missing!r} was put in its place"
        )
        draft.processes.append(Drawn(missing, -1, 1, line))
    else:
        draft.processes.append(found[root]._replace(parent=-1))
        top = sorted(top + children[root])
        children[root] = []
    placed = [index == root for index in range(len(found))]
    _descend(draft, found, children, top, placed)
    for index, drawn in enumerate(found):
        if not placed[index]:
            draft.warn(drawn.line, f"{drawn.name!r} is its own ancestor; taken as a child of the root")
            _descend(draft, found, children, [index], placed)


def _descend(
    draft: Draft, found: Sequence[Drawn], children: list[list[int]], top: list[int], placed: list[bool]
) -> None:
    """Add ``top`` as children of the root, and everything below them that is not placed yet."""
    open_ = [(index, 0) for index in reversed(top)]
    while open_:
        index, parent = open_.pop()
        if placed[index]:
            continue
        placed[index] = True
        own = len(draft.processes)
        name, _, copies, line, kernel_thread, rss_kib = found[index]
        draft.processes.append(Drawn(name, parent, copies, line, kernel_thread, rss_kib))
        open_ += [(child, own) for child in reversed(children[index])]
