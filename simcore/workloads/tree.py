"""The workload ``tree``: a process tree starts up, lives and is taken down.

Each process, in order: it is forked (and may write, then exec its program); it touches its resident pages; it
forks its children, each child's whole subtree before the next child; it opens libraries of its own; it exits,
at once if it is a short-lived leaf, else when the tree is taken down, leaves first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simcore.events import TraceBuilder
from simcore.workloads.layout import Layout, Needs, Range, lay_out, ranges_of, spread_over_tables
from simcore.workloads.parameters import CHOICE, FRACTION, INT, TREE, Parameter, Workload
from simcore.workloads.process import (
    OWN,
    image_parameter,
    misfit,
    own_or_measured,
    read,
    refuse_two_sizes,
    write,
)
from simcore.workloads.resident import anon_pages, most_anon_pages, resident_kib
from simcore.workloads.shape import Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from simcore.events import IntArray, Mapping, Trace
    from simcore.geometry import Geometry

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "tree", TREE, {"depth": 3, "fan_out": 3},
        "the process tree: a complete one (levels below the root, children of each inner process; each level runs "
        "its own program) or a measured one (each name is a program). With 'sizes: measured' each process of a "
        "listing or population has a size of its own once it execs: its resident size where the listing has it, else one "
        "drawn from the fitted distribution; file pages are a part of it, the others anonymous (ASSUMED)",
    ),
    Parameter(
        "library_sharing", FRACTION, 0.75,
        "fraction of a process's file pages that belong to libraries which every process maps; the others are its "
        "program's own, shared only with processes of the same program. At 0 there is no leaf table of libraries, at 1 "
        "no program text",
    ),
    Parameter(
        "library_inherited", FRACTION, 1.0,
        "fraction of the library pages that the program's image maps, so that a child that does not exec gets them "
        "through fork; each process maps the others itself after it has forked its children",
    ),
    Parameter(
        "exec_ratio", FRACTION, 0.6,
        "probability that a forked child execs; one random number per child decides for all ratios, so that the "
        "children that exec at a higher ratio include those of a lower one",
    ),
    Parameter(
        "anon_pages", INT, 60,
        "anonymous pages resident after start: heap, stack, and written pages of data and library data; of no account "
        "in a tree with measured sizes",
        "pages", 1, 4_000_000,
    ),
    Parameter(
        "anon_tables", INT, 1,
        "leaf tables over which the heap's pages are spread, as far as there are pages and address space",
        "tables", 1, 4096,
    ),
    Parameter("file_pages", INT, 160, "file pages resident: program text and library text", "pages", 0, 1_000_000),
    Parameter(
        "file_tables", INT, 1,
        "leaf tables over which library pages are spread, one library in each, as far as there are pages and "
        "address space",
        "tables", 1, 1024,
    ),
    Parameter(
        "archive_pages", INT, 0,
        "pages of one large file besides, which every process maps read-only from the beginning of a leaf table on, and "
        "reads: a locale archive, a runtime's classes, a database's index",
        "pages", 0, 1_000_000,
    ),
    Parameter(
        "written_before_exec", INT, 22,
        "anonymous pages, at most all, that a child writes between fork and exec, spread over its leaf tables",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "written_after", INT, 22,
        "anonymous pages, at most all, that a child that never execs writes after its start, spread over its leaf "
        "tables; a child that execs writes all of its new ones",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "written_tables", INT, 1,
        "leaf tables of the heap that a child's writes reach, of those it has; it writes in the tables of stack, data "
        "and libraries in any case",
        "tables", 1, 4096,
    ),
    Parameter(
        "parent_writes", INT, 14,
        "anonymous pages, at most all, that the parent writes after each fork: stack first, then data",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "first", CHOICE, "child",
        "who runs first after a fork: the child until it has exec'ed and touched its pages, or the parent until it "
        "has written its own",
        choices=("child", "parent"),
    ),
    Parameter(
        "short_lived", FRACTION, 0.0,
        "probability that a process without children exits before its parent goes on; the others live until the "
        "tree is taken down",
    ),
    image_parameter(
        "image", OWN, "a measured program that every process is as large as, instead of other sizes", own=True
    ),
)  # fmt: skip


class _Pages(NamedTuple):
    """What a process reads and writes at each stage; the same for every program of one size, for all have one layout."""

    reads: list[Range]
    writes: list[Range]
    writes_before_exec: list[Range]
    writes_as_fork: list[Range]
    writes_as_parent: list[Range]
    late_mappings: list[Mapping]
    late_reads: list[Range]


class _Program(NamedTuple):
    """A process image of some size: its layout, and what is touched in it."""

    layout: Layout
    pages: _Pages


def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:
    """Return the trace of a process tree.

    Two random numbers are drawn per process, whatever the other parameters are, and a third one behind them for a tree
    with resident sizes: equal seeds give comparable traces across a sweep.

    Raises
    ------
    ValueError
        The tree is none or too large, or a process does not fit into the geometry's address space or is given two
        sizes.
    """
    shape = shape_of(params["tree"])
    execs = rng.random(len(shape.parents)) < params["exec_ratio"]
    short_lived = rng.random(len(shape.parents)) < params["short_lived"]
    own = _programs(params, geometry, _anon_pages(params, shape, geometry, rng))
    story = _Story(shape, execs, short_lived, params["first"] == "child", own)
    return story.tell()


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why ``make`` would refuse a process with these parameters in the geometry, None if it would not."""
    sizes = params["tree"].get("resident_kib")
    largest = most_anon_pages(sizes, _file_pages(params), geometry) if sizes else params["anon_pages"]
    try:
        return misfit(_needs(params, largest), geometry)
    except ValueError as error:
        return str(error)


def _file_pages(params: dict[str, Any]) -> int:
    """Return how many file pages every process has resident."""
    return int(params["file_pages"]) + int(params["archive_pages"])


def _anon_pages(
    params: dict[str, Any], shape: Shape, geometry: Geometry, rng: np.random.Generator
) -> list[int]:
    """Return how many anonymous pages each process has after it exec'ed: all alike, or by their resident sizes."""
    if shape.resident_kib is None:
        return [params["anon_pages"]] * len(shape.parents)
    found: list[int] = anon_pages(resident_kib(shape, rng), _file_pages(params), geometry).tolist()
    return found


def _programs(params: dict[str, Any], geometry: Geometry, sizes: list[int]) -> list[_Program]:
    """Return the image of each process; those of one size share it."""
    made: dict[int, _Program] = {}
    for anon in dict.fromkeys(sizes):
        layout = lay_out(_needs(params, anon), geometry)
        made[anon] = _Program(layout, _pages(params, layout))
    return [made[anon] for anon in sizes]


def _needs(params: dict[str, Any], anon: int) -> Needs:
    """Return how many pages of each sort the parameters ask for, in a process with ``anon`` anonymous ones."""
    refuse_two_sizes(params, PARAMETERS)
    image = params.get("image", OWN)
    if image != OWN and "resident_kib" in params["tree"]:
        raise ValueError(
            f"image: {image!r} brings sizes of its own, but the tree has measured sizes; one of the two is allowed; "
            f"leave 'sizes: measured' out, or take image {OWN!r}"
        )
    library = round(params["file_pages"] * params["library_sharing"])
    own = Needs(
        text=params["file_pages"] - library,
        library=library,
        late=0,
        anon=anon,
        heap_tables=params["anon_tables"],
        library_tables=params["file_tables"],
        archive=params["archive_pages"],
    )
    needs = own_or_measured(params, own)
    mapped_by_image = round(needs.library * params["library_inherited"])
    return needs._replace(library=mapped_by_image, late=needs.library - mapped_by_image)


def _pages(params: dict[str, Any], layout: Layout) -> _Pages:
    """Return the pages touched at each stage, as ranges."""
    writable = np.concatenate([layout.data, layout.heap, layout.library_data, layout.stack])
    parents = np.concatenate([layout.stack, layout.data, layout.heap, layout.library_data])
    near = layout._replace(heap=_first_tables(layout.heap, params["written_tables"], layout.entries))
    return _Pages(
        reads=ranges_of(np.concatenate([layout.text, layout.library, layout.archive])),
        writes=ranges_of(writable),
        writes_before_exec=ranges_of(spread_over_tables(params["written_before_exec"], near)),
        writes_as_fork=ranges_of(spread_over_tables(params["written_after"], near)),
        writes_as_parent=ranges_of(parents[: params["parent_writes"]]),
        late_mappings=layout.late_mappings,
        late_reads=ranges_of(layout.late),
    )


def _first_tables(pages: IntArray, tables: int, entries: int) -> IntArray:
    """Return those of rising ``pages`` that lie in the first so many leaf tables."""
    return pages[np.searchsorted(np.unique(pages // entries), pages // entries) < tables]


@dataclass(frozen=True)
class _Story:
    """The order of events: who does what when. Arrays are bool [processes].

    ``own`` is what a process runs if it execs; one that does not runs what its parent runs.
    """

    shape: Shape
    execs: npt.NDArray[np.bool_]
    short_lived: npt.NDArray[np.bool_]
    child_first: bool
    own: list[_Program]

    def tell(self) -> Trace:
        """Return the whole trace."""
        builder = TraceBuilder()
        images = self._images(builder)
        builder.exec(0, images[0])
        self._touch(builder, 0, self.pages[0].writes)
        alive = self._start_all(builder, images)
        for task in reversed(alive):
            builder.exit(task)
        return builder.build()

    @cached_property
    def pages(self) -> list[_Pages]:
        """What each process touches while it lives."""
        found = [self.own[0].pages]
        for process, parent in enumerate(self.shape.parents[1:], start=1):
            found.append(self.own[process].pages if self.execs[process] else found[parent])
        return found

    def _images(self, builder: TraceBuilder) -> list[int]:
        """Return the image of each process, made in order of appearance: one for each program and size."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.shape.names))}
        made: dict[tuple[str, int], int] = {}
        images = []
        for name, program in zip(self.shape.names, self.own, strict=True):
            key = (name, id(program))
            if key not in made:
                made[key] = builder.image(program.layout.image(numbers[name]))
            images.append(made[key])
        return images

    def _start_all(self, builder: TraceBuilder, images: list[int]) -> list[int]:
        """Start every process below the root, depth first; return those alive at the end, in order of birth."""
        children = self.shape.children()
        alive: dict[int, None] = {0: None}
        open_: list[tuple[int, Iterator[int]]] = [(0, iter(children[0]))]
        while open_:
            task, unborn = open_[-1]
            child = next(unborn, None)
            if child is not None:
                self._bear(builder, task, child, images[child])
                alive[child] = None
                open_.append((child, iter(children[child])))
                continue
            open_.pop()
            self._open_libraries(builder, task)
            if task and not children[task] and self.short_lived[task]:
                builder.exit(task)
                del alive[task]
        return list(alive)

    def _bear(self, builder: TraceBuilder, parent: int, child: int, image: int) -> None:
        """Fork ``child``; it and its parent do what they do first, in the order asked for."""
        builder.fork(parent, child)
        inherited, pages = self.pages[parent], self.pages[child]
        if not self.child_first:
            write(builder, parent, inherited.writes_as_parent)
        if self.execs[child]:
            write(builder, child, inherited.writes_before_exec)
            builder.exec(child, image)
        self._touch(builder, child, pages.writes if self.execs[child] else pages.writes_as_fork)
        if self.child_first:
            write(builder, parent, inherited.writes_as_parent)

    def _touch(self, builder: TraceBuilder, task: int, writes: list[Range]) -> None:
        """Let a process read its file pages and write."""
        read(builder, task, self.pages[task].reads)
        write(builder, task, writes)

    def _open_libraries(self, builder: TraceBuilder, task: int) -> None:
        """Let a process map and read the libraries that its image does not map."""
        for mapping in self.pages[task].late_mappings:
            builder.mmap(task, mapping)
        read(builder, task, self.pages[task].late_reads)


TREE_WORKLOAD = Workload(
    name="tree",
    prose="A process tree starts up and is taken down: fork, sometimes exec, page touches; complete or measured.",
    source="Sizes are those of a small shell: Andrew Morton, linux-kernel, 23 Jul 2002, counters of 12,477 forks: 222 "
    "ptes in three leaf tables, 22 pages COW-copied and 0.6 execs per fork. With the defaults, per fork: 220 ptes and 22 "
    "pages written before exec as published, but 6 vmas where 14 were counted (each library is one text and one data "
    "vma), and about a fifth more file faults, since every program touches all its pages. parent_writes is the median of "
    "the parent's COW faults per fork in a shell script traced on Linux 6.18. ASSUMED: how the ptes divide into "
    "anon_pages, file_pages and sorts of them, library_sharing, library_inherited, written_tables, first, short_lived.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
