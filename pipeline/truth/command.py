"""``forkbench validate``: the simulator beside kernels."""
# ruff: noqa: PLC0415 - heavy modules are imported when they are needed, so that --help is quick

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from pipeline.errors import RefusedError

if TYPE_CHECKING:
    from pipeline.truth.host import HostComparison, Verdict
    from pipeline.truth.kernels import Comparison
    from pipeline.truth.published import Table

DIFFERENT = 1
_SHOWN = 20  # differences that are printed in full


@click.command()
@click.option(
    "--kernels", is_flag=True, help="Compare with what four kernels returned (shipped; any machine)."
)
@click.option(
    "--host", is_flag=True, help="Compare with the kernel that runs here (Linux on x86-64, a C compiler)."
)
@click.option("--published", is_flag=True, help="Run published tables again (shipped; any machine).")
@click.option(
    "--engine", type=click.Choice(["fast", "oracle"]), default="fast", help="Which simulator. [default: fast]"
)
@click.option("--seed", type=int, default=0, help="Of the random scripts of --host. [default: 0]")
@click.option("--time", "timed", is_flag=True, help="With --host: times instead of counts.")
@click.option("--costs", metavar="MODEL", help="Of --time: a name, or a file. [default: x86-64-2025]")
@click.option(
    "--rounds", type=click.IntRange(2, 1000), help="Of --time: how often each script runs. [default: 5]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def validate(
    *,
    kernels: bool,
    host: bool,
    published: bool,
    engine: str,
    seed: int,
    timed: bool,
    costs: str | None,
    rounds: int | None,
    as_json: bool,
) -> None:
    """Compare minor faults, VmPTE and resident pages, step by step, with a kernel's; or ratios with published ones.

    Exit code 1 if a step or a ratio differs and nothing names why. With --host --time: how far times that a cost model
    predicts are from those measured, on scripts that it was not fitted to; the machine decides how exact that can be.
    """
    if kernels + host + published != 1:
        raise RefusedError(
            "validate: one of --kernels, --host and --published is needed; choose what to compare with"
        )
    if (timed and not host) or (not timed and (costs is not None or rounds is not None)):
        raise RefusedError(
            "validate: --time needs --host, --costs and --rounds need --time; say --host --time, or leave them out"
        )
    if timed:
        from pipeline.calibration.command import judge_host

        judge_host(seed, costs, rounds or 5, as_json=as_json)
        return
    if published:
        failed = _published(as_json=as_json)
    else:
        failed = _kernels(engine, as_json=as_json) if kernels else _host(seed, as_json=as_json)
    if failed:
        raise click.exceptions.Exit(DIFFERENT)


def _kernels(engine: str, *, as_json: bool) -> bool:
    """Compare with the step files; tells whether a step differs that nothing excuses."""
    from pipeline.truth import kernels

    compared = [kernels.compare(kernels.load(name), engine) for name in kernels.KERNELS]
    if as_json:
        click.echo(json.dumps([kernels.as_json(each) for each in compared], indent=2))
    else:
        for each in compared:
            _tell_kernel(each)
    return any(each.failed for each in compared)


def _tell_kernel(compared: Comparison) -> None:
    """Print one kernel's comparison."""
    kernel = compared.kernel
    excused = [each for each in compared.differences if each.excused]
    click.echo(f"{kernel.version}, design {kernel.design.name}")
    click.echo(
        f"  {len(kernel.scripts)} scripts, {compared.steps} steps: {compared.steps - len(compared.differences)} equal in "
        f"minor faults and VmPTE, {len(excused)} left out, {len(compared.differences) - len(excused)} different"
    )
    for each in compared.differences:
        if each.excused is None:
            faults, table = each.kernel
            here_faults, here_table = each.simulated
            click.echo(
                f"  {each.script}, step {each.step}: {faults} faults, VmPTE {table} KiB; "
                f"simulated {here_faults}, {here_table} KiB"
            )
    reasons: dict[str, list[str]] = {}
    for each in excused:
        reasons.setdefault(each.excused.reason if each.excused else "", []).append(each.script)
    for reason, scripts in reasons.items():
        click.echo(f"  left out, {len(scripts)} steps of {', '.join(dict.fromkeys(scripts))}: {reason}")
    for stale in compared.stale:
        click.echo(
            f"  {stale.script} is named as left out, but equal; take it off pipeline/truth/left_out.py"
        )


def _published(*, as_json: bool) -> bool:
    """Compare with published ratios; tells whether a row is off and its table does not say what is missing."""
    from pipeline.truth import published

    tables = published.rerun()
    off = [(table, row) for table in tables for row in table.tested if abs(row.error) > published.NEAR]
    if as_json:
        told = [
            table._asdict() | {"rows": [row._asdict() | {"error": row.error} for row in table.rows]}
            for table in tables
        ]
        click.echo(json.dumps(told, indent=2))
        return any(table.missing is None for table, _ in off)
    for table in tables:
        _tell_table(table, explained=all(each is not table for each, _ in off))
    tested = sum(len(table.tested) for table in tables)
    click.echo(
        f"{tested - len(off)} of {tested} rows that gave the model no number are within {published.NEAR:.0%}; "
        f"{published.FREE} numbers of the model were read off published rows (fit)"
    )
    return any(table.missing is None for table, _ in off)


def _tell_table(table: Table, *, explained: bool) -> None:
    """Print a published table beside the simulator."""
    click.echo(f"{table.name}: {table.ratio}\n  {table.source}")
    for row in table.rows:
        params = ", ".join(f"{key} {value}" for key, value in row.params.items())
        guesses = "".join(f"  {name} {ratio:.2f}" for name, ratio in row.predicted.items())
        click.echo(
            f"  {params:34} published {row.published:6.3f}  simulated {row.simulated:6.3f}  {row.error:+5.0%}"
            f"  {'fit ' if row.fit else 'test'}{'  predicted:' if guesses else ''}{guesses}"
        )
    if not explained:
        click.echo(f"  missing: {table.missing or 'nothing is named that would explain it'}")


def _host(seed: int, *, as_json: bool) -> bool:
    """Compare with the running kernel; tells whether a step differs."""
    from pipeline.truth import host

    compared = host.compare_host(seed, lambda said: click.echo(said, err=True))
    if as_json:
        click.echo(json.dumps(host.as_json(compared), indent=2))
    else:
        _tell_host(compared)
    return compared.failed


def _tell_host(compared: HostComparison) -> None:
    """Print the comparison with the running kernel."""
    import platform

    noisy = [verdict for verdict in compared.verdicts if verdict.noisy]
    different = [verdict for verdict in compared.verdicts if verdict.differing]
    steps = sum(len(verdict.steps) for verdict in compared.verdicts)
    click.echo(f"Linux {platform.release()}, design {compared.design}")
    click.echo(
        f"  {len(compared.verdicts)} scripts, {steps} steps, each three times: {len(compared.verdicts) - len(different)} "
        f"scripts equal in minor faults, VmPTE, resident and anonymous pages at every step, {len(different)} different"
    )
    click.echo(
        f"  {len(noisy)} scripts whose turns the kernel did not repeat exactly: {_names(noisy) or 'none'}"
    )
    for name, reason in compared.skipped.items():
        click.echo(f"  {name} was left out: {reason}")
    for verdict in different[:_SHOWN]:
        number = verdict.differing[0]
        click.echo(f"  {verdict.name}, step {number} {verdict.steps[number]}:")
        click.echo(f"    kernel    {verdict.kernel[number]._asdict()}")
        click.echo(f"    simulated {verdict.simulated[number]._asdict()}")


def _names(verdicts: list[Verdict]) -> str:
    """Return the names of scripts, with commas."""
    return ", ".join(verdict.name for verdict in verdicts)
