"""The listings that ship: all are read, alike however their blanks were treated, and machines listed twice agree."""

from __future__ import annotations

import re

import pytest

from pipeline.sources.draft import CGROUPS, FLAT, PARENTS
from pipeline.sources.listing import read_listing
from pipeline.sources.shipped import SHIPPED, shipped_listing

DRAWN = [name for name in SHIPPED if shipped_listing(name).format.startswith("pstree")]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_listing__is_read(name):
    """Each listing gives processes; what was repaired names its lines; the text holds each process's name."""
    listing = shipped_listing(name)
    text = SHIPPED[name].text
    assert len(listing.user_processes()[0]) >= 4
    assert all(1 <= warned.line <= len(text.splitlines()) for warned in listing.warnings)
    assert all(node.name in text for node in listing.nodes[1:])
    assert len(listing.warnings) <= 0.2 * len(text.splitlines())


def test_shipped_listings__are_of_every_shape():
    """Thirty-odd drawings, tables with parents, one tree of control groups, tables without a tree."""
    shapes = [shipped_listing(name).shape for name in SHIPPED]
    assert {shape: shapes.count(shape) for shape in set(shapes)} == {PARENTS: 50, CGROUPS: 1, FLAT: 9}
    assert len(DRAWN) == 30


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(
    "treated",
    [
        str.strip,
        lambda line: re.sub(" +", " ", line).strip(),
        lambda line: f"> {line}",
        lambda line: f"&gt; {line}",
    ],
    ids=["stripped", "collapsed", "quoted", "quoted in HTML"],
)
def test_drawing__is_the_same_whatever_became_of_its_blanks(name, treated):
    """Every shipped drawing gives identical nodes and warnings without its indentation, with blanks collapsed, quoted."""
    text = "\n".join(treated(line) for line in SHIPPED[name].text.splitlines())
    listing = read_listing(text)
    assert listing.nodes == shipped_listing(name).nodes
    assert listing.warnings == shipped_listing(name).warnings


def test_machine_listed_twice__has_the_same_processes():
    """Two listings of a machine agree: ps and pstree of one, ps -ef and ps aux of two others."""

    def names(listing):
        return sorted(shipped_listing(listing).user_processes()[1])

    drawn = [name.replace("unattended-upgr", "unattended-upgr") for name in names("vm-2020-ubuntu-pstree")]
    listed = [name[:15] for name in names("vm-2020-ubuntu-ael")]
    assert len(drawn) == len(listed) == 24
    assert len(set(drawn) ^ set(listed)) <= 2  # ps and pstree themselves
    for with_parents, flat in (
        ("laptop-2026-ubuntu-gnome", "laptop-2026-ubuntu-gnome-aux"),
        ("jc-2019-centos77", "flat-2019-jc-centos77"),
    ):
        assert names(with_parents) == names(flat)


@pytest.mark.parametrize(
    ("name", "processes", "kernel_threads", "threads"),
    [
        ("phillips-2002", 48, 2, 0),  # as counted in tests/unit/test_listing.py
        ("lkml-2000-oracle-1803", 1824, 4, 0),  # 1,803 oracle, 6 mingetty, 4 of sshd's chain, 10 others, init
        ("laptop-2018-threads-lwp", 136, 133, 452),  # 721 rows
        ("jc-2019-centos77", 33, 76, 0),  # 109 rows
        ("wsl-2021-bash", 7, 0, 0),  # 7 rows
        ("plesk-2022-httpd-excerpt", 7, 0, 0),  # 7 rows
        ("notifyme-2012-postgres-vm", 32, 0, 36),  # 3 of rsyslogd and 33 of java are threads
    ],
)
def test_counts__are_those_of_the_text(name, processes, kernel_threads, threads):
    """Processes, kernel threads and threads add up to the rows or names that one counts by eye."""
    listing = shipped_listing(name)
    assert len(listing.user_processes()[0]) == processes
    assert len(listing.nodes) - processes == kernel_threads
    assert listing.threads == threads
