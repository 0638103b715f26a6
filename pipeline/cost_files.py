"""Cost models in files: YAML that ``forkbench calibrate`` writes and ``--costs FILE`` reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import values, yaml_files, yaml_marks
from pipeline.errors import Fault, RefusedError, StudyError, unwritable
from simcore.acts import ACT
from simcore.costs import COST_MODELS, UNPRICED, Cost, CostModel

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
_KEYS = ("forkbench_costs", "name", "prose", "limits", "machine", "costs", "object_rmap", "probe")
_NEEDED = ("forkbench_costs", "name", "costs")
_MAX_NS = 1e12  # a quarter of an hour
_SOURCE = r"(?s)(measured|derived|ASSUMED|sourced): .*\S.*"
_SOURCE_MEANING = (
    "where the number comes from, beginning with 'measured: ', 'derived: ', 'sourced: ' or 'ASSUMED: '"
)
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


class CostFile(NamedTuple):
    """What a file holds.

    Parameters
    ----------
    model : CostModel
        The costs.
    start_ns : float
        What a step of the probe that touches or maps takes by itself; 0 where nobody told.
    fitted : frozenset of str
        Hashes of the timed experiments that the costs were fitted to; none may judge them.
    """

    model: CostModel
    start_ns: float = 0.0
    fitted: frozenset[str] = frozenset()


def is_file(name: str) -> bool:
    """Return whether the name of a cost model is meant as a file's."""
    return name.endswith((".yaml", ".yml")) or "/" in name


def load(path: Path | str) -> CostFile:
    """Return what a file says.

    Raises
    ------
    StudyError
        The file says what is not allowed; all faults at once.
    RefusedError
        It cannot be read.
    """
    data, place = yaml_files.opened(path, "a cost model", f"forkbench calibrate --out {path} writes one")
    found = _cost_file(data, place)
    if place.faults or found is None:
        raise StudyError(str(path), place.faults or [Fault("holds no cost model")])
    return found


def refuse_name(name: str) -> None:
    """Refuse what cannot be the name of a model in a file.

    Raises
    ------
    RefusedError
        The reason.
    """
    place = values.Place()
    _named(name, place)
    if place.faults:
        raise RefusedError(f"--name: {place.faults[0].message}")


def refuse_place(path: Path) -> None:
    """Refuse a place where no file can be written, before anybody measures for a minute.

    Raises
    ------
    RefusedError
        The reason.
    """
    there = next(folder for folder in [path.absolute(), *path.absolute().parents] if folder.exists())
    if there == path.absolute() and not path.is_dir() and os.access(path, os.W_OK):
        return
    if path.is_dir() or not there.is_dir() or not os.access(there, os.W_OK):
        reason = "it is a folder" if path.is_dir() else f"{there} is not to be written to"
        raise RefusedError(f"{path}: cannot be written ({reason}); name another file with --out")


def _named(name: Any, place: values.Place) -> str | None:
    """Return a name, or None after noting why it is none."""
    found = values.text(name, place, _NAME, "a name of letters, digits, '-', '_' and '.'")
    if found in COST_MODELS:
        place.fault(f"{found!r} is the name of a model that ships; choose another")
    return found


def save(path: Path, held: CostFile, heading: str) -> None:
    """Write a file; ``heading`` are lines of comment above it.

    Raises
    ------
    RefusedError
        It cannot be written.
    """
    model = held.model
    data = {
        "forkbench_costs": VERSION,
        "name": model.name,
        "prose": model.prose,
        "limits": model.limits,
        "machine": model.provenance,
        "costs": {act: _entry(cost) for act, cost in model.costs.items()},
        "object_rmap": {act: _entry(cost) for act, cost in model.object_rmap.items()},
        "probe": {"start_ns": round(held.start_ns, 1), "fitted": " ".join(sorted(held.fitted))},
    }
    comment = "".join(f"# {line}\n" for line in heading.splitlines())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(comment + yaml_marks.written(data), encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from None


def _entry(cost: Cost) -> dict[str, Any]:
    """Return a cost as plain data."""
    interval = {"interval": list(cost.interval)} if cost.interval else {}
    return {"ns": cost.ns, **interval, "source": cost.source}


def _cost_file(data: Any, place: values.Place) -> CostFile | None:
    """Return what the data say, or None after noting what is wrong with them."""
    given = values.mapping(data, _KEYS, place)
    for key in _NEEDED:
        if given and key not in given:
            place.fault(f"the key {key!r} is missing; forkbench calibrate writes it; add it", follows=False)
    if "forkbench_costs" in given:
        values.whole(given["forkbench_costs"], VERSION, VERSION, place.at("forkbench_costs"))
    name = _named(given.get("name", "x"), place.at("name"))
    told = [
        values.text(given[key], place.at(key)) or "" if given.get(key) else "" for key in ("prose", "limits")
    ]
    costs = _costs(given.get("costs", {}), place.at("costs"))
    chained = _costs(given.get("object_rmap", {}), place.at("object_rmap"))
    missing = sorted(ACT.keys() - UNPRICED.keys() - costs.keys()) if costs else []
    if missing:
        place.at("costs").fault(
            f"no cost of {', '.join(missing)}; every act needs one; add it, with 0 ns if it is free"
        )
    told_of = given.get("machine", {})
    entries = values.mapping(told_of, told_of if isinstance(told_of, dict) else (), place.at("machine"))
    machine = {key: str(value) for key, value in entries.items()}
    start_ns, fitted = _probe(given.get("probe", {}), place.at("probe"))
    if place.faults or name is None:
        return None
    model = CostModel(name, told[0], costs, told[1], chained, machine)
    return CostFile(model, start_ns, fitted)


def _costs(data: Any, place: values.Place) -> dict[str, Cost]:
    """Return a table of costs."""
    found = {}
    for act, entry in values.mapping(data, [act for act in ACT if act not in UNPRICED], place).items():
        here = place.at(act)
        given = values.mapping(entry, ("ns", "interval", "source"), here)
        ns = values.number(given.get("ns"), 0, _MAX_NS, here.at("ns"), "ns")
        source = values.text(given.get("source"), here.at("source"), _SOURCE, _SOURCE_MEANING)
        interval = _interval(given["interval"], here.at("interval")) if "interval" in given else None
        found[act] = Cost(ns or 0.0, source or "", interval)
    return found


def _interval(data: Any, place: values.Place) -> tuple[float, float] | None:
    """Return a lower and an upper bound in ns."""
    if not isinstance(data, list) or len(data) != 2:
        place.fault(f"{values.shown(data)} is no interval; write two numbers, e.g. [90.5, 104]")
        return None
    low, high = (values.number(end, 0, _MAX_NS, place, "ns") for end in data)
    if low is None or high is None:
        return None
    if low > high:
        place.fault(f"{low:g} is above {high:g}; write the lower bound first")
    return low, high


def _probe(data: Any, place: values.Place) -> tuple[float, frozenset[str]]:
    """Return what calibrate keeps for validate."""
    given = values.mapping(data, ("start_ns", "fitted"), place)
    start = values.number(given.get("start_ns", 0.0), 0, _MAX_NS, place.at("start_ns"), "ns")
    hashes = r"([0-9a-f]{12}( [0-9a-f]{12})*)?"
    fitted = values.text(
        given.get("fitted", ""), place.at("fitted"), hashes, "hashes of 12 hexadecimal digits"
    )
    return start or 0.0, frozenset((fitted or "").split())
