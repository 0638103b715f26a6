"""The driver of a submitted sweep: ``python -m pipeline.driver FOLDER SCHEDULER``, a process on a machine of the cluster.

It does what ``forkbench run`` does, and says what that says into the dataset's log. ``pipeline.launch`` begins it.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.dataset_argument import place_named
from pipeline.ending import FAILED, exit_code_of
from pipeline.errors import DatasetError, RefusedError
from pipeline.fleet import Fleet
from pipeline.folders import Folder
from pipeline.launch import BEGUN
from pipeline.places import place_of
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.submission import LOG, Submission, now, write_record
from pipeline.sweep import outcome_lines, run_in
from pipeline.writer import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.launch import Order
    from pipeline.places import Place, Where

_COPY_SECONDS = 5.0  # between two copies of the log into an object store


def main() -> None:
    """Do what the order on standard input says."""
    folder, scheduler = sys.argv[1:]
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the client, who may run any code on a worker anyway
    sys.exit(exit_code_of(lambda: drive(order, Path(folder), scheduler), _again(order)))


def drive(order: Order, folder: Path, scheduler: str) -> int:
    """Run a submitted sweep; return its exit code.

    Parameters
    ----------
    order : Order
        What is to be done.
    folder : Path
        Where to say that the dataset is ours.
    scheduler : str
        Its address, as the workers know it.

    Raises
    ------
    RefusedError
        The dataset cannot be had; nothing was written.
    """
    plan = make_plan(order.study, model_version())
    if plan.plan_id != order.plan_id:
        raise RefusedError(
            f"{order.dataset}: the plan made here is {plan.plan_id}, where it was submitted it is {order.plan_id}; both "
            "have to have the same forkbench; install it on both"
        )
    with (
        Dataset(place_named(order.dataset), plan, provenance()) as dataset,
        _speaking_into(dataset.path),
    ):
        record = Submission(order.id, scheduler, socket.gethostname(), os.getpid(), now())
        write_record(dataset.path, record)
        with suppress(OSError):  # nobody waits any more
            (folder / BEGUN).touch()
        print(f"{now()} UTC: process {os.getpid()} on {record.host} drives {plan.study['name']}, {order.id}")
        fleet = Fleet(0, scheduler, "", order.timeout)
        code = exit_code_of(lambda: _run(dataset, fleet, order), _again(order))
        print(f"{now()} UTC: process {os.getpid()} ends with exit code {code}")
        write_record(dataset.path, record._replace(ended=now(), code=code))
    return code


def _run(dataset: Dataset, fleet: Fleet, order: Order) -> int:
    """Run the sweep and tell what became of it."""
    outcome = run_in(dataset, fleet, order.orders)
    for note in outcome.notes:
        print(note)
    print(outcome_lines(dataset.path, outcome))
    return FAILED if outcome.failures or outcome.left else 0


def _again(order: Order) -> str:
    """Return the command that does the same."""
    return f"forkbench submit STUDY --results {order.dataset}"


@contextmanager
def _speaking_into(dataset: Where) -> Iterator[None]:
    """Let all that is printed, here and by what this process starts, go into the dataset's log, behind what is there."""
    place = place_of(dataset)
    far = not isinstance(place, Folder)
    log = place.scratch / LOG
    if far:  # an object cannot grow: a copy does, and is put there now and then
        with suppress(FileNotFoundError):
            log.write_bytes(place.read(LOG))
    with _instead(log), _copying(log, place) if far else nullcontext():
        yield


@contextmanager
def _instead(log: Path) -> Iterator[None]:
    """Let the two outputs of this process go behind what a file has."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(number) for number in (1, 2)]
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(handle, number)
    os.close(handle)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, own in zip((1, 2), before, strict=True):
            os.dup2(own, number)
            os.close(own)


@contextmanager
def _copying(log: Path, place: Place) -> Iterator[None]:
    """Put a file that grows where the dataset is, every few seconds and at the end."""
    over, put = threading.Event(), -1

    def copy() -> None:
        nonlocal put
        size = log.stat().st_size
        with suppress(OSError, DatasetError):  # it is tried again; rows matter more
            if size != put:
                place.replace(LOG, log.read_bytes())
                put = size

    def copying() -> None:
        while not over.wait(_COPY_SECONDS):
            copy()

    thread = threading.Thread(target=copying, daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        over.set()
        thread.join()
        copy()


if __name__ == "__main__":
    main()
