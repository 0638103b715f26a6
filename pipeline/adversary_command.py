"""``forkbench adversary``: the constructed worst cases, and the evidence that nothing within their bound is worse."""
# ruff: noqa: PLC0415 - heavy modules are imported by the commands that need them, so that --help is quick

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from pipeline.listing_commands import known_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simcore.adversaries.constructed import Adversary
    from simcore.adversaries.proof import Evidence
    from simcore.designs import Design

WIDTH = 100
BOUND = (
    "Worst within this bound: mappings stay as they are at the start, and processes touch, fork, vfork and exit. Memory "
    "is short for tlb_reach alone: a fault that besides has to bring its page back from swap is dearer, under every "
    "design. Exec, munmap, mprotect and madvise are not in it either; `forkbench search` looks among workloads that do "
    "them."
)


@click.command()
@click.argument("name", required=False)
@click.option("--design", metavar="NAME", help="One design; else all are compared.")
@click.option(
    "--processes",
    type=click.IntRange(2, 3),
    default=2,
    show_default=True,
    help="Processes of every trace that is tried: 2 takes seconds a design, 3 a minute or two.",
)
@click.option(
    "--levels", type=click.IntRange(2, 3), default=2, show_default=True,
    help="Levels of page tables: 2 with tables of 4 entries, or 3 with tables of 2.",
)  # fmt: skip
def adversary(name: str | None, design: str | None, processes: int, levels: int) -> None:
    """List the adversaries and what each comes to beside the maximum of every short trace, or show one's argument too.

    With a name and --design the trace is told as a story, with what was tried. All of them under all designs take
    minutes; rows appear as they are found.
    """
    from simcore.adversaries import ADVERSARIES
    from simcore.adversaries.proof import evidence
    from simcore.designs import DESIGNS
    from simcore.geometry import tiny_geometry

    every = tuple(ADVERSARIES.values())
    tried = every if name is None else (ADVERSARIES[known_name(name, ADVERSARIES, "adversary")],)
    designs = DESIGNS if design is None else [known_name(design, DESIGNS, "design")]
    geometry = tiny_geometry(4 if levels == 2 else 2, levels)
    opening = _listed(every) if name is None else _argued(tried[0])
    click.echo(f"{opening}\n\n{_wrapped(BOUND)}\n")
    beaten = 0
    for index, each in enumerate(designs):
        found = evidence(DESIGNS[each], tried, processes, geometry)
        as_story = name is not None and design is not None
        click.echo(_told(tried[0], DESIGNS[each], found) if as_story else _rows(found, heading=index == 0))
        beaten += sum(not one.proven for one in found)
    if beaten:
        click.echo(
            f"{beaten} values are beaten by a short trace: the construction is not the worst", err=True
        )
        click.get_current_context().exit(1)


def _wrapped(text: str) -> str:
    """Return paragraphs of a docstring in lines."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(paragraph, WIDTH) for paragraph in paragraphs)


def _listed(adversaries: Iterable[Adversary]) -> str:
    """Return the adversaries and what each makes worst."""
    lines = []
    for each in adversaries:
        costs = "; ".join(f"{cost.name}: {cost.meaning}" for cost in each.costs)
        lines += [
            f"{each.name:<15}{each.meaning}",
            textwrap.indent(textwrap.fill(costs, WIDTH - 15), " " * 15),
        ]
    return "\n".join([*lines, "", "forkbench adversary NAME shows the argument"])


def _argued(adversary: Adversary) -> str:
    """Return what one adversary is and its argument."""
    return f"{adversary.name}: {adversary.meaning}\n\n{_wrapped(adversary.argument)}"


def _rows(found: list[Evidence], *, heading: bool) -> str:
    """Return a table's rows for one design."""
    head = f"{'design':<17}{'cost':<23}{'adversary':>13}{'maximum':>13}{'traces tried':>14}  equal"
    rows = [
        f"{one.design:<17}{one.cost.name:<23}{one.value:>13,.0f}{one.maximum.value:>13,.0f}"
        f"{one.found.traces:>14,}  {'yes' if one.proven else 'NO'}"
        for one in found
    ]
    return "\n".join([head, *rows] if heading else rows)


def _told(adversary: Adversary, design: Design, found: list[Evidence]) -> str:
    """Return an adversary's trace for a design, its values beside the maxima, and what was tried."""
    from simcore.adversaries.spaces import WAYS
    from simcore.events import describe

    declared, tried = found[0].declared, found[0].found
    story = adversary.story(design, declared.size, declared.geometry)
    ways = [what for *_, what in WAYS.values()]
    tries = (
        f"Tried: {tried.traces:,} traces of up to {declared.length} events that do something, by "
        f"{declared.size.processes} processes, through {tried.states:,} distinct states; {tried.simulated:,} events were "
        "simulated. An event that cannot happen or changes nothing is left out: the trace without it is tried."
    )
    prose = [
        tries,
        f"Mappings, any two of them, the second for every table but the first: {'; '.join(ways)}.",
        f"Letters: {'; '.join(declared.told(design))}.",
    ]
    for one in found:
        how = "; ".join([", ".join(one.maximum.space), *one.maximum.events])
        prose.append(f"First found with the maximum of {one.cost.name}: {how}.")
    events = [describe(event) for event in story.builder.build().events]
    lines = [
        f"The trace against {design.name}, {declared.size.tables} tables of {declared.geometry.entries} entries:",
        *(f"  {number:>3}  {event}" for number, event in enumerate(events)),
        "",
        _rows(found, heading=True),
        "",
        *(textwrap.fill(line, WIDTH) for line in prose),
    ]
    return "\n".join(lines)
