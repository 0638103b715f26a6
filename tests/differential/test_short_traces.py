"""Does the engine equal the oracle, event by event? All short traces."""

import random

import pytest
from hybrids import ALL
from lockstep import assert_lockstep
from traces import ALPHABET, DEEP, FEW, PLAIN, Short
from walk import GEOMETRY, Walk

from simcore import DESIGNS

NUMBER = {design: number for number, design in enumerate(ALL)}
SHARES = (
    33  # in make test each design goes on from every 33rd trace of two events, its neighbours from others
)
PLAIN_ONLY = range(len(PLAIN))


@pytest.mark.parametrize("design", ALL)
def test_traces_of_three_events__are_equal(design):
    """Every trace of up to three events from an alphabet of 29, behind one beginning.

    In the deep run each design meets all of them; else those that begin with every 33rd two events, and neighbouring
    designs others, so that each trace is tried under one design.
    """
    share = (0, 1) if DEEP else (NUMBER[design] % SHARES, SHARES)
    assert Walk(ALL[design], range(len(ALPHABET)), 3, share).run() > len(ALPHABET) ** 2 / 2


@pytest.mark.parametrize("design", DESIGNS)
def test_traces_of_four_events__are_equal(design):
    """Every trace of up to four events from 18 letters of the alphabet under the shipped designs, in the deep run."""
    if not DEEP:
        pytest.skip("takes hours of processor time: HYPOTHESIS_PROFILE=deep runs it")
    Walk(ALL[design], FEW, 4).run()


@pytest.mark.parametrize("design", ALL)
def test_traces_of_two_events__are_equal_told_from_the_beginning(design):
    """As the tree is one trace, which knows all events to come, some are told by themselves too."""
    chosen = random.Random(design).sample(range(len(ALPHABET) ** 2), 700 if DEEP else 30)
    for number in chosen:
        told_alone(design, Short(divmod(number, len(ALPHABET))))


@pytest.mark.parametrize("design", [name for name, row in ALL.items() if row.creation == "vfork"])
def test_traces_that_vfork_reschedules__are_equal(design):
    """Which steps move depends on the whole trace, so no tree can be walked: fork, steps of parent and child, exec."""
    for first in PLAIN_ONLY:
        for second in PLAIN_ONLY:
            told_alone(design, Short((first, second, 13)))


def told_alone(design, short):
    """Compare a trace at its end, run from its beginning."""
    trace = short.build()
    assert_lockstep(trace, ALL[design], GEOMETRY, every=len(trace), recipe=short)
