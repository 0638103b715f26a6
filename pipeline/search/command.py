"""``forkbench search``: the worst cells of the space that a study declares, looked for."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import unwritable
from pipeline.run_command import fleet_of, search_options
from pipeline.study_options import load, study_argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.study import Study

# Those of pipeline.search.optimise and .objective, which are slow to import; a test keeps them equal.
BUDGET, MIN_BUDGET, MAX_BUDGET = 512, 8, 100_000
OBJECTIVE = "total_ns"
_MAX_SEED = 2**63 - 1


@click.command()
@study_argument
@click.option(
    "--objective", metavar="METRIC", default=OBJECTIVE, show_default=True,
    help="A column of times or counts, as a multiple of the baseline's on the same trace; the highest is the worst.",
)  # fmt: skip
@click.option(
    "--absolute", is_flag=True, help="Take the metric as it is, not as a multiple of the baseline's."
)
@click.option(
    "--design", "designs", metavar="NAME", multiple=True,
    help="The dearest of these counts. Repeatable. [default: all but the baseline]",
)  # fmt: skip
@click.option("--costs", metavar="MODEL", help="Cost model: a name, or a file. [default: the study's]")
@click.option(
    "--budget", type=click.IntRange(MIN_BUDGET, MAX_BUDGET), default=BUDGET, show_default=True, metavar="N",
    help="Points to try; each is run under all designs, in all replicates. The peak's neighbours come on top.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, _MAX_SEED), metavar="N", help="Of the search. [default: the study's]"
)
@click.option(
    "--results", type=click.Path(path_type=Path), metavar="DIR",
    help="The dataset. [default: results/<study name>-search]",
)  # fmt: skip
@search_options
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--findings", type=click.Path(path_type=Path), metavar="FILE",
    help="Write the same JSON to a file, for 'forkbench report --findings'.",
)  # fmt: skip
def search(study: Path, *, quiet: bool, as_json: bool, **asked: Any) -> None:
    """Look for the worst cells of the space that a study's axes declare.

    Sobol points, then differential evolution, through the same workers as a run; every evaluation is in the dataset.
    Stopped and run again it goes on, and ends with the same result. Exit code 0: done; 1: stopped; 2: refused; 3: our
    fault.
    """
    from pipeline.prices import cost_model
    from pipeline.search import told
    from pipeline.search.evaluate import NAME_ENDS, Means
    from pipeline.search.objective import objective_of
    from pipeline.search.search import Wish
    from pipeline.search.search import search as find

    fleet = fleet_of(asked)
    wanted = load(study, asked["sets"])
    costs = None if asked["costs"] is None else cost_model(asked["costs"])
    objective = objective_of(wanted, asked["objective"], asked["designs"], costs, absolute=asked["absolute"])
    wish = Wish(objective, asked["budget"], wanted.seed if asked["seed"] is None else asked["seed"])
    path = asked["results"] or Path("results") / f"{wanted.name}{NAME_ENDS}"
    found = find(wanted, wish, Means(path, fleet, asked["retry_failed"]), _teller(wanted, quiet=quiet))
    facts = told.facts(wanted, wish, path, found)
    if asked["findings"]:
        _write(asked["findings"], facts)
    click.echo(json.dumps(facts, indent=2) if as_json else told.lines(facts))


def _write(file: Path, facts: dict[str, Any]) -> None:
    """Write the findings to a file; what was simulated just now is no finding, and left out."""
    from pipeline.folders import replace

    found = {key: value for key, value in facts.items() if key != "simulated"}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file.parent, file.name, (json.dumps(found, indent=2) + "\n").encode())
    except OSError as error:
        raise unwritable(file, error, "--findings") from None


def _teller(study: Study, *, quiet: bool) -> Callable[[str], None]:
    """Return what tells of a generation."""

    def tell(line: str) -> None:
        if not quiet:
            click.echo(f"{study.name}: {line}", err=True)

    return tell
