"""The events, one method each, and the oracle that runs a trace of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simcore.acts import ACT, ACTS, EVENT_KIND, GAUGES, LEVELS
from simcore.errors import Refusal
from simcore.events import ADVISED, KIND_MASK, STACK_GROWTH_PAGES, TRACKED, WRITABLE, Op, VmaKind
from simcore.oracle.faults import touch
from simcore.oracle.forks import fork_mm
from simcore.oracle.reclaiming import reclaim
from simcore.oracle.sharing import copy_deferred, separate
from simcore.oracle.state import Machine, Mm, Task, Vma
from simcore.oracle.views import account, snapshot
from simcore.oracle.zap import discard, protect, unmap
from simcore.result import ActVectors, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.designs import Design
    from simcore.events import Trace
    from simcore.geometry import Geometry
    from simcore.snapshot import Account, Snapshot


class Oracle:
    """Run a well-formed trace event by event, slowly.

    Parameters
    ----------
    trace, design, geometry
        What to simulate. ``simcore.check.check_trace`` has found nothing wrong with the trace's form.

    Attributes
    ----------
    seen : dict of int to list of (vpn, stamp)
        For each task the content that its reads saw, in order: the observational law compares it.
    """

    def __init__(self, trace: Trace, design: Design, geometry: Geometry) -> None:
        self.trace = trace
        self.m = Machine(design, geometry)
        self.m.tasks[0] = Task(self.m.new_mm())
        self.m.acts.clear()  # task 0 and its pgd are there before the trace begins
        self.seen: dict[int, list[tuple[int, tuple[int, int]]]] = {}
        self._writes: Counter[int] = Counter()
        self._vectors: Counter[tuple[int, tuple[int, ...]]] = Counter()
        self._highest: Counter[str] = Counter()
        self._position = 0
        self._touches = 0
        self._sample()

    def run(self, stop: int | None = None) -> None:
        """Run events up to index ``stop`` (default: all); raises TraceRefused and stays whole, behind the event."""
        end = len(self.trace) if stop is None else stop
        while self._position < end:
            event = self.trace.events[self._position]
            self._position += 1
            refusal = self._refusal(event)
            if refusal is not None:
                raise self.trace.refused(self._position - 1, refusal)
            self._run_first(event)
            getattr(self, Op(event["op"]).name.lower())(event)
            self._sample()

    def _run_first(self, event: np.void) -> None:
        """Let a child that runs for the first time copy what fork left to it."""
        mm = self.m.tasks[int(event["task"])].mm if event["op"] != Op.RECLAIM else None
        if mm is not None and mm.pending:
            copy_deferred(self.m, mm)
            if +self.m.acts:
                self._record("deferred_copy")

    # what an event may do

    def _refusal(self, event: np.void) -> Refusal | None:  # noqa: PLR0911 - one line a reason
        """Return why the event cannot happen; looks, changes nothing."""
        task = self.m.tasks.get(int(event["task"]))
        op = Op(event["op"])
        if op == Op.RECLAIM:
            huge = self.m.design.thp == "anon" and self.m.geometry.thp != "never"
            return Refusal.HUGE_PAGES if huge else None
        if task is None:
            return Refusal.NO_SUCH_TASK
        if task.waits:
            return Refusal.WAITS
        if task.lender and op not in (Op.READ, Op.WRITE, Op.EXEC, Op.EXIT):
            return Refusal.BORROWS
        if op in (Op.FORK, Op.VFORK) and int(event["arg"]) in self.m.tasks:
            return Refusal.TASK_ALIVE
        if op in (Op.READ, Op.WRITE):
            return self._touch_refusal(task, op, event)
        if op == Op.GROW:
            return self._grow_refusal(task, int(event["start"]))
        return self._range_refusal(task, op, int(event["start"]), int(event["start"] + event["count"]))

    def _range_refusal(self, task: Task, op: Op, start: int, end: int) -> Refusal | None:
        """Return why pages [start, end) cannot be mapped or protected: some are mapped already, or not all are."""
        mapped = sum(len(range(max(vma.start, start), min(vma.end, end))) for vma in task.mm.vmas)
        if op == Op.MMAP and mapped > 0:
            return Refusal.OVERLAP
        return Refusal.NOT_MAPPED if op == Op.MPROTECT and mapped < end - start else None

    def _grow_refusal(self, task: Task, start: int) -> Refusal | None:
        """Return why the stack cannot grow down to a page: the first vma above must be a stack."""
        above = next((vma for vma in task.mm.vmas if vma.end > start), None)
        if above is not None and above.start <= start:
            return Refusal.OVERLAP
        grows = (
            above is not None and above.kind == VmaKind.STACK and above.start - start <= STACK_GROWTH_PAGES
        )
        return None if grows else Refusal.NO_STACK

    def _touch_refusal(self, task: Task, op: Op, event: np.void) -> Refusal | None:
        """Return why some page of a read or write cannot be touched; the first in order decides."""
        for vpn in self._vpns(event):
            vma = task.mm.vma_at(vpn)
            if vma is None:
                return Refusal.NOT_MAPPED
            if op == Op.WRITE and not vma.writable:
                return Refusal.NOT_WRITABLE
        return None

    def _flush_zapped(self) -> None:
        """Flush a range if something was taken out of it."""
        if any(self.m.acts[act] for act in ("ptes_zapped", "huge_zapped", "leaf_tables_dropped")):
            self.m.flush("range")

    def _vpns(self, event: np.void) -> Iterator[int]:
        """Yield the pages that a read or write touches, in order."""
        start, count, stride = (int(event[name]) for name in ("start", "count", "stride"))
        if stride == 0:
            yield from (int(vpn) for vpn in self.trace.pages[start : start + count])
        else:
            yield from range(start, start + count * stride, stride)

    # the events

    def mmap(self, event: np.void) -> None:
        """Add a vma; tables it touches that are linked are unshared, or its pages would appear in other mms."""
        self.m.acts["mmaps"] += 1
        self._map(self.m.tasks[int(event["task"])].mm, event)
        self._record("mmap")

    def _map(self, mm: Mm, row: np.void) -> None:
        """Add the vma of an MMAP row."""
        start, end = int(row["start"]), int(row["start"] + row["count"])
        arg = int(row["arg"])
        self._separate(mm, start, end)
        kind = VmaKind(arg & KIND_MASK)
        vma = Vma(
            start,
            end,
            kind,
            bool(arg & WRITABLE),
            int(row["file"]),
            int(row["offset"]),
            advised=bool(arg & ADVISED),
            tracked=bool(arg & TRACKED),
        )
        self.m.shm_mapped(vma, +1)
        mm.vmas = sorted([*mm.vmas, vma], key=lambda each: each.start)
        self.m.acts["vmas_mapped"] += 1

    def _separate(self, mm: Mm, start: int, end: int) -> None:
        """Before pages [start, end) become an mm's: leave nobody else with the linked tables that hold them."""
        for number in self.m.slots_of(start, end):
            if number in mm.slots and mm.slots[number].table.refcount > 1:
                separate(self.m, mm, number)

    def grow(self, event: np.void) -> None:
        """Extend a stack downwards; like a new vma it unshares linked tables that it reaches into."""
        self.m.acts["stack_grows"] += 1
        mm, start = self.m.tasks[int(event["task"])].mm, int(event["start"])
        at, stack = next((at, vma) for at, vma in enumerate(mm.vmas) if vma.start > start)
        self._separate(mm, start, stack.start)
        mm.vmas[at] = replace(stack, start=start)
        self._record("stack_grow")

    def mprotect(self, event: np.void) -> None:
        """Make pages writable or read-only."""
        self.m.acts["mprotects"] += 1
        start, end = int(event["start"]), int(event["start"] + event["count"])
        protect(self.m, self.m.tasks[int(event["task"])].mm, start, end, writable=bool(event["arg"]))
        if self.m.acts["ptes_changed_mprotect"] or self.m.acts["huge_changed_mprotect"]:
            self.m.flush("range")
        self._record("mprotect")

    def dontneed(self, event: np.void) -> None:
        """Let go of the contents of a range."""
        self.m.acts["madvises"] += 1
        start, end = int(event["start"]), int(event["start"] + event["count"])
        discard(self.m, self.m.tasks[int(event["task"])].mm, start, end)
        self._flush_zapped()
        self._record("madvise")

    def reclaim(self, event: np.void) -> None:
        """Reclaim pages."""
        self.m.acts["reclaims"] += 1
        reclaim(self.m, int(event["count"]))
        self._record("reclaim")

    def munmap(self, event: np.void) -> None:
        """Take away the pages of a range."""
        self.m.acts["munmaps"] += 1
        start, end = int(event["start"]), int(event["start"] + event["count"])
        unmap(self.m, self.m.tasks[int(event["task"])].mm, start, end)
        self._flush_zapped()
        self._record("munmap")

    def read(self, event: np.void) -> None:
        """Read pages, one after another; each fault is recorded by itself."""
        number = int(event["task"])
        task = self.m.tasks[number]
        for vpn in self._vpns(event):
            self._touches += 1
            if touch(self.m, task, vpn, write=False):
                self._record("read_fault")
            self.seen.setdefault(number, []).append((vpn, self._content(task, vpn)))

    def write(self, event: np.void) -> None:
        """Write pages, one after another; each write leaves a stamp of its own."""
        number = int(event["task"])
        task = self.m.tasks[number]
        for vpn in self._vpns(event):
            self._touches += 1
            if touch(self.m, task, vpn, write=True):
                self._record("write_fault")
            self._writes[number] += 1
            self._stamp(task, vpn, (number, self._writes[number]))

    def _content(self, task: Task, vpn: int) -> tuple[int, int]:
        """Return what a task sees in a page: its scratch if it borrows, else the page's stamp."""
        number, index = divmod(vpn, self.m.geometry.entries)
        return task.scratch.get(vpn, task.mm.slots[number].table.ptes[index].page.stamp)

    def _stamp(self, task: Task, vpn: int, stamp: tuple[int, int]) -> None:
        """Write to a page.

        A correct vfork child changes no private memory that its parent will look at; so what it writes there is
        seen by itself alone.
        """
        vma = task.mm.vma_at(vpn)
        if task.lender and vma and vma.private:
            task.scratch[vpn] = stamp
            return
        number, index = divmod(vpn, self.m.geometry.entries)
        task.mm.slots[number].table.ptes[index].page.stamp = stamp

    def fork(self, event: np.void) -> None:
        """Make a child with an mm of its own: vmas, upper tables, then leaf tables copied or linked."""
        parent = self.m.tasks[int(event["task"])].mm
        self.m.acts["forks"] += 1
        child = self.m.new_mm()
        fork_mm(self.m, parent, child)
        self.m.tasks[int(event["arg"])] = Task(child)
        self.m.flush("mm")
        self._record("fork")

    def vfork(self, event: np.void) -> None:
        """Make a child that borrows the parent's mm; the parent waits."""
        parent = self.m.tasks[int(event["task"])]
        parent.waits = True
        self.m.acts["vforks"] += 1
        self.m.tasks[int(event["arg"])] = Task(parent.mm, lender=parent)
        self._record("vfork")

    def exec(self, event: np.void) -> None:
        """Give the task a new mm with the image's vmas; the old one is torn down, or given back to its lender."""
        task = self.m.tasks[int(event["task"])]
        self.m.acts["execs"] += 1
        old, task.mm = task.mm, self.m.new_mm()
        self._let_go(task, old)
        task.lender, task.scratch = None, {}
        first, last = self.trace.image_starts[event["arg"]], self.trace.image_starts[event["arg"] + 1]
        for row in self.trace.image_rows[first:last]:
            self._map(task.mm, row)
        self._record("exec")

    def exit(self, event: np.void) -> None:
        """End a task and, unless it was borrowed, its mm."""
        task = self.m.tasks.pop(int(event["task"]))
        self.m.acts["exits"] += 1
        self._let_go(task, task.mm)
        self._record("exit")

    def _let_go(self, task: Task, mm: Mm) -> None:
        """Tear an mm down, or give it back if it was borrowed."""
        if task.lender:
            task.lender.waits = False
            return
        unmap(self.m, mm, 0, self.m.geometry.user_pages)
        self.m.upper_tables(-1)
        self.m.levels["charged_tables"] -= mm.left_charged
        self.m.levels["mms"] -= 1
        self.m.flush("mm")

    # counting

    def _record(self, kind: str) -> None:
        """Close the act vector of an event or fault."""
        vector = tuple(self.m.acts[act.name] for act in ACTS)
        self._vectors[EVENT_KIND[kind], vector] += 1
        self.m.acts.clear()

    def _levels(self) -> dict[str, int]:
        """Return the levels that gauges sample."""
        now, page = self.m.levels, self.m.geometry.page_bytes
        derived = {
            "pgtable_bytes": (now["leaf_tables"] + now["upper_tables"]) * page,
            "pgtable_charged_bytes": now["charged_tables"] * page,
            "rmap_bytes": (
                now["rmap_elements"] * self.m.geometry.rmap_element_bytes
                if self.m.design.rmap == "pte_chain"
                else 0
            ),
        }
        return {level.name: derived.get(level.name, now[level.name]) for level in LEVELS}

    def _sample(self) -> None:
        """Keep the highest value of each level."""
        for name, value in self._levels().items():
            self._highest[name] = max(self._highest[name], value)

    def result(self) -> Result:
        """Return the counts so far."""
        kinds = np.array([kind for kind, _ in self._vectors], np.int64)
        acts = np.array([acts for _, acts in self._vectors], np.int64).reshape(-1, len(ACT))
        times = np.array(list(self._vectors.values()), np.int64)
        gauges = [self._highest[level.name] for level in LEVELS] + list(self._levels().values())
        assert len(gauges) == len(GAUGES)  # noqa: S101 - a gauge is a level's highest or last value
        vectors = ActVectors.sorted_from(kinds, times, acts)
        totals = vectors.times @ vectors.acts
        return Result(totals, np.array(gauges, np.int64), vectors, self._position, self._touches)

    def account(self, task: int) -> Account:
        """Return what the kernel would tell of a task's mm; KeyError if there is no such task."""
        return account(self.m, self.m.tasks[task].mm)

    def snapshot(self) -> Snapshot:
        """Return the state as plain values, numbered as met."""
        return snapshot(self.m, self._levels())
