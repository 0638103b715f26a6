"""Which points of a sweep, under which designs, a study leaves out. Pure.

A condition is a mapping from names to what their values may be; it holds where all of them do::

    {anon_pages: {"from": 1000, "to": None}, design: {"in": ["odf", "phillips"]}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

DESIGN, WORKLOAD = "design", "workload"
Condition = dict[str, dict[str, Any]]


class Rule(NamedTuple):
    """One reason to leave cells out: those for which ``cells`` holds, unless ``when`` is given and holds too.

    Parameters
    ----------
    key : {"exclude", "only_when"}
        Of the study.
    cells : dict
        A condition.
    when : dict or None
        A condition.
    because : str
        The study's own words, "" if it gives none.
    """

    key: str
    cells: Condition
    when: Condition | None
    because: str

    def leaves_out(self, facts: dict[str, Any]) -> bool:
        """Return whether a cell is left out; ``facts`` has its parameters, geometry, workload and design."""
        return holds(self.cells, facts) and (self.when is None or not holds(self.when, facts))


def holds(condition: Condition, facts: dict[str, Any]) -> bool:
    """Return whether every name of a condition is among the facts, with a value that it allows."""
    return all(name in facts and _allowed(test, facts[name]) for name, test in condition.items())


def _allowed(test: dict[str, Any], value: Any) -> bool:
    """Return whether a value is one of those listed, or in the range."""
    if "in" in test:
        return value in test["in"]
    low, high = test["from"], test["to"]
    return bool((low is None or value >= low) and (high is None or value <= high))


def blamed(rules: Sequence[Rule], facts: dict[str, Any], designs: Sequence[str]) -> list[int | None]:
    """Return for each design the first rule that leaves out its cell at a point, None where it is kept."""
    if not rules:
        return [None] * len(designs)
    found: list[int | None] = []
    for design in designs:
        cell = facts | {DESIGN: design}
        found.append(next((index for index, rule in enumerate(rules) if rule.leaves_out(cell)), None))
    return found
