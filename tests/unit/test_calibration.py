"""Calibration on timings that were made up: known parameters come back, nothing used to fit is judged, files keep all."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import cost_files, native
from pipeline.calibration import fit, judging, measuring, model, observed, parameters, scripts
from pipeline.calibration.command import calibrate
from pipeline.cli import main
from pipeline.truth.scenarios import scenarios
from simcore.acts import ACT
from simcore.costs import COST_MODELS, UNPRICED
from simcore.designs import DESIGNS

OWN = observed.Own(vmas=13, tables=7, pages=18)
MACHINE = {"kernel": "Linux 6.18", "processor": "a made-up one", "date": "2026-01-01"}
# What the made-up machine takes, in ns; none is 0, so that intervals can lie on both sides.
TRUE = dict(
    zip(
        parameters.NAMES,
        [
            *(
                50e3,
                900,
                2100,
                2,
                90,
                25,
                1000,
                250,
                1500,
                1600,
                2200,
                150,
                48e3,
                950,
                500,
                1.5,
                110,
                220,
                120,
                700,
            ),
            *(480e3, 95e3, 4000, 5000, 2000, 100, 2500, 900),
        ],
        strict=True,
    )
)
ROUNDS = 9


@pytest.fixture(scope="module")
def steps():
    """Return every step that calibrate times, with its acts."""
    return [
        each
        for name, script in scripts.fit_scripts().items()
        for each in observed.observations(name, script, DESIGNS["mainline"], OWN, exec_faults=28)
    ]


@pytest.fixture(scope="module")
def exact(steps):
    """Return what each step takes on the made-up machine."""
    return fit.matrix(steps) @ np.array(list(TRUE.values()))


@pytest.fixture(scope="module")
def estimates(steps, exact):
    """Return the estimates from times that spread by 10 %, some twice as long."""
    rng = np.random.default_rng(5)
    samples = exact * rng.lognormal(0, 0.1, (ROUNDS, len(steps)))
    samples[rng.random(samples.shape) < 0.03] *= 2
    return fit.fit(steps, samples).estimates


def test_parameters__each_has_a_family_and_every_act_once():
    """No act is paid for twice, and the scripts that a parameter names exist."""
    acts = [act for each in parameters.PARAMETERS for act in each.acts]
    assert len(acts) == len(set(acts))
    families = {scripts.family(name) for name in scripts.fit_scripts()}
    assert all(set(each.families) <= families for each in parameters.PARAMETERS)


def test_solved__gives_known_parameters_back(steps, exact):
    """Without noise each parameter is told by the scripts: none is a mixture of others."""
    found = fit.solved(fit.matrix(steps), exact)
    assert found == pytest.approx(list(TRUE.values()), rel=1e-3)


def test_solved__is_never_negative():
    """A parameter that the times would have below zero is zero."""
    due = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    found = fit.solved(due, np.array([9000.0, 8000.0, 7000.0]))
    assert (found >= 0).all()
    assert found[1] == 0


def test_fit__intervals_hold_the_truth(estimates):
    """With noise and outliers at least nine intervals of ten hold the known parameter, and they are not endless."""
    held = [each.low <= TRUE[name] <= each.high for name, each in estimates.items()]
    assert sum(held) >= 0.9 * len(held)
    for name in ("fork", "fork_pte", "fault", "page_zero", "page_copy", "exit", "exec", "page_gone"):
        each = estimates[name]
        assert each.ns == pytest.approx(TRUE[name], rel=0.15)
        assert each.high < 1.5 * each.low


def test_fit__is_the_same_for_the_same_samples(steps, exact, monkeypatch):
    """Draws follow from the seed."""
    monkeypatch.setattr(fit, "DRAWS", 3)
    samples = np.tile(exact, (2, 1))
    assert fit.fit(steps, samples).estimates == fit.fit(steps, samples).estimates


def test_cost_model__adds_up_to_what_was_fitted(steps, estimates):
    """Priced by the model, a step takes what the parameters say, however sums are divided among acts."""
    costs = model.cost_model("mine", estimates, MACHINE)
    fitted = np.array([estimates[each.name].ns for each in parameters.PARAMETERS])
    acts = np.array([each.acts for each in steps])
    assert costs.ns(acts, parameters.RMAP) == pytest.approx(
        acts @ parameters.share_matrix().T @ fitted, rel=1e-4
    )


def test_cost_model__prices_every_act_and_says_where_from(estimates):
    """Each cost is measured, derived or ASSUMED; what fits measured has an interval around it."""
    costs = model.cost_model("mine", estimates, MACHINE)
    assert costs.costs.keys() == ACT.keys() - UNPRICED.keys()
    for act, cost in costs.listed().items():
        assert cost.source.startswith(("measured: ", "derived: ", "ASSUMED: ")), act
        if cost.source.startswith("measured"):
            assert cost.interval[0] <= cost.ns <= cost.interval[1]
    assert costs.costs["leaf_tables_linked"].assumed
    assert costs.costs["ptes_copied_unshare"].ns == pytest.approx(
        costs.costs["ptes_copied_fork"].ns + costs.costs["ptes_present_fork"].ns
    )


def test_held_out_scripts__share_no_experiment_with_those_that_fit():
    """No step of a script that judges has the history of a step that fits, but of maps alone, which judge nothing."""

    def histories(told):
        return {tuple(told[: number + 1]) for number in range(len(told)) if told[number].split()[1] != "map"}

    used = set().union(*map(histories, scripts.fit_scripts().values()))
    judged = set().union(*map(histories, scenarios().values()))
    assert not {each for each in used & judged if each[-1].split()[1] in ("fork", "exec", "exit")}


def held_of(estimates, fitted):
    """Return a cost file."""
    return cost_files.CostFile(model.cost_model("mine", estimates, MACHINE), 250.0, frozenset(fitted))


SCRIPT = ["A map anon 0x10000000000 64k", "A write 0x10000000000 16", "A fork B", "A write 0x10000000000 16"]
SCRIPT += ["B exec", "B exit", "A exit"]


def test_judge__leaves_out_what_was_used_to_fit(estimates):
    """A judgement of which any step was used to fit is counted and left out; the others are what one asks of fork."""
    found = observed.observations("mine", SCRIPT, DESIGNS["mainline"], OWN, exec_faults=28)
    measured = measuring.Measured(found, np.full((4, len(found)), 1000.0))
    judged = judging.judge(measured, held_of(estimates, []))
    assert [each.what for each in judged.judgements] == [
        judging.FORK, judging.WRITES, judging.FORK_EXEC, judging.EXIT, judging.EXIT,
    ]  # fmt: skip
    assert judged.left_out == 0
    used = [each.history for each in found if each.step == "A fork B"]
    judged = judging.judge(measured, held_of(estimates, used))
    assert judged.left_out == 2
    assert {each.what for each in judged.judgements} == {judging.WRITES, judging.EXIT}


def test_judge__sums_fork_and_exec_and_takes_medians(estimates):
    """Predicted and measured are sums over the same steps; errors and spreads are fractions of the measured."""
    found = observed.observations("mine", SCRIPT, DESIGNS["mainline"], OWN, exec_faults=28)
    held = held_of(estimates, [])
    exact = held.model.ns(np.array([each.acts for each in found]), "object")
    exact += [250.0 * (each.kind in observed.STARTED) for each in found]
    measured = measuring.Measured(found, np.array([exact / 1.25, exact / 1.25]))
    judged = judging.judge(measured, held).judgements
    assert [each.error for each in judged] == pytest.approx([0.25] * 5)
    quality = judging.qualities(judged)[0]
    assert (quality.what, quality.steps, quality.spread_p90, quality.near) == (judging.FORK, 1, 0.0, False)


def test_observations__histories_tell_experiments_apart():
    """Equal steps before and at a step give equal histories, whatever the script is called and however it goes on."""
    first, again = (
        observed.observations(name, told, DESIGNS["mainline"], OWN, exec_faults=28)
        for name, told in (("a", SCRIPT), ("b", SCRIPT[:-1]))
    )
    assert [each.history for each in first[:-1]] == [each.history for each in again]
    assert len({each.history for each in first}) == len(first)


def test_vfork__has_the_parents_part_only():
    """The exec of a spawned child is none of the parent's processor time."""
    told = ["A nop", "A spawn B", "B exit", "A exit"]
    found = observed.observations("spawn", told, DESIGNS["mainline"], OWN, exec_faults=28)
    assert found[0].kind == "vfork"
    assert found[0].acts.sum() == found[0].acts[ACT["vforks"]] == 1


# files


def test_file__keeps_everything(estimates, tmp_path):
    """What was saved comes back: costs, intervals, sources, machine, what was fitted; and the digest with it."""
    held = held_of(estimates, ["0123456789ab", "ba9876543210"])
    cost_files.save(tmp_path / "deep" / "mine.yaml", held, "two\nlines")
    back = cost_files.load(tmp_path / "deep" / "mine.yaml")
    assert back == held
    assert back.model.digest == held.model.digest != COST_MODELS["pc-2002"].digest


def test_file__all_faults_come_at_once(estimates, tmp_path):
    """Each with its line, what is allowed and what to do."""
    file = tmp_path / "mine.yaml"
    cost_files.save(file, held_of(estimates, []), "x")
    text = file.read_text()
    text = text.replace("name: mine", "name: pc-2002").replace("  vforks:", "  vfork:")
    text = text.replace("'measured: a fork of", "'somebody said: a fork of", 1)
    ns = estimates["exit"].ns
    assert f"ns: {round(ns, 3)}" in text
    file.write_text(text.replace(f"ns: {round(ns, 3)}", "ns: -1"))
    with pytest.raises(cost_files.StudyError) as caught:
        cost_files.load(file)
    said = str(caught.value)
    assert "5 problems" in said
    for part in (
        "name: 'pc-2002' is the name of a model that ships",
        "costs.vfork: unknown key; did you mean 'vforks'?",
        "costs.forks.source: ",
        "costs.exits.ns: -1 is out of range; numbers from 0",
        "costs: no cost of vforks; every act needs one",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("[1, 2]", "a mapping is needed"),
        ("name: [", "not YAML"),
        ("name: mine\nmachine: 3\ncosts: {}", "the key 'forkbench_costs' is missing"),
        ("forkbench_costs: 9\nname: mine\ncosts: {forks: 3}", "9 is out of range"),
        ("forkbench_costs: 1\nname: mine\ncosts: {forks: {ns: 1, interval: [3, 2]}}", "3 is above 2"),
    ],
)
def test_file__that_is_none_is_refused(text, message, tmp_path, capsys):
    """No input gives a traceback."""
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--costs", str(file)])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


# commands


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["calibrate", "--name", "pc-2002"],
            "--name: 'pc-2002' is the name of a model that ships; choose another",
        ),
        (["calibrate", "--out", "/"], "/: cannot be written (it is a folder); name another file with --out"),
        (
            ["calibrate", "--out", "/dev/null/x"],
            "/dev/null/x: cannot be written (/dev/null is not to be written to)",
        ),
        (["validate", "--time"], "one of --kernels, --host and --published is needed"),
        (["validate", "--kernels", "--time"], "--time needs --host"),
        (["validate", "--host", "--costs", "x"], "--costs and --rounds need --time"),
        (
            ["validate", "--host", "--time", "--costs", "pc-2003"],
            "unknown name 'pc-2003'; did you mean 'pc-2002'?",
        ),
    ],
)
def test_commands__refuse_with_the_reason(arguments, message, capsys):
    """Where, what was found, what is allowed, what to do."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_calibrate__without_a_compiler_says_so(monkeypatch, capsys, tmp_path):
    """Nothing is written."""
    monkeypatch.setattr(native, "compiler", lambda: None)
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "--out", str(tmp_path / "out.yaml")])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("calibrate: ")
    assert not list(tmp_path.iterdir())


def test_calibrate__tells_and_writes_what_it_found(steps, exact, monkeypatch, tmp_path):
    """The table has every parameter with its interval; JSON has the same numbers."""
    monkeypatch.setattr(fit, "DRAWS", 20)
    monkeypatch.setattr(
        measuring, "measure", lambda *_: measuring.Measured(steps, np.array([exact, exact * 1.1]))
    )
    out = tmp_path / "mine.yaml"
    done = CliRunner().invoke(calibrate, ["--out", str(out), "--name", "mine"])
    assert done.exit_code == 0, done.output
    assert all(each.name in done.output for each in parameters.PARAMETERS)
    held = cost_files.load(out)
    assert held.model.digest in done.output
    assert len(held.fitted) == len({each.history for each in steps})
    told = json.loads(CliRunner().invoke(calibrate, ["--out", str(out), "--json"]).output)
    assert [each["name"] for each in told["parameters"]] == list(parameters.NAMES)


def test_measure__times_steps_of_a_real_process():
    """On a machine that can be measured every step has a time, exec and exit too."""
    few = {"small": SCRIPT}
    try:
        measured = measuring.measure(few, 2, "calibrate", lambda _: None)
    except measuring.UnfitError as error:
        pytest.skip(str(error))
    assert measured.samples.shape == (2, len(measured.observed))
    assert {"fork", "exec", "exit", "pass"} <= {each.kind for each in measured.observed}
    assert (measured.samples > 1).all()
