"""Fault-around over files that are cached from end to end: blocks served together, and those that are not."""

import random

import pytest
from hybrids import ALL
from lockstep import assert_lockstep
from traces import DEEP

from simcore import Mapping, TraceBuilder, VmaKind, tiny_geometry

LARGE = tiny_geometry(256, 2)
KINDS = (VmaKind.FILE_PRIVATE, VmaKind.FILE_SHARED, VmaKind.SHM)
AROUND = [name for name, row in ALL.items() if row.fault_around == "64_kib"]


class Walk:
    """Tasks that map one file at the same place, unmap parts of it, and read it in pieces.

    Task 0 has read all of it, so that every page is cached. ``start`` is where it is mapped, not always at a block.
    """

    def __init__(self, seed, kind):
        self.rng = random.Random(seed)
        self.kind, self.pages = kind, 700
        self.start = self.rng.choice([0, 3, 16, 250])
        self.builder = TraceBuilder()

    def build(self):
        """Make the trace."""
        for task in (0, 1):
            self.builder.mmap(task, Mapping(self.start, self.pages, self.kind, True, 0))
            if task == 0:
                self.builder.read(0, self.start, self.pages)
                self.builder.fork(0, 1)
                self.builder.exec(1, self.builder.image([]))
        for _ in range(30):
            at = self.rng.randrange(self.pages)
            count = self.rng.choice([1, 40, 100, self.pages])
            stride = self.rng.choice([1, 1, 1, 9, 17])
            fitting = max(1, min(count, (self.pages - at) // stride))
            self.rng.choice([self._read, self._read, self._discard, self._write])(at, fitting, stride)
        return self.builder.build()

    def _read(self, at, count, stride):
        self.builder.read(1, self.start + at, count, stride)

    def _write(self, at, count, stride):
        self.builder.write(1, self.start + at, min(count, 5), stride)

    def _discard(self, at, count, stride):
        self.builder.dontneed(1, self.start + at, min(count, self.pages - at))


@pytest.mark.parametrize("design", AROUND)
def test_reads_of_a_cached_file__are_equal(design):
    """Whatever is there already, each empty block costs one fault, however many are served at once.

    In the deep run each design meets each kind of file; else neighbouring designs different ones.
    """
    kinds = KINDS if DEEP else [KINDS[AROUND.index(design) % len(KINDS)]]
    for kind in kinds:
        for seed in range(8 if DEEP else 1):
            assert_lockstep(Walk(seed, kind).build(), ALL[design], LARGE)


@pytest.mark.parametrize("design", AROUND)
def test_reading_a_whole_table__takes_a_fault_for_each_block(design):
    """700 pages from a block's start on: 44 blocks, though a row has four words and three tables are touched."""
    walk = Walk(0, VmaKind.FILE_PRIVATE)
    walk.start = 0
    builder = walk.builder
    builder.mmap(0, Mapping(0, walk.pages, walk.kind, True, 0))
    builder.read(0, 0, walk.pages)
    builder.fork(0, 1)
    builder.exec(1, builder.image([]))
    builder.mmap(1, Mapping(0, walk.pages, walk.kind, True, 0))
    builder.read(1, 0, walk.pages)
    result = assert_lockstep(builder.build(), ALL[design], LARGE)
    assert result.counts()["faults_file_map"] in (
        88,
        44,
    )  # the second reader needs none where tables are the file's
