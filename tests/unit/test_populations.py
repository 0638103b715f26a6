"""Populations of listings: what they hold, what is reckoned of them, and how a wrong one is refused."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import RefusedError
from pipeline.sources.listing import PARENTS
from pipeline.sources.population_statistics import population_statistics, render
from pipeline.sources.populations import Population, load_population, populations
from pipeline.sources.shipped import SHIPPED, shipped_listing
from pipeline.sources.sizes import quantile, resident_figures

KNOWN = {name: load_population(file) for name, file in populations().items()}


@pytest.mark.parametrize("name", KNOWN)
def test_shipped_population__opens_with_its_question(name):
    """Each file begins with a question, is named as its population, and says what it stands for."""
    opening = populations()[name].read_text(encoding="utf-8").splitlines()[0]
    assert opening.startswith("# ")
    assert opening.endswith("?")
    assert KNOWN[name].name == name
    assert KNOWN[name].meaning
    assert KNOWN[name].trees


def test_all__holds_each_machine_once():
    """The population of all has every complete listing with parents, and no machine twice."""
    expected = {
        name
        for name, each in SHIPPED.items()
        if each.complete and not each.same_machine_as and shipped_listing(name).shape == PARENTS
    }
    assert set(KNOWN["all"].trees) == expected
    assert len(expected) == 39
    assert "phillips-2002" in expected


def test_kinds_and_eras__divide_all():
    """The populations by kind, and those by era, have every listing of all once."""
    eras = ["before-2005", "2005-to-2014", "since-2015"]
    kinds = [name for name in KNOWN if name not in (*eras, "all")]
    for names in (eras, kinds):
        assert sorted(tree for name in names for tree in KNOWN[name].trees) == sorted(KNOWN["all"].trees)


def test_statistics__of_two_listings_by_hand():
    """Quantiles between two listings in proportion; depth with each listing weighted alike, sizes of all processes.

    wsl-2021-bash: init, init, init, then bash and a pipe's shell, below it bash and ps: depths 0, 1, 2, 3, 3, 3, 4.
    docker-2020-bash-excerpt: containerd, its shim, bash, sleep: a chain of four, RSS 46176, 5252, 3452, 848 KiB.
    """
    two = Population(
        "two", "by hand", ("docker-2020-bash-excerpt", "wsl-2021-bash"), ("docker-2020-bash-excerpt",)
    )
    stats = population_statistics(two)
    assert (stats["listings"], stats["user_processes"], stats["years"]) == (2, 11, [2020, 2021])
    assert stats["per_listing"]["user_processes"] == {"p10": 4.3, "median": 5.5, "p90": 6.7, "max": 7}
    assert stats["per_listing"]["max_depth"] == {"p10": 3.1, "median": 3.5, "p90": 3.9, "max": 4}
    assert stats["per_listing"]["same_name_as_parent_share"]["max"] == round(2 / 6, 4)
    expected = [(1 / 4 + each / 7) / 2 for each in (1, 1, 1, 3)] + [1 / 7 / 2, 0, 0]
    assert stats["depth_shares"] == pytest.approx(expected, abs=1e-4)
    assert stats["resident_kib"]["processes"] == 4
    assert stats["resident_kib"]["median"] == round((5252 + 3452) / 2)
    assert stats["resident_kib"]["max"] == 46176
    assert stats["child_over_parent"] is None


def test_statistics__of_all_are_those_of_the_documents():
    """The figures that docs/populations.md compares: a corpus that changes has to change them."""
    stats = population_statistics(KNOWN["all"])
    assert (stats["listings"], stats["user_processes"]) == (39, 5097)
    medians = {key: each["median"] for key, each in stats["per_listing"].items()}
    assert medians == {
        "user_processes": 61, "max_depth": 5, "mean_depth": 2.1136, "children_of_root": 25,
        "largest_fan_out_below_root": 8, "leaf_share": 0.7679, "same_name_as_parent_share": 0.1667, "largest_family": 6,
    }  # fmt: skip
    assert stats["depth_shares"][1] == pytest.approx(0.46, abs=0.005)
    assert sum(stats["depth_shares"]) == pytest.approx(1, abs=1e-3)
    assert (stats["resident_kib"]["log10_mean"], stats["resident_kib"]["log10_sd"]) == (3.811, 0.819)


def test_intervals__hold_their_figure_and_never_change():
    """Each figure lies between its bounds, and a second reckoning draws the same samples."""
    one, two = (population_statistics(KNOWN["all"]) for _ in range(2))
    assert one == two
    for key, quantiles in one["per_listing"].items():
        for name, value in quantiles.items():
            low, high = one["intervals"][key][name]
            assert low <= value <= high, (key, name)


@pytest.mark.parametrize("name", KNOWN)
def test_render__fits_a_terminal(name):
    """Every population is told in lines that a wide terminal shows whole."""
    assert max(map(len, render(population_statistics(KNOWN[name])).splitlines())) <= 100


def test_quantile__is_that_of_numpy():
    """Between two numbers a quantile lies in proportion, as NumPy has it."""
    numbers = sorted([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    for share in (0, 0.1, 0.5, 0.9, 0.99, 1):
        assert quantile(numbers, share) == pytest.approx(np.quantile(numbers, share))
    assert resident_figures([None, 0]) is None


NO_TREE = "no listing that says who started whom is left"
NAMED = "name: a\nmeaning: b\n"
FAULTS = {
    "{}": ["name: missing", "meaning: missing", "select and listings; one of the two is needed"],
    "[1]": ["[1] is a list; a mapping is needed here"],
    NAMED + "select: {kinds: [laptp]}": [
        ":3:18: select.kinds[0]: unknown kind 'laptp'; did you mean 'laptop'?"
    ],
    NAMED + "select: {years: [2010]}": [
        ":3:10: select.years: [2010] is no range; two years are needed; write e.g."
    ],
    NAMED + "select: {years: [x, 2000]}": ["select.years[0]: 'x' is not a whole number"],
    NAMED + "select: {years: [1990, 1991]}": [NO_TREE],
    NAMED + "listings: [phillips]": [
        "listings[0]: unknown listing 'phillips'; did you mean 'phillips-2002'?"
    ],
    NAMED + "listings: [wsl-2021-bash, wsl-2021-bash]": ["the same value as listings[0]"],
    NAMED + "listings: [flat-2022-vps]": [NO_TREE],
    NAMED + "listings: []": ["the list is empty"],
    "name: 3\nmeaning: b\nselect: {}\nlistngs: 1": [
        "name: 3 is a number",
        "listngs: unknown key; did you mean 'listings'",
    ],
    "name: [": ["not YAML"],
}


@pytest.mark.parametrize(("text", "faults"), FAULTS.items())
def test_population__is_refused_with_all_its_faults(text, faults, tmp_path):
    """A wrong population says where, what was found, what is allowed and what to do; all at once."""
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError) as refused:
        load_population(file)
    for fault in faults:
        assert fault in str(refused.value)


def test_population__that_names_listings_takes_them_whole_or_not(tmp_path):
    """Named listings are taken though they are incomplete; those without a tree give sizes only."""
    file = tmp_path / "mine.yaml"
    names = "[plesk-2022-httpd-excerpt, flat-2022-vps]"
    file.write_text(f"name: mine\nmeaning: two\nlistings: {names}\n", encoding="utf-8")
    assert load_population(file) == Population(
        "mine", "two", ("plesk-2022-httpd-excerpt",), ("plesk-2022-httpd-excerpt", "flat-2022-vps")
    )
    with pytest.raises(RefusedError, match=r"nowhere.yaml: no such file or directory; name a population"):
        load_population(tmp_path / "nowhere.yaml")
