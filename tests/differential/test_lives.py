"""Does it matter that the engine counts what processes do again and again? See simcore.engine.lives."""

import pytest
from habits import Habits
from hybrids import ALL
from lockstep import Pair, assert_lockstep
from traces import DEEP

from simcore import Mapping, TraceBuilder, VmaKind, tiny_geometry
from simcore.heap import LIVES, MM_BUILT, MM_STEP, TASK_MM, TASK_WORDS, TASKS, TASKS_AT
from simcore.simulate import start

WIDE = tiny_geometry(8, 2)
SMALL = tiny_geometry(4, 3)


def unbuilt(engine):
    """Return how many mms are unbuilt."""
    h = engine._h
    mms = h[h[TASKS_AT] : h[TASKS_AT] + h[TASKS] * TASK_WORDS].reshape(-1, TASK_WORDS)[:, TASK_MM]
    return sum(bool(h[mm + MM_STEP] != h[mm + MM_BUILT]) for mm in mms.tolist() if mm)


@pytest.mark.parametrize("design", ALL)
def test_habits__are_counted_as_they_are_done(design):
    """Refusals, counts and act vectors after every event, states now and then: to look at a state builds all there is."""
    met = 0
    for seed in range(10 if DEEP else 1):
        recipe = Habits(1_000 * seed + list(ALL).index(design), 400, deviations=(3, 12)[seed % 2])
        pair = Pair.start(recipe.build(), ALL[design], (WIDE, SMALL)[seed % 2])
        for stop in range(1, 401):
            what = pair.step_to(stop, state=stop % 97 == 0 or stop == 400)
            assert what == "", f"{design}, {recipe!r}, event {stop - 1}: {what}"
            met += unbuilt(pair.fast)
    assert not pair.fast._h[LIVES] or met > 40


@pytest.mark.parametrize(
    ("design", "kind", "reclaims", "counts"),
    [
        ("linux24", VmaKind.ANON, False, True),
        ("linux24", VmaKind.ANON, True, False),
        ("linux24", VmaKind.SHM, False, False),
        ("rmap25", VmaKind.ANON, False, False),
        ("shared_mmap", VmaKind.ANON, False, False),
    ],
)
def test_what_others_may_change__is_never_counted(design, kind, reclaims, counts):
    """Reclaim, shm objects, counted ptes of file pages and tables shared through files: all is done."""
    builder = TraceBuilder()
    builder.mmap(0, Mapping(0, 4, kind, file=0 if kind == VmaKind.SHM else -1))
    for _ in range(8):
        builder.fork(0, 1)
        builder.exit(1)
    builder.fork(0, 1)
    if reclaims:
        builder.reclaim(1)
    engine = start(builder.build(), ALL[design], WIDE)
    engine.run()
    assert (unbuilt(engine) == 1) is counts
    engine.settle()
    assert unbuilt(engine) == 0


@pytest.mark.parametrize("design", ALL)
def test_long_habits__are_counted_as_they_are_done(design):
    """Few deviations, few looks: mms stay unbuilt for long."""
    recipe = Habits(list(ALL).index(design), 15_000 if DEEP else 1_200, deviations=1)
    assert_lockstep(recipe.build(), ALL[design], WIDE, every=1_000, recipe=recipe)
