"""simcore: an exact simulator of page tables, forks, execs and faults under many designs.

It knows nothing of files, YAML, Dask, clocks or reports.
"""

from __future__ import annotations

from simcore.designs import DESIGNS, Design
from simcore.events import Mapping, Op, Trace, TraceBuilder, VmaKind
from simcore.geometry import GEOMETRIES, Geometry, tiny_geometry
from simcore.result import Result

__all__ = [
    "DESIGNS",
    "GEOMETRIES",
    "Design",
    "Geometry",
    "Mapping",
    "Op",
    "Result",
    "Trace",
    "TraceBuilder",
    "VmaKind",
    "tiny_geometry",
]
