"""Does the search find what there is, through the pipeline, however it is run, stopped and run again?"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline import analysis, fanout, store, work
from pipeline.cli import main
from pipeline.errors import InterruptedRunError, RefusedError
from pipeline.fleet import Fleet
from pipeline.replay import find_cell, replay_lines
from pipeline.report.page import write_report
from pipeline.report.searched import read_findings
from pipeline.search.evaluate import Means
from pipeline.search.objective import metrics, objective_of
from pipeline.search.search import Wish, search
from pipeline.search.space import Space
from pipeline.study import load_study
from simcore.errors import SimcoreError

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
PLAIN = {
    "name": "small",
    "question": "Where is it worst?",
    "seed": 7,
    "replicates": 1,
    "designs": ["linux24", "phillips", "linus_pmd"],
    "workload": {"snapshot": {"child_writes": 3, "children": 2}},
}
SNAPSHOT = PLAIN | {
    "sweep": {"first": ["child", "parent"]},
    "sample": {
        "points": 4,
        "of": {"anon_pages": {"from": 4, "to": 3000, "scale": "log"}, "exec_ratio": {"from": 0, "to": 1}},
    },
}
TREE = {"sweep": {"exec_ratio": [0.0, 0.5, 1.0], "geometry": ["i386", "i386-pae"]}}


def find_in(path, study, **asked):
    """Return what a search of a study finds, its rows in a folder."""
    objective = objective_of(
        study,
        asked.pop("metric", "total_ns"),
        asked.pop("designs", ()),
        None,
        absolute=asked.pop("absolute", False),
    )
    where = Means(path, Fleet(asked.pop("workers", 0)), asked.pop("retry_failed", False))
    wish = Wish(objective, asked.pop("budget", 16), asked.pop("seed", 3))
    return search(study, wish, where, asked.pop("tell", lambda _: None))


def study_of(folder, keys):
    """Return the study that some keys make."""
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(keys, sort_keys=False), encoding="utf-8")
    return load_study(file)


@pytest.fixture
def find(tmp_path):
    """Return a function that searches a study, given by its keys, and returns what it found."""

    def run(keys, folder="found", **asked):
        return find_in(tmp_path / folder, study_of(tmp_path, keys), **asked)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what a search that nobody stopped finds, and its dataset."""
    folder = tmp_path_factory.mktemp("whole")
    return find_in(folder / "found", study_of(folder, SNAPSHOT)), folder / "found"


def told(found):
    """Return findings without what differs between a first search and one that went on, or lies elsewhere."""
    designs = [{key: value for key, value in each.items() if key != "replay"} for each in found.designs]
    return found._replace(simulated=0, designs=designs)


def test_search__finds_the_worst_row_of_its_dataset(whole):
    """Every evaluation is a row; the worst is the highest of all rows; it replays to the stored row."""
    found, path = whole
    df = analysis.load(path)
    assert df.attrs["complete"]
    assert len(df) == found.cells == found.simulated == 3 * found.points
    assert found.points >= 16
    ratio = analysis.paired(df, "total_ns", "linux24")[df["design"] != "linux24"]
    worst = found.designs[0]
    assert worst["height"] == ratio.max()
    row = df[df["cell_id"] == worst["cell_id"]].iloc[0]
    assert (row["total_ns"], row["design"]) == (worst["metric"], worst["design"])
    assert worst["metric"] / worst["baseline"] == worst["height"]
    assert replay_lines(find_cell(worst["cell_id"], path)).endswith("equal to the stored row")
    assert f"{row['anon_pages']:,}" == found.at["anon_pages"]
    assert [each["design"] for each in found.designs] == sorted(
        ["phillips", "linus_pmd"], key=lambda name: -ratio[df["design"] == name].max()
    )


def test_search__never_says_just_worst(whole):
    """The words say of how many points, and how they were found."""
    found, _ = whole
    how = "Sobol points and differential evolution, then steps around its peak"
    assert found.said == f"worst of {found.points} points found by {how}"


def test_search__tells_the_neighbourhood_of_a_peak(whole):
    """Neighbours differ from the worst on one axis, none is higher, and each is a row too."""
    found, path = whole
    assert found.peaked
    assert {each.axis for each in found.neighbours} == {"first", "anon_pages", "exec_ratio"}
    assert max(each.height for each in found.neighbours) <= found.designs[0]["height"]
    df = analysis.load(path)
    ratio = analysis.paired(df, "total_ns", "linux24")
    for each in found.neighbours:
        if each.axis == "anon_pages":
            here = df[df["anon_pages"] == int(each.value.replace(",", ""))]
            assert ratio[here.index].isin([each.height]).any()
    assert [each.value for each in found.neighbours if each.axis == "first"] == [
        "parent" if found.at["first"] == "child" else "child"
    ]


def test_search__run_again_simulates_nothing(whole):
    """A second search finds the same, from the rows there are."""
    first, path = whole
    again = find_in(path, load_study(path.parent / "study.yaml"))
    assert again.simulated == 0
    assert told(again) == told(first)


@pytest.mark.parametrize("stopped", range(3))
def test_search__stopped_after_any_generation_ends_the_same(find, whole, stopped):
    """Whoever stops it between two generations and goes on finds what an unstopped search does."""
    generations = iter(range(stopped + 1))

    def stop(_):
        if next(generations) == stopped:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(SNAPSHOT, tell=stop)
    found = find(SNAPSHOT)
    assert told(found) == told(whole[0])
    assert 0 <= found.simulated < whole[0].simulated


def test_search__stops_when_it_is_asked_to(find, whole, monkeypatch):
    """Ctrl-C in a generation ends the search with it, though all of it was done by then; the next search goes on."""
    run_jobs = fanout.run_jobs

    def interrupted(*arguments):
        run_jobs(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fanout, "run_jobs", interrupted)
    with pytest.raises(
        InterruptedRunError, match="stopped; what was stored is safe; run the same command again"
    ):
        find(SNAPSHOT)
    monkeypatch.setattr(fanout, "run_jobs", run_jobs)
    found = find(SNAPSHOT)
    assert told(found) == told(whole[0])
    assert found.simulated == whole[0].simulated - 3 * 8


def test_search__killed_at_any_step_ends_the_same(write_study, tmp_path):
    """A SIGKILL at a step on the disk costs at most the rows of the generation; what is found is the same."""
    study = write_study(**SNAPSHOT)
    script = Path(__file__).with_name("search_crashes.py")
    command = [sys.executable, script, study, tmp_path / "crashes", "1" if DEEP else "40"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3_000, check=False)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert len(outcome["ends"]) >= (60 if DEEP else 3)
    assert all(end["same"] for end in outcome["ends"])
    assert all(end["committed"] + end["simulated"] == outcome["cells"] for end in outcome["ends"])
    assert {0 < end["committed"] < outcome["cells"] for end in outcome["ends"]} >= {True}


def test_search__is_the_same_with_workers(find, whole):
    """Two worker processes make the same rows, and the same findings, as none."""
    two = find(SNAPSHOT, workers=2)
    assert told(two) == told(whole[0])
    assert two.simulated == whole[0].simulated


def test_search__is_the_same_in_any_order(find, whole, monkeypatch):
    """Workers that return their batches the other way round change nothing."""

    def back(jobs, fleet, deliver, stopped, watcher=None):
        del fleet, stopped, watcher
        for job in reversed(list(jobs)):
            deliver(work.run_batch([job]))

    monkeypatch.setattr(fanout, "run_jobs", back)
    assert told(find(SNAPSHOT)) == told(whole[0])


def test_search__with_another_seed_looks_elsewhere(find, tmp_path):
    """Another seed tries other points, and takes the place of the first search; its rows stay on the disk."""
    one = find(SNAPSHOT, budget=8)
    rows = store.committed(tmp_path / "found")
    other = find(SNAPSHOT, budget=8, seed=4)
    assert other.checksum != one.checksum
    assert rows < store.committed(tmp_path / "found")
    assert told(find(SNAPSHOT, budget=8)) == told(one)


def test_search__keeps_no_plans_of_its_generations(whole, find, tmp_path):
    """A plan that only grew loses nothing: none is set aside; one that has other cells is."""
    assert not [*whole[1].glob("plan-*.json")]
    find(PLAIN | TREE)
    assert not [*(tmp_path / "found").glob("plan-*.json")]
    find(PLAIN | {"sweep": {"exec_ratio": [0.0, 0.25]}})
    assert len([*(tmp_path / "found").glob("plan-*.json")]) == 1


def test_search__tries_every_point_of_a_small_space(find, tmp_path):
    """Where the space has no more points than the budget all are tried, and the words say so."""
    found = find(PLAIN | TREE)
    assert found.said == "worst of 6 points found by trying every point of the space"
    assert found.cells == 18
    assert found.peaked
    df = analysis.load(tmp_path / "found")
    assert sorted(set(zip(df["exec_ratio"], df["geometry"], strict=True))) == [
        (ratio, geometry) for ratio in (0.0, 0.5, 1.0) for geometry in ("i386", "i386-pae")
    ]


def test_search__takes_the_dearest_replicate(find, tmp_path):
    """A point is worth the dearest of its replicates."""
    found = find(PLAIN | TREE | {"replicates": 4})
    df = analysis.load(tmp_path / "found")
    ratio = analysis.paired(df, "total_ns", "linux24")[df["design"] != "linux24"]
    assert found.designs[0]["height"] == ratio.max()
    assert found.cells == 6 * 4 * 3


def test_search__goes_over_several_workloads(find, tmp_path):
    """Which workload runs is an axis; each has its own axes, or shares them."""
    both = {
        "workload": {"snapshot": {"children": 2}, "fork_exec": {"children": 2}},
        "sweep": {"snapshot": {"exec_ratio": [0.0, 1.0]}},
        "zip": {"anon_pages": [16, 300], "child_writes": [4, 100]},
    }
    space = Space(study_of(tmp_path, PLAIN | both))
    assert space.labels == ["workload", "exec_ratio", "anon_pages + child_writes"]
    assert space.size == len(set(space.every())) == 2 * 2 + 1
    found = find(PLAIN | both)
    assert found.points == 5
    assert found.at["workload"] in ("snapshot", "fork_exec")
    assert [each.label for each in found.drivers if each.label == "workload"] == ["workload"]


def test_search__leaves_out_what_rules_do(find, tmp_path):
    """Points that rules leave out are not run, and are counted."""
    rule = {"exclude": [{"exec_ratio": {"to": 0.5}, "geometry": "i386"}]}
    found = find(PLAIN | TREE | rule)
    assert (found.points, found.left_out, found.cells) == (4, 2, 12)
    assert len(analysis.load(tmp_path / "found")) == 12


def test_search__goes_on_where_cells_fail(find, monkeypatch):
    """A cell that fails leaves its point the other designs; known failures are not run again unless asked for."""
    simulate, runs = work.simulate, []

    def failing(trace, design, geometry):
        runs.append(design.name)
        if design.name == "phillips":
            raise SimcoreError("no")
        return simulate(trace, design, geometry)

    monkeypatch.setattr(work, "simulate", failing)
    found = find(PLAIN | TREE)
    assert (found.points, found.failed, found.cells) == (6, 6, 12)
    assert [each["design"] for each in found.designs] == ["linus_pmd"]
    runs.clear()
    assert told(find(PLAIN | TREE)) == told(found)
    assert not runs
    monkeypatch.setattr(work, "simulate", simulate)
    assert find(PLAIN | TREE, retry_failed=True).failed == 0


def test_search__of_one_design_and_of_counts(find):
    """A metric may be a count, as it is, and one design may be looked at alone."""
    found = find(PLAIN | TREE, metric="leaf_tables_unshared", absolute=True, designs=["linux24"])
    assert [each["design"] for each in found.designs] == ["linux24"]
    assert found.designs[0]["height"] == 0
    assert found.designs[0]["baseline"] is None
    one = find(PLAIN | TREE, metric="fork_ns_total", designs=["phillips"])
    assert [each["design"] for each in one.designs] == ["phillips"]


def test_metrics__are_columns_of_a_dataset(find, tmp_path):
    """Each column of numbers that is no identity and no parameter may be an objective."""
    find(PLAIN | TREE)
    df = analysis.load(tmp_path / "found")
    numbers = {
        name
        for name in df.select_dtypes("number").columns
        if name not in [*df.attrs["parameters"], "replicate", "seed"]
    }
    assert numbers <= set(metrics())


REFUSED = {
    "metric": ({"metric": "total_n"}, "--objective: 'total_n' is no metric; did you mean 'total_ns'?"),
    "design": ({"designs": ["philips"]}, "--design: 'philips' is none of the study's designs; did you mean"),
    "baseline": ({"designs": ["linux24"]}, "--design: 'linux24' is the baseline"),
    "nothing": ({"metric": "swap_outs"}, "none of 6 points has a value"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_search__refuses_what_it_cannot_do(find, case):
    """What is asked for and cannot be is refused in words."""
    asked, words = REFUSED[case]
    if case == "nothing":
        asked = {"metric": next(name for name in metrics() if "swap" in name)}
    with pytest.raises(RefusedError) as refused:
        find(PLAIN | TREE, **asked)
    assert words in str(refused.value)


def test_search__refuses_all_faults_at_once(find):
    """Two faults of a request are told together."""
    with pytest.raises(RefusedError, match="2 problems"):
        find(PLAIN | TREE, metric="x", designs=["y"])


def test_search__refuses_a_study_without_a_space(find):
    """A study that varies nothing, or has nothing to compare, is refused."""
    with pytest.raises(
        RefusedError, match="nothing is varied; a search needs axes; add ranges under 'sample'"
    ):
        find(PLAIN)
    alone = PLAIN | TREE | {"designs": ["linux24"]}
    with pytest.raises(RefusedError, match="'linux24' is the only one; add a design"):
        find(alone)


def test_search__refuses_the_dataset_of_something_else(find):
    """A run's dataset is not written over."""
    find(PLAIN | TREE)
    with pytest.raises(RefusedError, match="holds the study 'small-search', not the search 'other-search'"):
        find(PLAIN | TREE | {"name": "other"})


def test_space__has_the_points_that_it_says(tmp_path):
    """Random coordinates are points of the space; each is found where its codes lie."""
    sample = {"sample": {"points": 2, "of": {"anon_pages": {"from": 5, "to": 9}}}}
    space = Space(study_of(tmp_path, PLAIN | TREE | sample))
    every = set(space.every())
    assert len(every) == space.size == 3 * 2 * 5
    rng = np.random.default_rng(1)
    assert {space.spot(row) for row in rng.random((2_000, 3))} == every
    for spot in every:
        axes = space.tracks[0]
        row = [axis.scale.at(code) for axis, code in zip(axes, spot.codes, strict=True)]
        assert space.spot(np.array(row)) == spot
        near = [other for _, other in space.around(spot)]
        assert set(near) <= every - {spot}
        assert all(sum(a != b for a, b in zip(spot.codes, other.codes, strict=True)) == 1 for other in near)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Return a function that runs ``forkbench search`` on the small study here: exit code, output and error output."""
    study_of(tmp_path, PLAIN | TREE)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["search", "study.yaml", *arguments])
        return ended.value.code, *capsys.readouterr()

    return run


def test_command__tells_and_prints_json(command, tmp_path):
    """The command's words and its JSON tell of the same findings; its dataset can be shown."""
    code, words, progress = command("--workers", "0", "--budget", "8")
    assert code == 0
    assert "small: 6 points, worst so far" in progress
    code, text, progress = command("--workers", "0", "--budget", "8", "--json", "--quiet")
    facts = json.loads(text)
    assert (code, progress, facts["simulated"]) == (0, "", 0)
    assert facts["worst"]["replay"] in words
    assert facts["said"] in words
    assert f"value:     {facts['worst']['height']:.4f}" in words
    assert facts["worst"]["replay"].split()[:2] == ["forkbench", "show"]
    found = find_cell(facts["worst"]["cell_id"], tmp_path / "results" / "small-search")
    assert replay_lines(found).endswith("equal to the stored row")


def test_command__its_findings_go_into_a_report(command, tmp_path):
    """What a search found stands in the report with its replay line, the same however much was simulated just now."""
    wrote = [
        command("--workers", "0", "--budget", "8", "--findings", name)[0] for name in ("one.json", "two.json")
    ]
    assert wrote == [0, 0]
    first, second = ((tmp_path / name).read_text(encoding="utf-8") for name in ("one.json", "two.json"))
    assert first == second
    findings = read_findings(tmp_path / "one.json")
    page = tmp_path / "page.html"
    write_report(tmp_path / "results" / "small-search", page, searched=[findings])
    shown = page.read_text(encoding="utf-8")
    assert findings["worst"]["replay"] in shown
    assert "Searched for in a wider space: small" in shown
    assert shown.count(findings["said"][1:]) >= 2
    for each in findings["drivers"]:
        assert each["label"].replace("_", " ") in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file or directory"),
        ("not JSON", "this is no JSON"),
        ("[]", "study, dataset, objective, said, worst, designs, neighbours, peaked, drivers, even missing"),
        (
            '{"study": 1}',
            "dataset, objective, said, worst, designs, neighbours, peaked, drivers, even missing",
        ),
        (
            """{"study": "x", "dataset": "x", "objective": {}, "said": "x", "worst": {}, "designs": [],
            "neighbours": [], "peaked": true, "drivers": [], "even": 1}""",
            "not what a search found",
        ),
    ],
    ids=["no file", "no JSON", "a list", "a part", "empty"],
)
def test_findings__that_are_none_are_refused(tmp_path, text, words):
    """Whatever else is given is refused, with what to run."""
    file = tmp_path / "findings.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError, match=f"{re.escape(words)}.*forkbench search STUDY --findings FILE"):
        read_findings(file)


def test_show__an_old_dataset_does_not_hide_a_cell(command, tmp_path):
    """A dataset that cannot be read is passed over where all are searched, and named if the cell is in no other."""
    command("--workers", "0", "--budget", "8", "--findings", "found.json")
    cell = read_findings(tmp_path / "found.json")["worst"]["cell_id"]
    (tmp_path / "results" / "a-broken-one").mkdir()
    (tmp_path / "results" / "a-broken-one" / "plan.json").write_text("{}", encoding="utf-8")
    assert find_cell(cell, None).cell.cell_id == cell
    with pytest.raises(
        RefusedError, match=r"no cell's id begins with 'ffffffff'.*not searched: .*a-broken-one"
    ):
        find_cell("ffffffff", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--budget", "3"], "Invalid value for '--budget'"),
        (["--objective", "total"], "--objective: 'total' is no metric"),
        (["--workers", "0", "--timeout", "5"], "--timeout ends a worker"),
        (["--costs", "nothing"], "'nothing'"),
        (["--set", "sweep.exec_ratio=2"], "sweep.exec_ratio"),
    ],
)
def test_command__refuses(command, arguments, words):
    """Bad requests end with exit code 2 and words, without a traceback."""
    code, _, told_why = command(*arguments)
    assert code == 2
    assert words in told_why
    assert "Traceback" not in told_why
