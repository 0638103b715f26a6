"""The command that puts a dataset's parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.dataset_argument import DATASET
from pipeline.errors import counted

if TYPE_CHECKING:
    from pipeline.places import Where


@click.command()
@click.argument("dataset", type=DATASET)
def compact(dataset: Where) -> None:
    """Put a dataset's parts together: one file for each version of the software that made them, with the same rows.

    A run that completes its dataset does so itself; this is for one that is incomplete, or was made by several versions.
    """
    from pipeline.compaction import compact as compacted  # noqa: PLC0415 - pyarrow, which --help does without
    from pipeline.terminal import byte_size  # noqa: PLC0415 - as above

    (count, size), after = compacted(dataset)
    if after[0] == count:
        click.echo(f"{dataset}: {counted(count, 'part')}; nothing can be put together")
    else:
        told = f"{counted(count, 'part')} put together in {after[0]:,}"
        click.echo(f"{dataset}: {told}; {byte_size(size)} before, {byte_size(after[1])} now")
