"""The trees that a study names: listings of every format, populations, sizes; a plan holds them whole."""

from __future__ import annotations

import json

import pytest
import yaml

from pipeline import analysis
from pipeline.errors import StudyError
from pipeline.plan import make_plan, plan_document, plan_from
from pipeline.report.page import write_report
from pipeline.sources.populations import load_population, populations
from pipeline.sources.shipped import SHIPPED, shipped_listing
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.work import run_batch

HEAD = {
    "name": "trees",
    "question": "Which tree?",
    "designs": ["linux24", "linus_pmd"],
    "baseline": "linux24",
}
DATABASES = load_population(populations()["databases"]).trees


@pytest.fixture
def study_of(tmp_path):
    """Return a function that writes a study and reads it."""

    def read(**parts):
        path = tmp_path / "trees.yaml"
        path.write_text(
            yaml.safe_dump(HEAD | {"workload": "tree"} | parts, sort_keys=False), encoding="utf-8"
        )
        return load_study(path)

    return read


def labels(study):
    """Return the labels of the trees of each trace."""
    return [
        cell.trace.params["tree"].get("label") for cell in make_plan(study, "m").cells[:: len(study.designs)]
    ]


@pytest.mark.parametrize(
    "workload",
    [
        {"tree": {"population": "databases"}},
        {"tree": {"tree": {"population": "databases"}}},
    ],
)
def test_population__is_swept_over_its_trees(study_of, workload):
    """A fixed population is an axis of trees, in short and in full; every tree has its listing's label."""
    study = study_of(workload=workload)
    assert labels(study) == list(DATABASES)
    assert study.cells == 2 * len(DATABASES)
    assert "tree" not in study.grids[0].params


def test_population__stands_among_other_trees(study_of):
    """In a sweep a population's trees stand where it stands, and are multiplied by the other axes."""
    study = study_of(
        sweep={
            "tree": ["phillips-2002", {"population": "databases"}, {"depth": 1, "fan_out": 2}],
            "exec_ratio": [0, 1],
        }
    )
    assert labels(study)[::2] == ["phillips-2002", *DATABASES, None]


def test_ids__of_shipped_trees_do_not_depend_on_how_they_are_named(study_of):
    """A listing has the same cells by its name, by a population, and by either with fixed sizes written out."""
    name = "notifyme-2012-postgres-vm"
    ids = {
        frozenset(
            cell.cell_id for cell in make_plan(study, "m").cells if cell.trace.params["tree"]["label"] == name
        )
        for study in (
            study_of(workload={"tree": {"tree": name}}),
            study_of(workload={"tree": {"shipped": name}}),
            study_of(workload={"tree": {"shipped": name, "sizes": "fixed"}}),
            study_of(workload={"tree": {"population": "databases"}}),
        )
    }
    assert len(ids) == 1


def test_plan__needs_no_listing_any_more(study_of, monkeypatch):
    """A plan that was written and read back runs though no listing can be read."""
    study = study_of(workload={"tree": {"population": "databases", "sizes": "measured"}})
    written = "".join(plan_document(make_plan(study, "m"), {}))
    monkeypatch.setattr("pipeline.sources.listing.read_listing", None)
    monkeypatch.setattr("pipeline.sources.shipped.SHIPPED", {})
    plan = plan_from(json.loads(written))
    smallest = min(plan.cells, key=lambda cell: len(cell.trace.params["tree"]["parents"]))
    reply = run_batch(jobs_of(plan, {smallest.cell_id}))
    assert len(reply.rows) + len(reply.failures) > 0
    assert reply.failures == []


@pytest.mark.parametrize("name", ["ps -ef", "ps auxf", "pstree", "cgls", "ps -eLo"])
def test_listing__of_every_format_is_a_tree(study_of, tmp_path, name):
    """A file of each format that shows a tree gives the user processes of its machine."""
    shipped = {
        "ps -ef": "jc-2019-centos77", "ps auxf": "travis-2014-ci-openvz", "pstree": "rpi-2020-pihole",
        "cgls": "rhel8-2022-cgls", "ps -eLo": "laptop-2018-threads-lwp",
    }[name]  # fmt: skip
    (tmp_path / "listing.txt").write_text(SHIPPED[shipped].text, encoding="utf-8")
    study = study_of(workload={"tree": {"listing": "listing.txt"}})
    tree = study.grids[0].params["tree"]
    assert (tree["parents"], tree["names"]) == shipped_listing(shipped).user_processes()
    assert tree["label"] == ("listing.txt (control groups, not parents)" if name == "cgls" else "listing.txt")
    assert "resident_kib" not in tree


def test_rows__name_their_listing_and_where_its_sizes_come_from(study_of, tmp_path):
    """tree is the listing's name; tree_sizes says fixed, measured, drawn, or how many are which."""
    study = study_of(
        sweep={
            "tree": [
                "wsl-2021-bash",
                {"shipped": "wsl-2021-bash", "sizes": "measured"},
                {"shipped": "docker-2020-bash-excerpt", "sizes": "measured"},
                {"shipped": "tldp-2002-named-postfix-excerpt", "sizes": "measured"},
                {"depth": 1, "fan_out": 1},
            ]
        }
    )
    run_study(study, tmp_path / "data", 0, quiet=True)
    df = analysis.load(tmp_path / "data")
    told = {(row.tree, row.tree_sizes) for row in df.itertuples()}
    assert told == {
        ("wsl-2021-bash", "fixed"),
        ("wsl-2021-bash", "drawn"),
        ("docker-2020-bash-excerpt", "measured"),
        ("tldp-2002-named-postfix-excerpt", "drawn"),
        ("depth 1, fan-out 1", "fixed"),
    }


def test_report__says_where_sizes_come_from(study_of, tmp_path):
    """The page tells that sizes were drawn, and not the anonymous pages that were of no account."""
    run_study(
        study_of(workload={"tree": {"shipped": "wsl-2021-bash", "sizes": "measured"}}),
        tmp_path / "d",
        0,
        quiet=True,
    )
    write_report(tmp_path / "d", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "processes of trees have sizes: drawn" in page
    assert "file pages 160" in page
    assert "anon pages 60" not in page


FAULTS = {
    "workload: {tree: {population: laptop}}": "workload.tree.population: unknown population 'laptop'; did you mean",
    "workload: {tree: {population: nowhere.yaml}}": "nowhere.yaml: no such file or directory; name a population",
    "workload: {tree: {population: 3}}": "workload.tree.population: 3 is a number; write the name of a population",
    "workload: {tree: {shipped: flat-2022-vps}}": "'flat-2022-vps' gives no process tree: ps, flat",
    "workload: {tree: {listing: a, population: all}}": "workload.tree.listing: a second tree; a workload has one",
    "workload: {tree: {population: all, tree: phillips-2002}}": "workload.tree.population: a second tree; a workload",
    "{workload: {tree: {population: all}}, sweep: {tree: [phillips-2002]}}": "also swept in sweep.tree; a value is",
    "sweep: {tree: [phillips-2002, {population: laptops}]}": "the listing 'phillips-2002' is in sweep.tree[0] too; its",
    "sweep: {tree: [{population: all, sizes: big}]}": "sweep.tree[0].sizes: unknown value of sizes 'big'; known are",
    "sweep: {tree: [{population: all, depth: 1}]}": "sweep.tree[0].depth: unknown key",
    "sweep: {tree: [{depth: 1, fan_out: 1, sizes: measured}]}": "sweep.tree[0].sizes: unknown key",
    "workload: {shell: {population: all}}": "workload.shell.population: unknown key",
}


@pytest.mark.parametrize("parts", FAULTS)
def test_fault__says_where_and_what_to_do(study_of, parts):
    """Each fault of a tree is told at its place, and alone."""
    with pytest.raises(StudyError) as refused:
        study_of(**yaml.safe_load(parts))
    assert FAULTS[parts] in str(refused.value)
    assert len(refused.value.faults) == 1, str(refused.value)


def test_population_of_ones_own__counts_from_the_studys_folder(study_of, tmp_path):
    """A population's file is found beside the study; its faults come with the study's, in one line."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nmeaning: two\nlistings: [wsl-2021-bash, rpi-2020-pihole]\n", encoding="utf-8"
    )
    assert labels(study_of(workload={"tree": {"population": "mine.yaml"}})) == [
        "wsl-2021-bash",
        "rpi-2020-pihole",
    ]
    file.write_text("name: mine\nlistings: [wsl]\n", encoding="utf-8")
    with pytest.raises(
        StudyError, match=r"'mine.yaml' is no population: line 1, meaning: missing; .*; line 2, listings"
    ):
        study_of(workload={"tree": {"population": "mine.yaml"}})
