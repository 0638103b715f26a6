"""What a capture holds, and how it compares with its simulation, in lines for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pipeline.capture.smaps import KINDS
from pipeline.errors import counted
from simcore.workloads.spaces import Page

if TYPE_CHECKING:
    from pipeline.capture.comparison import Compared
    from pipeline.capture.file import Capture

_BUSY_FILES = 8  # most widely mapped files that are listed
_UNEQUAL_SHOWN = 40
_SHARERS = ((1, 1), (2, 3), (4, 7), (8, 15), (16, None))


def facts_of(capture: Capture) -> dict[str, Any]:
    """Return what a capture holds in figures, ready for JSON.

    ``files`` is one entry for each file that is mapped: its number, its name if it is a program, mms that map it, and
    pages of it that the mm with most of them has in memory; most widely mapped first. ``files_by_mms`` counts files by
    how many mms map them. ``pages_through_fork`` counts anonymous pages that other mms map too, in each mm that does.
    """
    read = [process for process in capture.processes if not process.unread]
    files = _files(capture)
    by_mms = Counter(entry["mms"] for entry in files)
    runs = [run for space in capture.found().spaces for run in space.runs]
    return {
        "taken": capture.taken,
        "kernel": capture.kernel,
        "machine": capture.machine,
        "seconds": capture.seconds,
        "anonymised": capture.anonymised,
        "processes": len(capture.processes),
        "read": len(read),
        "unread": dict(Counter(process.unread for process in capture.processes if process.unread)),
        "left_out": capture.left_out,
        "never_execed": sum(process.forked for process in read),
        "vmas": sum(len(process.vmas) for process in read),
        "resident_kib": sum(vma.resident for process in read for vma in process.vmas),
        "page_tables_kib": sum(process.vm_pte_kib or 0 for process in read),
        "pages_through_fork": sum(run.npages for run in runs if run.page == Page.SHARED),
        "files": files,
        "files_by_mms": {_range_told(*each): _between(by_mms, *each) for each in _SHARERS},
    }


def _files(capture: Capture) -> list[dict[str, Any]]:
    """Return the files that are mapped, most widely mapped first."""
    mms: Counter[int] = Counter()
    most: Counter[int] = Counter()
    for process in capture.processes:
        mine: Counter[int] = Counter()
        for vma in process.vmas:
            if vma.file >= 0 and KINDS[vma.kind] in ("file_private", "file_shared"):
                mine[vma.file] += vma.resident * 1024 // capture.page_bytes
        mms.update(mine.keys())
        for file, pages in mine.items():
            most[file] = max(most[file], pages)
    ordered = sorted(mms, key=lambda file: (-mms[file], -most[file], file))
    return [
        {
            "file": file,
            "program": capture.file_names.get(str(file), ""),
            "mms": mms[file],
            "pages": most[file],
        }
        for file in ordered
    ]


def _between(counts: Counter[int], low: int, high: int | None) -> int:
    """Return how many files have so many mms."""
    return sum(files for mms, files in counts.items() if low <= mms and (high is None or mms <= high))


def _range_told(low: int, high: int | None) -> str:
    """Return a range of numbers as text."""
    return f"{low} or more" if high is None else str(low) if low == high else f"{low} to {high}"


def capture_lines(capture: Capture, where: str) -> str:
    """Return what a capture holds, for a terminal."""
    facts = facts_of(capture)
    unread = facts["processes"] - facts["read"]
    head = (
        f"{where}: processes read: {facts['read']}, not read: {unread}, in {facts['seconds']:.2f} s; "
        f"Linux {facts['kernel']}, {facts['machine']}; {facts['taken']}"
    )
    reasons = [f"{number} {why}" for why, number in facts["unread"].items()]
    outside = [f"{number} {what}" for what, number in facts["left_out"].items()]
    rows = [
        ("not read", ", ".join(reasons)),
        ("left out", ", ".join(outside)),
        ("names", "keyed hashes" if facts["anonymised"] else "of executables"),
        (
            "memory",
            f"{facts['resident_kib']:,} KiB resident, summed over processes, in {facts['vmas']:,} vmas",
        ),
        ("page tables", f"{facts['page_tables_kib']:,} KiB, summed over processes (VmPTE)"),
        ("fork", _fork_told(facts)),
        ("files", _sharing_told(facts["files_by_mms"])),
    ]
    lines = [head]
    lines += [f"  {what:<12} {told}" for what, told in rows if told]
    lines += [f"  {'':<12} {_file_told(entry)}" for entry in facts["files"][:_BUSY_FILES]]
    return "\n".join(lines)


def _fork_told(facts: dict[str, Any]) -> str:
    """Return what came through fork."""
    return (
        f"{facts['never_execed']} never exec'ed; {facts['pages_through_fork']:,} mappings of anonymous pages that other "
        "mms have too, as only fork makes them"
    )


def _sharing_told(by_mms: dict[str, int]) -> str:
    """Return how many files are mapped by how many mms."""
    parts = [f"{files} by {mms} mm{'' if mms == '1' else 's'}" for mms, files in by_mms.items() if files]
    return f"mapped: {', '.join(parts)}; the most widely mapped:" if parts else ""


def _file_told(entry: dict[str, Any]) -> str:
    """Return one file in a line."""
    program = f" ({entry['program']})" if entry["program"] else ""
    return f"file {entry['file']}{program}: {counted(entry['mms'], 'mm')}, {counted(entry['pages'], 'page')}"


def comparison_lines(rows: list[Compared], capture: Capture, design: str, where: str) -> str:
    """Return a comparison, for a terminal: the share of processes that are equal, and each other one with its reason."""
    equal = sum(not row.reason for row in rows)
    unread = sum(bool(process.unread) for process in capture.processes)
    head = (
        f"{where}: {equal} of {len(rows)} processes ({equal / max(1, len(rows)):.1%}) have as many bytes of page tables "
        f"in the simulation, under {design}, as in the kernel; {unread} could not be read"
    )
    tables = (
        f"  page tables: kernel {sum(row.kernel_kib for row in rows):,} KiB, counted from pages found "
        f"{sum(row.counted_kib for row in rows):,} KiB, simulated {sum(row.simulated_kib for row in rows):,} KiB"
    )
    pages = (
        f"  pages: found {sum(row.pages_found for row in rows):,}, simulated "
        f"{sum(row.pages_simulated for row in rows):,}{_around_told(rows)}"
    )
    lines = [head, tables, pages]
    unequal = [row for row in rows if row.reason]
    if unequal:
        lines += ["", f"  {'process':<28} {'kernel':>9} {'counted':>9} {'simulated':>10}  KiB; why"]
    lines += [
        f"  {_short(row):<28} {row.kernel_kib:>9,} {row.counted_kib:>9,} {row.simulated_kib:>10,}  {row.reason}"
        for row in unequal[:_UNEQUAL_SHOWN]
    ]
    if len(unequal) > _UNEQUAL_SHOWN:
        lines.append(f"  and {len(unequal) - _UNEQUAL_SHOWN} more; --json lists all")
    return "\n".join(lines)


def _short(row: Compared) -> str:
    """Return which process a row is of."""
    return f"{row.number} {row.name[:20]}"


def _around_told(rows: list[Compared]) -> str:
    """Return why there are more pages in the simulation, if there are."""
    more = sum(row.pages_simulated > row.pages_found for row in rows)
    return "; read faults map file pages around them that were not in the page cache then" if more else ""
