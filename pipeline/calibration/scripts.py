"""The scripts that are timed to fit the costs: families, each for a few parameters, in several sizes.

Their sizes are none of those of ``pipeline.truth.scenarios``, whose scripts are kept to judge what was fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.truth.scenarios import BASE, PAGE, region, touch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.truth.scenarios import Script

TABLE_PAGES = 512
_PAGES = (40, 250, 900, 3000, 9000, 30000)
_TABLES = (10, 40, 160)
_VMAS = (30, 120)
_BARE = 3  # times in each round: small times need more samples


def fit_scripts() -> dict[str, Script]:
    """Return the scripts by name; the part of a name before the first dot is its family."""
    return dict(_all())


def family(name: str) -> str:
    """Return the family of a script."""
    return name.partition(".")[0]


def _all() -> Iterator[tuple[str, Script]]:
    """Yield every script with its name."""
    for number in range(_BARE):
        script = ["A fork B", "B exit", "A fork C", "C exec", "C exit", "A spawn D", "D exit"]
        yield f"bare.{number}", [*["A nop"] * (number + 1), *script, "A exit"]
    for count in _VMAS:
        yield from _vmas(count)
    for count in _TABLES:
        yield from _sparse(count)
    for pages in _PAGES:
        yield from _dense(pages)
        yield from _files(pages)
    for pages in (5, 250, 3000):
        yield from _calls(pages)


def _vmas(count: int) -> Iterator[tuple[str, Script]]:
    """Yield many small vmas in one or two tables, empty ones and written ones."""
    for written in (False, True):
        script = [region("anon", 1, page=2 * number) for number in range(count)]
        script += [touch("A", "write", count, 2)] if written else []
        script += ["A fork B", "B exit", "A fork C", f"C unmap {BASE:#x} {count * 8}k", "C exit"]
        yield f"vmas.{count}{'_written' if written else ''}", [*script, "A exit"]


def _sparse(count: int) -> Iterator[tuple[str, Script]]:
    """Yield tables with one page in each: of one vma that fork walks whole, or of a vma of one page each."""
    tail = ["A fork B", "B exit", "A fork C", "C exec", "C exit", "A exit"]
    script = [region("anon", count * TABLE_PAGES), touch("A", "write", count, TABLE_PAGES)]
    yield f"sparse.{count}", [*script, *tail]
    narrow = [region("anon", 1, page=number * TABLE_PAGES) for number in range(min(count, 80))]
    yield f"narrow.{min(count, 80)}", [*narrow, touch("A", "write", len(narrow), TABLE_PAGES), *tail]


def _dense(pages: int) -> Iterator[tuple[str, Script]]:
    """Yield full tables: fork, the child copies and the parent reuses; a second child of read-only ptes; zero pages."""
    mapped = [region("anon", pages), touch("A", "write", pages)]
    script = ["A fork B", touch("B", "write", pages), "B exit", touch("A", "write", pages), "A exit"]
    yield f"dense.{pages}", [*mapped, *script]
    script = ["A fork B", "A fork C", "C exit", "B exec", "B exit", touch("A", "write", pages), "A exit"]
    yield f"again.{pages}", [*mapped, *script]
    script = [region("anon", pages), touch("A", "read", pages), touch("A", "write", pages)]
    yield f"zero.{pages}", [*script, "A exit"]


def _files(pages: int) -> Iterator[tuple[str, Script]]:
    """Yield memory that a file or an object backs; the probe's files have 16,384 pages."""
    tail = ["A fork B", touch("B", "read", pages), "B exit", "A exit"]
    yield f"shared.{pages}", [region("shanon", pages), touch("A", "write", pages), *tail]
    if pages < 16384:
        yield f"file.{pages}", [region("filero", pages), touch("A", "read", pages), *tail]
        steps = [region("filepriv", pages), touch("A", "write", pages), "A fork B", "B exit"]
        yield f"file.{pages}_private", [*steps, "A exit"]


def _calls(pages: int) -> Iterator[tuple[str, Script]]:
    """Yield calls on memory that is there."""
    at, size = f"{BASE:#x}", f"{pages * PAGE >> 10}k"
    mapped = [region("anon", pages), touch("A", "write", pages)]
    yield f"calls.{pages}_protect", [*mapped, f"A protect {at} {size} r", "A exit"]
    yield (
        f"calls.{pages}_dontneed",
        [*mapped, f"A dontneed {at} {size}", *mapped[1:], f"A unmap {at} {size}", "A exit"],
    )
    yield f"calls.{pages}_page", [*mapped, f"A dontneed {at} 4k", f"A unmap {at} 4k", "A exit"]
