"""The cluster that a run connects to: processes of this machine, started and ended here, or one that is there already."""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, LocalCluster

from pipeline.crew import RESUME
from pipeline.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.fleet import Fleet

WORKER_DEATHS = 3  # so many workers may die over one batch before it is split
CONNECT_SECONDS = 20.0
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^\s/]+:\d+")

CONFIG = {
    "distributed.scheduler.worker-saturation": "inf",  # 1 ms a task instead of 2 to 3
    "distributed.scheduler.allowed-failures": WORKER_DEATHS - 1,
    "distributed.scheduler.worker-ttl": None,  # a clock that is moved makes no worker silent; nannies see who dies
    # A worker that is away this long after it once went is given up for ever, though its nanny starts it again.
    "distributed.deploy.lost-worker-timeout": "7 days",
    # Ctrl-C reaches every process of the terminal; it is the driver that decides what it means.
    "distributed.worker.preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
}


@contextmanager
def connected(fleet: Fleet) -> Iterator[Any]:
    """Start worker processes and end them, or connect to those that are there."""
    if fleet.remote:
        with _remote(fleet) as client:
            yield client
        return
    with dask.config.set(CONFIG), _local(fleet.workers) as cluster, Client(cluster) as client:  # type: ignore[no-untyped-call]
        yield client


def _local(workers: int) -> Any:
    """Return a cluster of processes of this machine."""
    try:
        return LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port; with None Dask tries 8787, whoever has it
            memory_limit=0,  # the simulator has limits of its own
            silence_logs=logging.CRITICAL,  # what goes wrong is told once, by us
        )
    except (RuntimeError, TimeoutError) as error:
        raise ClusterError(
            f"the workers do not start ({error}); the machine may be out of memory or processes; {RESUME}, perhaps with "
            "fewer --workers"
        ) from None


@contextmanager
def _remote(fleet: Fleet) -> Iterator[Any]:
    """Connect to a scheduler; how, say with TLS, is the matter of Dask's own configuration."""
    address = fleet.scheduler or _address_in(Path(fleet.scheduler_file))
    if not _ADDRESS.fullmatch(address):
        raise ClusterError(
            f"--scheduler {address}: no address of a scheduler; write its host and port, e.g. tcp://10.0.0.1:8786 or "
            "tls://10.0.0.1:8786; 'dask scheduler' prints its own"
        )
    for name in ("distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is told once, by us
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(
            f"--scheduler {address}: no Dask scheduler answers within {CONNECT_SECONDS:.0f} s ({why}); start one with "
            "'dask scheduler', or correct the address; for tls:// set distributed.comm.tls in Dask's configuration"
        ) from None
    with client:
        yield client


def _address_in(file: Path) -> str:
    """Return the address that a scheduler wrote into its file."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
    except (ValueError, KeyError, TypeError):
        reason = "holds no address of a scheduler"
    raise ClusterError(
        f"--scheduler-file {file}: {reason}; name the file that 'dask scheduler --scheduler-file' wrote"
    )
