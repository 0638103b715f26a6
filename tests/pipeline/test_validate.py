"""Does the simulator count what kernels counted? The shipped step files, scripts, and the kernel that runs here."""

import json

import pytest
from click.testing import CliRunner

from pipeline.prices import cost_model
from pipeline.report.hosts import OUTCOME as HOST
from pipeline.report.hosts import host_table
from pipeline.report.published import NEAR, OUTCOME, published_tables
from pipeline.truth import host, kernels, left_out, probe, published, scenarios
from pipeline.truth.command import validate
from pipeline.truth.script import pages_of, tell
from pipeline.truth.simulated import simulate_script
from simcore import DESIGNS


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_step_file__is_reproduced(name):
    """Every step is equal in minor faults and VmPTE, but for those that are named with the reason."""
    compared = kernels.compare(kernels.load(name))
    assert compared.steps == 662
    assert [each for each in compared.differences if each.excused is None] == []
    assert compared.stale == []
    assert not compared.failed


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_step_file__is_reproduced_by_the_oracle(name):
    """The specification itself, on the scripts that it runs in a moment."""
    kernel = kernels.load(name)
    few = {
        script: rows for script, rows in kernel.scripts.items() if script.startswith(("chk", "nested", "thp"))
    }
    small = kernels.Kernel(**(vars(kernel) | {"scripts": few}))
    differing = [each for each in kernels.compare(small, "oracle").differences if each.excused is None]
    assert differing == []


def test_wrong_design__is_noticed():
    """The comparison can fail: a kernel that copies is not one that shares, and an exception nobody needs is stale."""
    kernel = kernels.load("linux-6.0.6-sharing")
    wrong = kernels.Kernel(**(vars(kernel) | {"design": DESIGNS["mainline"]}))
    compared = kernels.compare(wrong)
    assert compared.failed
    assert len([each for each in compared.differences if each.excused is None]) > 100


def test_stale_exception__is_noticed(monkeypatch):
    """A step that is named as left out but equal makes the comparison fail."""
    stale = left_out.LeftOut("chk_grandchild", (2,), "of no reason")
    monkeypatch.setitem(kernels.LEFT_OUT, "linux-5.6.19-on-demand-fork", (stale,))
    compared = kernels.compare(kernels.load("linux-5.6.19-on-demand-fork"))
    assert compared.stale == [stale]
    assert compared.failed


def test_command__tells_each_kernel_and_succeeds():
    """What is left out is said with the reason; nothing differs."""
    done = CliRunner().invoke(validate, ["--kernels"])
    assert done.exit_code == 0
    assert "Linux 5.6.19" in done.output
    assert "662 equal in minor faults and VmPTE, 0 left out, 0 different" in done.output
    assert "large folios" in done.output


# published tables


def test_published__ratios_are_near_or_what_is_missing_is_said():
    """Ten of twelve tested rows within 15 %; fewer than half as many numbers were fitted; predictions stand beside."""
    tables = published.rerun()
    tested = [(table, row) for table in tables for row in table.tested]
    off = [(table.name, row.params["pages"]) for table, row in tested if abs(row.error) > published.NEAR]
    assert off == [("mccracken-2002-fork", 100), ("mccracken-2002-fork", 10240)]
    assert all(table.missing for table, row in tested if abs(row.error) > published.NEAR)
    assert len(tested) / 2 > published.FREE
    forktime = next(table for table in tables if table.name == "phillips-2002-forktime")
    assert all(set(row.predicted) == {"phillips_sole", "phillips_mark", "linus_pmd"} for row in forktime.rows)


def test_published__shipped_outcome_is_that_of_today():
    """What reports show is what the command finds; made again by: forkbench validate --published --json > FILE."""
    done = CliRunner().invoke(validate, ["--published", "--json"])
    assert json.loads(OUTCOME.read_text(encoding="utf-8")) == json.loads(done.output), OUTCOME
    said, table = published_tables()
    assert said.startswith(
        "Of 12 published ratios that gave the cost models no number, 10 come out within 15"
    )
    assert "mccracken-2002-fork" in said
    assert len(table.rows) == sum(len(each["rows"]) for each in json.loads(done.output))
    assert NEAR == published.NEAR


def test_published__command_says_what_was_fitted():
    """Published and simulated side by side, the error, and whether the row was fitted."""
    done = CliRunner().invoke(validate, ["--published"])
    assert done.exit_code == 0
    assert "10 of 12 rows that gave the model no number are within 15%" in done.output
    assert "published  1.080" in done.output


# scripts


def test_script__is_told_as_events():
    """A map, a strided write, a fork: three events, and the child's number follows its parent's."""
    told = tell(["A map anon 0x10000000000 16k", "A write 0x10000001000 2 2", "A fork B", "B nop"])
    assert told.marks == [(0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 3, 1)]
    assert told.trace.events["start"][1] == (1 << 28) + 1
    assert told.trace.events["stride"][1] == 2


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (["A jump"], "no such verb as 'jump'"),
        (["B nop"], "'B'"),
        (["A map anon 0x10000000000 3"], "whole pages"),
        (["A map anon 0x10000000000 6k"], "whole pages"),
        (["A fork B", "A fork B"], "step 2"),
        (["A read"], "step 1"),
    ],
)
def test_bad_step__is_named(steps, said):
    """The message names the step and what is wrong with it."""
    with pytest.raises(ValueError, match=r"step \d") as told:
        tell(steps)
    assert said in str(told.value)


def test_sizes__are_whole_pages():
    """k, M and G count bytes."""
    assert [pages_of(size) for size in ("4k", "2M", "1G")] == [1, 512, 1 << 18]


def test_scenarios__are_many_and_can_happen():
    """At least 150; each is a script that the simulator runs to its end; the seed alone decides on the random ones."""
    found = scenarios.scenarios(3)
    assert len(found) >= 150
    assert found == scenarios.scenarios(3)
    assert found != scenarios.scenarios(4)
    for name, steps in found.items():
        if "16384" not in name and "1G" not in name:
            assert len(simulate_script(steps, DESIGNS["mainline"])) == len(steps)


def test_simulated__shows_a_process_as_proc_does():
    """Three pages of two tables written, the upper tables counted; the zero page is not resident."""
    steps = ["A map anon 0x10000000000 4M", "A write 0x10000000000 2 512", "A read 0x10000001000 1"]
    assert [tuple(seen) for seen in simulate_script(steps, DESIGNS["mainline"])] == [
        (0, 0, 0, 0),
        (2, 16, 2, 2),
        (1, 16, 2, 2),
    ]


# the kernel that runs here


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """Return the probe, or skip with the reason why there is none."""
    try:
        made = probe.Probe(tmp_path_factory.mktemp("probe"))
        made.run(["A nop", "A exit"])
    except probe.UnfitError as error:
        pytest.skip(str(error))
    return made


def test_host__equals_the_simulator_on_small_scripts(live):
    """Twenty scripts of the grid, the median of three turns each; the command runs all of them."""
    constants = host._constants(live, 3)
    scripts = [
        item for item in scenarios.scenarios().items() if "16384" not in item[0] and "1G" not in item[0]
    ]
    for name, steps in scripts[::11]:  # not 12: there are six things that a child does, and each is to be met
        turns = [host._bare(steps, live.run(steps), constants) for _ in range(3)]
        if turns[0] == turns[1] == turns[2]:
            assert turns[0] == simulate_script(steps, host.host_design()), name


def test_host__says_which_step_the_kernel_refused(live):
    """A step that cannot be is an error of the script, named."""
    twice = ["A map anon 0x10000000000 4k"] * 2
    with pytest.raises(probe.UnfitError, match="'A map anon 0x10000000000 4k' failed: File exists"):
        live.run(twice)


def test_machine_of_another_kind__is_told(monkeypatch, tmp_path):
    """No traceback, and what would do."""
    monkeypatch.setattr(probe.platform, "machine", lambda: "riscv64")
    with pytest.raises(probe.UnfitError, match="riscv64; the scripts count tables of x86-64"):
        probe.Probe(tmp_path)


def test_host__shipped_outcome_is_of_the_cost_model_as_it_is():
    """Made again by: forkbench validate --host --time --json; without the single judgements, which are thousands."""
    found = json.loads(HOST.read_text(encoding="utf-8"))
    assert found["digest"] == cost_model(found["costs"]).digest
    table = host_table()
    assert [row[0] for row in table.rows] == ["fork", "writes after fork", "exit", "fork and exec"]
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert found["machine"]["kernel"] in table.caption
