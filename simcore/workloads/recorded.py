"""The workload ``recorded``: a program and its children as they were recorded, event by event.

The recording tells which pages were touched first since they were mapped or forked. Of files the kernel maps pages
around the one that is read, so that those are never seen to be touched: ``around`` says what becomes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.events import Op, Trace
from simcore.workloads.parameters import CHOICE, RECORDING, Parameter, Workload, misfit
from simcore.workloads.recording import recording_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.geometry import Geometry
    from simcore.workloads.recording import Recording, Rows

SEEN, READ = "seen", "read"

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "file", RECORDING, None,
        "the recorded trace: the name of one that ships, or a file; its path counts from the study's folder",
    ),
    Parameter(
        "around", CHOICE, SEEN,
        "file pages that the kernel may have mapped around one that was read, so that no fault tells whether they were: "
        "read none of them, as seen, or read them all; the truth lies between. Designs that map around as the recording "
        "kernel did take equally many faults either way",
        choices=(SEEN, READ),
    ),
)  # fmt: skip


def make(params: dict[str, Any], geometry: Geometry, _rng: np.random.Generator) -> Trace:
    """Return the trace of a recording; nothing in it is random.

    Raises
    ------
    ValueError
        There is no recording, or it does not fit the geometry.
    """
    reason = fits(params, geometry)
    if reason is not None:
        raise ValueError(reason)
    recording = recording_of(params["file"])
    return trace_of(recording, around=params["around"] == READ)


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why a recording cannot be simulated in a geometry, None if it can."""
    try:
        found = recording_of(params["file"])
    except ValueError as error:
        return str(error)
    highest = max(_highest(found.rows), _highest(found.image_rows))
    return misfit("the recording", found.page_bytes, highest, geometry)


def _highest(rows: Rows) -> int:
    """Return the page behind the last that a row maps."""
    maps = rows[rows["op"] == Op.MMAP]
    return int((maps["start"] + maps["count"]).max(initial=0))


def trace_of(recording: Recording, *, around: bool = False) -> Trace:
    """Return a recording as a trace; neighbouring touches of one task become one event.

    Parameters
    ----------
    recording : Recording
        What was recorded.
    around : bool
        Whether blocks of pages around pages read are read as well.
    """
    rows = recording.rows
    touches = (rows["op"] == Op.READ) | (rows["op"] == Op.WRITE)
    first = np.ones(len(rows), np.bool_)
    first[1:] = ~touches[1:] | (rows["op"][1:] != rows["op"][:-1]) | (rows["task"][1:] != rows["task"][:-1])
    events = rows[first].copy()
    pages, counts = _pages(rows, touches, around=around)
    listed = touches[first]
    groups = np.add.reduceat(counts, np.flatnonzero(first)) if len(rows) else counts
    behind = np.cumsum(groups)
    for name, column in (("start", behind - groups), ("count", groups)):
        events[name][listed] = column[listed]
    for name in ("stride", "file", "offset"):
        events[name][listed] = 0
    return Trace(events, pages, recording.image_rows, recording.image_starts)


def _pages(
    rows: Rows, touches: npt.NDArray[np.bool_], *, around: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all pages touched in order, int64 [m], and how many each row touches, int64 [n]."""
    counts = np.where(touches, rows["count"], 0).astype(np.int64)
    blocks = touches & (rows["offset"] > 0) & (counts == 1)
    if around:
        counts[blocks] += rows["offset"][blocks]
    starts = np.cumsum(counts) - counts
    owner = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(owner)) - starts[owner]
    pages: npt.NDArray[np.int64] = rows["start"][owner] + within
    in_block = blocks[owner] & (within > 0)
    pages[in_block] += rows["file"][owner[in_block]] - 1
    return pages, counts


RECORDED_WORKLOAD = Workload(
    name="recorded",
    prose="A program and its children as forkbench trace recorded them: forks, execs, maps, and the pages that each one "
    "touches first.",
    source="Linux, Documentation/trace/events.rst; exceptions:page_fault_user and page_fault_kernel of "
    "arch/x86/mm/fault.c, or strace. ASSUMED, in traces made from strace alone: which pages are touched, from the "
    "measured footprint of the program.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
