"""What holds for every profile: its traces can happen, the same seed gives the same, and each parameter is told."""

from __future__ import annotations

import numpy as np
import pytest
from profiles import FEW, X86_64, make

from pipeline.terminal import workload_explained
from pipeline.values import Place
from pipeline.values import parameter as checked_value
from simcore import DESIGNS
from simcore.geometry import GEOMETRIES
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import CHOICE, defaults

PARAMETERS = [(name, parameter) for name in FEW for parameter in WORKLOADS[name].parameters]
# Beside the most of these the others must be small, or the trace is long: they multiply.
ALONE = {"tasks": {"workers": 1}, "workers": {"requests": 0, "tasks": 1, "written": 3}}


def ids(case):
    """Return the name of a workload and its parameter."""
    return case if isinstance(case, str) else case.name


def extremes(parameter):
    """Return the least and the greatest value, or all choices but those of measured programs."""
    if parameter.kind == CHOICE:
        return parameter.choices if len(parameter.choices) < 4 else ("sleep", "node")
    return (parameter.low, parameter.high)


def test_every_profile__is_tried():
    """Workloads that came later have an instance here."""
    assert {*FEW, "tree", "snapshot", "shell", "capture", "recorded", "adversary"} == set(WORKLOADS)


@pytest.mark.parametrize("name", FEW)
def test_same_seed__same_trace(name):
    """Equal parameters and an equally seeded generator give the identical trace; all processes are gone at its end."""
    once, again = make(name), make(name)
    for column in ("events", "pages", "image_rows", "image_starts"):
        assert np.array_equal(getattr(once, column), getattr(again, column))
    counts = simulate(once, DESIGNS["linux24"], X86_64).counts()
    assert (counts["mms_end"], counts["pages_end"]) == (0, 0)
    assert counts["exits"] == counts["forks"] + counts["vforks"] + 1


@pytest.mark.parametrize("design", ["linux24", "linus_pmd", "mainline"])
@pytest.mark.parametrize("name", FEW)
def test_engine__equals_the_oracle(name, design):
    """Both count the same: acts, gauges and act vectors."""
    trace = make(name)
    fast, slow = (simulate(trace, DESIGNS[design], X86_64, engine=engine) for engine in ("fast", "oracle"))
    assert fast.counts() == slow.counts()
    for column in ("acts", "gauges"):
        assert np.array_equal(getattr(fast, column), getattr(slow, column))
    for column in ("kinds", "times", "acts"):
        assert np.array_equal(getattr(fast.vectors, column), getattr(slow.vectors, column))


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=ids)
def test_extremes__run(name, parameter):
    """The least and the greatest value of each parameter give a trace of which no event is refused."""
    for value in extremes(parameter):
        trace = make(
            name,
            **(ALONE.get(parameter.name, {}) if value == parameter.high else {}) | {parameter.name: value},
        )
        for design in ("linux24", "linus_pmd", "mainline"):
            assert simulate(trace, DESIGNS[design], X86_64).events == len(trace)


@pytest.mark.parametrize("name", FEW)
def test_defaults__fit_everywhere(name):
    """With its defaults a profile fits into each geometry, and what does not fit is refused by make as fits says."""
    workload = WORKLOADS[name]
    assert [workload.fits(defaults(workload), geometry) for geometry in GEOMETRIES.values()] == [None] * len(
        GEOMETRIES
    )
    large = next(
        (each.name for each in workload.parameters if each.name in {"anon_pages", "pages", "compiler_pages"}),
        None,
    )
    if large:
        wanted = {large: 2_000_000}
        reason = workload.fits(defaults(workload) | wanted, GEOMETRIES["i386"])
        assert "are allowed" in reason
        with pytest.raises(ValueError) as refused:
            make(name, GEOMETRIES["i386"], **(defaults(workload) | wanted))
        assert str(refused.value) == reason


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=ids)
def test_parameters__have_allowed_defaults_and_a_meaning(name, parameter):
    """Each default passes the check that a study's value must pass; the command shows meaning and default."""
    place = Place()
    checked_value(parameter.default, parameter, place)
    assert place.faults == []
    assert len(parameter.meaning) > 15
    told = workload_explained(WORKLOADS[name])
    assert f"\n{parameter.name} " in told
    assert "ASSUMED" in told
