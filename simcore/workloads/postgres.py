"""The workload ``postgres``: a data base server forks a backend for each connection.

Each time: the server forks; the backend writes some of its own memory and touches the shared buffers, which are a shm
object and so never copied; the server writes a few pages. Only so many connections last at a time: the oldest ends first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.workloads.parameters import INT, Parameter, Workload
from simcore.workloads.process import write_drawn
from simcore.workloads.star import StarStory, star_parameters

if TYPE_CHECKING:
    from simcore.workloads.star import Star

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("backends", INT, 40, "connections, one after another", "backends", 1, 10_000),
    Parameter("connected", INT, 20, "how many of them last at a time, at most", "backends", 1, 10_000),
    Parameter("written", INT, 500, "anonymous pages, at most all, that each backend writes", "pages", 0, 4_000_000),
    Parameter("shared_buffers", INT, 32_768, "pages of the shared buffers, a shm object", "pages", 1, 4_000_000),
    Parameter(
        "buffers_prepared", INT, 300,
        "pages of the shared buffers, at most all, that the server writes at its start", "pages", 0, 4_000_000,
    ),
    Parameter(
        "buffers_touched", INT, 4_000,
        "pages of the shared buffers, at most all, that each backend writes, drawn anew", "pages", 0, 4_000_000,
    ),
    *star_parameters(image="git", anon_pages=640, file_pages=960, parent_writes=14),
)  # fmt: skip


def _tell(star: Star, params: dict[str, Any]) -> None:
    """Let backends come and go; the pages that each writes are drawn."""
    buffers = star.process.shm_pages
    if star.process.shm is not None:
        star.builder.mmap(0, star.process.shm)
    write_drawn(star.builder, 0, buffers[: params["buffers_prepared"]])

    def begin(backend: int) -> None:
        star.write(backend, params["written"])
        write_drawn(star.builder, backend, star.some(buffers, params["buffers_touched"]))

    star.come_and_go(params["backends"], params["connected"], begin)


_STORY = StarStory(_tell, shm="shared_buffers")

POSTGRES_WORKLOAD = Workload(
    name="postgres",
    prose="A data base server forks a backend for each connection; backends never exec, write part of their own memory, "
    "and share the buffers, whose pages fork never copies.",
    source="PostgreSQL forks a backend for each connection (its documentation: How Connections Are Established); "
    "shared_buffers has its default of 128 MB. Seen on Linux: 600 to 800 anonymous and about 1,900 file pages when "
    "it forks, about 500 of the former written by a backend. The default program and its mapping have so many "
    "together. ASSUMED: that git stands for a C program with some libraries; connected, buffers_prepared, "
    "buffers_touched, parent_writes; that a touched buffer is written; and that pages are drawn evenly.",
    parameters=PARAMETERS,
    make=_STORY.make,
    fits=_STORY.fits,
)
