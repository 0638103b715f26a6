"""What commands about a study share: the study itself, ``--set``, and where its dataset is."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.dataset_argument import DATASET

if TYPE_CHECKING:
    from pipeline.study import Study

study_argument = click.argument("study", type=click.Path(path_type=Path))
sets_option = click.option(
    "--set", "sets", metavar="KEY=VALUE", multiple=True,
    help="Replace a value of the study, e.g. --set replicates=5 or --set workload.tree.anon_pages=600. Repeatable.",
)  # fmt: skip
results_option = click.option(
    "--results", type=DATASET, metavar="DIR", help="The dataset: a folder, or a URL. [default: results/<study name>]",
)  # fmt: skip


def load(file: Path, sets: tuple[str, ...]) -> Study:
    """Return a validated study."""
    from pipeline.study import load_study

    return load_study(file, sets)


def default_results(study: Study) -> Path:
    """Return where a study's dataset is if nothing else is said."""
    return Path("results") / study.name
