"""What becomes of batches when the cluster misbehaves, without one; and with one what becomes of what Dask holds back."""

from __future__ import annotations

import time
from queue import Empty

import pytest
from distributed import Client as DaskClient
from distributed import KilledWorker, LocalCluster

from pipeline import fanout
from pipeline.crew import NO_WORKER_SECONDS
from pipeline.errors import ClusterError
from pipeline.fanout import BATCH_SECONDS, LOST_BATCHES, WINDOW
from pipeline.work import CellRow, Job, Reply


class Future:
    """A future that has landed already, with a status and an exception of the test's choice."""

    def __init__(self, batch, status, error=None):
        self.batch, self.status, self.error = batch, status, error
        self.released = False

    def add_done_callback(self, landed):
        landed(self)

    def result(self, timeout):
        assert 0 < timeout < NO_WORKER_SECONDS
        if self.error is not None:
            raise self.error
        return reply_to(self.batch)

    def exception(self):
        return self.error

    def release(self):
        self.released = True


class Client:
    """A cluster that does with each batch what the test says."""

    def __init__(self, fate):
        self.fate = fate
        self.futures = []
        self.workers = {"one": 1}

    status = "running"

    def submit(self, _function, batch, timeout, *, key, pure):
        assert timeout is None
        assert not pure
        assert key not in {future.key for future in self.futures}
        future = self.fate(batch)
        future.key = key
        self.futures.append(future)
        return future

    def nthreads(self):
        return self.workers

    def run(self, function, *, workers, on_error):
        assert on_error == "return"
        return {address: function() for address in workers}


def reply_to(batch, seconds=0.1):
    """Return rows without counts for the cells of a batch."""
    ids = [cell_id for job in batch for cell_id, _ in job.cells]
    return Reply([CellRow(cell_id, *[None] * 9) for cell_id in ids], [], seconds * len(batch))


def finished(batch):
    """Let a batch finish."""
    return Future(batch, "finished")


def jobs(count, designs=2):
    """Return jobs of some cells each."""
    return [
        Job(
            "tree",
            {},
            "i386",
            number,
            tuple((f"{number}.{design}", "linux24") for design in range(designs)),
            {},
        )
        for number in range(count)
    ]


def swept(client, given, workers=2, stopped=lambda: False):
    """Return the ids that got a row, and the failures."""
    replies = []
    if client.workers:
        client.workers = {str(number): 1 for number in range(workers)}
    crew = fanout.Crew(client, fanout.Nobody())
    crew.look(always=True)
    fanout._Sweep(crew, given, None, replies.append).run(stopped)
    return (
        sorted(row.cell_id for reply in replies for row in reply.rows),
        [failure for reply in replies for failure in reply.failures],
    )


def ids(given):
    """Return the ids of all cells of jobs."""
    return sorted(cell_id for job in given for cell_id, _ in job.cells)


def test_batches__grow_to_the_time_that_hides_the_overhead():
    """The first batches are single jobs; once their time is known, a batch takes about BATCH_SECONDS."""
    client = Client(finished)
    assert swept(client, jobs(400)) == (ids(jobs(400)), [])
    sizes = [len(future.batch) for future in client.futures]
    assert sizes[: WINDOW * 2] == [1] * WINDOW * 2
    assert max(sizes) == int(BATCH_SECONDS / 0.1)
    assert sizes[-1] == 1
    assert all(future.released for future in client.futures)


def test_window__is_never_exceeded():
    """No more than WINDOW batches a worker are in flight, however many jobs wait."""
    flying, most = set(), []

    def fate(batch):
        future = Future(batch, "finished")
        flying.add(future)
        most.append(len(flying))
        future.release = lambda: flying.discard(future)
        return future

    assert swept(Client(fate), jobs(50), workers=3)[0] == ids(jobs(50))
    assert max(most) == WINDOW * 3


def test_lost_batch__is_run_again():
    """A batch that is neither finished nor in error is submitted again; no cell is missing or twice."""
    lost = iter(["lost", "cancelled"])
    client = Client(lambda batch: Future(batch, next(lost, "finished")))
    assert swept(client, jobs(10)) == (ids(jobs(10)), [])
    assert [future.status for future in client.futures][:3] == ["lost", "cancelled", "finished"]


def test_result_that_went_with_its_worker__is_made_again():
    """A finished batch whose worker is gone before it told is not waited for; no cell is missing or twice."""
    gone = iter([TimeoutError("timed out"), TimeoutError("timed out")])
    client = Client(lambda batch: Future(batch, "finished", next(gone, None)))
    assert swept(client, jobs(10)) == (ids(jobs(10)), [])
    assert [future.error is None for future in client.futures][:3] == [False, False, True]
    assert all(future.released for future in client.futures)


def test_results_that_go_with_the_last_worker__end_the_run(monkeypatch):
    """Where no worker comes back the run says so, however many finished batches wait for theirs."""
    now = 0.0

    class Stuck(Future):
        """A finished future whose result nobody has any more."""

        def result(self, timeout):
            nonlocal now
            now += timeout
            raise TimeoutError

    client = Client(lambda batch: Stuck(batch, "finished"))
    monkeypatch.setattr(fanout.time, "monotonic", lambda: now)
    client.submit, submit = (
        (lambda *args, **named: (client.workers.clear(), submit(*args, **named))[1]),
        client.submit,
    )
    with pytest.raises(ClusterError, match=f"no worker for {NO_WORKER_SECONDS:.0f} s"):
        swept(client, jobs(20))
    assert now <= 3 * NO_WORKER_SECONDS


def test_batches_lost_for_ever__end_the_run():
    """A cluster that loses everything is given up, with what to do."""
    client = Client(lambda batch: Future(batch, "lost"))
    with pytest.raises(ClusterError, match="run the same command again to resume"):
        swept(client, jobs(3))
    assert len(client.futures) > LOST_BATCHES


def test_killed_workers__are_traced_to_the_cell_alone_in_flight():
    """Suspects run one at a time after all others, split until one cell is left; only that one fails."""
    alone = []

    def fate(batch):
        deadly = any(cell_id == "7.1" for job in batch for cell_id, _ in job.cells)
        if deadly:
            alone.append(sum(len(job.cells) for job in batch))
        return Future(batch, "error", KilledWorker("batch", None, 2)) if deadly else finished(batch)

    found, failures = swept(Client(fate), jobs(12))
    assert found == [cell_id for cell_id in ids(jobs(12)) if cell_id != "7.1"]
    assert [(failure.cell_id, failure.cause) for failure in failures] == [("7.1", "WorkerDied")]
    assert alone == sorted(alone, reverse=True)
    assert alone[-1] == 1


def test_error_outside_a_cell__is_the_cells_failure_with_its_cause():
    """A batch that fails as a whole, say on its way, is split too, and the cause is kept."""
    client = Client(lambda batch: Future(batch, "error", ModuleNotFoundError("no simulator here")))
    found, failures = swept(client, jobs(2))
    assert found == []
    assert sorted(failure.cell_id for failure in failures) == ids(jobs(2))
    assert {(failure.cause, failure.message) for failure in failures} == {
        ("ModuleNotFoundError", "no simulator here")
    }


def test_stop__waits_for_what_runs_and_begins_nothing():
    """Told to stop, the batches in flight are taken in and no other is submitted."""
    client = Client(finished)
    found, _ = swept(client, jobs(40), stopped=lambda: len(client.futures) >= WINDOW * 2)
    assert len(client.futures) == WINDOW * 2
    assert len(found) == sum(len(job.cells) for future in client.futures for job in future.batch)


def test_no_worker__is_given_up_after_a_while(monkeypatch):
    """A cluster without workers does not wait for ever."""
    now = 0.0

    class Silent:
        """A queue on which nothing lands."""

        def put(self, future):
            assert future is not None

        def get(self, timeout):
            nonlocal now
            now += timeout
            raise Empty

    monkeypatch.setattr(fanout, "SimpleQueue", Silent)
    monkeypatch.setattr(fanout.time, "monotonic", lambda: now)
    client = Client(finished)
    client.workers = {}
    with pytest.raises(ClusterError, match=f"no worker for {NO_WORKER_SECONDS:.0f} s"):
        swept(client, jobs(3))
    assert now > NO_WORKER_SECONDS


def hold_back(dask_scheduler):
    """Do what a clock does that is set back by a day: what is to be sent next has to wait until tomorrow."""
    for stream in dask_scheduler.stream_comms.values():
        stream.next_deadline = time.time() + 86_400


def test_release__sends_what_dask_holds_back():
    """A task that the scheduler keeps to itself runs as soon as the crew lets everybody send."""
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        DaskClient(cluster, set_as_default=False) as client,
    ):
        client.run_on_scheduler(hold_back)
        future = client.submit(abs, -1)
        with pytest.raises(TimeoutError):
            future.result(timeout=1)
        fanout.Crew(client, fanout.Nobody()).release()
        assert future.result(timeout=30) == 1


def test_silence__lets_everybody_send(monkeypatch):
    """Nothing comes back for a while: the crew is told to, once in so many seconds."""
    released, futures = [], []

    class Silent(Future):
        def add_done_callback(self, landed):
            futures.append((self, landed))

    def release(_crew):
        released.append(time.monotonic())
        if len(released) == 2:
            future, landed = futures.pop()
            landed(future)

    monkeypatch.setattr(fanout, "_HELD_SECONDS", 0.2)
    monkeypatch.setattr(fanout, "_TICK_SECONDS", 0.05)
    monkeypatch.setattr(fanout.Crew, "release", release)
    assert swept(Client(lambda batch: Silent(batch, "finished")), jobs(1), workers=1)[0] == ids(jobs(1))
    assert released[1] - released[0] > 0.2
