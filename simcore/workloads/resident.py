"""How many anonymous pages each process of a measured tree has, from resident sizes.

A size is measured where the listing has memory figures, and drawn where it has not. Drawn sizes follow a distribution
that was fitted to public listings: log-normal, and a child named like its parent has a fixed part of its parent's.

ASSUMED: how a resident size divides. The file pages that the workload gives every process are a part of it, the others
are anonymous. Of a small process more is file pages than that, so at least a part of its size is anonymous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simcore.events import IntArray
    from simcore.geometry import Geometry
    from simcore.workloads.shape import Shape

# Source: 68 public listings of Linux machines, 1998 to 2026, 7,797 user processes; the fit is within about 30 % between
# the 10th and the 99th percentile. docs/populations.md has the figures of those that ship.
LOG10_KIB_MEAN = 3.88
LOG10_KIB_SD = 0.78
SAME_NAMED_CHILD = 0.77  # the median of a same-named child's size over its parent's, in the same listings
# ASSUMED: nothing larger is drawn. The tail of a log-normal is heavier than that of the listings, whose 99th percentile
# is 380 MB, and an address space of 32 bits has to hold it.
DRAWN_KIB_MAX = 512 * 1024
# ASSUMED: of a shell and of small tools between 6 % and 9 % was measured on Linux 6.18.
LEAST_ANON_PART = 0.1


def resident_kib(shape: Shape, rng: np.random.Generator) -> IntArray:
    """Return the resident size of each process in KiB: int64 [processes], at least 1.

    ``shape.resident_kib`` has a size or None for each process. One random number is drawn for each, whether its size is
    known or not, so that what is drawn for one does not depend on the others.
    """
    logs = rng.normal(LOG10_KIB_MEAN, LOG10_KIB_SD, len(shape.parents))
    drawn = np.minimum(10.0**logs, DRAWN_KIB_MAX)
    found = np.empty(len(shape.parents), np.int64)
    for process, (parent, known) in enumerate(zip(shape.parents, shape.resident_kib or [], strict=True)):
        if known is not None:
            found[process] = known
        elif parent >= 0 and shape.names[parent] == shape.names[process]:
            found[process] = max(1, round(SAME_NAMED_CHILD * int(found[parent])))
        else:
            found[process] = max(1, round(float(drawn[process])))
    return found


def anon_pages(kib: IntArray, file_pages: int, geometry: Geometry) -> IntArray:
    """Return how many of each resident size's pages are anonymous: int64 [processes], at least 1.

    ``kib`` holds resident sizes in KiB; ``file_pages`` is how many file pages every process has resident.
    """
    pages = np.maximum(1, kib * 1024 // geometry.page_bytes)
    least = np.ceil(pages * LEAST_ANON_PART).astype(np.int64)
    found: IntArray = np.maximum(pages - file_pages, least)
    return found


def most_anon_pages(sizes: list[int | None], file_pages: int, geometry: Geometry) -> int:
    """Return the most anonymous pages that a process with one of these resident sizes can have, whatever is drawn."""
    largest = max(DRAWN_KIB_MAX if known is None else known for known in sizes)
    return int(anon_pages(np.array([largest], np.int64), file_pages, geometry)[0])
