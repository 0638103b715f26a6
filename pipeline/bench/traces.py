"""The four workloads W1 to W4 as traces; ``real.c`` and ``loops.c`` do the same on the machine and on arrays.

A workload is a set-up, which nobody times, and what is timed. All is generated in whole arrays, since a trace of
10 million events must not take longer to write than to simulate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from simcore import GEOMETRIES, Mapping, Trace, TraceBuilder, VmaKind
from simcore.events import EVENT_DTYPE, Op

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcore.events import IntArray

Rows = npt.NDArray[np.void]

GEOMETRY = GEOMETRIES["x86-64"]
_HEAP = GEOMETRY.mmap_vpn
_LIBRARY, _OWN_FILE = 0, 1  # file numbers
_TEXT_PAGES, _STACK_PAGES, _TOUCHED = 4, 32, 2  # of a program that does nothing: 2 pages of each are touched
_SHELL_PAGES = 100  # of text and of data: SHELL_PAGES of real.c


class Sizes(NamedTuple):
    """How large the workloads are; pages have 4 KiB.

    ``real_shell_forks`` is how many of the ``shell_forks`` of W4 the real machine does; its time is scaled up.
    """

    snapshot_forks: int = 100
    snapshot_pages: int = 1 << 18
    snapshot_writes: int = 64
    tree_depth: int = 6
    tree_fan_out: int = 4
    tree_library: int = 2_000
    tree_private: int = 500
    tree_writes: int = 100
    shell_forks: int = 100_000
    shell_writes: int = 10
    real_shell_forks: int = 2_000


class Workload(NamedTuple):
    """A trace, how many of its first events are set-up, and how many processes the others fork."""

    trace: Trace
    setup: int
    forks: int


def snapshot(sizes: Sizes, *, execs: bool) -> Workload:
    """W1 and W2: the children of a process with much memory write random pages, or exec at once."""
    setup = TraceBuilder()
    setup.exec(0, _program(setup))
    setup.mmap(0, Mapping(_HEAP, sizes.snapshot_pages, VmaKind.ANON))
    setup.write(0, _HEAP, sizes.snapshot_pages)
    child = TraceBuilder()
    child.fork(0, 1)
    if execs:
        child.exec(1, 0)
        child.read(1, GEOMETRY.text_vpn, _TOUCHED)
        child.write(1, GEOMETRY.stack_top_vpn - _TOUCHED, _TOUCHED)
        child.exit(1)
        return _repeated(setup.build(), child.build().events, sizes.snapshot_forks)
    child.write_pages(1, [0] * sizes.snapshot_writes)
    child.exit(1)
    made = _repeated(setup.build(), child.build().events, sizes.snapshot_forks)
    writes = made.trace.events[made.setup :].reshape(sizes.snapshot_forks, 3)["start"]
    writes[:, 1] = np.arange(sizes.snapshot_forks) * sizes.snapshot_writes
    draws = sizes.snapshot_forks * sizes.snapshot_writes
    pages = _HEAP + random_pages(draws, sizes.snapshot_pages)
    return made._replace(
        trace=Trace(made.trace.events, pages, made.trace.image_rows, made.trace.image_starts)
    )


def tree(sizes: Sizes) -> Workload:
    """W3: a process tree; each child writes some of its parent's pages, every second one execs.

    A process forks its children one after another, each with its whole subtree. What child ``i`` writes is
    contiguous: the ``i``-th piece of the private pages.
    """
    setup = TraceBuilder()
    setup.exec(0, _program(setup))
    _branch(setup, 0, sizes)
    made = setup.build()
    below = _grown(sizes.tree_depth, sizes)
    return Workload(_joined(made, below), len(made), int((below["op"] == Op.FORK).sum()))


def shell(sizes: Sizes) -> Workload:
    """W4: a shell forks; the child writes some pages, execs, touches 200 pages and exits."""
    setup, child = TraceBuilder(), TraceBuilder()
    text = Mapping(GEOMETRY.text_vpn, _SHELL_PAGES, VmaKind.FILE_PRIVATE, writable=False, file=_OWN_FILE)
    data = Mapping(text.start + text.npages, _SHELL_PAGES, VmaKind.ANON)
    setup.exec(0, setup.image([text, data]))
    setup.read(0, *text[:2])
    setup.write(0, *data[:2])
    child.fork(0, 1)
    child.write(1, data.start, sizes.shell_writes)
    child.exec(1, 0)
    child.read(1, *text[:2])
    child.write(1, *data[:2])
    child.exit(1)
    return _repeated(setup.build(), child.build().events, sizes.shell_forks)


class Kind(NamedTuple):
    """One of the four: what it is, and who makes it."""

    prose: str
    make: Callable[[Sizes], Workload]


WORKLOADS: dict[str, Kind] = {
    "w1": Kind(
        "{snapshot_pages:,} anonymous pages, all written; {snapshot_forks:,} x {{fork; the child writes "
        "{snapshot_writes:,} random pages; exits}}",
        lambda sizes: snapshot(sizes, execs=False),
    ),
    "w2": Kind(
        "{snapshot_pages:,} anonymous pages, all written; {snapshot_forks:,} x {{fork; the child execs at once a "
        "program that does nothing}}",
        lambda sizes: snapshot(sizes, execs=True),
    ),
    "w3": Kind(
        "process tree, depth {tree_depth}, fan-out {tree_fan_out}, one child at a time; {tree_library:,} inherited "
        "library pages and {tree_private:,} private ones each, {tree_writes:,} contiguous ones written; half of the "
        "children exec",
        tree,
    ),
    "w4": Kind(
        "{shell_forks:,} x {{fork; write {shell_writes:,} pages; exec; read 100 file pages, write 100 anonymous "
        "ones; exit}}",
        shell,
    ),
}


def random_pages(draws: int, pages: int) -> IntArray:
    """Return int64 [draws], each in [0, pages): the draws that ``random_page`` of real.c makes.

    Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014, section 3 (mix64 of
    SplitMix in the variant 13 of Stafford).
    """
    bits = np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    drawn: IntArray = ((bits ^ (bits >> np.uint64(31))) % np.uint64(pages)).astype(np.int64)
    return drawn


def _program(builder: TraceBuilder) -> int:
    """Declare the image of a program that does nothing: some text and a stack; its number is 0."""
    text = Mapping(GEOMETRY.text_vpn, _TEXT_PAGES, VmaKind.FILE_PRIVATE, writable=False, file=_OWN_FILE)
    return builder.image([text, Mapping(GEOMETRY.stack_top_vpn - _STACK_PAGES, _STACK_PAGES, VmaKind.STACK)])


def _branch(builder: TraceBuilder, task: int, sizes: Sizes) -> None:
    """Write what the first process of the tree, and each that execs, maps and touches before it forks."""
    library = Mapping(_HEAP, sizes.tree_library, VmaKind.FILE_PRIVATE, writable=False, file=_LIBRARY)
    private = Mapping(_private_start(sizes), sizes.tree_private, VmaKind.ANON)
    builder.mmap(task, library)
    builder.read(task, *library[:2])
    builder.mmap(task, private)
    builder.write(task, *private[:2])


def _private_start(sizes: Sizes) -> int:
    """Return where the private pages start: in the first leaf table behind the library's."""
    return _HEAP + -(-sizes.tree_library // GEOMETRY.entries) * GEOMETRY.entries


def _grown(depth: int, sizes: Sizes) -> Rows:
    """Return what task 0 and all below it do from its first fork on; tasks are numbered in the order of birth."""
    parts = [np.empty(0, EVENT_DTYPE)]
    if depth == 0:
        return parts[0]
    below = _grown(depth - 1, sizes)
    tasks = 1 + int((below["op"] == Op.FORK).sum())
    for index in range(sizes.tree_fan_out):
        child, end = 1 + index * tasks, TraceBuilder()
        end.exit(child)
        parts += [_birth(child, index, sizes), _shifted(below, child), end.build().events]
    return np.concatenate(parts)


def _birth(child: int, index: int, sizes: Sizes) -> Rows:
    """Return how task 0 makes its child of an index, up to the child's own first fork."""
    birth = TraceBuilder()
    birth.fork(0, child)
    first = index * sizes.tree_writes % sizes.tree_private
    birth.write(child, _private_start(sizes) + first, sizes.tree_writes)
    if index % 2:
        birth.exec(child, 0)
        _branch(birth, child, sizes)
    return birth.build().events


def _shifted(rows: Rows, by: int) -> Rows:
    """Return events with all task numbers raised."""
    shifted = rows.copy()
    shifted["task"] += by
    shifted["arg"][rows["op"] == Op.FORK] += by
    return shifted


def _repeated(setup: Trace, child: Rows, times: int) -> Workload:
    """Return a set-up and then what each child does, as often as asked; the events are in memory once."""
    events = np.empty(len(setup) + times * len(child), EVENT_DTYPE)
    events[: len(setup)] = setup.events
    events[len(setup) :].reshape(times, len(child))[:] = child
    trace = Trace(events, setup.pages, setup.image_rows, setup.image_starts)
    return Workload(trace, len(setup), times)


def _joined(setup: Trace, rows: Rows) -> Trace:
    """Return a set-up's trace with events behind it."""
    return Trace(np.concatenate([setup.events, rows]), setup.pages, setup.image_rows, setup.image_starts)
