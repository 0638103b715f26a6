"""Sweeps whose driver runs elsewhere: handed over, looked at, stopped, and gone on with when a driver died."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from asking import asked
from real_cluster import DASK, real_cluster, until
from tiny_study import TINY_CELLS
from traces import DEEP

from pipeline import driver, fanout, launch, store, submission, submitting
from pipeline.errors import ClusterError, RefusedError
from pipeline.fleet import Fleet
from pipeline.places import place_of
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.study import load_study
from pipeline.submission import Submission, dataset_of, remember, submission_id, write_record
from pipeline.sweep import Orders, run_study
from pipeline.writer import Dataset

LARGE = {
    "replicates": 12,
    "sweep": {"tree": [{"depth": 6, "fan_out": 2}, {"depth": 3, "fan_out": 4}], "exec_ratio": [0.0, 0.25, 0.5, 1.0]},
}  # fmt: skip
on_a_cluster = pytest.mark.skipif(not DEEP, reason="takes up to a minute; run with HYPOTHESIS_PROFILE=deep")
RECORD = Submission("0123456789ab", "tls://a:1", "node7", 4711, "2026-01-02 03:04:05")


@pytest.fixture
def here(write_study, tmp_path, monkeypatch):
    """Return the path of the tiny study, in the working directory; what is remembered is remembered there."""
    path = write_study()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return path


def planned(study, folder):
    """Return a dataset without rows."""
    plan = make_plan(load_study(study), model_version())
    with Dataset(folder, plan, provenance()):
        return folder


# What a cluster is not needed for


def test_submit__wants_a_scheduler(here, capsys):
    """A sweep is handed to a cluster that is there; without one there is nothing to do."""
    code, told = asked(capsys, "submit", here)
    assert code == 2
    assert told.startswith(
        "submit: no scheduler is named; a sweep is submitted to a Dask cluster that runs already; "
    )
    assert told.endswith("give --scheduler ADDR or --scheduler-file FILE, or use forkbench run\n")
    code, told = asked(capsys, "submit", here, "--scheduler", "nowhere")
    assert (code, "no address of a scheduler" in told) == (2, True)


def test_dask_submit__is_the_same_command(here):
    """Dask's own command line has it, with the same options, refusals and exit codes; loading it loads little."""
    told = subprocess.run([DASK, "submit", "--help"], capture_output=True, text=True, check=True).stdout
    assert told.startswith("Usage: dask submit [OPTIONS] STUDY")
    assert "--scheduler-file" in told
    refused = subprocess.run([DASK, "submit", here], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr[:30]) == (2, "submit: no scheduler is named;")
    loaded = "import sys, pipeline.dask_submit; print(*{'dask', 'numpy', 'pandas', 'pipeline.cli'} & {*sys.modules})"
    assert (
        subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
        == "\n"
    )


def test_id__is_of_place_and_plan():
    """The same command has the same ID, also when it replaces a dead driver; other places and plans have others."""
    assert submission_id("/a", "1") == submission_id("/a", "1")
    assert len({submission_id(*each) for each in (("/a", "1"), ("/b", "1"), ("/a", "2"))}) == 3


def test_name_of_a_submission__is_its_id_or_its_dataset(here, tmp_path):
    """An ID is found from any folder, cut to six digits, or in results/; a folder is itself."""
    remember("0123456789ab", tmp_path / "one", "tiny", "tcp://a:1")
    remember("0123456fffff", tmp_path / "two", "tiny", "tcp://a:1")
    planned(here, tmp_path / "results" / "tiny")
    write_record(tmp_path / "results" / "tiny", RECORD._replace(id="abcdefabcdef"))
    assert dataset_of("0123456789ab") == tmp_path / "one"
    assert dataset_of("0123456f") == tmp_path / "two"
    assert dataset_of("abcdef").resolve() == tmp_path / "results" / "tiny"
    assert str(dataset_of("results/tiny")) == "results/tiny"
    with pytest.raises(
        RefusedError, match="2 submissions begin with it, 0123456789ab, 0123456fffff; give more digits"
    ):
        dataset_of("0123456")
    with pytest.raises(
        RefusedError, match=r"no submission of this user on this machine.* name the dataset instead"
    ):
        dataset_of("ffffff")


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (RECORD, "is gone without a word; the same forkbench submit replaces it"),
        (
            RECORD._replace(ended="2026-01-02 05:00:00", code=1),
            "ended 2026-01-02 05:00:00 UTC with exit code 1; forkbench logs 0123456789ab tells why",
        ),
    ],
)
def test_status__tells_what_became_of_the_driver(here, tmp_path, capsys, record, line):
    """From the dataset alone, in words and as JSON."""
    write_record(planned(here, tmp_path / "out"), record)
    code, told = asked(capsys, "status", "out")
    assert code == 1
    assert (
        f"driver: submission 0123456789ab, process 4711 on node7, begun 2026-01-02 03:04:05 UTC, {line}\n"
        in told
    )
    assert json.loads(asked(capsys, "status", "out", "--json")[1])["submission"] == record._asdict()


def test_status__knows_a_driver_that_runs(here, tmp_path, capsys):
    """The one who holds the dataset's lock is alive."""
    plan = make_plan(load_study(here), model_version())
    with Dataset(tmp_path / "out", plan, provenance()):
        write_record(tmp_path / "out", RECORD._replace(process=os.getpid()))
        assert (
            f"process {os.getpid()} on node7, begun 2026-01-02 03:04:05 UTC, is running\n"
            in asked(capsys, "status", "out")[1]
        )


@pytest.mark.parametrize("command", ["logs", "cancel", "status"])
def test_commands__refuse_what_was_never_submitted(here, tmp_path, capsys, command):
    """No such dataset, no such ID, a damaged record, no log, nobody to cancel: each in a sentence, exit code 2."""
    assert asked(capsys, command, "nowhere")[0] == 2
    assert "no submission of this user on this machine" in asked(capsys, command, "0123456789ab")[1]
    folder = planned(here, tmp_path / "out")
    if command == "status":
        (folder / submission.RECORD).write_text("{}", encoding="utf-8")
        assert (
            "submission.json: damaged; remove it; submitting again writes it anew"
            in asked(capsys, command, "out")[1]
        )
    else:
        reason = {
            "logs": "it has no driver.log, for it never was submitted",
            "cancel": "nothing to cancel, for no run writes",
        }
        code, told = asked(capsys, command, "out")
        assert (code, reason[command] in told) == (2, True)


def test_logs__shows_all_or_the_last_lines(here, tmp_path, capsys):
    """And ends by itself when nobody writes any more."""
    (planned(here, tmp_path / "out") / submission.LOG).write_text("one\ntwo\nthree\n", encoding="utf-8")
    assert asked(capsys, "logs", "out") == (0, "one\ntwo\nthree\n")
    assert asked(capsys, "logs", "out", "--lines", "2", "--follow") == (0, "two\nthree\n")


@pytest.mark.parametrize("where", ["folder", "store"])
def test_cancel__stops_any_run_in_order(here, tmp_path, capsys, monkeypatch, where):
    """What runs is finished and stored, nothing else is begun; the wish is forgotten, so that the next run goes on."""
    out = tmp_path / "out" if where == "folder" else f"memory://submitted/{os.getpid()}/cancelled"
    monkeypatch.setattr(submission, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(submission, "_LOOK_AFAR_SECONDS", 0.0)
    run_jobs = fanout.run_jobs

    def cancelled(jobs, fleet, deliver, *rest):
        def taking(reply):
            deliver(reply)
            assert submission.ask_to_stop(out) == os.getpid()

        run_jobs(jobs, fleet, taking, *rest)

    monkeypatch.setattr(fanout, "run_jobs", cancelled)
    outcome = run_study(load_study(here), out, 0, quiet=True)
    assert 0 < outcome.simulated < TINY_CELLS
    assert outcome.left == TINY_CELLS - outcome.simulated
    assert capsys.readouterr().err.count("cancelled: what runs is finished and stored") == 1
    assert submission.CANCEL not in place_of(out).sizes()
    monkeypatch.setattr(fanout, "run_jobs", run_jobs)
    place_of(out).replace(submission.CANCEL, b"")  # nobody was there to be stopped
    assert run_study(load_study(here), out, 0, quiet=True).left == 0


def test_driver__refuses_another_plan_than_was_submitted(here, tmp_path):
    """A driver with other software than the one who submitted would make other cells; nothing is written."""
    order = launch.Order("0123456789ab", load_study(here), "another", str(tmp_path / "out"), None, Orders())
    with pytest.raises(
        RefusedError, match="where it was submitted it is another; both have to have the same forkbench"
    ):
        driver.drive(order, tmp_path, "tcp://a:1")
    assert not (tmp_path / "out").exists()


def test_driver__shows_the_certificates_of_its_worker():
    """A client's own if the worker has one, else the worker's; none where there is no TLS."""
    names = ("tls_ca_file", "tls_client_cert", "tls_client_key", "tls_worker_cert", "tls_worker_key")
    none = dict.fromkeys(names)
    found = {"tls_ca_file": "ca", "tls_worker_cert": "w.pem", "tls_worker_key": "w.key"}
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    assert launch.credentials(SimpleNamespace(**none)) == {}
    assert launch.credentials(SimpleNamespace(**none | found)) == {
        f"{tls}CA_FILE": "ca", f"{tls}CLIENT__CERT": "w.pem", f"{tls}CLIENT__KEY": "w.key",
    }  # fmt: skip
    own = found | {"tls_client_cert": "c.pem", "tls_client_key": "c.key"}
    assert launch.credentials(SimpleNamespace(**none | own))[f"{tls}CLIENT__CERT"] == "c.pem"


def a_worker():
    """Return what a driver's beginning needs of a worker: an address at which nobody is, no certificates."""
    names = ("tls_ca_file", "tls_client_cert", "tls_client_key", "tls_worker_cert", "tls_worker_key")
    scheduler = SimpleNamespace(address="tcp://127.0.0.1:9")
    return SimpleNamespace(scheduler=scheduler, security=SimpleNamespace(**dict.fromkeys(names)))


def test_driver__that_refuses_says_so_to_the_one_who_submits(here, tmp_path):
    """A real driver process, whose dataset somebody writes: it ends at once, with the reason, and leaves nothing."""
    study = load_study(here)
    plan = make_plan(study, model_version())
    order = launch.Order("0123456789ab", study, plan.plan_id, str(tmp_path / "out"), None, Orders())
    # in a thread of its own: a browser's tests leave a loop in this one
    with Dataset(tmp_path / "out", plan, provenance()), ThreadPoolExecutor(1) as thread:
        launched = launch.launch(pickle.dumps(order), a_worker())
        found = thread.submit(asyncio.run, launched).result()
    assert (found.begun, found.code) == (False, 2)
    assert f"another run (process {os.getpid()}) is writing it; one at a time is allowed" in found.said
    assert {file.name for file in (tmp_path / "out").iterdir()} == {".lock", "plan.json", "study.yaml"}


@pytest.mark.usefixtures("here")
def test_log__in_an_object_store_is_copied_there():
    """It goes on behind what earlier drivers said; record and log are read as those of a folder are."""
    url = f"memory://submitted/{os.getpid()}/log"
    for words in ("one", "two"):
        with driver._speaking_into(url):
            os.write(1, f"{words}\n".encode())
    write_record(url, RECORD)
    assert submission.log_of(url) == "one\ntwo\n"
    assert submission.read_record(url) == RECORD
    assert launch.sees(url)[1]
    remember(RECORD.id, url, "tiny", "tcp://a:1")
    assert dataset_of(RECORD.id[:8]) == dataset_of(url) == url


class Client:
    """A cluster of some workers: what each sees, and what becomes of a driver that is begun on it."""

    def __init__(self, sights, becomes):
        self.sights, self.becomes = sights, becomes
        self.begun = []

    def nthreads(self):
        return dict.fromkeys(self.sights, 1)

    def run(self, function, *arguments, workers, on_error):
        assert on_error == "return"
        if function is launch.launch:
            [order] = map(pickle.loads, arguments)
            self.begun.append((workers, order))
            return dict.fromkeys(workers, self.becomes)
        if function is launch.sees:
            return {address: self.sights[address] for address in workers}
        return {address: function() for address in workers}


@pytest.fixture
def submitted_to(here, monkeypatch):
    """Return a function that submits the tiny study to a client."""

    def submitted(client):
        monkeypatch.setattr(submitting, "connected", lambda _: contextlib.nullcontext(client))
        return submitting.submit(
            load_study(here), "/data/out", Fleet(0, "tcp://a:1", timeout=9.0), Orders(maxfail=3)
        )

    return submitted


BEGUN = launch.Launched("node2", 11, begun=True, code=None, said="")


def test_submit__begins_the_driver_where_the_dataset_is_seen(submitted_to):
    """With the study as it is now and all that is asked for; machines that do not see the dataset are named."""
    client = Client(
        {"tcp://1": ("node1", False), "tcp://2": ("node2", True), "tcp://3": ("node3", False)}, BEGUN
    )
    found = submitted_to(client)
    [(workers, order)] = client.begun
    assert workers == ["tcp://2"]
    assert (order.dataset, order.timeout, order.orders) == ("/data/out", 9.0, Orders(maxfail=3))
    assert order.study.cells == TINY_CELLS
    assert found == (submission_id("/data/out", order.plan_id), BEGUN, ["node1", "node3"])


@pytest.mark.parametrize(
    ("becomes", "error", "message"),
    [
        (BEGUN._replace(begun=False, code=2, said="out: no room"), RefusedError, "^out: no room$"),
        (BEGUN._replace(begun=False, code=-9), RefusedError, "tcp://1: the driver ended with exit code -9 at once"),
        (BEGUN._replace(begun=False, code=3, said="Traceback"), RuntimeError, "the driver, on node2, said:\nTraceback"),
        (PermissionError("no fork"), ClusterError, r"cannot be started there \(PermissionError: no fork\)"),
        (None, ClusterError, r"cannot be started there \(it does not answer\)"),
    ],
)  # fmt: skip
def test_driver__that_does_not_start_is_told(submitted_to, becomes, error, message):
    """What it refuses is the user's matter, what it is wrong in is ours, what the worker cannot do is the cluster's."""
    with pytest.raises(error, match=message):
        submitted_to(Client({"tcp://1": ("node1", False)}, becomes))


# On a real cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return a scheduler and two workers, over TLS."""
    with real_cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def elsewhere(cluster, tmp_path):
    """Return a function that runs forkbench as a client of the cluster, in another folder than the study's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
            cwd=folder, env=cluster.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def ended(dataset):
    """Return whether the driver of a dataset has ended in order."""
    record = submission.read_record(dataset)
    return record is not None and record.ended != ""


@on_a_cluster
def test_real_cluster__runs_what_is_submitted_from_another_folder(cluster, elsewhere, write_study, tmp_path):
    """Scheduler and workers of Dask's own commands, TLS: the ID comes at once, the rows are those made here."""
    assert cluster.address.startswith("tls://")
    study, out = write_study(), tmp_path / "out"
    done = elsewhere("submit", study, "--scheduler", cluster.address, "--results", out)
    assert done.returncode == 0, done.stderr
    name = done.stdout.strip()
    assert name == submission_id(out, make_plan(load_study(study), model_version()).plan_id)
    study.unlink()  # what was submitted is frozen
    until(lambda: ended(out))
    here = run_study(load_study(write_study()), tmp_path / "here", 0, quiet=True)
    log = submission.log_of(out)
    assert f"checksum: {here.checksum}\n" in log
    assert log.endswith("ends with exit code 0\n")
    told = elsewhere("status", name)
    assert (told.returncode, "72 of 72 cells done (100 %)" in told.stdout) == (0, True)
    assert "with exit code 0\n" in told.stdout


@on_a_cluster
def test_real_cluster__runs_what_is_run_from_another_folder(cluster, elsewhere, write_study, tmp_path):
    """The same with the driver in the command."""
    done = elsewhere("run", write_study(), "--scheduler", cluster.address)
    assert done.returncode == 0, done.stderr
    here = run_study(load_study(write_study()), tmp_path / "here", 0, quiet=True)
    assert f"checksum: {here.checksum}" in done.stdout


@on_a_cluster
def test_driver__that_dies_is_replaced_by_the_same_command(cluster, elsewhere, write_study, tmp_path):
    """While it lives a second is refused; its rows stay; the new one has the same ID and can be cancelled."""
    long = write_study(**LARGE | {"replicates": 300})  # that is not over before it is cancelled
    submit = ("submit", long, "--scheduler", cluster.address, "--results", tmp_path / "out")
    first = elsewhere(*submit)
    assert first.returncode == 0, first.stderr
    record = submission.read_record(tmp_path / "out")
    second = elsewhere(*submit)
    assert second.returncode == 2
    assert f"another run (process {record.process}) is writing it; one at a time is allowed" in second.stderr
    until(lambda: [*(tmp_path / "out").glob("part-*")])
    os.kill(record.process, signal.SIGKILL)
    until(lambda: store.writer_of(tmp_path / "out") is None)
    assert (
        "is gone without a word; the same forkbench submit"
        in elsewhere("status", first.stdout.strip()).stdout
    )
    before = store.committed(tmp_path / "out")
    again = elsewhere(*submit)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    stopped = elsewhere("cancel", again.stdout.strip())
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: ended(tmp_path / "out"))
    assert submission.read_record(tmp_path / "out").code == 1
    assert before <= store.committed(tmp_path / "out")
    assert "cancelled: what runs is finished and stored" in elsewhere("logs", first.stdout.strip()).stdout


@on_a_cluster
def test_driver__outlives_the_workers(cluster, elsewhere, write_study, tmp_path):
    """The worker that began it is killed, all of them are; nannies start others, and the sweep goes on."""
    study = write_study(**LARGE | {"replicates": 4})
    done = elsewhere("submit", study, "--scheduler", cluster.address, "--results", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    nannies = [nanny.pid for nanny in cluster.workers]
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", ",".join(map(str, nannies))],
        capture_output=True,
        text=True,
        check=True,
    )
    for worker in map(int, listed.stdout.split()):
        os.kill(worker, signal.SIGKILL)
    until(lambda: ended(tmp_path / "out"))
    assert submission.read_record(tmp_path / "out").code == 0, submission.log_of(tmp_path / "out")
    assert store.status(tmp_path / "out").complete
