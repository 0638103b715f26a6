"""The workload ``worker_pool``: an interpreter with its modules and data loaded forks a pool of workers.

The parent forks its workers one after another. Then tasks come, one for each worker in turn, and again: a worker writes
pages as it works, for whatever it looks at has a reference count. At the end all exit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.workloads.parameters import FRACTION, INT, Parameter, Workload
from simcore.workloads.process import write, write_drawn
from simcore.workloads.star import StarStory, star_parameters

if TYPE_CHECKING:
    from simcore.workloads.star import Star

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("workers", INT, 8, "workers of the pool", "workers", 1, 10_000),
    Parameter("tasks", INT, 10, "tasks for each worker", "tasks", 1, 10_000),
    Parameter(
        "written", INT, 1_500,
        "anonymous pages, at most all, that a worker writes in all its tasks together, each once", "pages", 0, 4_000_000,
    ),
    Parameter(
        "exec_ratio", FRACTION, 0.0,
        "probability that a worker execs the interpreter anew and loads everything itself; one random number per worker "
        "decides for all ratios, so that the workers that exec at a higher ratio include those of a lower one",
    ),
    Parameter(
        "written_before_exec", INT, 17,
        "the program's anonymous pages, at most all, that a worker that execs writes before, spread over its leaf tables",
        "pages", 0, 4_000_000,
    ),
    *star_parameters(image="python3", anon_pages=1_700, file_pages=800, parent_writes=22),
)  # fmt: skip


def _tell(star: Star, params: dict[str, Any]) -> None:
    """Fork the pool and let it work: which workers exec is drawn first, then the pages."""
    workers = range(1, params["workers"] + 1)
    execs = star.rng.random(params["workers"]) < params["exec_ratio"]
    before = star.process.before_exec(params["written_before_exec"])

    def begin(worker: int) -> None:
        if execs[worker - 1]:
            write(star.builder, worker, before)
            star.process.start(star.builder, worker, 0)

    shares = []
    for worker in workers:
        star.bear(worker, begin)
        pages = star.rng.permutation(star.process.drawn(params["written"], star.rng))
        shares.append([np.sort(part) for part in np.array_split(pages, params["tasks"])])
    for task in zip(*shares, strict=True):
        for worker, pages in zip(workers, task, strict=True):
            write_drawn(star.builder, worker, pages)
    star.end(workers)


_STORY = StarStory(_tell)

WORKER_POOL_WORKLOAD = Workload(
    name="worker_pool",
    prose="A Python interpreter with modules and data loaded forks a pool of workers; what they only look at they write "
    "all the same, for the reference counts of its objects lie in it.",
    source="That reference counts unshare pages was described of uWSGI's workers: Chenyang Wu, Min Ni, Dismissing "
    "Python Garbage Collection at Instagram, 2017. Pools of Python's multiprocessing on Linux 6.18: 1,700 to 3,600 "
    "anonymous and 1,700 to 3,300 file pages when they fork, hundreds to thousands written by a worker, 22 by the "
    "parent for each fork. The interpreter is measured, and with the default mapping and file it is within these "
    "ranges. ASSUMED: the number of workers and tasks, and that pages are drawn evenly.",
    parameters=PARAMETERS,
    make=_STORY.make,
    fits=_STORY.fits,
)
