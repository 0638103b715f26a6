"""``forkbench calibrate``: costs of this machine; and what ``forkbench validate --host --time`` prints."""
# ruff: noqa: PLC0415 - heavy modules are imported when they are needed, so that --help is quick

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.calibration.fit import Fit
    from pipeline.calibration.judging import Judgement, Quality
    from pipeline.calibration.measuring import Measured
    from pipeline.cost_files import CostFile

ROUNDS = 11
_SHOWN = 6  # judgements that are farthest off
_HEADING = """Cost model of one machine, written by forkbench calibrate.
Use it with: forkbench report DATASET --costs THIS_FILE, forkbench predict --costs THIS_FILE,
and judge it with: forkbench validate --host --time --costs THIS_FILE"""


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("calibrated.yaml"), metavar="FILE",
    show_default=True, help="Where the cost model goes; a file that is there is replaced.",
)  # fmt: skip
@click.option("--name", default="calibrated", show_default=True, help="What reports call the model.")
@click.option(
    "--rounds", type=click.IntRange(3, 1000), default=ROUNDS, show_default=True,
    help="How often each script runs.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def calibrate(out: Path, name: str, rounds: int, *, as_json: bool) -> None:
    """Measure what elementary acts cost on this machine, and write a cost model.

    Needs Linux on x86-64 and a C compiler, and takes about a minute.
    """
    from pipeline import cost_files
    from pipeline.calibration import fit, measuring, model, scripts

    cost_files.refuse_name(name)
    cost_files.refuse_place(out)
    measured = measuring.measure(scripts.fit_scripts(), rounds, "calibrate", _say)
    fitted = fit.fit(measured.observed, measured.samples)
    machine = measuring.machine(rounds)
    held = cost_files.CostFile(
        model.cost_model(name, fitted.estimates, machine),
        round(fitted.estimates["start"].ns, 1),
        frozenset(each.history for each in measured.observed),
    )
    cost_files.save(out, held, _HEADING)
    if as_json:
        click.echo(json.dumps(_as_json(held, fitted, out), indent=2))
    else:
        _tell(held, fitted, measured)
        click.echo(f"cost model {name} (digest {held.model.digest}): {out}")


def _say(said: str) -> None:
    """Tell of progress, apart from the output."""
    click.echo(said, err=True)


def _as_json(held: CostFile, fitted: Fit, out: Path) -> dict[str, Any]:
    """Return what calibrate found, ready for JSON."""
    return {
        "file": str(out),
        "digest": held.model.digest,
        "machine": held.model.provenance,
        "parameters": [each._asdict() for each in fitted.estimates.values()],
    }


def _tell(held: CostFile, fitted: Fit, measured: Measured) -> None:
    """Print the machine, the parameters, and how well they explain what they were fitted to."""
    import numpy as np

    from pipeline.calibration.parameters import PARAMETERS

    _tell_machine(held.model.provenance)
    click.echo(f"{'parameter':13}{'ns':>10}  {'95 % interval':>20}  told by       what it is the time of")
    for parameter in PARAMETERS:
        found = fitted.estimates[parameter.name]
        between = f"{_ns(found.low)} to {_ns(found.high)}"
        told = ", ".join(parameter.families)
        click.echo(f"{found.name:13}{_ns(found.ns):>10}  {between:>20}  {told:13} {parameter.unit}")
    start = fitted.estimates["start"]
    click.echo(
        f"{'(start)':13}{_ns(start.ns):>10}  {f'{_ns(start.low)} to {_ns(start.high)}':>20}  {'all':13} "
        "a short step of the probe by itself; no part of the model"
    )
    errors, spread = np.abs(fitted.residuals), measured.spread
    click.echo(
        f"{len(measured.observed)} steps of {len({each.script for each in measured.observed})} scripts: the sums are off "
        f"by {np.median(errors):.0%} (median) and {np.quantile(errors, 0.9):.0%} (p90); two halves of the rounds "
        f"differ by {np.median(spread):.0%} and {np.quantile(spread, 0.9):.0%}"
    )


def _tell_machine(machine: dict[str, str]) -> None:
    """Print what was measured."""
    for key, value in machine.items():
        click.echo(f"{key}: {value}")
    click.echo("")


def _ns(value: float) -> str:
    """Return nanoseconds as a table shows them."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def judge_host(seed: int, costs: str | None, rounds: int, *, as_json: bool) -> None:
    """Print how far predicted times are from those measured here, on scripts that the costs were not fitted to."""
    from pipeline import cost_files
    from pipeline.calibration import judging, measuring
    from pipeline.calibration.parameters import REFERENCE
    from pipeline.prices import cost_model

    held = (
        cost_files.load(costs)
        if costs and cost_files.is_file(costs)
        else cost_files.CostFile(cost_model(costs or REFERENCE.name))
    )
    scripts, skipped = judging.held_out(seed)
    measured = measuring.measure(scripts, rounds, "validate --host --time", _say)
    judged = judging.judge(measured, held)
    qualities = judging.qualities(judged.judgements)
    machine = measuring.machine(rounds)
    if as_json:
        told = {
            "costs": held.model.name,
            "digest": held.model.digest,
            "machine": machine,
            "qualities": [each._asdict() | {"near": each.near} for each in qualities],
            "fitted_steps_left_out": judged.left_out,
            "skipped": skipped,
            "judgements": [each._asdict() | {"error": each.error} for each in judged.judgements],
        }
        click.echo(json.dumps(told, indent=2))
        return
    _tell_machine(machine)
    click.echo(f"cost model {held.model.name} (digest {held.model.digest}): {held.model.prose}")
    for key, value in held.model.provenance.items():
        if machine.get(key) != value and key in ("kernel", "processor"):
            click.echo(f"  it was measured elsewhere: {key} {value}")
    click.echo(
        f"{len(scripts)} scripts, each {rounds} times; {judged.left_out} steps that the costs were fitted to are left out"
    )
    for name, reason in skipped.items():
        click.echo(f"  {name} was left out: {reason}")
    _tell_qualities(qualities, judged.judgements)


def _tell_qualities(qualities: Sequence[Quality], judgements: Sequence[Judgement]) -> None:
    """Print the errors of each thing beside how far the machine repeats itself, by kinds of memory, and the worst."""
    from pipeline.calibration.judging import NEAR_MEDIAN, NEAR_P90, by_memory

    click.echo(f"\n{'':34}{'errors':^36}{'two halves of the rounds':>26}")
    click.echo(f"{'':20}{'judged':>8}{'median':>10}{'p90':>8}{'signed':>10}{'':16}{'median':>8}{'p90':>8}")
    for each in qualities:
        _tell_quality(each.what, each)
    for each in by_memory(judgements):
        _tell_quality(f"  {each.what}", each)
    aims = ", ".join(f"{each.what} {'met' if each.near else 'not met'}" for each in qualities)
    click.echo(f"aim: median within {NEAR_MEDIAN:.0%}, p90 within {NEAR_P90:.0%}: {aims}")
    click.echo("farthest off:")
    for judgement in sorted(judgements, key=lambda each: -abs(each.error))[:_SHOWN]:
        click.echo(
            f"  {judgement.script}, {judgement.step}: {judgement.what} "
            f"predicted {judgement.predicted_ns / 1000:,.1f} us, measured {judgement.measured_ns / 1000:,.1f} us"
        )


def _tell_quality(what: str, each: Quality) -> None:
    """Print a row of errors."""
    click.echo(
        f"{what:20}{each.steps:8,}{each.median:>10.0%}{each.p90:>8.0%}{each.bias:>+10.0%}"
        f"{'':16}{each.spread_median:>8.0%}{each.spread_p90:>8.0%}"
    )
