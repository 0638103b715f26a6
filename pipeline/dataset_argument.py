"""A dataset as the argument of a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.places import Where


class _Dataset(click.ParamType):  # type: ignore[type-arg]  # it takes an argument in click 8.2 only
    """A folder, or a URL, which is left as it is."""

    name = "dataset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Where:  # noqa: ARG002 - click's
        """Return a Path, or the URL."""
        return place_named(value) if isinstance(value, str) else value


def place_named(text: str) -> Where:
    """Return a dataset as those who read it take it: a Path, or a URL as it is."""
    return text if "://" in text else Path(text)


DATASET = _Dataset()
