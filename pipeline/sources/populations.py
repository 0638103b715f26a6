"""Named populations of shipped listings: ``configs/populations/NAME.yaml``, or a file of the user's own.

A population selects listings by kind and year, or names them::

    name: servers
    meaning: web servers and databases since 2010
    select: {kinds: [server-web, server-db], years: [2010, 2026]}

Selected are listings that are complete, one for each machine. Those that say who started whom give trees; those that
have memory figures give sizes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import values
from pipeline.errors import RefusedError, StudyError
from pipeline.sources.listing import PARENTS
from pipeline.sources.shipped import SHIPPED, shipped_listing
from pipeline.values import Place
from pipeline.yaml_marks import readings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.sources.shipped import Shipped

_PACKAGED = Path(__file__).parent / "data" / "populations"
_IN_REPOSITORY = Path(__file__).parents[2] / "configs" / "populations"
_FIRST_YEAR, _LAST_YEAR = 1990, 2100


class Population(NamedTuple):
    """Listings that stand for a sort of machines.

    Parameters
    ----------
    name, meaning : str
        From its file.
    trees : tuple of str
        Shipped listings that say who started whom, in order of years.
    sized : tuple of str
        Shipped listings that give resident sizes.
    """

    name: str
    meaning: str
    trees: tuple[str, ...]
    sized: tuple[str, ...]


def populations() -> dict[str, Path]:
    """Return the files of the populations that ship, by name."""
    folder = _PACKAGED if _PACKAGED.is_dir() else _IN_REPOSITORY
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_population(value: Any, base: Path, place: Place) -> Population | None:
    """Return the population of a name, or of a file whose path counts from ``base``; None after noting the fault."""
    own = isinstance(value, str) and value.endswith((".yaml", ".yml"))
    known = populations()
    name = (
        value if own else values.choice(value, known, "population", place, "forkbench populations lists them")
    )
    if name is None:
        return None
    try:
        return load_population(base / name if own else known[name])
    except StudyError as error:
        place.fault(f"{name!r} is no population: {'; '.join(map(str, error.faults))}")
    except RefusedError as error:
        place.fault(str(error))
    return None


def load_population(file: Path) -> Population:
    """Read a population.

    Raises
    ------
    StudyError
        With every fault of the file.
    RefusedError
        If the file cannot be read.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise RefusedError(f"{file}: {reason}; name a population, or the YAML file of one") from None
    document = readings(text)[0]
    place = Place(marks=document.marks, faults=list(document.faults))
    found = _population(document.data, place) if document.parsed else None
    if place.faults or found is None:
        raise StudyError(str(file), place.faults)
    return found


def _population(data: Any, place: Place) -> Population | None:
    """Return the population that a document describes, None after noting what is wrong."""
    given = values.mapping(data, ["name", "meaning", "select", "listings"], place)
    for key in ("name", "meaning"):
        if key not in given:
            place.at(key).fault(f"missing; a population needs it; add a line {key + ': ...'!r}")
    name = values.text(given.get("name", "?"), place.at("name"), meaning="the population's name")
    meaning = values.text(given.get("meaning", "?"), place.at("meaning"), meaning="what it stands for")
    if ("select" in given) == ("listings" in given):
        place.fault(
            "select and listings; one of the two is needed; select by kinds and years, or name listings"
        )
        return None
    chosen = (
        _selected(given["select"], place.at("select"))
        if "select" in given
        else _named(given["listings"], place.at("listings"))
    )
    trees = tuple(each.name for each in chosen if shipped_listing(each.name).shape == PARENTS)
    sized = tuple(each.name for each in chosen if any(shipped_listing(each.name).resident_kib()))
    if not trees and not place.faults:
        place.fault("no listing that says who started whom is left; choose more kinds or years")
    if place.faults or name is None or meaning is None:
        return None
    return Population(name, " ".join(meaning.split()), trees, sized)


def _named(given: Any, place: Place) -> list[Shipped]:
    """Return the listings that a population names."""
    names = [
        values.choice(each, SHIPPED, "listing", place.at(index))
        for index, each in enumerate(values.items(given, place))
    ]
    values.refuse_repeats([(place.at(index), name) for index, name in enumerate(names)])
    return [SHIPPED[name] for name in names if name is not None]


def _selected(given: Any, place: Place) -> list[Shipped]:
    """Return the listings that a population selects."""
    entry = values.mapping(given, ["kinds", "years"], place)
    kinds = sorted({each.kind for each in SHIPPED.values()})
    if "kinds" in entry:
        wanted: Iterable[str | None] = [
            values.choice(each, kinds, "kind", place.at("kinds").at(index))
            for index, each in enumerate(values.items(entry["kinds"], place.at("kinds")))
        ]
        kinds = [kind for kind in wanted if kind is not None]
    first, last = _years(entry.get("years", [_FIRST_YEAR, _LAST_YEAR]), place.at("years"))
    return [
        each
        for each in SHIPPED.values()
        if each.complete and each.kind in kinds and first <= each.year <= last and _counts(each)
    ]


def _counts(each: Shipped) -> bool:
    """Return whether a listing counts: the first of its machine, or the one that has the machine's sizes."""
    return each.same_machine_as is None or shipped_listing(each.name).shape != PARENTS


def _years(given: Any, place: Place) -> tuple[int, int]:
    """Return the first and last year of a range."""
    pair = values.items(given, place)
    if len(pair) != 2:
        place.fault(f"{values.shown(given)} is no range; two years are needed; write e.g. [1998, 2004]")
        return _FIRST_YEAR, _LAST_YEAR
    years = [
        values.whole(year, _FIRST_YEAR, _LAST_YEAR, place.at(index)) or 0 for index, year in enumerate(pair)
    ]
    return years[0], years[1]
