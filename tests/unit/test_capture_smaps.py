"""What smaps and status say, vma by vma."""

from __future__ import annotations

import pytest
from captured import PAGE, smaps_entry, status

from pipeline.capture.smaps import SmapsError, page_table_kib, read_smaps


def kinds(*entries):
    """Return the kinds of vmas."""
    return [vma.kind for vma in read_smaps("".join(entries), PAGE)]


def test_vma__has_pages_counters_and_the_file_behind_it():
    """Addresses and offsets become pages, counters keep their names."""
    (vma,) = read_smaps(smaps_entry((16, 24), "r-xp", "/usr/bin/bash", 77, 3, Rss=20, Shared_Clean=20), PAGE)
    assert (vma.start, vma.npages, vma.end, vma.writable) == (16, 8, 24, False)
    assert (vma.file, vma.offset, vma.name) == (("fe:00", 77), 3, "/usr/bin/bash")
    assert (vma.kib["Rss"], vma.kib["Shared_Clean"], vma.kib["Swap"]) == (20, 20, 0)


@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        ("anonymous", smaps_entry((1, 2))),
        ("anonymous", smaps_entry((1, 2), name="[anon:a b]")),
        ("heap", smaps_entry((1, 2), name="[heap]")),
        ("stack", smaps_entry((1, 2), name="[stack]")),
        ("file_private", smaps_entry((1, 2), "rw-p", "/lib/a b (deleted)", 5)),
        ("file_shared", smaps_entry((1, 2), "r--s", "/data/x", 5)),
        ("shm", smaps_entry((1, 2), "rw-s", "/dev/zero (deleted)", 5)),
        ("shm", smaps_entry((1, 2), "rw-s", "/SYSV00000000 (deleted)", 5)),
        ("kernel", smaps_entry((1, 2), "r-xp", "[vdso]")),
        ("kernel", smaps_entry((1, 2), "r--p", "[vvar_vclock]")),
        ("hugetlb", smaps_entry((512, 1024), "rw-p", "/anon_hugepage (deleted)", 5, flags="rd wr ht")),
    ],
)
def test_kind__follows_from_name_and_access(kind, entry):
    """A vma is one of a few kinds."""
    assert kinds(entry) == [kind]


def test_vsyscall__is_left_out():
    """The page of vsyscall is the same for all and lies in no process's tables."""
    assert kinds(smaps_entry((1, 2)), smaps_entry((1 << 51, (1 << 51) + 1), "--xp", "[vsyscall]")) == [
        "anonymous"
    ]


def test_memory_of_devices__is_told_apart():
    """Pages that are no ordinary memory are never anonymous."""
    (vma,) = read_smaps(smaps_entry((1, 2), "rw-s", "/dev/dri/card0", 5, flags="rd wr sh pf io"), PAGE)
    assert vma.device_memory


@pytest.mark.parametrize("text", ["Rss:  4 kB\n", "hello\n", smaps_entry((1, 2)) + "what is this\n"])
def test_text_that_is_no_smaps__is_refused(text):
    """A line that the kernel would not write is told with its number."""
    with pytest.raises(SmapsError, match=r"smaps, line \d+: .*needed; is it a text of Linux"):
        read_smaps(text, PAGE)


def test_page_tables__are_those_of_status():
    """VmPTE counts; a task without memory has none."""
    assert page_table_kib(status(48)) == 48
    assert page_table_kib(status(None)) is None
