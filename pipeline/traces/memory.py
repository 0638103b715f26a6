"""What the moments of a process do to its memory, as rows: each one that the simulator would refuse is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.traces import moments as what
from pipeline.traces.areas import OF_FILES, Area
from simcore.events import WRITABLE, Mapping, Op, VmaKind

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Hashable

    from pipeline.traces.areas import AddressSpace
    from pipeline.traces.moments import Moment
    from pipeline.traces.processes import Actor
    from pipeline.traces.sight import Image, Seen, Sight

_AROUND_BYTES = 65536  # mm/memory.c: fault_around_bytes
_STACK_PAGES = 16_384  # how far below a stack a fault may make it grow: twice what RLIMIT_STACK commonly allows is plenty
_HEAP_REACH = 1 << 18  # pages behind a heap's beginning that the heap may come to have in the trace


class Memory:
    """Turn moments that concern memory into rows.

    Parameters
    ----------
    sight : Sight
        What is known of processes besides.
    page_bytes : int
        Of a page.
    notes : Counter
        Takes what could not be told as it was.
    """

    def __init__(self, sight: Sight, page_bytes: int, notes: Counter[str]) -> None:
        self._sight = sight
        self._page_bytes = page_bytes
        self._block = max(1, _AROUND_BYTES // page_bytes)
        self._notes = notes
        self._files: dict[Hashable, int] = {}
        self._objects = 0
        self._acts: dict[type, Callable[[Actor, Any], None]] = {
            what.Touched: self._touched,
            what.Mapped: self._mapped,
            what.Unmapped: self._unmapped,
            what.Protected: self._protected,
            what.Discarded: self._discarded,
            what.HeapMoved: self._heap_moved,
            what.Moved: self._moved,
        }

    def act(self, actor: Actor, moment: Moment) -> None:
        """Add the rows of one moment."""
        self._acts[type(moment)](actor, moment)

    def mappings(self, image: Image) -> list[Mapping]:
        """Return the vmas of an image, files numbered."""
        return [
            Mapping(each.start, each.end - each.start, each.kind, each.writable, *self._backing(each))
            for each in sorted(image.vmas, key=lambda vma: vma.start)
        ]

    def _backing(self, seen: Seen) -> tuple[int, int]:
        """Return file and offset of a vma as the simulator has them."""
        if seen.kind not in OF_FILES:
            return -1, 0
        return self._number(seen.file, seen.kind), seen.offset

    def _number(self, file: Hashable, kind: VmaKind) -> int:
        """Return the number of a file; the simulator does not let one number be a file and a shm object."""
        key = (kind == VmaKind.SHM, file)
        return self._files.setdefault(key, len(self._files))

    # touches

    def _touched(self, actor: Actor, moment: what.Touched) -> None:
        """Add a touch, unless the simulator would refuse it: faults that ended in a signal or in EFAULT."""
        area = self._area(actor, moment)
        fault = self._refusal(area, moment)
        facts = actor.facts
        if fault or area is None:
            self._notes[f"faults {fault}"] += 1
            facts.left_out += moment.faulted
            return
        facts.faults += moment.faulted
        actor.space.touched.add(moment.page)
        # A borrower sees what was mapped since it was born only through its lender, when that one is free again.
        doer = actor.owner if actor.lender is not None and actor.lender.queue else actor
        if moment.write:
            doer.emit(Op.WRITE, moment.page, 1)
            return
        first = last = moment.page
        if area.kind in OF_FILES and moment.faulted:
            block = moment.page // self._block * self._block
            first, last = max(block, area.start), min(block + self._block, area.end) - 1
        around = last - first + 1
        doer.emit(Op.READ, moment.page, 1, file=first - moment.page, offset=around if around > 1 else 0)

    def _refusal(self, area: Area | None, moment: what.Touched) -> str:
        """Return why a page cannot be touched, "" if it can."""
        if area is None or not area.mapped:
            return "where nothing is known to be mapped"
        return "that wrote to read-only memory" if moment.write and not area.writable else ""

    def _area(self, actor: Actor, moment: what.Touched) -> Area | None:
        """Return the area of a page; a stack may grow to it, and a vma that was seen at the end is mapped now."""
        space, page = actor.space, moment.page
        found = space.at(page)
        if found is not None:
            return found
        if _in_heap(space, page, page + 1):  # the trace maps the heap longer than it is by now
            return None
        seen = self._sight.at_end(moment.tid, page)
        above = space.above(page)
        if above is not None and above.kind == VmaKind.STACK and above.start - page <= _STACK_PAGES:
            actor.owner.emit(Op.GROW, page)
            space.carve(above.start, above.end)
            space.put(above._replace(start=page))
        elif seen is not None:
            self._notes["vmas that were seen at the end only"] += 1
            file, offset = self._backing(seen)
            free = Area(seen.start, seen.end, seen.kind, seen.writable, file, offset)
            low, high = self._gap(actor, page)
            self._map(actor, free.part(low, high))
        return space.at(page)

    def _gap(self, actor: Actor, page: int) -> tuple[int, int]:
        """Return the pages around an unmapped one that are not mapped either."""
        above = actor.space.above(page)
        below = max((each.end for each in actor.space.areas if each.end <= page), default=0)
        return below, above.start if above is not None else 1 << 52

    # mappings

    def _mapped(self, actor: Actor, moment: what.Mapped) -> None:
        """Map pages; memory that may not be accessed is only reserved, and not mapped before it may be."""
        npages = -(-moment.nbytes // self._page_bytes)
        kind, file = self._kind_and_file(moment)
        offset = moment.offset if kind in OF_FILES else 0
        area = Area(
            moment.start, moment.start + npages, kind, moment.writable, file, offset, moment.accessible
        )
        self._clear(actor, area.start, area.end)
        self._map(actor, area)
        if moment.populate and moment.accessible:
            actor.space.touched.update(range(area.start, area.end))
            actor.owner.emit(Op.WRITE if moment.writable else Op.READ, area.start, npages)

    def _kind_and_file(self, moment: what.Mapped) -> tuple[VmaKind, int]:
        """Return what a mapping is, and the number of its file or shm object."""
        if moment.file is None:
            if not moment.shared:
                return VmaKind.ANON, -1
            self._objects += 1
            return VmaKind.SHM, self._number(("object", self._objects), VmaKind.SHM)
        kind = VmaKind.FILE_SHARED if moment.shared else VmaKind.FILE_PRIVATE
        key = moment.file
        if (
            key == ""
        ):  # nobody said which file: perhaps it was seen at the end; else equal lengths mean equal files
            seen = self._sight.at_end(moment.tid, moment.start)
            if seen is not None and seen.file is not None:
                return seen.kind, self._number(seen.file, seen.kind)
            key = ("length", moment.nbytes, moment.offset)
        return kind, self._number(key, kind)

    def _map(self, actor: Actor, area: Area) -> None:
        """Put an area where none is."""
        actor.space.put(area)
        if area.mapped:
            arg = int(area.kind) | area.writable * WRITABLE
            actor.owner.emit(
                Op.MMAP, area.start, area.end - area.start, arg=arg, file=area.file, offset=area.offset
            )

    def _clear(self, actor: Actor, start: int, end: int) -> None:
        """Unmap whatever is in the way."""
        space = actor.space
        gone = space.carve(start, end)
        if _in_heap(space, start, end) or any(each.mapped for each in gone):
            actor.owner.emit(Op.MUNMAP, start, end - start)
        _forget(space.touched, start, end)

    def _unmapped(self, actor: Actor, moment: what.Unmapped) -> None:
        """Unmap pages."""
        self._clear(actor, moment.start, moment.start + moment.npages)

    def _protected(self, actor: Actor, moment: what.Protected) -> None:
        """Protect pages; what was only reserved is mapped when it becomes accessible."""
        space, end = actor.space, moment.start + moment.npages
        changed: list[list[int]] = []
        for each in space.carve(moment.start, end):
            if not each.mapped:
                self._map(actor, each._replace(writable=moment.writable, mapped=moment.accessible))
                continue
            space.put(each._replace(writable=moment.writable))
            if changed and changed[-1][1] == each.start:
                changed[-1][1] = each.end
            else:
                changed.append([each.start, each.end])
        for low, high in changed:
            actor.owner.emit(Op.MPROTECT, low, high - low, arg=int(moment.writable))

    def _discarded(self, actor: Actor, moment: what.Discarded) -> None:
        """Give pages back."""
        _forget(actor.space.touched, moment.start, moment.start + moment.npages)
        actor.owner.emit(Op.DONTNEED, moment.start, moment.npages)

    def _heap_moved(self, actor: Actor, moment: what.HeapMoved) -> None:
        """Let the heap grow or shrink.

        The kernel makes one vma longer, and the simulator has no such event: so the heap is mapped once, as long as it
        is to become for anybody who inherits it.
        """
        space, end = actor.space, moment.end
        if space.heap_start < 0:
            space.heap_start = space.heap_end = end
            return
        if end > space.heap_end:
            space.carve(space.heap_end, end)
            space.put(Area(space.heap_end, end, VmaKind.HEAP, writable=True))
            if space.heap_row is None:
                arg = int(VmaKind.HEAP) | WRITABLE
                space.heap_row = actor.owner.emit(
                    Op.MMAP, space.heap_start, end - space.heap_start, arg=arg, file=-1
                )
            space.heap_row[3] = max(space.heap_row[3], end - space.heap_start)
        elif end < space.heap_end:
            space.carve(end, space.heap_end)
            _forget(space.touched, end, space.heap_end)
            actor.owner.emit(Op.DONTNEED, end, space.heap_end - end)
        space.heap_end = end

    def _moved(self, actor: Actor, moment: what.Moved) -> None:
        """Resize or move pages; the simulator cannot move ptes, so pages that are moved are touched again."""
        space, end = actor.space, moment.start + moment.npages
        area = space.at(moment.start)
        if area is None:
            self._notes["mremaps of memory that is not known"] += 1
            return
        if moment.to == moment.start:
            if moment.to_npages < moment.npages:
                self._clear(actor, moment.start + moment.to_npages, end)
            elif moment.to_npages > moment.npages:
                behind = space.at(end - 1) or area
                self._map(actor, _longer(behind, end, moment.start + moment.to_npages))
            return
        held = sorted(page for page in range(moment.start, end) if page in space.touched)
        kept = area._replace(start=moment.to, end=moment.to + moment.to_npages)
        if kept.kind in OF_FILES:
            kept = kept._replace(offset=area.offset + moment.start - area.start)
        self._clear(actor, moment.start, end)
        self._clear(actor, kept.start, kept.end)
        self._map(actor, kept)
        for page in (page - moment.start + moment.to for page in held):
            if page < kept.end and kept.mapped:
                space.touched.add(page)
                actor.owner.emit(Op.WRITE if kept.writable else Op.READ, page, 1)
                self._notes["pages moved by mremap, touched again"] += 1


def _in_heap(space: AddressSpace, start: int, end: int) -> bool:
    """Return whether pages may lie in what the trace maps as heap."""
    first = space.heap_start
    return space.heap_row is not None and start < first + _HEAP_REACH and end > first


def _longer(area: Area, start: int, end: int) -> Area:
    """Return what follows an area when it is made longer."""
    offset = area.offset + start - area.start if area.kind in OF_FILES else 0
    return area._replace(start=start, end=end, offset=offset)


def _forget(touched: set[int], start: int, end: int) -> None:
    """Take pages out of a set, whichever way is shorter."""
    if end - start < len(touched):
        touched.difference_update(range(start, end))
    else:
        touched.difference_update([page for page in touched if start <= page < end])
