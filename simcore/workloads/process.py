"""A process of a measured program, with more memory if it has more: where it lies, what it reads and writes.

Behind the program's image, as ``layout`` places it, come mappings with leaf tables of their own::

    | image with libraries and archive |   | region: private anonymous |   | shm object |        | stack |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.events import Mapping, VmaKind
from simcore.workloads.footprints import FOOTPRINTS
from simcore.workloads.layout import Needs, Sorts, lay_out, ranges_of, spread_over_tables
from simcore.workloads.parameters import CHOICE, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from simcore.events import IntArray, TraceBuilder
    from simcore.geometry import Geometry
    from simcore.workloads.layout import Layout, Range

OWN = "own"  # value of ``image``: no measured program, but what the other parameters say
_SIZES = ("anon_pages", "anon_tables", "file_pages", "file_tables", "library_sharing", "archive_pages")
_SHM_FILE = 1_000  # behind the files of images: programs are numbered from FIRST_PROGRAM_FILE


def image_parameter(name: str, default: str, meaning: str, *, own: bool = False) -> Parameter:
    """Return a parameter that names a measured program; with ``own`` it came later and may be OWN."""
    choices = (OWN, *FOOTPRINTS) if own else tuple(FOOTPRINTS)
    return Parameter(
        name, CHOICE, default, f"{meaning} (forkbench footprints lists them)", choices=choices, later=own
    )


def needs_of(image: str, archive: int = 0) -> Needs:
    """Return what the measured program ``image`` needs, with ``archive`` pages of a large file besides."""
    each = FOOTPRINTS[image]
    return Needs(
        text=each.text,
        library=each.library,
        late=0,
        anon=each.anon_pages,
        heap_tables=max(1, each.heap_tables),
        library_tables=max(1, each.library_tables),
        archive=each.archive + archive,
        sorts=Sorts(each.stack, each.data, each.library_data, each.heap + each.anon),
    )


def own_or_measured(params: dict[str, Any], own: Needs) -> Needs:
    """Return what ``params["image"]`` needs, ``own`` if that is OWN or, as in older studies, not said."""
    image = params.get("image", OWN)
    return own if image == OWN else needs_of(image)


def refuse_two_sizes(params: dict[str, Any], parameters: Iterable[Parameter]) -> None:
    """Raise if parameters give a process one size and its image another.

    Raises
    ------
    ValueError
        With the first such parameter.
    """
    image = params.get("image", OWN)
    for each in parameters if image != OWN else ():
        if each.name in _SIZES and params[each.name] != each.default:
            raise ValueError(
                f"image: {image!r} brings sizes of its own, but {each.name} is {params[each.name]!r}; one of the two is "
                f"allowed; leave {each.name} out, or take image {OWN!r}"
            )


@dataclass(frozen=True)
class Process:
    """Where a process of one program lies.

    Parameters
    ----------
    layout : Layout
        Of its image.
    region, shm : Mapping or None
        A private anonymous mapping, and a shared one of a shm object.
    """

    layout: Layout
    region: Mapping | None = None
    shm: Mapping | None = None

    @cached_property
    def reads(self) -> list[Range]:
        """The pages of its files, which it reads at its start."""
        return ranges_of(np.concatenate([self.layout.text, self.layout.library, self.layout.archive]))

    @cached_property
    def own_pages(self) -> IntArray:
        """The pages of its image that it writes, int64 [pages], those first that a parent writes again after a fork."""
        at = self.layout
        return np.concatenate([at.stack, at.data, at.heap, at.library_data])

    @cached_property
    def writes(self) -> list[Range]:
        """The same as ranges, in the order in which a start writes them."""
        at = self.layout
        return ranges_of(np.concatenate([at.data, at.heap, at.library_data, at.stack]))

    @cached_property
    def region_pages(self) -> IntArray:
        """The pages of the region, int64 [pages]."""
        return _pages(self.region)

    @cached_property
    def shm_pages(self) -> IntArray:
        """The pages of the shm object, int64 [pages]."""
        return _pages(self.shm)

    def start(self, builder: TraceBuilder, task: int, image: int) -> None:
        """Let a task exec the program, read its file pages, write its anonymous ones, and make and write its region."""
        builder.exec(task, image)
        read(builder, task, self.reads)
        write(builder, task, self.writes)
        if self.region is not None:
            builder.mmap(task, self.region)
            builder.write(task, self.region.start, self.region.npages)

    def before_exec(self, count: int) -> list[Range]:
        """Return ``count`` of the image's anonymous pages, or all, spread over its leaf tables."""
        return ranges_of(spread_over_tables(count, self.layout))

    def again(self, count: int) -> list[Range]:
        """Return ``count`` of the image's anonymous pages, or all, as a parent writes them: stack, then data."""
        return ranges_of(self.own_pages[:count])

    @cached_property
    def _firsts_and_others(self) -> tuple[IntArray, IntArray]:
        """The last page of the stack and the first of data and of library data; all other anonymous pages."""
        at = self.layout
        firsts = np.concatenate([at.stack[-1:], at.data[:1], at.library_data[:1]])
        others = [at.stack[:-1], at.data[1:], at.library_data[1:], at.heap, self.region_pages]
        return firsts, np.concatenate(others)

    def drawn(self, count: int, rng: np.random.Generator) -> IntArray:
        """Return ``count`` of its anonymous pages, or all, none twice: int64, rising.

        Whatever a process does it writes its stack, its data and library data: the first page of each comes first.
        The others are drawn from all that are left, region included.
        """
        firsts, others = self._firsts_and_others
        chosen = rng.choice(
            len(others), min(max(0, count - len(firsts)), len(others)), replace=False, shuffle=False
        )
        pages: IntArray = np.sort(np.concatenate([firsts[:count], others[chosen]]))
        return pages


def place(needs: Needs, geometry: Geometry, region: int = 0, shm: int = 0) -> Process:
    """Place a process of so many pages in the address space of ``geometry``.

    Raises
    ------
    ValueError
        It does not fit; the message says which part.
    """
    layout = lay_out(needs, geometry)
    stack = int(layout.stack[0]) if len(layout.stack) else geometry.stack_top_vpn
    below = [row.start + row.npages for row in layout.image(0) if row.start < stack]
    start = _next_table(max([*below, geometry.mmap_vpn]), geometry)
    behind = _next_table(start + region, geometry)
    end = behind + shm if shm else start + region
    if (region or shm) and end > stack:
        raise ValueError(
            f"geometry {geometry.name!r}: the process's mappings take {region + shm} pages; {max(0, stack - start)} are "
            "allowed between its libraries and its stack; lower anon_pages or file_pages, or take a geometry with more "
            "pages"
        )
    return Process(
        layout,
        Mapping(start, region, VmaKind.ANON) if region else None,
        Mapping(behind, shm, VmaKind.SHM, file=_SHM_FILE) if shm else None,
    )


@lru_cache(maxsize=4096)
def misfit(needs: Needs, geometry: Geometry, region: int = 0, shm: int = 0) -> str | None:
    """Return the refusal of ``place``, None if there is none; most points of a sweep need the same pages."""
    try:
        place(needs, geometry, region, shm)
    except ValueError as error:
        return str(error)
    return None


def read(builder: TraceBuilder, task: int, ranges: list[Range]) -> None:
    """Let a task read one byte in each page."""
    for each in ranges:
        builder.read(task, *each)


def write(builder: TraceBuilder, task: int, ranges: list[Range]) -> None:
    """Let a task write one byte in each page."""
    for each in ranges:
        builder.write(task, *each)


def write_drawn(builder: TraceBuilder, task: int, pages: npt.NDArray[np.int64]) -> None:
    """Let a task write one byte in each of some pages; none are no event."""
    if len(pages):
        builder.write_pages(task, pages.tolist())


def _pages(mapping: Mapping | None) -> IntArray:
    """Return the pages of a mapping, int64 [pages]."""
    return np.arange(0) if mapping is None else np.arange(mapping.start, mapping.start + mapping.npages)


def _next_table(vpn: int, geometry: Geometry) -> int:
    """Return the first page at or behind ``vpn`` with which a leaf table begins."""
    return -(-vpn // geometry.entries) * geometry.entries
