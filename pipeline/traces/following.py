"""What a recorded process maps, read while it stands still: when it has exec'ed, and before it is gone."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.capture.pagemap import present_in
from pipeline.capture.reading import words_of
from pipeline.capture.smaps import read_smaps
from pipeline.footprints import stopping
from pipeline.footprints.memory import minor_faults
from pipeline.traces.sight import Image, seen_of
from simcore.events import VmaKind

if TYPE_CHECKING:
    from pipeline.traces.sight import Seen


@dataclass
class _Life:
    """A thread's or process's images in order, and what was seen as it exited."""

    images: list[Image | None] = field(default_factory=list)
    end: tuple[Seen, ...] = ()
    minor_faults: int | None = None
    minor_faults_before: int = 0


class Followed:
    """Look at processes while they stand still, and answer what a story asks of them later: a ``Sight``.

    Parameters
    ----------
    page_bytes : int
        Of a page.
    proc : Path
        Where the kernel tells of processes.
    """

    def __init__(self, page_bytes: int, proc: Path = Path("/proc")) -> None:
        self._page_bytes = page_bytes
        self._proc = proc
        self._lives: dict[int, list[_Life]] = defaultdict(list)
        self._now: dict[int, _Life] = {}
        self._born: dict[int, int] = defaultdict(int)
        self._asked: dict[int, int] = {}
        self._first = True

    def look(self, pid: int, moment: str) -> None:
        """Note what is to be seen of a thread that stands still, see ``stopping.follow``."""
        lives = self._lives[pid]
        if moment == stopping.BEGIN or not lives:
            lives.append(_Life())
        life = lives[-1]
        if moment == stopping.EXEC or self._first:
            life.images.append(self._image(pid))
        with contextlib.suppress(OSError, ValueError, IndexError):
            if self._first:  # the command begins behind its first exec: what came before is none of its own
                life.minor_faults_before = minor_faults(pid)
            if moment == stopping.EXIT:
                life.minor_faults = minor_faults(pid) - life.minor_faults_before
                life.end = self._vmas(pid)
        self._first = False

    def _vmas(self, pid: int) -> tuple[Seen, ...]:
        """Return what a process maps; raises OSError if it is gone."""
        text = (self._proc / str(pid) / "maps").read_text(encoding="utf-8", errors="surrogateescape")
        return vmas_of(text, self._page_bytes)

    def _image(self, pid: int) -> Image | None:
        """Return what an exec has mapped, and which pages of the stack the kernel filled."""
        try:
            vmas = self._vmas(pid)
            filled: list[int] = []
            with (self._proc / str(pid) / "pagemap").open("rb", buffering=0) as pagemap:
                for vma in (vma for vma in vmas if vma.kind == VmaKind.STACK):
                    present = present_in(words_of(pagemap, vma.start, vma.end))
                    filled += (vma.start + present).tolist()
        except OSError:
            return None
        return Image(vmas, tuple(filled))

    # what a story asks

    def born(self, tid: int) -> None:
        """Note that a number now stands for a new thread."""
        lives = self._lives.get(tid, [])
        self._now[tid] = lives[self._born[tid]] if self._born[tid] < len(lives) else _Life()
        self._born[tid] += 1
        self._asked[tid] = 0

    def image(self, tid: int) -> Image | None:
        """Return what the next exec of a process mapped; None if nobody saw it."""
        images = self._now[tid].images if tid in self._now else []
        number = self._asked.get(tid, 0)
        self._asked[tid] = number + 1
        return images[number] if number < len(images) else None

    def at_end(self, tid: int, page: int) -> Seen | None:
        """Return the vma that held a page when a thread exited, if that was seen."""
        life = self._now.get(tid)
        return next((vma for vma in life.end if vma.start <= page < vma.end), None) if life else None

    def minor_faults(self, tid: int) -> int | None:
        """Return the minor faults that the kernel counted for a process until a thread of it exited."""
        life = self._now.get(tid)
        return life.minor_faults if life else None


@lru_cache(maxsize=1024)
def vmas_of(maps: str, page_bytes: int) -> tuple[Seen, ...]:
    """Return the vmas of the text of ``/proc/PID/maps``; raises SmapsError if it is none."""
    return tuple(seen for vma in read_smaps(maps, page_bytes) if (seen := seen_of(vma)) is not None)
