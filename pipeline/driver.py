"""The driver of a submitted sweep: ``python -m pipeline.driver FOLDER SCHEDULER``, a process on a machine of the cluster.

It does what ``forkbench run`` does, and says what that says into the dataset's log. ``pipeline.launch`` begins it.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.ending import FAILED, exit_code_of
from pipeline.errors import RefusedError
from pipeline.fleet import Fleet
from pipeline.launch import BEGUN
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.submission import LOG, Submission, now, write_record
from pipeline.sweep import outcome_lines, run_in
from pipeline.writer import Dataset

if TYPE_CHECKING:
    from pipeline.launch import Order


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
    place = Path(order.dataset)
    with Dataset(place, plan, provenance()) as dataset:
        _speak_into(place / LOG)
        record = Submission(order.id, scheduler, socket.gethostname(), os.getpid(), now())
        write_record(place, record)
        with suppress(OSError):  # nobody waits any more
            (folder / BEGUN).touch()
        print(f"{now()} UTC: process {os.getpid()} on {record.host} drives {plan.study['name']}, {order.id}")
        code = exit_code_of(
            lambda: _run(dataset, Fleet(0, scheduler, "", order.timeout), order), _again(order)
        )
        print(f"{now()} UTC: process {os.getpid()} ends with exit code {code}")
        write_record(place, record._replace(ended=now(), code=code))
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


def _speak_into(log: Path) -> None:
    """Let everything that is printed, here and by what this process starts, go into a file, behind what is there."""
    sys.stdout.flush()
    sys.stderr.flush()
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


if __name__ == "__main__":
    main()
