"""Does fault-around fill each pte once, however many words of a bit row a mapping takes?"""

from __future__ import annotations

import pytest
from lockstep import Pair

from simcore import DESIGNS, GEOMETRIES, Mapping, TraceBuilder, VmaKind


@pytest.mark.parametrize("pages", [64, 80, 168, 512])
def test_second_program__maps_around_each_page_once(pages):
    """A program execs, reads its text of so many pages, execs again and reads again: now all pages are cached.

    Each block of 16 takes one fault, the last one too if it is shorter, and the engine must say the same.
    """
    builder = TraceBuilder()
    image = builder.image([Mapping(512, pages, VmaKind.FILE_PRIVATE, writable=False, file=0)])
    for _ in range(2):
        builder.exec(0, image)
        builder.read(0, 512, pages)
    pair = Pair.start(builder.build(), DESIGNS["mainline"], GEOMETRIES["x86-64"])
    assert pair.step_to(4) == ""
    assert pair.fast.result().counts()["faults_file_map"] == 2 * -(-pages // 16)
