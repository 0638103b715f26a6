"""Surfaces whose highest value is known: 1, at a place that a seed draws. A search and a random one on each of them.

``python tests/search_surfaces.py [SEEDS]`` prints the table of docs/search.md.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from pipeline.sampling import Scale
from pipeline.search.optimise import FULL_BUDGET, Ledger, climb

REACHED = 0.8  # of the highest value

FRACTION = Scale()
PAGES = Scale((), 1, 100_000, whole=True, log=True)
CHILDREN = Scale((), 1, 40, whole=True)
WORDS = Scale(("sh", "bash", "git", "make", "cc1", "ld"))
FIRST = Scale(("child", "parent"))


def hill(values, at):
    """Return the height of one smooth hill."""
    return 1 / (1 + sum(((value - middle) / 0.45) ** 2 for value, middle in zip(values, at, strict=True)))


def ridge(values, at):
    """Return the height of a narrow ridge along a curve, which rises to its end."""
    x, y, z, w = values
    on = np.exp(-(((y - 0.2 - 0.6 * x * x) / 0.05) ** 2) - ((z - at[2]) / 0.25) ** 2)
    return on * (0.2 + 0.8 * x) * (0.6 + 0.4 * w)


def many_hills(values, at):
    """Return the height of hills, five along each axis, one of all the highest."""
    off = np.subtract(values, at)
    return np.exp(-np.sum((off / 0.35) ** 2)) * np.prod(0.55 + 0.45 * np.cos(10 * np.pi * off))


def step(values, at):
    """Return the same everywhere but in a box, 2.7 % of the space, in which it steps up and rises."""
    off = np.abs(np.subtract(values, 0.2 + 0.6 * np.array(at)))[:3]
    return 0.5 + 0.5 * max(0.0, 1 - off.sum() / 0.25) if off.max() < 0.15 else 0.2


def words(values, at):
    """Return the height of a hill for each word, one the highest; pages are logarithmic, children whole."""
    word, pages, children, ratio, first = values
    best = int(at[0] * len(WORDS.choices))
    rank = (WORDS.choices.index(word) - best) % len(WORDS.choices)
    height = (1, 0.5, 0.65, 0.55, 0.4, 0.6)[rank]
    tall = PAGES.value((at[1] + 0.17 * rank) % 1)
    off = np.log(pages / tall) / np.log(100_000), (children - CHILDREN.value(at[2])) / 40, ratio - at[3]
    peak = 1 / (1 + sum((each / 0.2) ** 2 for each in off))
    return height * (0.3 + 0.7 * peak) * (1 if first == "parent" else 0.85)


SURFACES = {
    "hill": ([FRACTION] * 8, hill),
    "ridge": ([FRACTION] * 4, ridge),
    "many hills": ([FRACTION] * 3, many_hills),
    "step": ([FRACTION] * 4, step),
    "words": ([WORDS, PAGES, CHILDREN, FRACTION, FIRST], words),
}


class Outcome(NamedTuple):
    """What one search came to, and a random one of as many points on the same surface."""

    found: float
    random: float


def outcome(name, seed, budget=FULL_BUDGET):
    """Return what a search of a surface comes to."""
    scales, surface = SURFACES[name]
    rng = np.random.default_rng([seed, 1])
    at = 0.1 + 0.8 * rng.random(len(scales))

    def key(row):
        return tuple(scale.code(min(u, 1 - 1e-12)) for scale, u in zip(scales, row, strict=True))

    def height(codes):
        return float(surface([scale.meant(code) for scale, code in zip(scales, codes, strict=True)], at))

    ledger = Ledger(key, lambda keys: [height(each) for each in keys], budget)
    climb(ledger, len(scales), seed)
    by_chance = max(height(key(row)) for row in rng.random((budget, len(scales))))
    return Outcome(max(ledger.values.values()), by_chance)


class Score(NamedTuple):
    """Of searches of one surface, with a seed each: their highest values, and the median of as many random ones."""

    found: np.ndarray
    random: float

    @property
    def reached(self):
        """The share that reach 80 % of the maximum."""
        return float(np.mean(self.found >= REACHED))

    @property
    def beat(self):
        """The share that beat the median of random ones."""
        return float(np.mean(self.found > self.random))


def score(name, seeds):
    """Return what searches with some seeds come to."""
    runs = [outcome(name, seed) for seed in seeds]
    return Score(np.array([run.found for run in runs]), float(np.median([run.random for run in runs])))


def main(seeds):
    """Print how often searches reach 0.8 of the maximum, and how often they beat the median of random ones."""
    print(
        f"{'surface':<12}{'reach 80 %':>12}{'beat random':>13}{'median':>9}{'lowest':>9}{'random, median':>16}"
    )
    for name in SURFACES:
        told = score(name, range(seeds))
        print(
            f"{name:<12}{told.reached:>11.1%} {told.beat:>12.1%}{np.median(told.found):>9.3f}{told.found.min():>9.3f}"
            f"{told.random:>16.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
