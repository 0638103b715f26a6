"""Handing a sweep to a cluster: a driver is begun on one of its machines, and the caller may go.

A driver in a task of Dask's would die with its worker, of a batch that kills it or of ``--timeout``; it is a process of
its own instead. Dask does not know it, so nobody replaces one that died: submitting again does, from what is stored.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, NamedTuple

from pipeline.cluster import connected
from pipeline.crew import Crew, Nobody
from pipeline.ending import OUR_FAULT
from pipeline.errors import ClusterError, RefusedError
from pipeline.launch import START_SECONDS, Launched, Order, launch, sees
from pipeline.plan import make_plan
from pipeline.provenance import model_version
from pipeline.submission import submission_id

if TYPE_CHECKING:
    from pipeline.fleet import Fleet
    from pipeline.study import Study
    from pipeline.sweep import Orders

_ANSWER_SECONDS = START_SECONDS + 30.0


class Submitted(NamedTuple):
    """A sweep that a cluster has.

    Parameters
    ----------
    id : str
        Of the submission.
    launched : Launched
        Its driver.
    blind : list of str
        Machines of the cluster that do not see the dataset.
    """

    id: str
    launched: Launched
    blind: list[str]


def submit(study: Study, dataset: str, fleet: Fleet, orders: Orders) -> Submitted:
    """Begin a driver on a cluster.

    Parameters
    ----------
    study : Study
        Goes there as it is now; its file may change.
    dataset : str
        Where the rows go: an absolute path, the same on every machine, or a URL.
    fleet : Fleet
        Names the scheduler.
    orders : Orders
        What else is asked for.

    Raises
    ------
    ClusterError
        No scheduler answers, no worker comes up, they are not fit, or the driver does not start.
    RefusedError
        The driver refuses: another one writes the dataset, or it cannot be written.
    """
    plan_id = make_plan(study, model_version()).plan_id
    order = Order(submission_id(dataset, plan_id), study, plan_id, dataset, fleet.timeout, orders)
    with connected(fleet) as client:
        crew = Crew(client, Nobody())
        crew.muster()
        worker = _who_drives(crew, dataset)
        told = crew.ask([worker], launch, pickle.dumps(order), seconds=_ANSWER_SECONDS).get(worker)
        if not isinstance(told, Launched):
            why = f"{type(told).__name__}: {told}" if isinstance(told, Exception) else "it does not answer"
            raise ClusterError(
                f"{worker}: the driver cannot be started there ({why}); forkbench status {dataset} tells whether it was; "
                "restart the worker and submit again"
            )
        if not told.begun and told.code is not None:
            if told.code == OUR_FAULT:
                raise RuntimeError(f"the driver, on {told.host}, said:\n{told.said}")
            raise RefusedError(told.said or f"{worker}: the driver ended with exit code {told.code} at once")
        return Submitted(order.id, told, _blind(crew, dataset))


def _who_drives(crew: Crew, dataset: str) -> str:
    """Return the worker on whose machine the driver will be: one that sees the dataset, if it is there already."""
    there = {
        address: told
        for address, told in crew.ask(crew.present, sees, dataset).items()
        if isinstance(told, tuple)
    }
    if not there:
        raise ClusterError("no worker answers; restart them, and submit again")
    return min(there, key=lambda address: (not there[address][1], address))


def _blind(crew: Crew, dataset: str) -> list[str]:
    """Return the machines that do not see a dataset, which is there now."""
    told = [each for each in crew.ask(crew.present, sees, dataset).values() if isinstance(each, tuple)]
    return sorted({host for host, seen in told if not seen} - {host for host, seen in told if seen})
