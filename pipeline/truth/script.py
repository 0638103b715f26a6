"""Scripts: what a few processes do, step by step, as text; and the same as a trace.

A step names a process by a capital letter (the first one is A) and says what it does::

    A map anon 0x10000000000 4M        anon, filepriv, filero, fileshared, shm, shanon or stack; a number behind the
                                       size names the file, so that others can map the same one; thp behind it
                                       asks for huge pages, ext4 says that the file system tracks dirty pages
    A write 0x10000000000 512 2        pages from an address on, and the stride in pages (1 if left out); or read
    A unmap 0x10000000000 1M           or dontneed
    A protect 0x10000000000 4M r       or rw
    A grow 0xffffff000                 write below a stack, which grows down to there
    A fork B                           B is the child
    A spawn B                          a child that shares A's memory until it execs, which it does at once
    B exec                             the image maps nothing that is looked at
    B exit
    A nop

Addresses are in bytes, sizes in bytes with k, M or G; pages have 4 KiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simcore import Mapping, TraceBuilder, VmaKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcore import Trace

PAGE_SHIFT = 12
_UNITS = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SPAWNS = ("spawn", "vforkexec")
# What can be mapped, and whether it is writable.
MAPPINGS: dict[str, tuple[VmaKind, bool]] = {
    "anon": (VmaKind.ANON, True),
    "filepriv": (VmaKind.FILE_PRIVATE, True),
    "filero": (VmaKind.FILE_PRIVATE, False),
    "fileshared": (VmaKind.FILE_SHARED, True),
    "shm": (VmaKind.SHM, True),
    "shanon": (VmaKind.SHM, True),
    "stack": (VmaKind.STACK, True),
}


class Told(NamedTuple):
    """A script as a trace.

    Parameters
    ----------
    trace : Trace
        Of all steps.
    marks : list of (int, int, int)
        For each step: first event, last event + 1, task.
    """

    trace: Trace
    marks: list[tuple[int, int, int]]


def pages_of(size: str) -> int:
    """Return how many pages a size such as ``512k`` has.

    Raises
    ------
    ValueError
        It is no number with k, M or G, or no whole number of pages.
    """
    number, unit = size[:-1], size[-1:]
    if unit not in _UNITS or not number.isdigit() or int(number) * _UNITS[unit] % (1 << PAGE_SHIFT):
        raise ValueError(f"size {size!r}; whole pages of 4 KiB with k, M or G are allowed, such as 512k")
    return int(number) * _UNITS[unit] >> PAGE_SHIFT


def tell(steps: Sequence[str]) -> Told:
    """Return the trace of a script.

    Raises
    ------
    ValueError
        A step is none, or names a process that does not exist; the message names the step.
    """
    teller = _Teller()
    marks = []
    for number, step in enumerate(steps, start=1):
        try:
            marks.append(teller.take(step.split()))
        except (ValueError, IndexError, KeyError) as error:
            raise ValueError(
                f"step {number}: {step!r} ({error}); see pipeline.truth.script for what is allowed"
            ) from error
    return Told(teller.builder.build(), marks)


class _Teller:
    """A trace being built; tasks by the names of processes."""

    def __init__(self) -> None:
        self.builder = TraceBuilder()
        self._image = self.builder.image([])
        self._tasks = {"A": 0}
        self._files = 1000  # numbers of files that no step names

    def take(self, words: list[str]) -> tuple[int, int, int]:
        """Add a step; return its first event, last event + 1, and its task."""
        task, first = self._tasks[words[0]], len(self.builder)
        verb, rest = words[1], words[2:]
        if verb == "map":
            self._map(task, rest)
        elif verb in ("read", "write"):
            stride = int(rest[2]) if len(rest) > 2 else 1
            getattr(self.builder, verb)(task, page_at(rest[0]), int(rest[1]), stride)
        elif verb in ("unmap", "dontneed"):
            {"unmap": self.builder.munmap, "dontneed": self.builder.dontneed}[verb](
                task, page_at(rest[0]), pages_of(rest[1])
            )
        elif verb == "protect":
            self.builder.mprotect(
                task, page_at(rest[0]), pages_of(rest[1]), writable={"r": False, "rw": True}[rest[2]]
            )
        elif verb == "grow":
            self.builder.grow(task, page_at(rest[0]))
            self.builder.write(task, page_at(rest[0]))
        elif verb in ("fork", *_SPAWNS):
            self._bear(task, rest[0], shares=verb in _SPAWNS)
        elif verb == "exec":
            self.builder.exec(task, self._image)
        elif verb == "exit":
            self.builder.exit(task)
        elif verb != "nop":
            raise ValueError(f"no such verb as {verb!r}")
        return first, len(self.builder), task

    def _map(self, task: int, rest: list[str]) -> None:
        """Map memory: kind, address, size and, if it is a file, perhaps its number."""
        kind, writable = MAPPINGS[rest[0]]
        named = rest[3:] and rest[3].isdigit()
        self._files += 1
        file = -1 if kind in (VmaKind.ANON, VmaKind.STACK) else int(rest[3]) if named else self._files
        flags = {"advised": "thp" in rest, "tracked": "ext4" in rest and kind == VmaKind.FILE_SHARED}
        self.builder.mmap(task, Mapping(page_at(rest[1]), pages_of(rest[2]), kind, writable, file, **flags))

    def _bear(self, parent: int, name: str, *, shares: bool) -> None:
        """Make a child."""
        if name in self._tasks:
            raise ValueError(f"there was a process {name!r} already")
        child = self._tasks[name] = max(self._tasks.values()) + 1
        if shares:
            self.builder.vfork(parent, child)
            self.builder.exec(child, self._image)
        else:
            self.builder.fork(parent, child)


def page_at(address: str) -> int:
    """Return the number of the page at an address."""
    return int(address, 16) >> PAGE_SHIFT
