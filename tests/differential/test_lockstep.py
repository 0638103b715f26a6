"""Does the engine equal the oracle, event by event? Random traces."""

import re

import pytest
from hybrids import ALL
from lockstep import Pair, assert_lockstep, bisected, compare, replay
from traces import DEEP, Magnified, Recipe

from simcore import tiny_geometry
from simcore.simulate import start

WIDE = tiny_geometry(8, 2)
LARGE = tiny_geometry(256, 2)
MILLION = "mccracken_fixed"  # shares, and keeps pte_chains
# For DEEP one of each way to fork, to protect and to share.
ONE_OF_EACH = [
    "linux24",
    "rmap25",
    "phillips",
    "phillips_mark",
    "linus_pmd",
    "shared_mmap",
    "mainline",
    "cow_pte",
    "async_fork",
]
LONG = [*ONE_OF_EACH, "odf", MILLION] if DEEP else ["odf", MILLION]


@pytest.mark.parametrize("design", ALL)
@pytest.mark.parametrize("levels", [2, 3, 4])
def test_random_traces__are_equal_after_every_event(design, levels):
    """Random events, refused ones among them, in lockstep with a comparison after each; one trace shares memory."""
    geometry = WIDE if levels == 2 else tiny_geometry(4, levels)
    for seed in range(4) if DEEP else (0, 1) if levels == 2 else (levels % 2,):
        recipe = Recipe(seed, 150, shared=seed % 2 == 0)
        assert_lockstep(recipe.build(), ALL[design], geometry, recipe=recipe)


@pytest.mark.parametrize("design", ALL)
def test_large_tables__are_equal_after_every_event(design):
    """Rows of four words, vmas that begin and end within a word and within a block of fault-around."""
    for seed in range(3 if DEEP else 1):
        recipe = Magnified(
            Recipe(40 + seed + list(ALL).index(design), 60, tasks=4), by=32, shift=(5, 0)[seed % 2]
        )
        assert_lockstep(recipe.build(), ALL[design], LARGE, recipe=recipe)


@pytest.mark.parametrize("design", ALL)
def test_random_trace__is_equal(design):
    """A trace of 3,000 events over eight tasks, compared every 1,000 events; each design has a seed of its own."""
    recipe = Recipe(100 + list(ALL).index(design), 3_000, tasks=8)
    assert_lockstep(recipe.build(), ALL[design], WIDE, every=1_000, recipe=recipe)


@pytest.mark.parametrize("design", LONG)
def test_long_random_trace__is_equal(design):
    """States, counts and act vectors every 5,000 of 25,000 events; in the deep run of 1,000,000, or of 100,000.

    The oracle takes some ten minutes for a million, so one design has them.
    """
    events = 25_000 if not DEEP else 1_000_000 if design == MILLION else 100_000
    recipe = Recipe(2002, events, tasks=8)
    assert_lockstep(recipe.build(), ALL[design], WIDE, every=5_000, recipe=recipe)


@pytest.mark.parametrize("design", ALL)
def test_crowd__is_equal(design):
    """Many live sharers of few tables: 60 tasks hammer 32 pages."""
    recipe = Recipe(7, 4_000 if DEEP else 1_500, tasks=60, wild=0.0)
    assert_lockstep(recipe.build(), ALL[design], WIDE, every=500, recipe=recipe)


# the search for a difference


@pytest.mark.parametrize(
    ("engine", "oracle"),
    [
        ("linus_pmd", "phillips"),
        ("mccracken", "mccracken_fixed"),
        ("cow_pte", "cow_pte_v5"),
        ("mainline", "linux26"),
        ("rmap25", "chains_scanned"),
    ],
)
def test_bisection__names_the_first_event_that_differs(engine, oracle):
    """The engine runs a wrong design: halving 2,000 events finds the event that comparing after each one finds."""
    trace = Recipe(5, 2_000).build()
    wrong = lambda: Pair(start(trace, ALL[engine], WIDE, "fast"), start(trace, ALL[oracle], WIDE, "oracle"))  # noqa: E731
    one_by_one = compare(wrong(), every=1)
    assert one_by_one is not None
    assert compare(wrong(), every=500) == one_by_one
    assert bisected(wrong(), 0, len(trace)) == one_by_one


def test_bisection__of_equal_machines_is_never_begun():
    """Nothing is found where nothing differs."""
    assert compare(Pair.start(Recipe(5, 500).build(), ALL["odf"], WIDE), every=100) is None


def test_difference__is_told_with_a_line_that_replays_it(monkeypatch, capsys):
    """The message names design, event and what differs; its last line is Python that shows the same again."""
    recipe = Recipe(5, 2_000)
    monkeypatch.setattr("lockstep.start", start_wrongly)
    with pytest.raises(AssertionError, match="engine and oracle differ after event") as told:
        assert_lockstep(recipe.build(), ALL["linus_pmd"], WIDE, every=500, recipe=recipe)
    message = str(told.value)
    at = re.search(r"linus_pmd on .*: engine and oracle differ after event (\d+), fork by task \d+", message)[
        1
    ]
    call = f"replay('linus_pmd', (8, 2), {recipe!r}, {at})"
    assert message.endswith(
        f'\nreplay: PYTHONPATH=tests .venv/bin/python -c "from lockstep import *; from traces import *; {call}"'
    )
    eval(call, {"replay": replay, "Recipe": Recipe})  # noqa: S307 - our own line
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "before: equal"
    assert lines[1].startswith(f"event {at}, fork by task")
    assert lines[2].startswith("after: counts are {")


def start_wrongly(trace, design, geometry, engine):
    """Return a machine, an engine for another design than was asked for."""
    return start(trace, ALL["phillips"] if engine == "fast" else design, geometry, engine)
