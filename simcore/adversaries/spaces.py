"""Address spaces of adversaries: so many leaf tables side by side, each mapped in one of a few ways."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from simcore.events import Mapping, VmaKind

if TYPE_CHECKING:
    from simcore.events import TraceBuilder
    from simcore.geometry import Geometry

# way -> (kind, whether one vma covers the table, what it is)
WAYS: dict[str, tuple[VmaKind, bool, str]] = {
    "anon": (VmaKind.ANON, True, "one anonymous vma over the whole table"),
    "anon_cut": (VmaKind.ANON, False, "several anonymous vmas in the table"),
    "private": (VmaKind.FILE_PRIVATE, True, "one private file mapping over the whole table"),
    "private_cut": (VmaKind.FILE_PRIVATE, False, "several private file mappings in the table"),
    "shared": (VmaKind.FILE_SHARED, True, "one writable shared file mapping over the whole table"),
}
PRIVATE_FILE, SHARED_FILE = 0, 1


def first_page(geometry: Geometry) -> int:
    """Return where the first table of an adversary's address space begins."""
    return -(-geometry.text_vpn // geometry.entries) * geometry.entries


def tables_that_fit(geometry: Geometry) -> int:
    """Return how many leaf tables there can be."""
    return geometry.user_pages // geometry.entries - first_page(geometry) // geometry.entries


def mappings(ways: list[str], vmas: int, geometry: Geometry) -> list[Mapping]:
    """Return the vmas of an address space.

    Parameters
    ----------
    ways : list of str
        How each table is mapped, keys of WAYS.
    vmas : int
        Into how many vmas a table is cut that is cut; at most ``geometry.entries``.
    geometry : Geometry
        Page and table sizes.
    """
    found = []
    for number, way in enumerate(ways):
        kind, whole, _ = WAYS[way]
        pieces = 1 if whole else vmas
        edges = [geometry.entries * piece // pieces for piece in range(pieces + 1)]
        file = {VmaKind.FILE_PRIVATE: PRIVATE_FILE, VmaKind.FILE_SHARED: SHARED_FILE}.get(kind, -1)
        for low, high in pairwise(edges):
            offset = number * geometry.entries + low
            found.append(
                Mapping(
                    first_page(geometry) + offset,
                    high - low,
                    kind,
                    file=file,
                    offset=offset if file >= 0 else 0,
                )
            )
    return found


def map_all(builder: TraceBuilder, ways: list[str], vmas: int, geometry: Geometry) -> None:
    """Let task 0 map an address space."""
    for mapping in mappings(ways, vmas, geometry):
        builder.mmap(0, mapping)
