"""What a user types, reads, and gets back as exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from tiny_study import TINY_CELLS

from pipeline import cli, estimate, store
from pipeline.adversary_command import BOUND
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.terminal import byte_size
from pipeline.work import CellFailure, Reply, run_batch
from pipeline.writer import Dataset
from simcore.adversaries import ADVERSARIES
from simcore.designs import AXES, DESIGNS, axis_values
from simcore.telling import what_happens
from simcore.workloads import WORKLOADS


@pytest.fixture
def dataset(write_study, tmp_path):
    """Return the folder of the tiny study's dataset, where commands look for it by themselves."""
    run_study(load_study(write_study()), tmp_path / "results" / "tiny", 0, quiet=True)
    return tmp_path / "results" / "tiny"


def modules_after(statement):
    """Return the top-level modules that a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_of_commands__is_light():
    """Asking for help loads nothing heavy."""
    heavy = {"numpy", "pandas", "pyarrow", "dask", "numba", "yaml", "rich"}
    assert not modules_after("import pipeline.cli") & heavy


def test_import_of_workers__is_the_simulator_only():
    """Every start of a worker pays for its imports: numpy, numba and the simulator, nothing else."""
    heavy = {"pandas", "pyarrow", "dask", "pydantic", "click", "rich", "seaborn", "jinja2"}
    assert not modules_after("import pipeline.work") & heavy


def test_check__says_what_a_study_holds(write_study, forkbench):
    """A study without faults is told with its size; exit code 0."""
    done = forkbench("check", write_study())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"study.yaml: no problems; {TINY_CELLS} cells: 18 traces under 4 designs\n")


def test_plan__counts_and_estimates(write_study, forkbench):
    """A plan tells the counts per axis, the cells, what is done, and from how many cells it estimates."""
    facts = json.loads(forkbench("plan", write_study(), "--json").stdout)
    assert facts["axes"] == {"tree": 3, "exec_ratio": 3}
    assert (facts["designs"], facts["replicates"], facts["traces"], facts["cells"]) == (4, 2, 18, TINY_CELLS)
    assert (facts["done"], facts["dataset"]) == (0, "results/tiny")
    assert facts["core_seconds_from_cells"] == 12
    assert facts["core_seconds"] >= 0


def test_plan__knows_what_is_done(write_study, dataset, forkbench):
    """A plan counts the rows that are there, also those of a smaller study."""
    assert store.status(dataset).done == TINY_CELLS
    done = forkbench("plan", write_study(), "--set", "replicates=3")
    assert f"done already in results/tiny: {TINY_CELLS}; to simulate: {TINY_CELLS // 2}" in done.stdout
    assert re.search(r"about [\d.,]+ s of one core, from 12 cells simulated just now", done.stdout)


def planned(study, capsys, monkeypatch, predict, *options):
    """Return what ``plan`` prints if each run needs what ``predict(trace, design)`` says."""
    monkeypatch.setattr(
        "simcore.simulate.predicted_bytes", lambda trace, design, _: predict(trace, design), raising=False
    )
    with pytest.raises(SystemExit) as ended:
        cli.main(["plan", str(study), *options])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_plan__predicts_the_memory_of_the_largest_run(write_study, capsys, monkeypatch, tmp_path):
    """The largest run of the sampled traces and all designs is told beside the limit, for people and as JSON."""
    monkeypatch.chdir(tmp_path)

    def predict(trace, design):
        return (11 << 20) + len(trace) + (1 << 20 if design.name == "phillips" else 0)

    told = planned(write_study(), capsys, monkeypatch, predict)
    assert "largest run: about 12 MiB (limit 8 GiB)" in told
    assert "refused" not in told
    facts = json.loads(planned(write_study(), capsys, monkeypatch, predict, "--json"))
    assert 12 << 20 < facts["largest_run_bytes"] < 13 << 20
    assert (facts["memory_limit_bytes"], facts["memory_from_cells"]) == (8 << 30, 12)
    assert facts["refused_cells"] == {}


def test_plan__says_which_cells_would_be_refused(write_study, capsys, monkeypatch, tmp_path):
    """Where it gets tight every trace is looked at; cells over the limit are named by their point and designs."""
    monkeypatch.chdir(tmp_path)
    sweep = {"anon_pages": [12, 40_000], "exec_ratio": [0.0, 0.5, 1.0]}
    study = write_study(sweep=sweep, replicates=1, workload={"tree": {"file_pages": 20}})

    def predict(trace, design):
        most = int(trace.events["count"].max())
        return 9 << 30 if most > 20_000 and design.shares_tables else 2 << 30

    told = planned(study, capsys, monkeypatch, predict)
    assert "largest run: about 9 GiB (limit 8 GiB)" in told
    assert "would be refused, for they need more than 8 GiB: 6 of 24 cells looked at" in told
    for ratio in ("0.0", "0.5", "1.0"):
        point = f"  anon_pages: 40000, exec_ratio: {ratio}, replicate 0: about 9 GiB (phillips, linus_rmap)\n"
        assert point in told + "\n"
    facts = json.loads(planned(study, capsys, monkeypatch, predict, "--json"))
    by_id = {cell.cell_id: cell for cell in make_plan(load_study(study), model_version()).cells}
    assert len(facts["refused_cells"]) == 6
    assert all(by_id[cell].trace.params["anon_pages"] == 40_000 for cell in facts["refused_cells"])
    assert set(facts["refused_cells"].values()) == {9 << 30}


@pytest.mark.usefixtures("dataset")
def test_plan__of_a_finished_study_predicts_nothing(write_study, capsys, monkeypatch, tmp_path):
    """Where nothing is left to run, nothing is simulated or predicted."""
    monkeypatch.chdir(tmp_path)
    told = planned(write_study(), capsys, monkeypatch, lambda *_: 1 << 40)
    assert f"done already in results/tiny: {TINY_CELLS}; to simulate: 0" in told
    assert "largest run" not in told


def test_estimate__does_not_count_a_refusal_twice(write_study, monkeypatch):
    """A cell over the memory limit fails when it is tried; that is told as a refusal, not as a failure."""

    def refused(jobs):
        failures = [
            CellFailure(cell, "LimitExceeded", "too much", "") for job in jobs for cell, _ in job.cells
        ]
        return Reply([], failures, 0.0)

    monkeypatch.setattr(estimate, "run_batch", refused)
    monkeypatch.setattr("simcore.simulate.predicted_bytes", lambda *_: 9 << 30, raising=False)
    found = estimate.estimate(load_study(write_study()), model_version(), TINY_CELLS)
    assert (found.core_seconds, found.failures) == (None, [])
    assert len(found.memory.refused) == TINY_CELLS


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (900, "900 bytes"),
        (2048, "2 KiB"),
        (12_900_000, "12.3 MiB"),
        (8 << 30, "8 GiB"),
        (1 << 43, "8,192 GiB"),
    ],
)
def test_byte_size__reads_well(count, said):
    """A number that fits its unit, with a place where that tells more."""
    assert byte_size(count) == said


def test_show__prints_the_cell_and_a_line_that_replays_it(dataset, forkbench):
    """Six digits of an id find the cell; the printed line simulates it again to the stored row."""
    cell = store.read_plan(dataset).cells[9]
    shown = forkbench("show", cell.cell_id[:6])
    assert shown.returncode == 0, shown.stderr
    assert f"cell:      {cell.cell_id}\n" in shown.stdout
    assert f"design:    {cell.design}\n" in shown.stdout
    for name, value in cell.trace.params.items():
        assert f"  {name}: {json.dumps(value)}\n" in shown.stdout
    assert "state:     done" in shown.stdout
    [line] = [line for line in shown.stdout.splitlines() if line.startswith("replay:")]
    replayed = forkbench(*line.split()[2:])
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.endswith("equal to the stored row\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "12345"], "'12345' is not a cell's id; an id is at least 6 hexadecimal digits"),
        (
            ["show", "ffffffffffffffff"],
            "no cell's id begins with 'ffffffffffffffff' in results/, where there is no",
        ),
        (["show", "123456", "--results", "nowhere"], "nowhere: not a dataset, there is no such folder"),
        (["check", "nowhere.yaml"], "nowhere.yaml: no such file or directory; name a study's YAML file"),
        (["check", "."], ".: is a folder; a study is a YAML file"),
        (["run", "nowhere.yaml"], "nowhere.yaml: no such file or directory"),
        (["run", "study.yaml", "--workers", "-1"], "-1 is not in the range 0<=x<=256"),
        (["run", "study.yaml", "--results", "study.yaml"], "study.yaml: is a file; a dataset is a folder"),
        (
            ["run", "study.yaml", "--results", "study.yaml/x"],
            "study.yaml/x: cannot be written (not a directory)",
        ),
        (["run", "study.yaml", "--results", "."], ".: holds other files and no plan.json"),
        (["run", "study.yaml", "--set", "replicates"], "--set 'replicates': not key=value"),
        (
            ["report", "nowhere"],
            "nowhere: not a dataset, there is no such folder; forkbench run STUDY makes one",
        ),
        (["report", "."], ".: not a dataset, it has no plan.json"),
        (
            ["report", "nowhere", "--costs", "pc2002"],
            "cost model: unknown name 'pc2002'; did you mean 'pc-2002'?",
        ),
        (["designs", "linus"], "unknown design 'linus'; did you mean 'linus_pmd'?"),
        (["workloads", "wood"], "unknown workload 'wood'; known are tree"),
        (["tree", "nowhere"], "No such file or directory"),
        (["tree", "study.yaml"], "study.yaml: a text that begins with "),
        (["plant"], "No such command 'plant'"),
    ],
)
def test_refusal__is_one_message_and_exit_code_two(write_study, forkbench, arguments, message):
    """Whatever is asked wrongly is refused with a message, without a traceback."""
    write_study()
    done = forkbench(*arguments)
    assert done.returncode == 2, done
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_our_fault__is_told_with_traceback_and_replay(monkeypatch, capsys):
    """An exception that nobody foresaw exits with 3, the traceback, and the command that replays it."""

    def broken(_file, _sets):
        raise ZeroDivisionError("of our own making")

    monkeypatch.setattr("pipeline.study.load_study", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", "a study.yaml"])
    assert ended.value.code == cli.OUR_FAULT == 3
    told = capsys.readouterr().err
    assert "ZeroDivisionError: of our own making" in told
    assert told.endswith("  forkbench check 'a study.yaml'\n")


def test_designs__are_all_listed_and_explained(forkbench):
    """Each design is listed, and explained axis by axis."""
    listed = forkbench("designs").stdout
    assert [line.split()[0] for line in listed.splitlines() if not line.startswith(" ")] == list(DESIGNS)
    told = forkbench("designs", "linus_pmd").stdout
    assert "2002, never merged" in told
    moments, _, row = told.partition("Its row:")
    for moment, sentences in what_happens(DESIGNS["linus_pmd"]):
        assert f"\n{moment} " in moments
        assert sentences in " ".join(moments.split())
    for axis, value in axis_values(DESIGNS["linus_pmd"]).items():
        assert f"{axis}: {value} " in row
        assert AXES[axis][value] in " ".join(row.split())
    assert "fork: link_if_more_than 3 " in forkbench("designs", "mccracken_gt3").stdout


def test_adversary__lists_all_and_shows_the_evidence_of_one(forkbench):
    """The list has each with costs and maxima; one has its argument, bound and trace, and equals the maxima."""
    listed = forkbench("adversary", "--design", "linux24")
    assert listed.returncode == 0
    heads, _, rows = listed.stdout.partition("forkbench adversary NAME")
    assert [line.split()[0] for line in heads.splitlines() if line and line[0] != " "] == list(ADVERSARIES)
    costs = [cost.name for each in ADVERSARIES.values() for cost in each.costs]
    assert all(name in heads for name in costs)
    proven = [line for line in rows.splitlines() if line.startswith("linux24 ") and line.endswith("  yes")]
    assert sorted(line[17:40].strip() for line in proven) == sorted(costs)
    ran = forkbench("adversary", "tlb_reach", "--design", "linux24")
    assert ran.returncode == 0
    told = " ".join(ran.stdout.split())
    assert " ".join(ADVERSARIES["tlb_reach"].argument.split()) in told
    assert " ".join(BOUND.split()) in told
    row = next(line.split() for line in ran.stdout.splitlines() if line.startswith("linux24 "))
    assert row[1] == "tlb_reach"
    assert row[2] == row[3] != "0"
    assert row[5] == "yes"
    assert f"Tried: {row[4]} traces of up to" in told
    assert "The trace against linux24, 2 tables of 4 entries:" in told


def test_workloads__tell_every_parameter(forkbench):
    """Each parameter of a workload is told with its range and default."""
    assert forkbench("workloads").stdout.startswith("tree")
    told = forkbench("workloads", "tree").stdout
    for parameter in WORKLOADS["tree"].parameters:
        assert re.search(rf"^{parameter.name} ", told, flags=re.MULTILINE)
    assert "[number from 0 to 1; default" in " ".join(told.split())


def test_tree__reads_standard_input(forkbench):
    """Statistics of a listing from a pipe, as JSON and in words."""
    listing = "init-+-bash---make\n     `-sshd\n"
    facts = json.loads(forkbench("tree", "-", "--json", stdin=listing).stdout)
    assert (facts["processes"], facts["max_depth"], facts["kernel_threads"]) == (4, 2, 0)
    assert "user processes" in forkbench("tree", "-", stdin=listing).stdout


def test_tree__tells_what_a_listing_is_and_what_was_repaired(forkbench):
    """Each shape says what it does not tell; repairs name their lines, and a text that is none is refused."""
    flat = "USER PID RSS COMMAND\nroot 1 900 /sbin/init\nann 7 5000 vi\n"
    told = " ".join(forkbench("tree", "-", stdin=flat).stdout.split())
    assert "Read as ps, flat (USER PID RSS). It does not say who started whom" in told
    assert "resident size of 2 processes in MiB" in told
    assert "deepest process" not in told
    groups = "Control group /:\n└─user.slice\n  └─a.scope\n    ├─1 init\n    └─7 vi\n"
    assert "not who started whom" in " ".join(forkbench("tree", "-", stdin=groups).stdout.split())
    cut = forkbench("tree", "-", stdin="init-+-cron\n     |-mak+\n     `-sshd\n").stdout
    assert "repaired or not read\n  line 2: the line is cut at its end (+)" in cut
    refused = forkbench("tree", "-", stdin="PID TTY TIME CMD\n1 ? 0:00 init\n")
    assert refused.returncode == 2
    assert refused.stderr.startswith("<stdin>: line 2: rows of ps without parents and without memory figures")


def test_populations__are_listed_and_reckoned(forkbench, tmp_path):
    """All populations with their sizes, one in words and as JSON, and one of a file; a wrong name is refused."""
    listed = forkbench("populations").stdout
    assert listed.startswith("all ")
    assert "39 listings" in listed.splitlines()[0]
    assert len(json.loads(forkbench("populations", "--json").stdout)) == 13
    told = forkbench("populations", "laptops").stdout
    assert told.startswith("laptops: laptops of 2002 to 2026\n6 listings of 2002 to 2026, ")
    assert json.loads(forkbench("populations", "laptops", "--json").stdout)["listings"] == 6
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nmeaning: one\nlistings: [wsl-2021-bash]\n", encoding="utf-8"
    )
    assert forkbench("populations", "mine.yaml").stdout.startswith(
        "mine: one\n1 listing of 2021, 7 user processes"
    )
    refused = forkbench("populations", "laptop")
    assert (refused.returncode, refused.stderr) == (
        2,
        "unknown population 'laptop'; did you mean 'laptops'?\n",
    )


def test_report__is_written_where_it_is_said(dataset, tmp_path, forkbench):
    """A report goes to reports/ or to --out, and the verdict is printed."""
    done = forkbench("report", dataset)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("report: reports/tiny.html\n")
    assert len(done.stdout.splitlines()) == 4
    other = forkbench("report", dataset, "--out", "deep/down/here.html", "--costs", "pc-2002")
    assert other.returncode == 0, other.stderr
    assert (tmp_path / "deep" / "down" / "here.html").stat().st_size > 10_000


def test_report_of_unfinished_dataset__says_incomplete(write_study, dataset, forkbench):
    """A report on some of the cells says how many."""
    more = make_plan(load_study(write_study(replicates=3)), model_version())
    with Dataset(dataset, more, provenance()) as opened:
        assert len(opened.done) == TINY_CELLS
    done = forkbench("report", dataset)
    assert done.returncode == 0, done.stderr
    assert f"INCOMPLETE: {TINY_CELLS} of {len(more.cells)} cells" in done.stdout


def test_counts__of_one_are_singular(write_study, forkbench):
    """One trace is not "1 traces"."""
    small = write_study(designs=["linux24", "vfork"], sweep={}, replicates=1)
    assert forkbench("check", small).stdout.endswith("no problems; 2 cells: 1 trace under 2 designs\n")


def test_width__follows_the_terminal(monkeypatch, capsys):
    """Wrapped texts are as wide as the terminal, within 40 and 100 columns."""
    for columns, most in ((20, 40), (60, 60), (400, 100)):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit):
            cli.main(["designs"])
        widest = max(len(line) for line in capsys.readouterr().out.splitlines())
        assert most - 20 < widest <= most


def test_interrupt_before_anything_runs__is_told_in_a_sentence(monkeypatch, capsys):
    """An early Ctrl-C gives a sentence and exit code 1."""

    def interrupted(_file, _sets):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.study.load_study", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", "study.yaml"])
    assert ended.value.code == cli.FAILED
    assert (
        capsys.readouterr().err.strip()
        == "stopped; what was stored is safe; run the same command again to go on"
    )


@pytest.mark.parametrize("command", ["plan", "report"])
def test_damaged_part__is_told_by_every_command(write_study, dataset, forkbench, command):
    """A part that is damaged is named on standard error, once, by whatever opens the dataset."""
    study = write_study(replicates=3)
    run_study(load_study(study), dataset, 0, quiet=True)
    [part, *_] = dataset.glob("part-*.parquet")
    more = make_plan(load_study(write_study(replicates=4)), model_version())
    cells = jobs_of(more, store.committed(dataset))[:1]
    with Dataset(dataset, more, provenance()) as opened:
        opened.add(run_batch(cells).rows)
        opened.flush()
    part.write_bytes(part.read_bytes()[:-1])
    done = forkbench("plan", write_study(replicates=4)) if command == "plan" else forkbench("report", dataset)
    told = f"note: {part.name}: damaged, "
    assert done.stderr.count(told) == 1, done
    assert done.stderr.count("\n") == 1
    assert "will be simulated again when the study is run" in done.stderr


def test_version__is_told(forkbench):
    """The version is that of the package."""
    assert re.fullmatch(r"forkbench, version \d+\.\d+\.\d+\n", forkbench("--version").stdout)
