"""``forkbench predict``: a described process, its fork under each design, and what is refused."""

import json
import os

import pytest
from click.testing import CliRunner

from pipeline.calibration import described, predicting
from pipeline.calibration.predict_command import predict
from pipeline.cli import main
from simcore import DESIGNS, GEOMETRIES
from simcore.costs import X86_64_2025
from simcore.events import Op

X86_64 = GEOMETRIES["x86-64"]
SMALL = {
    "memory": "8M",
    "file": "1M",
    "shared": "256K",
    "vmas": "9",
    "writes-after-fork": "10%",
    "child-writes": "1%",
}
SMALL |= {"spread": "evenly", "child": "snapshot"}


def process(**changes):
    """Return a small process, described otherwise."""
    return described.described(SMALL | {key.replace("_", "-"): said for key, said in changes.items()}, X86_64)


def test_described__sizes_and_shares_are_what_was_written():
    """Sizes are pages, shares fractions."""
    found = process()
    assert (found.anon_pages, found.file_pages, found.shm_pages, found.vmas) == (2048, 256, 64, 9)
    assert (found.writes, found.child_writes) == (0.1, 0.01)
    assert process(memory="0.5GiB").anon_pages == 1 << 17
    assert process(writes_after_fork="0.25").writes == 0.25


def test_forking__has_the_vmas_and_pages_that_were_described():
    """All vmas are mapped before the fork, and anonymous memory is divided over those that are left for it."""
    told = described.forking(process(), X86_64)
    ops = told.trace.events["op"]
    assert (ops[: told.before] == Op.MMAP).sum() == 9
    assert ops[told.before] == Op.FORK
    writes = told.trace.events[: told.before][ops[: told.before] == Op.WRITE]
    assert writes["count"].sum() == 2048 + 64 + 32  # anonymous, shared, stack


@pytest.mark.parametrize("child", described.CHILDREN)
@pytest.mark.parametrize("spread", described.SPREADS)
def test_forking__writes_what_was_asked(child, spread):
    """Parent and child write their shares, whatever the child does and however pages lie; an execed child writes none."""
    told = described.forking(process(child=child, spread=spread), X86_64)
    after = told.trace.events[told.before :]
    writes = {task: after[(after["op"] == Op.WRITE) & (after["task"] == task)] for task in (0, 1)}
    assert writes[0]["count"].sum() == pytest.approx(205, abs=1)
    assert writes[1]["count"].sum() == pytest.approx(4 + (0 if child == "exec" else 20), abs=1)
    assert (after["op"] == Op.EXIT).sum() == 1


def test_predict__sums_are_those_of_the_whole_run():
    """Fork, faults and child are all that happens from the fork on, priced."""
    (found,) = predicting.predict(process(), ["mainline"], X86_64_2025, X86_64)
    assert found.all_ns == found.fork_ns + found.faults_ns + found.child_ns
    assert found.faults == pytest.approx(205 + 20 + 4, abs=3)
    assert found.fork_interval is None
    assert found.table_bytes > 0


def test_predict__sharing_makes_fork_short_and_a_fault_long():
    """What linking saves at fork comes back in the first write to each table."""
    found = {
        each.design: each
        for each in predicting.predict(process(), ["mainline", "linus_pmd"], X86_64_2025, X86_64)
    }
    assert found["linus_pmd"].fork_ns < found["mainline"].fork_ns
    assert found["linus_pmd"].slowest_ns > 5 * found["mainline"].slowest_ns


def test_predict__vfork_stands_where_the_child_execs_only():
    """A child that lives cannot borrow its parent's memory."""
    for child, there in (("exec", True), ("exit", False), ("snapshot", False)):
        found = predicting.predict(process(child=child), predicting.USUAL, X86_64_2025, X86_64)
        assert ("vfork" in [each.design for each in found]) == there


def test_usual_designs__exist():
    """And the baseline is one of them."""
    assert {*predicting.USUAL, predicting.BASELINE} <= DESIGNS.keys()


def test_command__tells_whose_costs_and_what_to_conclude():
    """The table, the baseline by name, that the costs are not this machine's, and the choice in words."""
    done = CliRunner().invoke(predict, ["--memory", "8M", "--vmas", "9"])
    assert done.exit_code == 0, done.output
    for part in (
        "not this machine's; forkbench calibrate",
        "to mainline",
        "shortest fork: ",
        "least in all: ",
        "cow_pte",
    ):
        assert part in done.output


def test_command__json_has_the_same_numbers():
    """Every field of every design."""
    done = CliRunner().invoke(predict, ["--memory", "8M", "--vmas", "9", "--json", "--design", "odf"])
    told = json.loads(done.output)
    assert [each["design"] for each in told["designs"]] == ["mainline", "odf"]
    assert told["costs"] == "x86-64-2025"
    assert all(each["all_ns"] >= each["fork_ns"] > 0 for each in told["designs"])


def test_command__takes_a_running_process():
    """What a process has is read from /proc."""
    if not os.access("/proc/self/smaps", os.R_OK):
        pytest.skip("/proc/self/smaps cannot be read here")
    done = CliRunner().invoke(predict, ["--pid", str(os.getpid()), "--child", "exec", "--design", "vfork"])
    assert done.exit_code == 0, done.output
    assert "MiB anonymous" in done.output


def test_command__all_faults_come_at_once(capsys):
    """Each option with what was found, what is allowed and what to do; no traceback."""
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--memory", "9X", "--vmas", "1", "--writes-after-fork", "101%"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "predict: 3 problems" in said
    for part in (
        "--memory: '9X'; sizes from 0 to 4T",
        "--vmas: '1'; 2 to 100,000",
        "--writes-after-fork: '101%'; shares",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--design", "oddf"], "--design: unknown design 'oddf'; did you mean 'odf'?"),
        (["--baseline", "main"], "--baseline: unknown design 'main'"),
        (["--memory", "4T"], "describe a smaller process"),
        (["--pid", "4194999"], "--pid: /proc/4194999/smaps cannot be read"),
        (
            ["--costs", "gone.yaml"],
            "gone.yaml: cannot be read (no such file or directory); forkbench calibrate --out",
        ),
    ],
)
def test_command__refuses_with_the_reason(arguments, message, capsys):
    """Where, what was found, what is allowed, what to do."""
    with pytest.raises(SystemExit) as caught:
        main(["predict", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
