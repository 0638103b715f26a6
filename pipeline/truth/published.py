"""Published tables run again: ``configs/published/NAME.yaml``, ratio by ratio.

Hardware differs between tables, so only ratios within one are compared: what a row gives ``above`` over what it gives
``below``. A row marked ``fit`` gave a cost of the model a number; the others test it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.yaml_marks import readings
from simcore import GEOMETRIES, Mapping, TraceBuilder, VmaKind
from simcore.costs import COST_MODELS
from simcore.designs import DESIGNS
from simcore.simulate import simulate
from simcore.workloads.forktime import begin, behind_libc

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcore import Trace
    from simcore.geometry import Geometry

_PACKAGED = Path(__file__).parent / "data" / "published"
_IN_REPOSITORY = Path(__file__).parents[2] / "configs" / "published"
NEAR = 0.15  # of a published ratio
FREE = 5  # slopes that the model pc-2002 takes from rows; simcore/costs.py names them
_FORKS = (4, 8)  # what a fork takes once everything is warm: eight less four


class RatioRow(NamedTuple):
    """One row: its parameters, the two ratios, whether it was fitted, and designs that nobody published."""

    params: dict[str, Any]
    published: float
    simulated: float
    fit: bool
    predicted: dict[str, float]

    @property
    def error(self) -> float:
        """How far the simulated ratio is off, as a fraction of the published one."""
        return self.simulated / self.published - 1


class Table(NamedTuple):
    """A published table beside the simulator; ``missing`` is what is known to be missing where rows differ."""

    name: str
    source: str
    ratio: str
    rows: list[RatioRow]
    missing: str | None

    @property
    def tested(self) -> list[RatioRow]:
        """The rows that gave the model no number."""
        return [row for row in self.rows if not row.fit]


def rerun() -> list[Table]:
    """Run every shipped table again, in order of names."""
    folder = _PACKAGED if _PACKAGED.is_dir() else _IN_REPOSITORY
    files = sorted(folder.glob("*.yaml"))
    return [_table(readings(file.read_text(encoding="utf-8"))[0].data) for file in files]


def _table(given: dict[str, Any]) -> Table:
    """Run one table."""
    geometry, program = GEOMETRIES[given["geometry"]], _PROGRAMS[given["program"]]

    def cost(row: dict[str, Any], design: str, times: int = 1) -> float:
        return _ns(program, row | {"pages": row["pages"] * times}, design, geometry, given["costs"])

    rows = []
    for row in given["rows"]:
        above, below = row["published"]
        if "above" in given:
            base = cost(row, given["below"])
            simulated = cost(row, given["above"]) / base
            predicted = {design: cost(row, design) / base for design in given["predicted"]}
        else:
            simulated, predicted = cost(row, row["design"], 2) / cost(row, row["design"]), {}
        params = {key: value for key, value in row.items() if key not in ("published", "fit")}
        rows.append(RatioRow(params, above / below, simulated, row.get("fit", False), predicted))
    words = (
        f"{given['above']} over {given['below']}" if "above" in given else "twice the pages over the pages"
    )
    return Table(given["name"], given["source"], words, rows, given["missing"])


class _Program(NamedTuple):
    """What makes a trace with so many forks, and the kinds of events whose time was published."""

    make: Callable[[dict[str, Any], Geometry, int], Trace]
    kinds: tuple[str, ...]


def _ns(program: _Program, row: dict[str, Any], design: str, geometry: Geometry, model: str) -> float:
    """Return what a fork takes, in ns."""
    kinds = (*program.kinds, "exit") if row.get("exits") else program.kinds
    runs = [simulate(program.make(row, geometry, forks), DESIGNS[design], geometry) for forks in _FORKS]
    acts = [np.sum([run.by_kind(kind) for kind in kinds], axis=0) for run in runs]
    costs = COST_MODELS[model]
    return float(costs.ns(acts[1] - acts[0], DESIGNS[design].rmap)) / (_FORKS[1] - _FORKS[0])


def _forktime(row: dict[str, Any], geometry: Geometry, forks: int) -> Trace:
    """Return so many forks of a small program with private anonymous pages; it writes on after each."""
    return _small_program(row, geometry, forks, VmaKind.ANON, writes_on=True)


def _shm_fork(row: dict[str, Any], geometry: Geometry, forks: int) -> Trace:
    """Return so many forks of a small program with a shared-memory object behind libc's data."""
    return _small_program(row, geometry, forks, VmaKind.SHM, writes_on=True)


def _anon_fork(row: dict[str, Any], geometry: Geometry, forks: int) -> Trace:
    """Return so many forks of a small program with private anonymous pages."""
    return _small_program(row, geometry, forks, VmaKind.ANON, writes_on=False)


def _small_program(
    row: dict[str, Any], geometry: Geometry, forks: int, kind: VmaKind, *, writes_on: bool
) -> Trace:
    """Return the trace of a small C program that maps pages, writes each, and forks; each child exits at once."""
    builder = TraceBuilder()
    again = begin(builder, geometry)
    start = behind_libc(geometry)
    builder.mmap(0, Mapping(start, row["pages"], kind, file=2 if kind == VmaKind.SHM else -1))
    builder.write(0, start, row["pages"])
    for _ in range(forks):
        builder.fork(0, 1)
        for page in again if writes_on else ():
            builder.write(0, page)
        builder.exit(1)
    builder.exit(0)
    return builder.build()


_PROGRAMS = {
    "forktime": _Program(_forktime, ("fork", "write_fault")),
    "shm_fork": _Program(_shm_fork, ("fork", "write_fault")),
    "shm_doubled": _Program(_shm_fork, ("fork",)),
    "anon_doubled": _Program(_anon_fork, ("fork",)),
}
