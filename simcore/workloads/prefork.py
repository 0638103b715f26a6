"""The workload ``prefork``: a server forks its workers before there is anything to do, and they serve for long.

The server forks its workers one after another; each writes some memory as it gets ready. Then requests come: a worker,
drawn, writes some pages for each. Now and then a worker exits behind a request and the server forks another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.workloads.parameters import FRACTION, INT, Parameter, Workload
from simcore.workloads.star import StarStory, star_parameters

if TYPE_CHECKING:
    from simcore.workloads.star import Star

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("workers", INT, 10, "workers that live at a time", "workers", 1, 10_000),
    Parameter("requests", INT, 500, "requests to all workers together", "requests", 0, 20_000),
    Parameter(
        "written_at_start", INT, 100, "anonymous pages, at most all, that a worker writes as it gets ready",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "written_per_request", INT, 20, "anonymous pages, at most all, that a worker writes for a request, drawn anew",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "exit_ratio", FRACTION, 0.02,
        "probability that a worker exits behind a request, for another to take its place; one random number per request "
        "decides for all ratios",
    ),
    *star_parameters(image="git", anon_pages=1_500, file_pages=0, parent_writes=14),
)  # fmt: skip


def _tell(star: Star, params: dict[str, Any]) -> None:
    """Fork the workers and let them serve: who serves and who exits is drawn first, then the pages."""
    serving = star.rng.integers(1, params["workers"], params["requests"], endpoint=True).tolist()
    exits = (star.rng.random(params["requests"]) < params["exit_ratio"]).tolist()

    def begin(worker: int) -> None:
        star.write(worker, params["written_at_start"])

    for worker in range(1, params["workers"] + 1):
        star.bear(worker, begin)
    for worker, leaves in zip(serving, exits, strict=True):
        star.write(worker, params["written_per_request"])
        if leaves:
            star.builder.exit(worker)
            star.bear(worker, begin)
    star.end(range(1, params["workers"] + 1))


_STORY = StarStory(_tell)

PREFORK_WORKLOAD = Workload(
    name="prefork",
    prose="A web server of the old kind: a parent and its workers, all of one program; they write some of what they got, "
    "serve requests, and rarely exit.",
    source="Apache's MPM prefork and its like: children that serve and are rarely replaced (its documentation: "
    "MaxConnectionsPerChild). In public process listings web servers have up to 233 processes of one name side by "
    "side, and the median process has 8 MB resident. ASSUMED: all numbers of pages, workers and requests; that git "
    "stands for a C program with some libraries; that pages are drawn evenly.",
    parameters=PARAMETERS,
    make=_STORY.make,
    fits=_STORY.fits,
)
