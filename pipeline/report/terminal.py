"""What a terminal shows of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.answer import recommended, whether
from pipeline.report.judged import champion
from pipeline.report.remarks import slowest_faults
from pipeline.report.slices import slices
from pipeline.report.typical import against_floor, each_slice, time_moved, typical_case
from pipeline.report.verdict import in_short, scope, worst_case

if TYPE_CHECKING:
    from pipeline.report.digest import Digest

_MOST_SLICES = 3  # whose sentences are read in a terminal


def terminal_lines(digest: Digest) -> list[str]:
    """Return three lines without markup: typical, worst, and the floor or what else there is to say.

    Of a study with many uses they are whether to share, worst, and which design: a sentence for each use is for a page.
    """
    parts = slices(digest)
    slowest = [f"Slowest fault: {first}" for first in slowest_faults(digest)[:1]]
    worst = " ".join([worst_case(digest) or "Worst: there is nothing to compare.", *slowest])
    if len(parts) > _MOST_SLICES and champion(digest) is not None:
        lines = [whether(digest), worst, " ".join(recommended(digest))]
    else:
        first = in_short(digest, parts) or each_slice(parts, typical_case)
        last = each_slice(parts, against_floor) or each_slice(parts, time_moved) or scope(digest)
        lines = [first, worst, last]
    return [" ".join(line.replace("`", "").split("\n")) for line in lines]
