"""The process trees that a study names: shipped, of a file, of a population, complete, or written out.

A population stands for the trees of all its listings: where it is fixed or swept, ``tree`` is swept over them, and the
row of each cell names its listing. What is found is plain data, so that a plan needs no listing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import values
from simcore.workloads.shape import DEPTH_MAX, FAN_OUT_MAX, tree_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path as FilePath

    from pipeline.sources.listing import Listing
    from pipeline.values import Place

POPULATION = "population"
MEASURED = "measured"
_SIZES = ("fixed", MEASURED)
_TREES = "a listing's name, {listing: FILE}, {population: NAME} or {depth: 3, fan_out: 2}"
SHORT_FORMS = ("listing", POPULATION, "shipped")  # keys that a study may write without ``tree``


def trees(value: Any, base: FilePath, place: Place) -> list[dict[str, Any] | None]:
    """Return the trees that a value of a study stands for, None for each that is wrong, after noting its faults.

    ``base`` is the folder from which the paths of listings count.
    """
    if isinstance(value, str):
        return [_shipped(value, "", place, place)]
    if not isinstance(value, dict):
        place.fault(f"{values.shown(value)} is {values.kind_of(value)}; a tree is {_TREES}")
        return [None]
    if "parents" in value:
        return [_sound(value, place)]
    form = next((key for key in SHORT_FORMS if key in value), None)
    if form is None:
        return [_complete(values.mapping(value, ["depth", "fan_out"], place), place)]
    entry = values.mapping(value, [form, "sizes"], place)
    sizes = values.choice(entry.get("sizes", _SIZES[0]), _SIZES, "value of sizes", place.at("sizes"))
    if sizes is None:
        return [None]
    readers: dict[str, Callable[[], list[dict[str, Any] | None]]] = {
        "listing": lambda: [_from_file(entry[form], base, sizes, place)],
        "shipped": lambda: [_shipped(entry[form], sizes, place.at(form), place)],
        POPULATION: lambda: _of_population(entry[form], base, sizes, place),
    }
    return readers[form]()


def _complete(value: dict[str, Any], place: Place) -> dict[str, Any] | None:
    """Return a complete tree of a given depth and fan-out, if it has no more processes than a trace can carry."""
    for key in ("depth", "fan_out"):
        if key not in value:
            place.at(key).fault(f"missing; a tree is {_TREES}")
    depth = values.whole(value.get("depth"), 0, DEPTH_MAX, place.at("depth"), "levels below the root")
    fan_out = values.whole(value.get("fan_out"), 1, FAN_OUT_MAX, place.at("fan_out"), "children")
    return None if depth is None or fan_out is None else _sound({"depth": depth, "fan_out": fan_out}, place)


def _sound(tree: dict[str, Any], place: Place) -> dict[str, Any] | None:
    """Return a tree if simcore takes it."""
    fault = tree_fault(tree)
    if fault is not None:
        place.fault(fault)
    return tree if fault is None else None


def _shipped(value: Any, sizes: str | None, at_name: Place, place: Place) -> dict[str, Any] | None:
    """Return the tree of a shipped listing."""
    from pipeline.sources.shipped import SHIPPED, shipped_listing  # noqa: PLC0415 - only for studies with trees

    name = values.choice(value, SHIPPED, "listing", at_name)
    return None if name is None else _listed(lambda: shipped_listing(name), name, sizes, place)


def _of_population(
    value: Any, base: FilePath, sizes: str | None, place: Place
) -> list[dict[str, Any] | None]:
    """Return the trees of a population's listings."""
    from pipeline.sources.populations import find_population  # noqa: PLC0415 - as above
    from pipeline.sources.shipped import shipped_listing  # noqa: PLC0415 - as above

    population = find_population(value, base, place.at(POPULATION))
    if population is None:
        return [None]
    return [shipped_listing(name).as_tree(name, sized=sizes == MEASURED) for name in population.trees]


def _from_file(value: Any, base: FilePath, sizes: str | None, place: Place) -> dict[str, Any] | None:
    """Return the tree of a listing's file."""
    from pipeline.sources.cleaning import decoded  # noqa: PLC0415 - as above
    from pipeline.sources.listing import read_listing  # noqa: PLC0415 - as above

    here = place.at("listing")
    name = values.text(
        value, here, meaning="the path of a file that pstree or ps wrote, from the study's folder"
    )
    if name is None:
        return None
    path = base / name
    try:
        listing = decoded(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        here.fault(f"{name!r}: {reason} (looked for {path}); paths count from the study's folder")
        return None
    return _listed(lambda: read_listing(listing), path.name, sizes, here)


def _listed(
    read: Callable[[], Listing], label: str, sizes: str | None, place: Place
) -> dict[str, Any] | None:
    """Return a listing's tree."""
    from pipeline.sources.listing import ListingError  # noqa: PLC0415 - as above

    try:
        return _sound(read().as_tree(label, sized=sizes == MEASURED), place)
    except ListingError as error:
        place.fault(f"{label!r} gives no process tree: {error}")
        return None
