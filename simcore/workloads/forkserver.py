"""The workload ``forkserver``: a fuzzer's fork server runs one input after another, each in a child of its own.

Each time: the server forks; the child writes some of its memory and exits; the server writes a page or two. There is
never more than one child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.workloads.parameters import INT, Parameter, Workload
from simcore.workloads.star import StarStory, star_parameters

if TYPE_CHECKING:
    from simcore.workloads.star import Star

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("inputs", INT, 300, "inputs, a child for each", "children", 1, 10_000),
    Parameter("written", INT, 100, "anonymous pages, at most all, that each child writes", "pages", 0, 4_000_000),
    *star_parameters(image="sleep", anon_pages=25_000, file_pages=0, parent_writes=2),
)  # fmt: skip


def _tell(star: Star, params: dict[str, Any]) -> None:
    """Fork a child for each input; the pages that it writes are drawn."""
    for _ in range(params["inputs"]):
        star.bear(1, lambda child: star.write(child, params["written"]))
        star.builder.exit(1)
    star.end([])


_STORY = StarStory(_tell)

FORKSERVER_WORKLOAD = Workload(
    name="forkserver",
    prose="A fuzzer's fork server: a program with its input parser loaded forks a short-lived child for each input; the "
    "child writes some pages and exits.",
    source="Michal Zalewski, Fuzzing random programs without execve(), 2014: 50 to 5,000 forks a second. Measured "
    "with shared page tables: Zhao, Gong, Fonseca, On-demand-fork, EuroSys 2021. Such a program has 10,000 to "
    "250,000 anonymous pages and a child writes 10 to 1,000. ASSUMED: the defaults within these ranges, the small "
    "program beside, parent_writes, and that pages are drawn evenly.",
    parameters=PARAMETERS,
    make=_STORY.make,
    fits=_STORY.fits,
)
