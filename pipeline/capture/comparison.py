"""A capture beside its simulation: page tables as the kernel counts them, counted from pages found, and simulated.

The kernel's VmPTE is the bytes of all tables but the topmost: mm_pgtables_bytes, include/linux/mm_types.h; a process has
a leaf table for each slot in which a pte was ever written since its exec or fork, until the whole slot is unmapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.capture.file import CaptureError
from pipeline.capture.smaps import KINDS
from pipeline.errors import counted
from simcore.designs import DESIGNS
from simcore.geometry import GEOMETRIES
from simcore.simulate import levels, start
from simcore.workloads.capture import CAPTURE_WORKLOAD, tell
from simcore.workloads.parameters import defaults
from simcore.workloads.spaces import Page

if TYPE_CHECKING:
    from pipeline.capture.file import Capture, Process
    from simcore.designs import Design
    from simcore.engine.fast import Engine
    from simcore.geometry import Geometry
    from simcore.oracle import Oracle
    from simcore.workloads.capture import Told
    from simcore.workloads.spaces import Space

# Hardware name as uname prints it, and bytes of a page -> geometry. A fifth level of tables changes no figure.
_GEOMETRIES = {
    ("x86_64", 4096): "x86-64",
    ("aarch64", 4096): "arm64-4k",
    ("aarch64", 16384): "arm64-16k",
    ("aarch64", 65536): "arm64-64k",
}


# Designs under which every mm has its page tables for itself, as in the kernels that captures are taken of.
COPYING = tuple(
    row.name
    for row in DESIGNS.values()
    if (row.fork, row.creation, row.file_tables) == ("copy", "fork", "private")
)


class Compared(NamedTuple):
    """A process that could be read. Sizes are KiB.

    Parameters
    ----------
    number : int
        Index of the process in the capture.
    name : str
        Of its executable.
    forked : bool
        Whether it never exec'ed.
    kernel_kib, counted_kib, simulated_kib : int
        Page tables but the topmost: VmPTE; one for each slot in which a page was found, and those above; simulated.
    pages_found, pages_simulated : int
        Pages that it had, in memory or in swap, and has in the simulation, where nothing is swapped; without pages of
        zeros.
    reason : str
        Why the simulated figure is not the kernel's, "" if it is.
    """

    number: int
    name: str
    forked: bool
    kernel_kib: int
    counted_kib: int
    simulated_kib: int
    pages_found: int
    pages_simulated: int
    reason: str


def geometry_of(capture: Capture) -> Geometry:
    """Return the geometry of the captured machine.

    Raises
    ------
    CaptureError
        No geometry is like it.
    """
    name = _GEOMETRIES.get((capture.machine, capture.page_bytes))
    if name is None:
        allowed = ", ".join(f"{machine} with {size >> 10} KiB" for machine, size in _GEOMETRIES)
        raise CaptureError(
            f"capture of a machine {capture.machine!r} with pages of {capture.page_bytes >> 10} KiB; {allowed} are "
            "simulated; capture on one of those"
        )
    return GEOMETRIES[name]


def compare(capture: Capture, design: Design) -> list[Compared]:
    """Return each process that could be read beside its simulation, in the order of the capture.

    Parameters
    ----------
    capture : Capture
        Of a machine whose geometry is known.
    design : Design
        What to simulate; one of COPYING, under which each mm has its tables for itself.

    Raises
    ------
    CaptureError
        No geometry is like the machine's, or its memory does not fit into one.
    LimitExceeded
        The simulation would need more memory than it may have.
    """
    geometry = geometry_of(capture)
    params = defaults(CAPTURE_WORKLOAD) | {"file": capture.value("capture")}
    try:
        told = tell(params, geometry)
    except ValueError as error:
        raise CaptureError(str(error)) from None
    simulated = _at_rest(told, start(told.trace, design, geometry))
    found = []
    for number, (process, space) in enumerate(zip(capture.processes, capture.found().spaces, strict=True)):
        if process.unread or process.vm_pte_kib is None:
            continue
        table_bytes, pages = simulated[number]
        figures = Compared(
            number,
            process.name,
            process.forked,
            process.vm_pte_kib,
            tables_found(process, space, geometry) * geometry.page_bytes >> 10,
            table_bytes >> 10,
            sum(run.npages for run in space.runs if run.page != Page.ZERO),
            pages,
            "",
        )
        found.append(figures._replace(reason=_reason(figures, process, geometry)))
    return found


def _at_rest(told: Told, machine: Engine | Oracle) -> dict[int, tuple[int, int]]:
    """Return the bytes of page tables and the resident pages of each process at rest: what goes away when it exits."""
    machine.run(told.at_rest)
    before = levels(machine)
    found = {}
    for event in range(told.at_rest, len(told.trace)):
        machine.run(event + 1)
        after = levels(machine)
        gone = [before[level] - after[level] for level in ("pgtable_charged_bytes", "rss_pages")]
        found[int(told.trace.events["task"][event])] = (gone[0], gone[1])
        before = after
    return found


def tables_found(process: Process, space: Space, geometry: Geometry) -> int:
    """Return how many tables hold the pages that were found: leaf tables, and those above but the topmost.

    Pages of 2 MiB: an anonymous one has a leaf table set aside for it, one of a file has none, and one of hugetlb lies
    below a table of the second level and has none either.
    """
    slots = {
        slot
        for run in space.runs
        for slot in range(run.start // geometry.entries, (run.start + run.npages - 1) // geometry.entries + 1)
    }
    huge = {
        slot
        for vma in process.vmas
        if KINDS[vma.kind] == "hugetlb" and vma.private + vma.shared
        for slot in range(vma.start // geometry.entries, -(-(vma.start + vma.npages) // geometry.entries))
    }
    above = 0
    for level in range(2, geometry.levels):
        reach = geometry.entries ** (level - 1)  # slots below a table of this level
        above += len({slot // reach for slot in slots | huge})
    return len(slots) - _of_huge_files(process, geometry) + above


def _of_huge_files(process: Process, geometry: Geometry) -> int:
    """Return how many leaf tables a process does without because huge pages of files are mapped above them."""
    table_kib = geometry.entries * geometry.page_bytes >> 10
    return sum(vma.huge_file for vma in process.vmas) // table_kib


def _reason(figures: Compared, process: Process, geometry: Geometry) -> str:
    """Return why a process has other page tables in the simulation than in the kernel, "" if it has not."""
    table_kib = geometry.page_bytes >> 10
    less = (figures.kernel_kib - figures.simulated_kib) // table_kib
    huge = _of_huge_files(process, geometry)
    more = (figures.simulated_kib - figures.counted_kib) // table_kib
    reasons = (
        (less == 0, ""),
        (
            huge > 0 and figures.counted_kib == figures.kernel_kib,
            f"{counted(huge, 'huge page')} of files, which need no leaf table in the kernel",
        ),
        (process.changed, "it ran: its page tables changed each time while they were read"),
        (not process.placed, "pagemap could not be read: where its pages lie is not known"),
        (
            any(KINDS[vma.kind] == "hugetlb" for vma in process.vmas),
            "memory of hugetlb, which is not simulated",
        ),
        (
            more == 0 and less > 0,
            f"the kernel keeps {counted(less, 'table')} without a page: emptied, or got empty through fork",
        ),
        (more == 0, f"the kernel had {counted(-less, 'table')} less: it ran between two looks at it"),
        (more > 0, f"{counted(more, 'table')} more are got through fork in the simulation, and emptied"),
    )
    return next((reason for holds, reason in reasons if holds), "not explained")
