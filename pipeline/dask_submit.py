"""``dask submit``: forkbench submit as a command of Dask's own. Dask loads this at each call: it imports little."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def submit(arguments: tuple[str, ...]) -> None:
    """Hand a forkbench study to a Dask cluster and return (forkbench submit)."""
    from pipeline.cli import main  # noqa: PLC0415 - see above

    main(["submit", *arguments], "dask")
