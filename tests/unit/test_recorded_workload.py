"""A recording as a study holds it, and the trace that the workload ``recorded`` makes of it."""

import numpy as np
import pytest

from simcore import DESIGNS, GEOMETRIES
from simcore.events import EVENT_DTYPE, WRITABLE, Op, VmaKind
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.recorded import trace_of
from simcore.workloads.recording import Recording, digest_of, packed, recording_of, unpacked

GEOMETRY = GEOMETRIES["x86-64"]
FILE = int(VmaKind.FILE_PRIVATE)


def recording(*rows, images=(), page_bytes=4096):
    """Return a recording of rows (op, task, start, count, arg, file, offset)."""

    def array(given):
        touches = (Op.READ, Op.WRITE)
        return np.array([(*row[:4], int(row[0] in touches), *row[4:]) for row in given], EVENT_DTYPE)

    flat = [row for image in images for row in image]
    starts = np.cumsum([0, *map(len, images)]).astype(np.int64)
    return Recording(page_bytes, array(rows), array(flat), starts)


SMALL = recording(
    (Op.EXEC, 0, 0, 0, 0, 0, 0),
    (Op.READ, 0, 20, 1, 0, -4, 16),
    (Op.READ, 0, 40, 1, 0, 0, 0),
    (Op.WRITE, 0, 100, 1, 0, 0, 0),
    (Op.WRITE, 0, 102, 3, 0, 0, 0),
    (Op.FORK, 0, 0, 0, 1, 0, 0),
    (Op.WRITE, 1, 100, 1, 0, 0, 0),
    (Op.WRITE, 0, 100, 1, 0, 0, 0),
    (Op.EXIT, 1, 0, 0, 0, 0, 0),
    (Op.EXIT, 0, 0, 0, 0, 0, 0),
    images=[
        [(Op.MMAP, -1, 16, 30, FILE, 0, 0), (Op.MMAP, -1, 100, 8, int(VmaKind.ANON) | WRITABLE, -1, 0)],
    ],
)


def test_trace__joins_neighbouring_touches_of_one_task():
    """Two reads are one event, so are two writes (one of three pages); touches of two tasks stay two."""
    trace = trace_of(SMALL)
    assert [Op(op).name for op in trace.events["op"]] == [
        "EXEC", "READ", "WRITE", "FORK", "WRITE", "WRITE", "EXIT", "EXIT",
    ]  # fmt: skip
    assert trace.pages.tolist() == [20, 40, 100, 102, 103, 104, 100, 100]
    assert trace.events["count"].tolist() == [0, 2, 4, 0, 1, 1, 0, 0]
    assert not trace.events["file"][1]


def test_trace__reads_what_may_have_been_mapped_around():
    """The block of a read of a file, pages 16 to 31, is read behind its page."""
    trace = trace_of(SMALL, around=True)
    assert trace.pages[:18].tolist() == [20, *range(16, 32), 40]
    assert trace.events["count"][1] == 18


def test_around__makes_no_difference_to_mainline_and_bounds_linux26():
    """mainline maps the block around at the first fault; linux26 takes a fault for each of its pages."""
    faults = {
        (design, around): simulate(trace_of(SMALL, around=around), DESIGNS[design], GEOMETRY).minor_faults()
        for design in ("mainline", "linux26")
        for around in (False, True)
    }
    # two blocks, four written pages, and page 100 again in the child and in its parent
    assert faults == {
        ("mainline", False): 8, ("mainline", True): 8, ("linux26", False): 8, ("linux26", True): 23,
    }  # fmt: skip


def test_packed__comes_back_equal_and_knows_its_digest():
    """What was packed is unpacked; another digest is refused."""
    text = packed(SMALL)
    found = unpacked(text, digest_of(SMALL))
    assert found.page_bytes == 4096
    for name in ("rows", "image_rows", "image_starts"):
        assert np.array_equal(getattr(found, name), getattr(SMALL, name))
    with pytest.raises(ValueError, match="does not have its digest"):
        unpacked(text, "0" * 32)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "eJwDAAAAAAE="])
def test_packed__refuses_what_is_none(text):
    """Whatever is given, a ValueError says what is allowed."""
    with pytest.raises(ValueError, match="record again"):
        unpacked(text, "0" * 32)


@pytest.mark.parametrize(
    "value", [None, "name", {"label": "x"}, dict.fromkeys(("label", "processes", "digest", "packed"))]
)
def test_value__refuses_what_is_no_recording(value):
    """A study that names none gets told how to write it."""
    with pytest.raises(ValueError, match="no recorded trace is given"):
        recording_of(value)


def value_of(found):
    """Return a recording as the value of a study's parameter."""
    return {"label": "x", "processes": 1, "digest": digest_of(found), "packed": packed(found)}


def test_fits__refuses_another_page_size_and_a_narrower_machine():
    """The geometry has to be the machine's."""
    fits = WORKLOADS["recorded"].fits
    params = {"around": "seen", "file": value_of(SMALL)}
    assert fits(params, GEOMETRY) is None
    assert "pages of 4096 bytes" in fits(params, GEOMETRIES["arm64-64k"])
    high = recording((Op.MMAP, 0, 1 << 30, 1, 0, -1, 0))
    assert "maps pages up to 1073741824" in fits(params | {"file": value_of(high)}, GEOMETRIES["i386"])


def test_make__refuses_what_does_not_fit():
    """make says what fits says."""
    with pytest.raises(ValueError, match="no recorded trace"):
        WORKLOADS["recorded"].make({"around": "seen", "file": None}, GEOMETRY, np.random.default_rng(0))
