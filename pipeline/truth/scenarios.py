"""Scripts to run on a live kernel: a grid, hand-made ones, and random ones. Each is a list of steps, see ``script``."""

from __future__ import annotations

import random
from itertools import pairwise, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Script = list[str]

PAGE, TABLE = 1 << 12, 1 << 21  # bytes
BASE = 1 << 40  # regions lie from here on, with upper tables of their own
HUGE_PAGES = 1 << 18  # 1 GiB
_SIZES = (1, 16, 512, 1500, 16384)
_KINDS = ("anon", "filepriv", "filero", "fileshared", "shanon")
_CHILD = ("exit", "write", "write7", "write1", "read", "exec")
_RANDOM = 60


def scenarios(seed: int = 0) -> dict[str, Script]:
    """Return all scripts by name; the random ones follow from the seed."""
    found = dict(_grid())
    for more in (
        _patterns(),
        _generations(),
        _siblings(),
        _holes(),
        _zero_pages(),
        _stacks(),
        _places(),
        _large(),
        _protections(),
        _huge_pages(),
    ):
        found |= dict(more)
    found |= {f"random_{seed}_{number}": random_script(seed, number) for number in range(_RANDOM)}
    return found | {
        f"huge_{seed}_{number}": random_script(seed, number, huge=True) for number in range(_RANDOM)
    }


def region(kind: str, pages: int, *, page: int = 0, name: str = "A") -> str:
    """Return the step that maps so many pages, ``page`` pages behind BASE; files are number 0, "huge" is advised."""
    words = " 0" if kind.startswith("file") else " thp" if kind == "huge" else ""
    return f"{name} map {'anon' if kind == 'huge' else kind} {BASE + page * PAGE:#x} {pages * 4}k{words}"


def touch(name: str, verb: str, pages: int, stride: int = 1, page: int = 0) -> str:
    """Return the step that reads or writes so many pages, ``stride`` pages apart."""
    return f"{name} {verb} {BASE + page * PAGE:#x} {pages} {stride}"


def _grid() -> Iterator[tuple[str, Script]]:
    """Yield kind x size x what the child does, the parent touching all before and after."""
    for kind, pages, action in product(_KINDS, _SIZES, _CHILD):
        if kind == "filero" and action.startswith("write"):
            continue
        use = "read" if kind == "filero" else "write"
        child = {
            "write": touch("B", "write", pages),
            "write7": touch("B", "write", -(-pages // 7), 7),
            "write1": touch("B", "write", 1),
            "read": touch("B", "read", pages),
            "exec": "B exec",
        }
        after = [child[action]] if action in child else []
        script = [region(kind, pages), touch("A", use, pages), "A fork B", *after, "B exit"]
        yield f"{kind}_{pages}_{action}", [*script, touch("A", use, pages), "A exit"]


def _patterns() -> Iterator[tuple[str, Script]]:
    """Yield sparse memory, with the parent or the child first."""
    for kind, stride, first in product(("anon", "filepriv", "shanon"), (2, 64, 512, 4096), "AB"):
        pages, other = 8192, "A" if first == "B" else "B"
        count = pages // stride
        yield (
            f"{kind}_stride{stride}_{first}_first",
            [
                region(kind, pages),
                touch("A", "write", count, stride),
                "A fork B",
                touch(first, "write", count, stride),
                touch(other, "read", count, stride),
                touch(other, "write", count, stride),
                touch("B", "write", count, stride, page=1),
                "B exit",
                touch("A", "write", count, stride),
                touch("A", "read", count, stride, page=1),
                "A exit",
            ],
        )


def _generations() -> Iterator[tuple[str, Script]]:
    """Yield forks within forks, the youngest or the eldest writing first, or each before it forks again."""
    for depth, order in product(range(2, 7), ("youngest", "eldest", "each")):
        names = [chr(ord("A") + number) for number in range(depth + 1)]
        script = [region("anon", 1500), touch("A", "write", 1500)]
        for parent, child in pairwise(names):
            script.append(f"{parent} fork {child}")
            if order == "each":
                script.append(touch(child, "write", 200))
        writers = names[::-1] if order == "youngest" else names
        script += [touch(name, "write", 700) for name in writers]
        script += [f"{name} exit" for name in names[::-1]]
        yield f"nested{depth}_{order}_first", script


def _siblings() -> Iterator[tuple[str, Script]]:
    """Yield several children of one parent: all write, one writes, or they go before the parent writes."""
    for count, who in product((2, 3, 5), ("all", "one", "none")):
        names = [chr(ord("B") + number) for number in range(count)]
        script = [region("anon", 1024), touch("A", "write", 1024), *(f"A fork {name}" for name in names)]
        writers = {"all": names, "one": names[:1], "none": []}[who]
        script += [touch(name, "write", 600) for name in writers]
        script += [touch("A", "write", 300), f"{names[-1]} exit", touch("A", "write", 600)]
        script += [touch(names[0], "write", 1024), *(f"{name} exit" for name in names[:-1])]
        yield f"siblings{count}_{who}_write", [*script, touch("A", "write", 1024), "A exit"]


def _holes() -> Iterator[tuple[str, Script]]:
    """Yield munmap and madvise(DONTNEED) before and after a fork, of parts of tables and of whole ones."""
    parts = {"page": (100, 1), "half": (0, 256), "table": (512, 512), "edges": (256, 512), "all": (0, 1536)}
    for verb, (part, (first, count)), who in product(
        ("unmap", "dontneed"), parts.items(), ("A", "B", "before")
    ):
        hole = f"{'A' if who == 'before' else who} {verb} {BASE + first * PAGE:#x} {count * 4}k"
        script = [region("anon", 1536), touch("A", "write", 1536)]
        script += [hole, "A fork B"] if who == "before" else ["A fork B", hole]
        left = [(0, first), (first + count, 1536 - first - count)]
        script += [touch("B", "write", pages, page=page) for page, pages in left if pages]
        script += [touch("A", "write", pages, page=page) for page, pages in left if pages]
        if verb == "dontneed":
            script += [touch("A", "read", count, page=first), touch("B", "write", count, page=first)]
        yield f"{verb}_{part}_{who}", [*script, "B exit", "A exit"]


def _zero_pages() -> Iterator[tuple[str, Script]]:
    """Yield reads of memory that nobody wrote."""
    for pages, then in product((16, 1500), ("read", "write", "fork_read", "fork_write")):
        script = [region("anon", pages), touch("A", "read", pages)]
        if then.startswith("fork"):
            script += ["A fork B", touch("B", then.removeprefix("fork_"), pages), "B exit"]
        yield (
            f"zero_{pages}_{then}",
            [*script, touch("A", "read", pages), touch("A", "write", pages), "A exit"],
        )
    yield (
        "zero_beside_written",
        [
            region("anon", 1024),
            touch("A", "write", 1),
            touch("A", "read", 1024),
            "A fork B",
            touch("B", "write", 1024),
            touch("A", "write", 1024),
            "B exit",
            "A exit",
        ],
    )


def _stacks() -> Iterator[tuple[str, Script]]:
    """Yield stacks that grow, before and after a fork, within a table and into the next."""
    for grown, who in product((1, 100, 600), "AB"):
        top = 2000
        script = [region("stack", 4, page=top), touch("A", "write", 4, page=top)]
        script += ["A fork B"] if who == "B" else []
        script += [
            f"{who} grow {BASE + (top - grown) * PAGE:#x}",
            touch(who, "write", grown, page=top - grown),
        ]
        script += ["B exit"] if who == "B" else ["A fork B", touch("B", "write", 4, page=top), "B exit"]
        yield f"stack_{grown}_{who}", [*script, touch("A", "write", 4, page=top), "A exit"]


def _places() -> Iterator[tuple[str, Script]]:
    """Yield regions that share a table, or lie across the span of an upper one; children that are spawned."""
    gib = HUGE_PAGES
    for name, first in (("table", 510), ("gib", gib - 3), ("half_tib", 512 * gib - 3)):
        script = [region("anon", 6, page=first), touch("A", "write", 6, page=first), "A fork B"]
        script += [touch("B", "write", 2, page=first), touch("A", "write", 6, page=first), "B exit"]
        yield f"across_{name}", [*script, f"A unmap {BASE + first * PAGE:#x} 12k", "A exit"]
    both = [region("anon", 30), region("filepriv", 100, page=200), touch("A", "write", 30)]
    both += [touch("A", "read", 100, page=200), "A fork B", touch("B", "read", 100, page=200)]
    both += [touch("B", "write", 30), f"B unmap {BASE:#x} 120k", touch("A", "write", 30), "B exit", "A exit"]
    yield "two_in_a_table", both
    for pages in (1, 512, 16384):
        script = [region("anon", pages), touch("A", "write", pages), "A spawn B", touch("A", "write", pages)]
        yield f"spawn_{pages}", [*script, "B exit", touch("A", "write", pages), "A exit"]
    for kind in ("anon", "filepriv"):
        script = [region(kind, 1024), touch("A", "write", 1024), f"A protect {BASE:#x} 2M r", "A fork B"]
        script += [touch("B", "read", 1024), touch("B", "write", 512, page=512), "B exit"]
        yield f"protect_{kind}", [*script, touch("A", "write", 512, page=512), "A exit"]


def _large() -> Iterator[tuple[str, Script]]:
    """Yield 1 GiB."""
    for name, steps in {
        "exit": [],
        "exec": ["B exec"],
        "write_a_page_a_table": [touch("B", "write", 512, 512)],
    }.items():
        script = [region("anon", HUGE_PAGES), touch("A", "write", HUGE_PAGES), "A fork B", *steps, "B exit"]
        yield f"anon_1G_{name}", [*script, touch("A", "write", 2000), "A exit"]


def _protections() -> Iterator[tuple[str, Script]]:
    """Yield memory that becomes read-only and writable again: pages of one's own, and such as a child has or had."""
    for part, (first, count) in {"all": (0, 1024), "part": (100, 500)}.items():
        for who, forks in {"alone": [], "shared": ["A fork B"], "left": ["A fork B", "B exit"]}.items():
            script = [region("anon", 1024), touch("A", "write", 900), *forks, touch("A", "write", 300)]
            script += [f"A protect {BASE + first * PAGE:#x} {count * 4}k {how}" for how in ("r", "rw")]
            yield f"reopen_{part}_{who}", [*script, touch("A", "write", 1024), "A exit"]
    script = [region("shm", 600), touch("A", "write", 300), f"A protect {BASE:#x} 2400k r"]
    yield "reopen_shm", [*script, f"A protect {BASE:#x} 2400k rw", touch("A", "write", 600), "A exit"]


def _huge_pages() -> Iterator[tuple[str, Script]]:
    """Yield transparent huge pages: written, shared by forks, split by writes and by holes, reused, only read."""
    begun = [region("huge", 1024), touch("A", "write", 1024)]
    rest = [touch("A", "write", 1024), "A exit"]
    for name, steps in {
        "child_writes": ["A fork B", touch("B", "write", 1, page=5), touch("B", "write", 1024), "B exit"],
        "parent_splits": ["A fork B", touch("A", "write", 1, page=3), "B exit"],
        "both_split": ["A fork B", touch("B", "write", 1), touch("A", "write", 1, page=7), "B exit"],
        "reused": ["A fork B", "B exec", touch("A", "write", 1, page=700), "B exit"],
        "three": [
            "A fork B",
            "A fork C",
            touch("B", "write", 1, page=3),
            touch("C", "write", 9),
            "C exit",
            "B exit",
        ],
        "three_deep": [
            "A fork B",
            "B fork C",
            touch("C", "write", 2),
            touch("B", "write", 2),
            "C exit",
            "B exit",
        ],
        "hole": [
            f"A unmap {BASE + 10 * PAGE:#x} 8k",
            f"A map anon {BASE + 10 * PAGE:#x} 8k",
            "A fork B",
            "B exit",
        ],
        "dontneed_part": [f"A dontneed {BASE + 10 * PAGE:#x} 8k"],
        "dontneed_all": [f"A dontneed {BASE:#x} 2M", "A nop"],
        "dontneed_child": ["A fork B", f"B dontneed {BASE:#x} 2M", touch("B", "write", 1024), "B exit"],
        "dontneed_halves": [f"A dontneed {BASE + at * PAGE:#x} 1M" for at in (0, 256)],
        "protect": [f"A protect {BASE:#x} 4M {how}" for how in ("r", "rw")],
        "protect_part": [f"A protect {BASE:#x} 4k {how}" for how in ("r", "rw")],
        "protect_shared": ["A fork B", *(f"A protect {BASE:#x} 4M {how}" for how in ("r", "rw"))],
    }.items():
        yield f"huge_{name}", [*begun, *steps, *rest]
    left = ["A fork B", touch("B", "write", 1, page=3), "A exit", touch("B", "write", 1024), "B exit"]
    yield "huge_parent_leaves", [*begun, *left]
    for pages in (300, 512, 1500):
        yield (
            f"huge_unaligned_{pages}",
            [region("huge", pages, page=100), touch("A", "write", pages, page=100), "A exit"],
        )
    zero = [region("huge", 1024), touch("A", "read", 1024), "A fork B", touch("B", "write", 600), "B exit"]
    yield "huge_zero", [*zero, touch("A", "write", 3), *rest]
    yield "huge_zero_hole", [*zero[:2], f"A dontneed {BASE:#x} 4k", touch("A", "read", 1024), *rest]
    yield "huge_zero_protect", [*zero[:2], *(f"A protect {BASE:#x} 4M {how}" for how in ("r", "rw")), *rest]


def random_script(seed: int, number: int, *, huge: bool = False) -> Script:
    """Return a random script of 8 to 30 steps over a few vmas that never touch each other; with huge pages if asked."""
    name = f"{seed}/{number}/huge" if huge else f"{seed}/{number}"
    return _Dice(random.Random(name), huge=huge).script()  # noqa: S311 - no secret


class _Dice:
    """A script being thrown; ``has`` is what each process has mapped: first page -> (last page + 1, kind)."""

    _VERBS = ("map", "unmap", "dontneed", "read", "write", "fork", "exit")
    _WEIGHTS = (4, 1.2, 1.5, 5, 6, 2.5, 1)

    def __init__(self, rng: random.Random, *, huge: bool = False) -> None:
        self.rng = rng
        self.kinds = ["huge", "huge", "anon", "shm"] if huge else ["anon", "anon", "anon", *_KINDS[1:]]
        self.has: dict[str, dict[int, tuple[int, str]]] = {"A": {}}
        self.names = list("BCDEFG")
        self.steps: Script = []

    def script(self) -> Script:
        """Return the steps."""
        length = self.rng.randrange(8, 30)
        while len(self.steps) < length and self.has:
            name = self.rng.choice(sorted(self.has))
            verb = self.rng.choices(self._VERBS, self._WEIGHTS)[0]
            getattr(self, f"_{verb}")(name)
        return [*self.steps, *(f"{name} exit" for name in sorted(self.has, reverse=True))]

    def _map(self, name: str) -> None:
        """Map some pages that no vma touches; around the end of a table, or of a gigabyte."""
        page = self.rng.choice([0, 0, HUGE_PAGES - 600]) + self.rng.choice([self.rng.randrange(1500), 512])
        pages = self.rng.choice([1, 5, 30, 200, 512, 700, 1024])
        if any(page < end + 1 and first < page + pages + 1 for first, (end, _) in self.has[name].items()):
            return
        kind = self.rng.choice(self.kinds)
        self.steps.append(region(kind, pages, page=page, name=name))
        self.has[name][page] = (page + pages, kind)

    def _part(self, name: str) -> tuple[int, int, str]:
        """Return some pages of a vma, first and number, and its kind."""
        first = self.rng.choice(sorted(self.has[name]))
        end, kind = self.has[name][first]
        start = self.rng.choice([first, self.rng.randrange(first, end)])
        return start, self.rng.choice([end - start, self.rng.randint(1, end - start)]), kind

    def _unmap(self, name: str) -> None:
        """Unmap a part of a vma."""
        if not self.has[name]:
            return
        start, pages, kind = self._part(name)
        first = max(page for page in self.has[name] if page <= start)
        end, _ = self.has[name].pop(first)
        self.steps.append(f"{name} unmap {BASE + start * PAGE:#x} {pages * 4}k")
        for low, high in ((first, start), (start + pages, end)):
            if low < high:
                self.has[name][low] = (high, kind)

    def _dontneed(self, name: str) -> None:
        """Discard a part of a vma, sometimes a whole table of it."""
        if not self.has[name]:
            return
        start, pages, _ = self._part(name)
        self.steps.append(f"{name} dontneed {BASE + start * PAGE:#x} {pages * 4}k")

    def _read(self, name: str) -> None:
        self._touch(name, "read")

    def _write(self, name: str) -> None:
        self._touch(name, "write")

    def _touch(self, name: str, verb: str) -> None:
        """Read or write a part of a vma, all of it or every few pages."""
        if not self.has[name]:
            return
        start, pages, kind = self._part(name)
        stride = self.rng.choice([1, 1, 1, 2, 7, 100])
        if verb == "read" or kind != "filero":
            self.steps.append(touch(name, verb, -(-pages // stride), stride, page=start))

    def _fork(self, name: str) -> None:
        """Fork, unless there are five processes."""
        if self.names and len(self.has) < 5:
            child = self.names.pop(0)
            self.steps.append(f"{name} fork {child}")
            self.has[child] = dict(self.has[name])

    def _exit(self, name: str) -> None:
        """End a process, unless it is the last one."""
        if len(self.has) > 1:
            self.steps.append(f"{name} exit")
            del self.has[name]
