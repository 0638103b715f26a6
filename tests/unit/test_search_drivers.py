"""Which axes drive a value, on functions of which that is known."""

import numpy as np
import pytest

from pipeline.search.drivers import drivers

RNG = np.random.default_rng(8)
COUNT = 128
X, NOISE = RNG.permutation(COUNT) / COUNT, RNG.random(COUNT)
WORD = RNG.integers(0, 3, COUNT)


def found(heights, **axes):
    """Return label -> driver; those called ``word`` hold words."""
    points = [
        ({label: codes[at].item() for label, codes in axes.items()}, float(heights[at]))
        for at in range(COUNT)
    ]
    return {each.label: each for each in drivers(points, {label: label != "word" for label in axes})}


def test_drivers__give_all_variance_to_the_axis_that_makes_it():
    """A value that is one axis is explained by it, but for what lies within an eighth of it: 1/64."""
    told = found(X, x=X, noise=NOISE)
    assert [*told] == ["x", "noise"]
    assert told["x"].share == pytest.approx(1 - 1 / 64, abs=0.005)
    assert told["x"].rank == pytest.approx(1)
    assert told["noise"].share < told["noise"].chance < 0.15


def test_drivers__share_variance_as_it_is():
    """Of 3 x + y on a grid nine tenths of the variance are x's; where a value falls the rank correlation is negative."""
    x, y = np.repeat(np.arange(16), 8) / 16, np.tile(np.arange(8), 16) / 8
    told = found(3 * x + y, x=x, y=y)
    assert told["x"].share == pytest.approx(0.9, abs=0.02)
    assert told["y"].share == pytest.approx(0.1, abs=0.06)
    assert found(-(X**3), x=X)["x"].rank == pytest.approx(-1)


def test_drivers__see_a_hump_that_ranks_do_not():
    """A hump in the middle of an axis is variance that it explains, with no rank correlation."""
    told = found(-((X - 0.5) ** 2), x=X)["x"]
    assert told.share > 0.9
    assert abs(told.rank) < 0.05


def test_drivers__words_have_a_share_and_no_rank():
    """A word's classes are its words, in whatever order."""
    told = found(np.array([5.0, 1.0, 5.0])[WORD] + 0.1 * NOISE, word=WORD)["word"]
    assert told.share > 0.99
    assert told.rank is None


def test_drivers__say_nothing_where_there_is_nothing_to_say():
    """A value that is always the same, an axis that is, and words that are nearly as many as points have no share."""
    assert found(X * 0, x=X)["x"].share is None
    assert found(X, x=X * 0)["x"].share is None
    assert found(X, word=np.arange(COUNT))["word"].share is None


def test_drivers__count_the_points_that_have_the_axis():
    """Where workloads differ in their axes each axis is judged by the points that have it."""
    points = [
        ({"x": float(X[at])} | ({"y": 1.0 * at} if at % 2 else {}), float(X[at])) for at in range(COUNT)
    ]
    told = {each.label: each.points for each in drivers(points, {"x": True, "y": True})}
    assert told == {"x": COUNT, "y": COUNT // 2}


def test_chance__is_what_shuffled_values_come_to():
    """Of axes that do nothing one in twenty is above what chance explains."""
    heights = RNG.random((60, COUNT))
    above = [found(each, x=X)["x"] for each in heights]
    assert 0 < np.mean([each.share > each.chance for each in above]) < 0.15
