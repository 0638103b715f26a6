"""A dataset in an object store: as in a folder, bit for bit; one driver writes; a store that fails loses nothing."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_study import TINY_CELLS

from pipeline import analysis, buckets, leases, store
from pipeline.errors import DatasetError, LockWaitWarning, StoreDownError
from pipeline.export import exported
from pipeline.places import place_of
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.report.page import write_report
from pipeline.study import load_study
from pipeline.survey import survey
from pipeline.sweep import jobs_of, run_study
from pipeline.verify import verify
from pipeline.work import run_batch
from pipeline.writer import Dataset

LACKING = [name for name in ("moto", "s3fs", "flask_cors") if importlib.util.find_spec(name) is None]
needs_moto = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)} (extra dev)")
_names = itertools.count()


@pytest.fixture(scope="module")
def s3():
    """Serve an S3 for the tests of this module."""
    from object_store import serving  # noqa: PLC0415 - needs moto

    with serving() as server:
        yield server


@pytest.fixture(params=["memory", pytest.param("s3", marks=needs_moto)])
def url(request):
    """Return a URL under which there is nothing: in this process's memory, or in an S3."""
    if request.param == "s3":
        request.getfixturevalue("s3").misbehave = None
    root = "s3://sweeps" if request.param == "s3" else "memory://sweeps"
    return f"{root}/{os.getpid()}/{next(_names)}"


@pytest.fixture
def quick(monkeypatch):
    """Let waiting take no time to speak of."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(leases, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(buckets, "GIVE_UP_SECONDS", 1.0)
    monkeypatch.setattr(buckets, "_FIRST_PAUSE", 0.01)


@pytest.fixture
def study(write_study):
    """Return the tiny study."""
    return load_study(write_study())


def plan_of(study):
    """Return its plan."""
    return make_plan(study, model_version())


def test_dataset__is_the_same_as_in_a_folder(url, study, tmp_path):
    """The same checksum, the same parts byte for byte; everything that reads a dataset reads this one."""
    here = run_study(study, tmp_path / "here", 0, quiet=True)
    there = run_study(study, url, 0, quiet=True)
    assert there.checksum == here.checksum
    local = {name: size for name, size in place_of(tmp_path / "here").sizes().items() if name != ".lock"}
    assert place_of(url).sizes() == local
    [one], [two] = place_of(url).parts(), place_of(tmp_path / "here").parts()
    assert (one.name, one.read_bytes()) == (two.name, two.read_bytes())
    assert (store.status(url).complete, store.writer_of(url)) == (True, None)
    assert store.stored(url) == store.stored(tmp_path / "here")
    assert all(finding.right for finding in verify(url, 2))
    assert analysis.load(url).equals(analysis.load(tmp_path / "here"))
    assert [*exported(url, "csv", None, [])] == [*exported(tmp_path / "here", "csv", None, [])]
    frames = [analysis.load(url), analysis.load(tmp_path / "here")]
    assert not analysis.compare(*frames, ["total_ns"], None)["changed"].any()
    assert survey(study, model_version(), url).groups[0].reason == "done"
    write_report(url, tmp_path / "page.html")
    assert url in (tmp_path / "page.html").read_text(encoding="utf-8")
    again = run_study(study, url, 0, quiet=True)
    assert (again.simulated, again.resumed, again.checksum) == (0, TINY_CELLS, here.checksum)


def test_edited_study__goes_on_in_the_same_place(url, write_study):
    """A plan that another one replaces is kept if that lacks cells of it; rows of both are there."""
    run_study(load_study(write_study(replicates=1)), url, 0, quiet=True)
    outcome = run_study(load_study(write_study()), url, 0, quiet=True)
    assert (outcome.resumed, outcome.simulated) == (TINY_CELLS // 2, TINY_CELLS // 2)
    assert not [name for name in place_of(url).sizes() if name.startswith("plan-")]
    run_study(load_study(write_study(replicates=1)), url, 0, quiet=True)
    assert [name for name in place_of(url).sizes() if name.startswith("plan-")]


def test_damaged_part__is_set_aside(url, study):
    """An object that is not what was written counts for nothing, and its rows are made again."""
    before = run_study(study, url, 0, quiet=True)
    [part] = place_of(url).parts()
    bucket = buckets.Bucket(url)
    bucket.put_text(part.name, "something else", "overwrite")
    place_of.__globals__["_bucket"].cache_clear()
    outcome = run_study(study, url, 0, quiet=True)
    assert (outcome.simulated, outcome.checksum) == (TINY_CELLS, before.checksum)
    assert "damaged" in outcome.notes[0]
    assert f"unreadable-{part.name}" in place_of(url).sizes()


def test_prefix_of_somebody_else__is_not_used(url, study):
    """Other objects are left alone."""
    place_of(url).write_new("notes.txt", b"mine")
    with pytest.raises(DatasetError, match=r"holds other objects and no plan\.json"):
        run_study(study, url, 0, quiet=True)
    assert place_of(url).sizes() == {"notes.txt": 4}


@pytest.mark.usefixtures("quick")
def test_second_driver__is_refused(url, study):
    """While the first shows signs of life the second is told who that is, and takes nothing from it."""
    plan = plan_of(study)
    with Dataset(url, plan, provenance()) as dataset:
        place_of.__globals__["_bucket"].cache_clear()  # as another process would see it
        assert store.writer_of(url) == os.getpid()
        told = rf"another run \(process {os.getpid()} on .*\) is writing it"
        with pytest.raises(DatasetError, match=told), Dataset(url, plan, provenance()):
            pass
        dataset.add(run_batch(jobs_of(plan, set())[:1]).rows)
    assert store.writer_of(url) is None
    assert len(store.committed(url)) > 0


@pytest.mark.usefixtures("quick")
def test_dead_driver__is_replaced_and_cannot_write_again(url, study, monkeypatch):
    """A driver that is silent for too long is replaced; when it comes back it is refused, and nothing is twice."""
    plan = plan_of(study)
    jobs = jobs_of(plan, set())
    monkeypatch.setattr(leases.Lease, "_beat", lambda _: None)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.0)
    with Dataset(url, plan, provenance()) as dead:
        dead.add(run_batch(jobs[:1]).rows)
        dead.flush()
        place_of.__globals__["_bucket"].cache_clear()
        with pytest.warns(LockWaitWarning, match="shows no sign of life"):
            outcome = run_study(study, url, 0, quiet=True)
        assert outcome.resumed == len(jobs[0].cells)
        before = place_of(url).sizes()
        dead._waiting = [*run_batch(jobs[1:2]).rows]
        with pytest.raises(DatasetError, match=r"another run .* is writing it"):
            dead.flush()
        dead._waiting.clear()
    assert place_of(url).sizes() == before
    assert all(finding.right for finding in verify(url, 0))


def test_dead_driver_of_this_machine__is_replaced_at_once(url, study):
    """Its process is looked for: who is not there need not be waited for."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    owner = {"process": gone.pid, "host": "here", "machine": leases._machine(), "token": "t", "beat": 3}
    assert owner["machine"] or sys.platform != "linux"
    buckets.Bucket(url).put_text(".lock/00000004", json.dumps(owner), "create")
    began = time.monotonic()
    run_study(study, url, 0, quiet=True)
    assert time.monotonic() - began < leases.LEASE_SECONDS
    assert place_of(url).names(".lock") == ["00000005"]


def test_two_drivers_at_once__one_gets_the_lease(url):
    """Of those that try to take the same lease one succeeds."""
    found = [leases.Lease(buckets.Bucket(url)) for _ in range(4)]
    got = []
    for lease in found:
        lease._number = 1
        got.append(lease._create(lease._me))
    assert got == [True, False, False, False]


@pytest.mark.usefixtures("quick")
def test_store_that_overwrites__is_refused(url, study, monkeypatch):
    """A store that does not know put-if-absent would let two drivers write."""
    put = buckets.Bucket.put
    monkeypatch.setattr(
        buckets.Bucket, "put", lambda self, file, name, _, **rest: put(self, file, name, "overwrite", **rest)
    )
    with pytest.raises(DatasetError, match="overwrites objects although it is told not to"):
        run_study(study, url, 0, quiet=True)


def test_lost_answer_to_the_lease__is_no_other_driver(url):
    """Who is told that there is a lease, and finds that it is its own, has it."""
    lease = leases.Lease(buckets.Bucket(url))
    lease._number = 1
    assert lease._create(lease._me)
    assert lease._create(lease._me)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("ftp://host/x", "ftp knows no write that is refused if a file is there"),
        ("nonsense://x", "nonsense"),
        (Path("s3://bucket/x"), "has lost a slash; give it as text"),
    ],
)
def test_place_that_will_not_do__is_refused(where, message, study, monkeypatch):
    """Before anything is simulated it is told what will do."""
    monkeypatch.setattr("ftplib.FTP.connect", lambda *_: None)
    monkeypatch.setattr("ftplib.FTP.login", lambda *_: None)
    with pytest.raises(DatasetError, match=message):
        run_study(study, where, 0, quiet=True)


def test_extra_that_is_missing__is_named(monkeypatch):
    """Without s3fs the message says what to install."""

    def lacking(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(buckets.fsspec.core, "url_to_fs", lacking)
    with pytest.raises(DatasetError, match=r"pip install 'forkbench\[s3\]'"):
        buckets.Bucket("s3://bucket/x")


def test_file_url__is_a_folder(tmp_path, study):
    """file:// is the same as the path."""
    run_study(study, f"file://{tmp_path}/out", 0, quiet=True)
    assert store.status(tmp_path / "out").complete


def test_causes__come_within_a_minute():
    """The longest that a store may be silent before the run says so, with a request before and behind."""
    assert buckets.GIVE_UP_SECONDS + 2 * (buckets.ANSWER_SECONDS + buckets._CONNECT_SECONDS) <= 60


@needs_moto
@pytest.mark.usefixtures("quick")
def test_store_that_stays_down__is_told_once(s3, study):
    """The cause, the attempts, and that rows are safe; putting things in order waits no second time. Then it resumes."""
    url = f"s3://sweeps/{os.getpid()}/{next(_names)}"
    plan = plan_of(study)
    s3.misbehave, s3.happened = None, []
    with Dataset(url, plan, provenance()) as dataset:
        dataset.add(run_batch(jobs_of(plan, set())[:1]).rows)
        s3.misbehave = lambda *_: ("status", 503, "SlowDown")
        dataset._waiting = [*run_batch(jobs_of(plan, set())[1:2]).rows]
        for _ in range(2):
            with pytest.raises(DatasetError, match=r"(?i)please reduce your request rate; \d+ attempts"):
                dataset.flush()
    assert len(s3.happened) > 3
    place_of.__globals__["_bucket"].cache_clear()
    with pytest.raises(StoreDownError, match="cannot be reached"):
        store.status(url)
    s3.misbehave = None
    place_of.__globals__["_bucket"].cache_clear()
    outcome = run_study(study, url, 0, quiet=True)
    assert (outcome.resumed > 0, outcome.resumed + outcome.simulated) == (True, TINY_CELLS)


@needs_moto
def test_commands__take_urls(s3, write_study, forkbench):
    """run, status, verify, export and compare in processes of their own; a bucket that is not there is refused."""
    s3.misbehave = None
    url = f"s3://sweeps/{os.getpid()}/{next(_names)}"
    file = write_study()
    done = forkbench("run", file, "--results", url, "--workers", 0)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert f"next:     forkbench report {url}" in done.stdout
    for command in (
        ["status", url],
        ["verify", url, "--sample", 1],
        ["export", url, "--csv"],
        ["compare", url, url],
    ):
        done = forkbench(*command)
        assert done.returncode == 0, done.stderr
    done = forkbench("run", file, "--results", "s3://not-there/x", "--workers", 0)
    assert done.returncode == 2
    assert "there is no such bucket" in done.stderr
