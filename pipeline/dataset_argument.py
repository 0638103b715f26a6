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
        return value if not isinstance(value, str) or "://" in value else Path(value)


DATASET = _Dataset()
