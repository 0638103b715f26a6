"""Who simulates: processes of this machine, or workers of a cluster that is there already. What is asked of them.

Workers import this: it needs nothing but the simulator.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.provenance import version_of
from simcore.sources import source_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_MEMORY = (
    1 << 30
)  # bytes; ASSUMED: an interpreter with the simulator takes a quarter, the rest is for a run
# What has to be equal, so that rows and messages are understood on both sides.
EQUAL = ("simulator", "forkbench", "python", "numpy", "numba", "distributed")
_PACKAGES = ("forkbench", "numpy", "numba", "distributed")


class ClusterSpec(NamedTuple):
    """A cluster that is to be started for a run and ended with it.

    Parameters
    ----------
    file : str
        That says so, for messages.
    kind : str
        See ``pipeline.cluster_files``.
    workers : int
        Worker processes to ask for.
    wait_seconds : float
        That workers may take to come, as jobs may have to queue.
    parameters : dict
        Of the cluster's constructor.
    """

    file: str
    kind: str
    workers: int
    wait_seconds: float
    parameters: dict[str, Any]


class Fleet(NamedTuple):
    """Where batches are run.

    Parameters
    ----------
    workers : int
        Processes of a local cluster; 0 runs everything in the driver, without Dask.
    scheduler : str
        Address of a Dask scheduler, e.g. ``tcp://10.0.0.1:8786``; "" for a local cluster.
    scheduler_file : str
        A file that ``dask scheduler --scheduler-file`` wrote, which has the address; "" for none.
    timeout : float or None
        Seconds that one cell may take; its worker is ended then, and the cell has failed.
    cluster : ClusterSpec or None
        What to start instead of a local cluster; with a scheduler, what was started.
    """

    workers: int
    scheduler: str = ""
    scheduler_file: str = ""
    timeout: float | None = None
    cluster: ClusterSpec | None = None

    @property
    def remote(self) -> bool:
        """Whether the workers may be on other machines."""
        started = self.cluster is not None and self.cluster.kind != "local"
        return bool(self.scheduler or self.scheduler_file or started)


def facts() -> dict[str, str]:
    """Return what a process would simulate with, as text by name; ``memory`` in bytes."""
    found = {package: version_of(package) or "none" for package in _PACKAGES}
    found["python"] = platform.python_version()
    found["simulator"] = source_digest()
    found["memory"] = str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return found


def mismatches(own: Mapping[str, str], theirs: Mapping[str, Mapping[str, str] | Exception]) -> list[str]:
    """Return what is wrong with workers as lines of a table, the heading first; nothing if all is right.

    Parameters
    ----------
    own : dict
        ``facts()`` of the driver.
    theirs : dict
        Address -> ``facts()`` of a worker, with its memory limit where it has one; or why it could not tell.
    """
    rows = []
    for address, found in sorted(theirs.items()):
        if isinstance(found, Exception):
            rows.append((address, "forkbench", own["forkbench"], f"{type(found).__name__}: {found}"))
            continue
        rows += [(address, name, own[name], found[name]) for name in EQUAL if found[name] != own[name]]
        if int(found["memory"]) < LEAST_MEMORY:
            wanted = f"at least {LEAST_MEMORY >> 20} MiB"
            rows.append((address, "memory", wanted, f"{int(found['memory']) >> 20} MiB"))
    if not rows:
        return []
    table = [("worker", "what", "wanted", "found"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in table
    ]
