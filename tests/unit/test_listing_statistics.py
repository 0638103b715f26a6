"""Statistics of listings, against sums done by hand."""

from __future__ import annotations

import json

from pipeline.sources.listing import read_listing
from pipeline.sources.shipped import shipped_listing
from pipeline.sources.statistics import render, statistics


def test_statistics__of_the_mails_tree():
    """Counted by hand in the drawing.

    Depth 1: init's 25 children less keventd and kapm-idled. Depth 2: 8 apache, bash, http, kdeinit, mozilla-bin.
    Depth 3: xinit, 3 mozilla-bin. Then XFree86 and xfwm; xfce and xfgnome; gnome-terminal; bash and
    gnome-pty-helpe; pstree. Named like their parent: 8 apache, bash, kdeinit, 1 + 3 mozilla-bin;
    the last four are perhaps threads of one.
    """
    stats = statistics(shipped_listing("phillips-2002"))
    assert stats == {
        "format": "pstree",
        "shape": "parents",
        "processes": 48,
        "max_depth": 8,
        "kernel_threads": 2,
        "threads": 0,
        "perhaps_threads": 4,
        "mean_depth": 2.1875,
        "depth_histogram": [1, 23, 12, 4, 2, 2, 1, 2, 1],
        "fan_out_histogram": {"0": 35, "1": 7, "2": 3, "3": 1, "8": 1, "23": 1},
        "largest_fan_out": 23,
        "largest_fan_out_below_root": 8,
        "children_of_root": 23,
        "leaves": 35,
        "leaf_share": 0.7292,
        "same_name_as_parent": 14,
        "same_name_as_parent_share": 0.2979,
        "same_name_families": [
            {"name": "apache", "parent": "apache", "size": 8},
            {"name": "kdeinit", "parent": "init", "size": 6},
            {"name": "getty", "parent": "init", "size": 5},
            {"name": "mozilla-bin", "parent": "mozilla-bin", "size": 3},
        ],
        "resident_kib": None,
        "warnings": [],
    }


def test_statistics__counts_threads_and_carries_warnings_into_json():
    """Threads are a figure of their own; warnings keep their line; json takes it all and gives it back."""
    stats = statistics(read_listing("init-+-db---{db}\n...\n`-cron"))
    assert stats["threads"] == 1
    assert stats["processes"] == 3
    assert stats["warnings"] == [{"line": 2, "text": "no branch leads to this line; left out"}]
    assert json.loads(json.dumps(stats)) == stats


def test_statistics__of_a_single_process():
    """A listing of one process and its threads has no shares to divide by nothing."""
    stats = statistics(read_listing("java---30*[{java}]"))
    assert (stats["processes"], stats["threads"], stats["max_depth"]) == (1, 30, 0)
    assert stats["same_name_as_parent_share"] == 0.0
    assert stats["largest_fan_out_below_root"] == 0


def test_families__are_siblings_not_just_namesakes():
    """Equal names under different parents are different families; the larger comes first, then by name."""
    stats = statistics(read_listing("init-+-2*[b]\n|-2*[a]\n|-sh-+-a\n| `-2*[b]\n`-3*[z]"))
    assert [(each["name"], each["parent"], each["size"]) for each in stats["same_name_families"]] == [
        ("z", "init", 3),
        ("a", "init", 2),
        ("b", "init", 2),
        ("b", "sh", 2),
    ]


def test_render__shows_every_figure_and_fits_a_terminal():
    """The text holds the figures with a word on each, a bar per depth, and no line above 80 columns."""
    text = render(statistics(shipped_listing("phillips-2002")), "phillips-2002")
    lines = text.splitlines()
    assert lines[:2] == ["phillips-2002", "============="]
    assert max(map(len, lines)) <= 80
    for what, figure in (
        ("user processes", "48"),
        ("kernel threads", "2"),
        ("deepest process", "8"),
        ("mean depth", "2.19"),
        ("children of root", "23"),
        ("largest fan-out", "8"),
        ("leaves", "35"),
        ("named like parent", "14"),
    ):
        row = next(line for line in lines if line.startswith(what))
        assert row[len(what) :].split()[0] == figure
        assert len(row.split("  ")[-1]) > 10
    assert f"     1      23 {'#' * 40}" in lines
    assert "     8       1 ##" in lines
    assert "     8 apache below apache" in lines


def test_render__cuts_long_lists_and_counts_the_rest():
    """Of many families and warnings the first ten are shown, the others counted."""
    names = [f"{chr(ord('a') + number)}{chr(ord('a') + number)}" for number in range(12)]
    text = "init-+-top\n" + "".join(f"|-2*[{name}]\nstray\n" for name in names) + "`-end"
    rendered = render(statistics(read_listing(text)), "t")
    assert "and 2 smaller families" in rendered
    assert rendered.count("below init") == 10
    assert rendered.endswith("and 2 more (--json lists all)")
