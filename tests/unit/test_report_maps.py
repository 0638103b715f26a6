"""Maps of two axes: what is drawn, that it is what the analysis finds, and why there may be none."""

from __future__ import annotations

import pytest
from report_datasets import make_dataset

from pipeline import analysis
from pipeline.report.maps import maps
from pipeline.report.page import read_digest
from pipeline.report.words import factor

TREES = [{"depth": 1, "fan_out": 2}, {"depth": 3, "fan_out": 2}]


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Return a small study that sweeps both pairs of axes."""
    sweep = {"anon_pages": [60, 2000], "exec_ratio": [0.0, 1.0], "tree": TREES, "library_sharing": [0.1, 0.9]}
    folder = tmp_path_factory.mktemp("maps")
    return read_digest(make_dataset(folder, workload={"tree": {"file_pages": 20}}, sweep=sweep), None)


def test_maps__are_those_of_size_and_exec_and_of_depth_and_libraries(digest):
    """Both wanted pairs have a map, with the median beside the worst of the best design first."""
    found = maps(digest)
    names = [each.figure.name for each in found]
    assert names[0] == "map-anon-pages-exec-ratio"
    assert all(name.startswith("map-tree-depth-library-sharing") for name in names[1:])
    assert len(names) > 1
    for each in found:
        assert len(each.figure.panels) % 2 == 0


def test_maps__hold_what_the_analysis_finds(digest):
    """Fields, table and numbers are the ratios of the crossover, the worst beside the median."""
    drawn = maps(digest)[0]
    found = analysis.crossover(digest.df, digest.metric, "linux24", "anon_pages", "exec_ratio")
    assert drawn.figure.numbers["typical"].tolist() == found["ratio"].tolist()
    mine = found[(found["design"] == "linus_pmd") & (found["exec_ratio"] == 1)].set_index("anon_pages")
    told = [f"{factor(mine.loc[size, 'ratio'])} / {factor(mine.loc[size, 'high'])}" for size in (60, 2000)]
    assert ["`linus_pmd`", "1", *told] in drawn.ratios.rows
    for size in (60, 2000):
        assert f">{factor(mine.loc[size, 'ratio'])}<" in str(drawn.figure.panels[0])


def test_maps__draw_the_line_where_a_design_changes_sides(digest):
    """A design that loses with small processes and wins with large ones has the line, and a row for each crossing."""
    drawn = maps(digest)[0]
    turned = analysis.crossings(
        analysis.crossover(digest.df, digest.metric, "linux24", "anon_pages", "exec_ratio")
    )
    assert "phillips" in set(turned["design"])
    titles = [str(panel).partition("</title>")[0].rpartition(">")[2] for panel in drawn.figure.panels]
    [place] = [number for number, title in enumerate(titles) if title.startswith("phillips: median")]
    contour = [panel.count("stroke-width: 1.6") for panel in map(str, drawn.figure.panels)]
    assert contour[place] == 1
    shown = {row[0].strip("`") for row in drawn.crossings.rows}
    assert len(drawn.crossings.rows) == turned["design"].isin(shown).sum()


def test_maps__fall_back_on_two_numbers_or_say_why_there_are_none(tmp_path):
    """Any two swept numbers make a map; one makes none, and the page says what it would take."""
    sweep = {"file_tables": [1, 2], "parent_writes": [1, 14]}
    other = read_digest(make_dataset(tmp_path / "two", sweep=sweep), None)
    assert [each.figure.name for each in maps(other)] == ["map-file-tables-parent-writes"]
    one = read_digest(make_dataset(tmp_path / "one", sweep={"exec_ratio": [0.0, 1.0]}), None)
    [none] = maps(one)
    assert none.ratios is None
    assert "the study sweeps exec ratio" in none.figure.reading
    alone = read_digest(make_dataset(tmp_path / "alone", designs=["linux24", "vfork"], sweep=sweep), None)
    [none] = maps(alone)
    assert "no sharing design is compared" in none.figure.reading
