"""Which pages a vma has, from the bits of pagemap, and where they are put without them."""

from __future__ import annotations

import numpy as np
import pytest
from captured import ALONE, ANON, FILE, PAGE, SHARED, SWAPPED, smaps_entry

from pipeline.capture.pagemap import pages_of, spread
from pipeline.capture.smaps import read_smaps
from simcore.workloads.spaces import Page, Run


def vma_of(*args, **kib):
    """Return one vma."""
    return read_smaps(smaps_entry(*args, **kib), PAGE)[0]


def found(vma, *words):
    """Return the pages of a vma with these words."""
    return [tuple(run) for run in pages_of(vma, [(vma.start, np.array(words, np.uint64))], PAGE)]


def test_bits__tell_what_a_page_is():
    """Present or swapped, of a file or anonymous, mapped by this mm alone or by others too."""
    vma = vma_of((10, 16), "rw-p", "/lib/x", 5, Anonymous=12)
    told = found(vma, FILE, ANON, ANON, SHARED, 0, SWAPPED)
    assert told == [(10, 1, Page.FILE), (11, 2, Page.ANON), (13, 1, Page.SHARED), (15, 1, Page.SWAP)]


def test_zeros__are_told_by_the_counter_of_anonymous_pages():
    """Pages of zeros look like shared ones; the counter does not count them."""
    assert found(vma_of((0, 3), Anonymous=4), ANON, SHARED, SHARED) == [(0, 1, Page.ANON), (1, 2, Page.ZERO)]
    assert found(vma_of((0, 3), Anonymous=12), ANON, SHARED, SHARED) == [
        (0, 1, Page.ANON),
        (1, 2, Page.SHARED),
    ]


@pytest.mark.parametrize(("access", "name", "inode"), [("r--p", "[vvar]", 0), ("rw-s", "/dev/zero", 5)])
def test_pages_of_objects_and_of_the_kernel__are_never_anonymous(access, name, inode):
    """Whatever bits they have."""
    assert found(vma_of((0, 2), access, name, inode), SHARED, ALONE | FILE) == [(0, 2, Page.FILE)]


def test_pieces__leave_out_what_lies_between_them():
    """Of a large vma only the parts with pages are looked at."""
    pieces = [(4, np.array([ANON], np.uint64)), (100, np.array([0, ANON], np.uint64))]
    assert pages_of(vma_of((0, 200), Anonymous=8), pieces, PAGE) == [
        Run(4, 1, Page.ANON),
        Run(101, 1, Page.ANON),
    ]


@pytest.mark.parametrize(
    ("vma", "runs"),
    [
        (vma_of((0, 20), Rss=12, Anonymous=12, Swap=4), [(0, 3, Page.ANON), (3, 1, Page.SWAP)]),
        (
            vma_of((0, 20), name="[stack]", Rss=12, Anonymous=12, Swap=4),
            [(16, 1, Page.SWAP), (17, 3, Page.ANON)],
        ),
        (
            vma_of((0, 20), "rw-p", "/lib/x", 5, Rss=20, Anonymous=8),
            [(0, 3, Page.FILE), (18, 2, Page.ANON)],
        ),
        (vma_of((0, 20), "rw-s", "/x", 5, Rss=20), [(0, 5, Page.FILE)]),
        (vma_of((0, 20)), []),
    ],
)
def test_spread__puts_pages_where_the_rule_says(vma, runs):
    """Where only their number is known."""
    assert [tuple(run) for run in spread(vma, PAGE)] == runs
