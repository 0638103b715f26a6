"""The workload ``forktime``: the program with which the proposal of 2002 was measured.

A small C program maps private anonymous memory, writes one byte in each page, and forks again and again. Each child
exits at once, on another processor; the parent writes on, in its stack, in libc's data and in its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.events import Mapping, TraceBuilder, VmaKind
from simcore.workloads.parameters import INT, Parameter, Workload

if TYPE_CHECKING:
    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "pages", INT, 1_000,
        "pages of the mapping, all written before the first fork; it lies behind libc's data, in a leaf table with it "
        "as far as it fits",
        "pages", 1, 4_000_000,
    ),
    Parameter("forks", INT, 100, "forks, one after another", "forks", 1, 10_000),
)  # fmt: skip

# A small C program on i386: pages mapped, and of these touched. Of libc every other page of the first 300 is read.
_TEXT, _DATA, _LIBC, _LIBC_DATA, _STACK = 10, 4, 300, 20, 4
_TEXT_READ, _DATA_WRITTEN, _LIBC_READ, _LIBC_DATA_WRITTEN, _STACK_WRITTEN = 6, 3, 150, 12, 3
_PROGRAM_FILE, _LIBC_FILE = 0, 1


def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:  # noqa: ARG001 - nothing is drawn
    """Return the trace of the program; no random number is drawn.

    Raises
    ------
    ValueError
        The mapping does not fit into the geometry's address space.
    """
    reason = fits(params, geometry)
    if reason is not None:
        raise ValueError(reason)
    builder = TraceBuilder()
    again = begin(builder, geometry)
    builder.mmap(0, Mapping(behind_libc(geometry), params["pages"], VmaKind.ANON))
    builder.write(0, behind_libc(geometry), params["pages"])
    for _ in range(params["forks"]):
        builder.fork(0, 1)
        for page in again:
            builder.write(0, page)
        builder.exit(1)
    builder.exit(0)
    return builder.build()


def begin(builder: TraceBuilder, geometry: Geometry) -> list[int]:
    """Let task 0 exec a small C program and touch its pages; return those that it writes again after each fork."""
    text, data, libc, libc_data, stack = image = _image(geometry)
    builder.exec(0, builder.image(image))
    builder.read(0, text.start, _TEXT_READ)
    builder.read(0, libc.start, _LIBC_READ, 2)
    for vma, written in ((data, _DATA_WRITTEN), (libc_data, _LIBC_DATA_WRITTEN), (stack, _STACK_WRITTEN)):
        builder.write(0, vma.start, written)
    return [vma.start for vma in (stack, libc_data, data)]


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why the mapping does not fit into the geometry's address space, None if it does."""
    room = geometry.stack_top_vpn - _STACK - behind_libc(geometry)
    if params["pages"] <= room:
        return None
    return (
        f"geometry {geometry.name!r}: the mapping takes {params['pages']} pages; {room} are allowed between libc and "
        "the stack; lower pages, or take a geometry with more pages"
    )


def _image(geometry: Geometry) -> list[Mapping]:
    """Return text, data, libc's text and data, and the stack."""
    file, low, high = VmaKind.FILE_PRIVATE, geometry.text_vpn, geometry.mmap_vpn
    return [
        Mapping(low, _TEXT, file, writable=False, file=_PROGRAM_FILE),
        Mapping(low + _TEXT, _DATA, file, file=_PROGRAM_FILE, offset=_TEXT),
        Mapping(high, _LIBC, file, writable=False, file=_LIBC_FILE),
        Mapping(high + _LIBC, _LIBC_DATA, file, file=_LIBC_FILE, offset=_LIBC),
        Mapping(geometry.stack_top_vpn - _STACK, _STACK, VmaKind.STACK),
    ]


def behind_libc(geometry: Geometry) -> int:
    """Return the first page behind libc's data, with which it shares a leaf table."""
    return geometry.mmap_vpn + _LIBC + _LIBC_DATA


FORKTIME_WORKLOAD = Workload(
    name="forktime",
    prose="The program with which the proposal of 2002 was measured: so many pages of private anonymous memory, all "
    "written, and fork after fork; each child exits at once, the parent writes three pages in between.",
    source="forktime -n forks -m pages: Daniel Phillips, linux-kernel, 18 Feb 2002, measured with 100 to 100,000 pages "
    "and 100 or 1,000 forks under 2.4.17. ASSUMED: a program of 6 text pages, 150 of libc, and 18 written ones in three "
    "leaf tables on i386; that the child exits after the parent's writes, for it did so on the other processor.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
