"""The workload ``zygote``: a process with a warmed-up runtime forks programs that never exec.

Each time: the zygote forks; the child writes some of its memory and reads some of the runtime's file; the zygote writes
a few pages. Of the children only so many live at a time: the oldest goes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.workloads.parameters import INT, Parameter, Workload
from simcore.workloads.star import StarStory, star_parameters

if TYPE_CHECKING:
    from simcore.workloads.star import Star

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("children", INT, 50, "programs, one after another", "children", 1, 10_000),
    Parameter("alive", INT, 20, "how many of them live at a time, at most", "children", 1, 10_000),
    Parameter("written", INT, 400, "anonymous pages, at most all, that each child writes", "pages", 0, 4_000_000),
    Parameter("read_pages", INT, 2_000, "pages of the file, at most all, that each child reads", "pages", 0, 1_000_000),
    *star_parameters(image="sleep", anon_pages=8_000, file_pages=10_000, parent_writes=14),
)  # fmt: skip


def _tell(star: Star, params: dict[str, Any]) -> None:
    """Let programs come and go; the pages that each writes and reads are drawn."""
    file = star.process.layout.archive

    def begin(child: int) -> None:
        star.write(child, params["written"])
        chosen = star.some(file, params["read_pages"]).tolist()
        if chosen:
            star.builder.read_pages(child, chosen)

    star.come_and_go(params["children"], params["alive"], begin)


_STORY = StarStory(_tell)

ZYGOTE_WORKLOAD = Workload(
    name="zygote",
    prose="A process with a warmed-up runtime forks programs that never exec: each reads part of the runtime's file, "
    "writes some of the memory, and lives on until newer ones take its place.",
    source="Android's zygote, for whose children sharing page tables was measured: Xiaowan Dong, Sandhya Dwarkadas, "
    "Alan Cox, Shared Address Translation Revisited, EuroSys 2016; browsers and serverless runtimes do the same. "
    "Such a process has 2,000 to 20,000 anonymous and 10,000 or more file pages when it forks, and a child writes "
    "hundreds. The program is measured, but small. ASSUMED: the defaults within these ranges, read_pages, alive, "
    "parent_writes, and that pages are drawn evenly.",
    parameters=PARAMETERS,
    make=_STORY.make,
    fits=_STORY.fits,
)
