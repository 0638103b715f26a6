"""Shapes of process trees: who is whose child, and which program each process is.

A study gives a tree as a complete one, ``{"depth": levels below the root, "fan_out": children of each inner
process}``, or as a measured one, ``{"label": str, "parents": [int], "names": [str]}`` with the root first,
its parent -1, and every parent before its children. A measured tree may have ``"resident_kib": [int or None]`` as well:
the resident size of each process in KiB, None where it is not known.
"""

from __future__ import annotations

import reprlib
from typing import Any, NamedTuple

PROCESSES_MAX = 100_000  # a trace of that many has 1.2 million events and takes 260 MB to write
DEPTH_MAX = 1_000
FAN_OUT_MAX = PROCESSES_MAX

_COMPLETE = {"depth", "fan_out"}
_MEASURED = {"label", "parents", "names"}
_SIZES = "resident_kib"
_KIB_MAX = 2**40  # a size that no machine has
_FORMS = "{'depth': int, 'fan_out': int} or {'label': str, 'parents': [int], 'names': [str]}"


class Shape(NamedTuple):
    """A process tree: ``parents[i] < i`` is the parent of process ``i``, -1 for process 0, the root.

    ``resident_kib`` is None where all processes are of one size; else it has each one's in KiB, None if not known.
    """

    parents: list[int]
    names: list[str]
    resident_kib: list[int | None] | None = None

    def children(self) -> list[list[int]]:
        """Return each process's children, in ascending order."""
        found: list[list[int]] = [[] for _ in self.parents]
        for process, parent in enumerate(self.parents[1:], start=1):
            found[parent].append(process)
        return found


def shape_of(tree: dict[str, Any]) -> Shape:
    """Return the shape that a study's ``tree`` describes.

    Raises
    ------
    ValueError
        The value describes no tree, or one of more than PROCESSES_MAX processes.
    """
    fault = tree_fault(tree)
    if fault is not None:
        raise ValueError(f"tree: {fault}")
    if "parents" in tree:
        sizes = list(tree[_SIZES]) if _SIZES in tree else None
        return Shape(list(tree["parents"]), list(tree["names"]), sizes)
    return _complete(tree["depth"], tree["fan_out"])


def _complete(depth: int, fan_out: int) -> Shape:
    """Return a complete tree, level by level; each level runs a program of its own."""
    parents, names, level = [-1], ["level-0"], range(1)
    for below in range(1, depth + 1):
        parents += [parent for parent in level for _ in range(fan_out)]
        level = range(level.stop, len(parents))
        names += [f"level-{below}"] * len(level)
    return Shape(parents, names)


def tree_fault(value: Any) -> str | None:
    """Return why ``value`` is refused as a tree, None if it is one."""
    if not isinstance(value, dict):
        return f"{reprlib.repr(value)} is not a process tree; {_FORMS} is allowed; write one of the two"
    keys = set(value)
    if keys == _COMPLETE:
        return _complete_fault(value["depth"], value["fan_out"])
    if keys - {_SIZES} == _MEASURED:
        return _measured_fault(value) or _sizes_fault(value.get(_SIZES), len(value["parents"]))
    found = ", ".join(repr(key) for key in value) or "nothing"
    return f"a tree with the keys {found}; {_FORMS} is allowed; write one of the two"


def _complete_fault(depth: Any, fan_out: Any) -> str | None:
    """Return what is wrong with a complete tree."""
    for key, found, low, high in (("depth", depth, 0, DEPTH_MAX), ("fan_out", fan_out, 1, FAN_OUT_MAX)):
        if type(found) is not int or not low <= found <= high:
            return f"{key} is {found!r}; whole numbers from {low} to {high} are allowed; write one of them"
    processes = 0
    for level in range(depth + 1):
        processes += fan_out**level
        if processes > PROCESSES_MAX:
            return (
                f"depth {depth} with fan_out {fan_out} makes more than {PROCESSES_MAX} processes; "
                f"at most {PROCESSES_MAX} are allowed; take a smaller depth or fan_out"
            )
    return None


def _measured_fault(tree: dict[str, Any]) -> str | None:
    """Return what is wrong with a measured tree."""
    parents, names = tree["parents"], tree["names"]
    if type(tree["label"]) is not str:
        return f"label is {tree['label']!r}; a text is allowed; name the tree"
    if not isinstance(parents, list) or not isinstance(names, list):
        return "parents or names is not a list; two lists are allowed; write one entry per process"
    if len(parents) != len(names) or not 1 <= len(parents) <= PROCESSES_MAX:
        return (
            f"{len(parents)} parents and {len(names)} names; equally many, 1 to {PROCESSES_MAX}, are allowed; "
            "write one entry per process"
        )
    for process, (parent, name) in enumerate(zip(parents, names, strict=True)):
        low, high = (-1, -1) if process == 0 else (0, process - 1)
        if type(parent) is not int or not low <= parent <= high:
            return (
                f"parents[{process}] is {parent!r}; {low} to {high} is allowed (the root first, with parent -1); "
                "list each parent before its children"
            )
        if type(name) is not str:
            return f"names[{process}] is {name!r}; a text is allowed; write the program's name"
    return None


def _sizes_fault(sizes: Any, processes: int) -> str | None:
    """Return what is wrong with the resident sizes of a measured tree, if it has some."""
    if sizes is None:
        return None
    if not isinstance(sizes, list) or len(sizes) != processes:
        found = f"{len(sizes)} sizes" if isinstance(sizes, list) else reprlib.repr(sizes)
        return (
            f"{_SIZES} is {found}; a list with one size per process, {processes} in all, is allowed; write null "
            "where a size is not known"
        )
    for process, size in enumerate(sizes):
        if size is not None and (type(size) is not int or not 1 <= size <= _KIB_MAX):
            return (
                f"{_SIZES}[{process}] is {size!r}; whole numbers of KiB from 1 to {_KIB_MAX} are allowed; write null "
                "where a size is not known"
            )
    return None
