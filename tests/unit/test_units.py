"""Functions compiled on their own: which there are, how they are dealt out, and that a broken helper does no harm."""

import subprocess

import pytest

from simcore import units
from simcore.engine.loop import run, run_any

pytestmark = pytest.mark.skipif(not units._UNITS, reason="nothing is compiled in units with these settings")


def below(function):
    """Return the names of the units below a function, callees first."""
    return [made.name for made in units._below(function, set())]


def test_units__callees_come_first():
    """Whoever loads them in order never compiles a caller before what it calls."""
    names = below(run)
    assert names.index("simcore.engine.count.record.cell") < names.index("simcore.engine.faults.touch.cell")
    assert len(names) == len(set(names))


def test_rarer_events__need_more():
    """What only ``run_any`` reaches is not compiled for traces that do without."""
    extra = set(below(run_any)) - set(below(run))
    assert "simcore.engine.reclaiming.reclaim.cell" in extra
    assert set(below(run)) <= set(below(run_any))


def test_shares__are_all_and_of_like_size():
    """Two processes compile everything once, and one takes at most a third longer."""
    made = list(units._below(run, set()))
    parts = units._shares(made)
    assert sorted(each.name for part in parts for each in part) == sorted(each.name for each in made)
    sizes = [sum(units._size(each.function, set()) for each in part) for part in parts]
    assert max(sizes) <= 4 / 3 * min(sizes)


def test_helper__that_cannot_start_is_done_without(monkeypatch):
    """The first process then compiles all itself, which it does after the helper's turn."""

    def fails(*_arguments, **_options):
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", fails)
    made = next(iter(units._below(run, set())))
    units._compile_beside_a_helper([made], run)
    units.ready(run)
    assert all(each.cell.value for each in units._below(run, set()))
