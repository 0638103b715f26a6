"""YAML -> Study: one file, one question; refused with all its faults at once, or right in every detail."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import values
from pipeline.design_entries import Lineup, read_designs, read_roles
from pipeline.errors import StudyError
from pipeline.includes import INCLUDE, study_text, with_includes
from pipeline.lineup import known_designs
from pipeline.overrides import Overrides
from pipeline.rule_entries import Names, read_rules
from pipeline.rules import WORKLOAD, blamed
from pipeline.study_keys import (
    DEFAULTS,
    KEYS,
    MAX_CELLS,
    MAX_REPLICATES,
    MAX_SEED,
    NAME,
    NAME_MEANING,
    REQUIRED,
)
from pipeline.values import Place
from pipeline.workload_entries import (
    GEOMETRY_AXIS,
    Grid,
    axis_reader,
    read_grids,
    refuse_grids_that_do_not_fit,
)
from pipeline.yaml_marks import readings, written
from simcore.costs import COST_MODELS
from simcore.geometry import GEOMETRIES, THP, with_thp
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path as FilePath

    from pipeline.rules import Rule
    from pipeline.yaml_marks import Document
    from simcore.designs import Design


class Point(NamedTuple):
    """One point of a study, and who runs there.

    Parameters
    ----------
    grid : Grid
        Of its workload.
    values : dict
        Axis -> value; ``geometry`` is not among them.
    geometry : str
        Name.
    designs : tuple of str
        Those that are not left out; at least one.
    blame : list of int or None
        For each design of the study the rule that leaves it out, None where none does.
    """

    grid: Grid
    values: dict[str, Any]
    geometry: str
    designs: tuple[str, ...]
    blame: list[int | None]


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
    rules : tuple of Rule
        What is left out.
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
    rules: tuple[Rule, ...] = ()

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
        for axis, entries in (item for grid in self.grids for item in grid.varied.items()):
            known = found.setdefault(axis, [])
            known += [entry for entry in entries if entry not in known]
        return found

    def points(self, *, empty: bool = False) -> Iterator[Point]:
        """Yield the points, workload by workload; ``empty`` also those at which no design is left."""
        for grid in self.grids:
            for values_ in grid.each():
                point = self.point(grid, values_)
                if point.designs or empty:
                    yield point

    def point(self, grid: Grid, at: dict[str, Any]) -> Point:
        """Return a point of a grid, ``at`` as ``grid.each`` yields it."""
        geometry = at.pop(GEOMETRY_AXIS, self.geometry)
        if not self.rules:
            return Point(grid, at, geometry, self.designs, [None] * len(self.designs))
        facts = grid.params | at | {GEOMETRY_AXIS: geometry, WORKLOAD: grid.workload}
        blame = blamed(self.rules, facts, self.designs)
        kept = tuple(name for name, rule in zip(self.designs, blame, strict=True) if rule is None)
        return Point(grid, at, geometry, kept, blame)

    @property
    def traces(self) -> int:
        """Traces of the study: points of each workload's sweep that are not left out, times replicates."""
        kept = sum(1 for _ in self.points()) if self.rules else sum(grid.points for grid in self.grids)
        return kept * self.replicates

    @property
    def cells(self) -> int:
        """Cells of the study: each trace under each design, but for those that are left out."""
        if not self.rules:
            return self.traces * len(self.designs)
        return sum(len(point.designs) for point in self.points()) * self.replicates

    def spec(self) -> dict[str, Any]:
        """Return the study as plain data, with everything resolved; what a dataset freezes."""
        found = {key: value for key, value in vars(self).items() if key not in ("text", "rules")}
        found |= {"designs": list(self.designs), "grids": [grid.plain() for grid in self.grids]}
        return found | ({"rules": [rule._asdict() for rule in self.rules]} if self.rules else {})


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
    text = study_text(file)
    checks = [_Check(with_includes(document, file), file, overrides) for document in readings(text)]
    # Where tabs leave the structure in doubt, the reading with the fewest faults is the one that was meant.
    best = min(checks, key=lambda check: len(check.place.faults))
    if best.place.faults or best.found is None:
        raise StudyError(str(file), best.place.faults)
    changed = overrides or best.included
    return Study(**best.found, text=_effective(text, best.data, overrides) if changed else text)


def _effective(text: str, data: Any, overrides: Sequence[str]) -> str:
    """Return the YAML of a study with its overrides and includes, below the comment that the file begins with."""
    lines = text.splitlines()
    comment = itertools.takewhile(lambda line: not line.strip() or line.lstrip().startswith("#"), lines)
    told = (f"# changed by --set {override!r}" for override in overrides)
    return "\n".join([*comment, *told, written(data)])


class _Check:
    """Validate one reading of a file; ``found`` holds the fields of a Study if there is no fault."""

    def __init__(self, document: Document, file: FilePath, overrides: Sequence[str]) -> None:
        self.place = Place(marks=document.marks, faults=list(document.faults), files=document.files)
        self.found: dict[str, Any] | None = None
        self.data = document.data
        self.included = (INCLUDE,) in document.marks
        self._base = file.parent
        if not document.parsed:
            return
        if not isinstance(document.data, dict):
            kind = values.kind_of(document.data)
            self.place.fault(f"the file holds {kind}; a study is a mapping with {', '.join(REQUIRED)}")
            return
        given = Overrides(document.data, KEYS, self.place)
        for override in overrides:
            given.put(override)
        self._study(document.data)

    def _study(self, data: dict[str, Any]) -> None:
        """Check every key and, if nothing is wrong, keep the result."""
        for key in data:
            if key not in KEYS:
                self._misplaced(key, data.get("workload"))
        given = values.mapping(data, KEYS, self.place)
        for key in REQUIRED:
            if key not in given:
                self.place.at(key).fault(f"missing; every study needs it; add a line {key + ': ...'!r}")
        found = self._scalars(DEFAULTS | given)
        lineup = read_designs(given["designs"], self.place.at("designs")) if "designs" in given else Lineup()
        found["designs"], found["own_designs"] = lineup.names, lineup.own
        found |= read_roles(given, lineup, self.place)
        found["grids"] = read_grids(given, found["seed"] or 0, self._base, self.place)
        found["rules"] = self._rules(given, found)
        self._size(found)
        if not self.place.faults:
            refuse_grids_that_do_not_fit(found["grids"], found["geometry"], self.place.at("workload"))
        if not self.place.faults and found["rules"]:
            self._refuse_what_rules_take_away(Study(**found, text=""))
        if not self.place.faults:
            self.found = found

    def _rules(self, given: dict[str, Any], found: dict[str, Any]) -> tuple[Rule, ...]:
        """Return what the study leaves out."""
        workloads = [grid.workload for grid in found["grids"]]
        reader = axis_reader(workloads, 0, self._base, narrowest=False)
        designs = [name for name in found["designs"] if name is not None]
        return read_rules(given, Names(designs, workloads, reader.known, reader.read), self.place)

    def _refuse_what_rules_take_away(self, study: Study) -> None:
        """Note rules that leave nothing, or a point without the baseline that others are compared with there."""
        last = study.rules[-1].key
        if next(study.points(), None) is None:
            self.place.at(last).fault("every cell is left out; a study needs one at least; loosen a rule")
            return
        baseline = study.designs.index(study.baseline)
        for point in study.points():
            rule = point.blame[baseline]
            if rule is not None:
                key = study.rules[rule].key
                index = rule - next(number for number, each in enumerate(study.rules) if each.key == key)
                self.place.at(key).at(index).fault(
                    f"leaves out the baseline {study.baseline!r} where {', '.join(point.designs)} would run, which are "
                    "compared with it; leave those out too, or name the design in the rule"
                )

    def _misplaced(self, key: str, workload: Any) -> None:
        """Note a parameter of a workload that stands at the top; ``_study`` notes other unknown keys."""
        named = [workload] if isinstance(workload, str) else workload if isinstance(workload, dict) else {}
        rows = [WORKLOADS[name] for name in named if name in WORKLOADS] or [*WORKLOADS.values()]
        homes = [row.name for row in rows if key in {each.name for each in row.parameters}]
        if homes:
            places = " or ".join(repr(f"workload.{name}.{key}") for name in homes)
            self.place.at(key).fault(
                f"unknown key; did you mean {places}, or {f'sweep.{key}'!r} with a list of values?"
            )

    def _scalars(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the keys that hold one value each."""
        at = self.place.at
        texts = {"name": (NAME, NAME_MEANING), "question": (r"(?s).*\S.*", "the question in words")}
        found: dict[str, Any] = {
            key: values.text(given[key], at(key), *rule) for key, rule in texts.items() if key in given
        }
        found["geometry"] = values.choice(given["geometry"], GEOMETRIES, "geometry", at("geometry"))
        thp = values.choice(given["thp"], THP, "value", at("thp"))
        if found["geometry"] and thp and thp != "never":
            found["geometry"] = self._with_thp(found["geometry"], thp)
        found["costs"] = values.choice(given["costs"], COST_MODELS, "cost model", at("costs"))
        found["seed"] = values.whole(given["seed"], 0, MAX_SEED, at("seed"))
        found["replicates"] = values.whole(given["replicates"], 1, MAX_REPLICATES, at("replicates"))
        return found

    def _with_thp(self, geometry: str, thp: str) -> str:
        """Return the name of a study's geometry with huge pages; a fault where it has none, or has them already."""
        try:
            return with_thp(geometry, thp)
        except KeyError:
            allowed = ", ".join(name for name, each in GEOMETRIES.items() if f"{name}-thp" in GEOMETRIES)
            self.place.at("thp").fault(
                f"is {thp!r}, but geometry {geometry} is not one of {allowed}, which can have huge pages; choose one, or "
                "leave thp out"
            )
            return geometry

    def _size(self, found: dict[str, Any]) -> None:
        """Refuse more cells than a dataset can hold."""
        points = sum(grid.points for grid in found["grids"])
        cells = points * (found["replicates"] or 1) * max(1, len(found["designs"]))
        if cells > MAX_CELLS:
            self.place.at("sweep").fault(
                f"{cells:,} cells; at most {MAX_CELLS:,} are allowed; shorten an axis"
            )
