"""Which design a name means in a study: one of simcore's rows, or one that the study defines itself.

A study's own design is kept as plain data, with every axis spelled out, so that a frozen plan and a dataset say what
was run. Workers import this: it needs nothing but the simulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.designs import AXES, DESIGNS, derived

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simcore.designs import Design

MORE_THAN = "more_than"  # the one number of a row; it belongs to the axis ``fork``


def frozen(design: Design, base: str) -> dict[str, Any]:
    """Return a study's own design as plain data: ``base`` and ``axes``, the latter with ``more_than``."""
    axes = {axis: getattr(design, axis) for axis in AXES}
    return {"base": base, "axes": axes | {MORE_THAN: design.more_than}}


def thawed(name: str, data: Mapping[str, Any]) -> Design | None:
    """Return the design that ``frozen`` wrote, None if this version does not know its base, an axis or a value."""
    base = DESIGNS.get(data["base"])
    axes = data["axes"]
    if base is None or not set(axes) <= {*AXES, MORE_THAN}:
        return None
    try:
        return derived(
            name, base, {axis: value for axis, value in axes.items() if value != getattr(base, axis)}
        )
    except ValueError:
        return None


def known_designs(own: Mapping[str, Mapping[str, Any]]) -> dict[str, Design]:
    """Return name -> design: those that ship, then the study's own as far as this version knows what they are.

    A name that shipped only after a study had taken it means in that study what the study says.
    """
    mine = {name: thawed(name, data) for name, data in own.items()}
    shipped = {name: row for name, row in DESIGNS.items() if name not in own}
    return shipped | {name: row for name, row in mine.items() if row is not None}


def rmap_of(own: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return design -> its reverse mappings, a value of the axis ``rmap``: what its acts cost depends on them."""
    return {name: row.rmap for name, row in known_designs(own).items()}
