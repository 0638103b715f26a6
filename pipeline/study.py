"""YAML -> Study: one file, one question; refused with all its faults at once, or right in every detail."""

from __future__ import annotations

import itertools
import re
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline import values
from pipeline.design_entries import Lineup, read_designs, read_roles
from pipeline.errors import Fault, RefusedError, StudyError, dotted
from pipeline.lineup import known_designs
from pipeline.values import Place
from pipeline.workload_entries import Grid, read_grids, refuse_grids_that_do_not_fit
from pipeline.yaml_marks import readings, written
from simcore.costs import COST_MODELS
from simcore.geometry import GEOMETRIES
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path as FilePath

    from pipeline.yaml_marks import Document
    from simcore.designs import Design

MAX_CELLS = 1_000_000  # all rows of a study are sorted in memory at about 5 kB each
MAX_REPLICATES = 10_000
MAX_SEED = 2**63 - 1

_KEYS = (
    "name",
    "question",
    "geometry",
    "costs",
    "seed",
    "replicates",
    "baseline",
    "floor",
    "designs",
    "workload",
    "sweep",
)
_REQUIRED = ("name", "question", "designs", "workload")
_DEFAULTS: dict[str, Any] = {
    "geometry": "i386",
    "costs": "pc-2002",
    "seed": 0,
    "replicates": 1,
}
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_NAME_MEANING = "1 to 100 letters, digits, '.', '_' and '-', beginning with a letter or digit"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Study:
    """One question, and everything that is run to answer it.

    Parameters
    ----------
    name, question : str
        From the file.
    geometry, costs, baseline : str
        Names; ``baseline`` is among ``designs``.
    floor : str or None
        The design that costs least where it applies, among ``designs``; None in a study without one.
    seed, replicates : int
        Each replicate of a point draws its own trace.
    designs : tuple of str
        In the order of the file.
    grids : tuple of Grid
        One for each workload, in the order of the file.
    text : str
        The file as it was read; with overrides, the study that they made of it, as YAML.
    own_designs : dict
        Name -> base and axes, see ``pipeline.lineup.frozen``, of those designs that the study defines itself.
    """

    name: str
    question: str
    geometry: str
    costs: str
    seed: int
    replicates: int
    baseline: str
    floor: str | None
    designs: tuple[str, ...]
    grids: tuple[Grid, ...]
    text: str
    own_designs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def rows(self) -> dict[str, Design]:
        """The designs as simcore's rows, by name, in the order of the file."""
        known = known_designs(self.own_designs)
        return {name: known[name] for name in self.designs}

    @property
    def workloads(self) -> tuple[str, ...]:
        """The names of the workloads."""
        return tuple(grid.workload for grid in self.grids)

    @property
    def sweep(self) -> dict[str, list[Any]]:
        """Axis -> its values; of an axis that workloads sweep differently, all values."""
        found: dict[str, list[Any]] = {}
        for axis, entries in (item for grid in self.grids for item in grid.sweep.items()):
            known = found.setdefault(axis, [])
            known += [entry for entry in entries if entry not in known]
        return found

    @property
    def traces(self) -> int:
        """Traces of the study: points of each workload's sweep, times replicates."""
        return sum(grid.points for grid in self.grids) * self.replicates

    @property
    def cells(self) -> int:
        """Cells of the study: each trace under each design."""
        return self.traces * len(self.designs)

    def spec(self) -> dict[str, Any]:
        """Return the study as plain data, with everything resolved; what a dataset freezes."""
        return {key: value for key, value in vars(self).items() if key != "text"} | {
            "designs": list(self.designs),
            "grids": [grid._asdict() for grid in self.grids],
        }


def load_study(file: FilePath, overrides: Sequence[str] = ()) -> Study:
    """Read and validate a study.

    Parameters
    ----------
    file : Path
        The YAML file.
    overrides : sequence of str
        ``key=value`` with a dotted key; each replaces or adds a value before validation.

    Raises
    ------
    StudyError
        With every fault of the file and of the overrides.
    RefusedError
        If the file cannot be read, or an override is not ``key=value``.
    """
    text = _text(file)
    checks = [_Check(document, file, overrides) for document in readings(text)]
    # Where tabs leave the structure in doubt, the reading with the fewest faults is the one that was meant.
    best = min(checks, key=lambda check: len(check.place.faults))
    if best.place.faults or best.found is None:
        raise StudyError(str(file), best.place.faults)
    return Study(**best.found, text=_effective(text, best.data, overrides) if overrides else text)


def _effective(text: str, data: Any, overrides: Sequence[str]) -> str:
    """Return the YAML of a study with its overrides, below the comment that the file begins with."""
    lines = text.splitlines()
    comment = itertools.takewhile(lambda line: not line.strip() or line.lstrip().startswith("#"), lines)
    told = (f"# changed by --set {override!r}" for override in overrides)
    return "\n".join([*comment, *told, written(data)])


def _text(file: FilePath) -> str:
    """Return the text of a study's file."""
    try:
        raw = file.read_bytes()
    except IsADirectoryError:
        raise RefusedError(
            f"{file}: is a folder; a study is a YAML file; name one, e.g. {file}/study.yaml"
        ) from None
    except OSError as error:
        raise RefusedError(
            f"{file}: {(error.strerror or 'cannot be read').lower()}; name a study's YAML file"
        ) from None
    try:
        return raw.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise StudyError(str(file), [Fault(message, line=line, column=column)]) from None


class _Check:
    """Validate one reading of a file; ``found`` holds the fields of a Study if there is no fault."""

    def __init__(self, document: Document, file: FilePath, overrides: Sequence[str]) -> None:
        self.place = Place(marks=document.marks, faults=list(document.faults))
        self.found: dict[str, Any] | None = None
        self.data = document.data
        self._base = file.parent
        if not document.parsed:
            return
        if not isinstance(document.data, dict):
            kind = values.kind_of(document.data)
            self.place.fault(f"the file holds {kind}; a study is a mapping with {', '.join(_REQUIRED)}")
            return
        for override in overrides:
            self._override(document.data, override)
        self._study(document.data)

    def _override(self, data: dict[str, Any], override: str) -> None:
        """Put the value of a ``key=value`` into the data."""
        key, equals, raw = override.partition("=")
        steps = [name or int(index) for name, index in _STEP.findall(key)]
        if not equals or not steps or dotted(tuple(steps)) != key:
            raise RefusedError(
                f"--set {override!r}: not key=value; write a dotted key, e.g. --set replicates=5"
            )
        reading = readings(raw or "null")[0]
        origin = f"--set {override}"
        if not reading.parsed or reading.faults:
            whys = reading.faults or [Fault("the value is not YAML")]
            self.place.faults.extend(Fault(why.message, tuple(steps), origin=origin) for why in whys)
            return
        self.place.origins[tuple(steps)] = origin
        self._put(data, steps, reading.data)

    def _put(self, data: Any, steps: list[str | int], value: Any) -> None:
        """Set ``data[steps[0]][steps[1]]... = value``, making mappings on the way."""
        for number, step in enumerate(steps):
            known = list(range(len(data))) if isinstance(data, list) else data
            wrong = isinstance(data, list) != isinstance(step, int) or not isinstance(data, (dict, list))
            if wrong or (isinstance(data, list) and step not in known):
                there = f"{dotted(tuple(steps[:number])) or 'the study'} is {values.kind_of(data)}"
                self._place_at(steps).fault(f"{there} without {step!r}; name a value that can be there")
                return
            if number == len(steps) - 1:
                data[step] = value
            elif isinstance(data, dict):
                data = data.setdefault(step, {})
            else:
                data = data[step]

    def _place_at(self, path: Iterable[str | int]) -> Place:
        """Return the place of a path."""
        place = self.place
        for step in path:
            place = place.at(step)
        return place

    def _study(self, data: dict[str, Any]) -> None:
        """Check every key and, if nothing is wrong, keep the result."""
        for key in data:
            if key not in _KEYS:
                self._misplaced(key)
        given = values.mapping(data, _KEYS, self.place)
        for key in _REQUIRED:
            if key not in given:
                self.place.at(key).fault(f"missing; every study needs it; add a line {key + ': ...'!r}")
        found = self._scalars(_DEFAULTS | given)
        lineup = read_designs(given["designs"], self.place.at("designs")) if "designs" in given else Lineup()
        found["designs"], found["own_designs"] = lineup.names, lineup.own
        found |= read_roles(given, lineup, self.place)
        found["grids"] = read_grids(given, self._base, self.place)
        self._size(found)
        if not self.place.faults:
            refuse_grids_that_do_not_fit(found["grids"], found["geometry"], self.place.at("workload"))
        if not self.place.faults:
            self.found = found

    def _misplaced(self, key: str) -> None:
        """Note a parameter of a workload that stands at the top; ``_study`` notes other unknown keys."""
        homes = [row.name for row in WORKLOADS.values() if key in {each.name for each in row.parameters}]
        if homes:
            places = " or ".join(repr(f"workload.{name}.{key}") for name in homes)
            self.place.at(key).fault(
                f"unknown key; did you mean {places}, or {f'sweep.{key}'!r} with a list of values?"
            )

    def _scalars(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the keys that hold one value each."""
        at = self.place.at
        texts = {"name": (_NAME, _NAME_MEANING), "question": (r"(?s).*\S.*", "the question in words")}
        found: dict[str, Any] = {
            key: values.text(given[key], at(key), *rule) for key, rule in texts.items() if key in given
        }
        found["geometry"] = values.choice(given["geometry"], GEOMETRIES, "geometry", at("geometry"))
        found["costs"] = values.choice(given["costs"], COST_MODELS, "cost model", at("costs"))
        found["seed"] = values.whole(given["seed"], 0, MAX_SEED, at("seed"))
        found["replicates"] = values.whole(given["replicates"], 1, MAX_REPLICATES, at("replicates"))
        return found

    def _size(self, found: dict[str, Any]) -> None:
        """Refuse more cells than a dataset can hold."""
        points = sum(grid.points for grid in found["grids"])
        cells = points * (found["replicates"] or 1) * max(1, len(found["designs"]))
        if cells > MAX_CELLS:
            self.place.at("sweep").fault(
                f"{cells:,} cells; at most {MAX_CELLS:,} are allowed; shorten an axis"
            )
