"""The cluster that a run connects to: one that it starts and ends, here or elsewhere, or one that is there already."""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from dask.utils import parse_timedelta
from distributed import Client, LocalCluster

from pipeline.crew import RESUME
from pipeline.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.fleet import ClusterSpec, Fleet

WORKER_DEATHS = 3  # so many workers may die over one batch before it is split
CONNECT_SECONDS = 20.0
_CONNECT = "distributed.comm.timeouts.connect"
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^\s/]+:\d+")

# Dask's settings where ours are better for a sweep; what the user's configuration says goes before.
_QUIET = {  # of what nobody looks at: above all the last thousand messages, each with all cells of a batch
    "distributed.admin.low-level-log-length": 10,
    "distributed.admin.system-monitor.log-length": 120,
    "distributed.worker.profile.enabled": False,
}
_SCHEDULER = {
    **_QUIET,
    "distributed.scheduler.worker-saturation": "inf",  # 1 ms a task instead of 2 to 3
    "distributed.scheduler.allowed-failures": WORKER_DEATHS - 1,
    "distributed.scheduler.worker-ttl": None,  # a clock that is moved makes no worker silent; nannies see who dies
}
CONFIG = _SCHEDULER | {
    # A worker that is away this long after it once went is given up for ever, though its nanny starts it again.
    "distributed.deploy.lost-worker-timeout": "7 days",
    # Ctrl-C reaches every process of the terminal; it is the driver that decides what it means.
    "distributed.worker.preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
}


def settings(ours: dict[str, Any]) -> dict[str, Any]:
    """Return those of our settings that the user's configuration, files and ``DASK_`` variables, does not make itself."""
    users = dask.config.collect()  # without the defaults
    return {
        name: value for name, value in ours.items() if dask.config.get(name, _UNSAID, config=users) is _UNSAID
    }


_UNSAID = object()


@contextmanager
def connected(fleet: Fleet) -> Iterator[Any]:
    """Start worker processes and end them, or connect to those that are there."""
    if fleet.cluster is not None and not fleet.scheduler:
        with _started(fleet.cluster) as client:
            yield client
        return
    if fleet.remote:
        with _remote(fleet) as client:
            yield client
        return
    with dask.config.set(settings(CONFIG)), _local(fleet.workers) as cluster, Client(cluster) as client:  # type: ignore[no-untyped-call]
        yield client


@contextmanager
def kept(fleet: Fleet) -> Iterator[Fleet]:
    """Start worker processes and end them; between, runs on the fleet that comes back use these."""
    with connected(fleet) as client:
        yield fleet._replace(scheduler=client.scheduler.address)


def _local(workers: int, **parameters: Any) -> Any:
    """Return a cluster of processes of this machine."""
    own = {
        "dashboard_address": "127.0.0.1:0",  # any free port; with None Dask tries 8787, whoever has it
        "memory_limit": 0,  # the simulator has limits of its own
    }
    try:
        return LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            silence_logs=logging.CRITICAL,  # what goes wrong is told once, by us
            **own | parameters,
        )
    except (RuntimeError, TimeoutError) as error:
        raise ClusterError(
            f"the workers do not start ({error}); the machine may be out of memory or processes; {RESUME}, perhaps with "
            "fewer --workers"
        ) from None


@contextmanager
def _started(spec: ClusterSpec) -> Iterator[Any]:
    """Start the cluster that a file describes, and end it."""
    ours = CONFIG if spec.kind == "local" else _SCHEDULER  # jobs that end are asked for again, soon
    with dask.config.set(settings(ours)):
        try:
            cluster = _BEGIN[spec.kind](spec)
        except ClusterError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever such a package raises, it is about its cluster
            why = (str(error).splitlines() or [""])[0].rstrip(":") or type(error).__name__
            raise ClusterError(
                f"{spec.file}: the cluster of kind {spec.kind!r} does not start ({why}); its parameters are those of "
                f"{_CALLED[spec.kind]}, which Dask's configuration may complete; correct them"
            ) from None
        with cluster, Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            yield client


def _begin_local(spec: ClusterSpec) -> Any:
    """Return a cluster of processes of this machine."""
    return _local(spec.workers, **spec.parameters)


def _begin_slurm(spec: ClusterSpec) -> Any:
    """Return a cluster whose workers are jobs of SLURM; its scheduler runs here."""
    from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415 - an extra

    cluster = SLURMCluster(**spec.parameters)
    cluster.adapt(
        minimum=spec.workers, maximum=spec.workers
    )  # which asks again for jobs that have come to their end
    return cluster


def _begin_kubernetes(spec: ClusterSpec) -> Any:
    """Return a cluster that Dask's operator keeps on Kubernetes."""
    from dask_kubernetes.operator import KubeCluster  # noqa: PLC0415 - an extra

    return KubeCluster(n_workers=spec.workers, quiet=True, **spec.parameters)


_BEGIN = {"local": _begin_local, "slurm": _begin_slurm, "kubernetes": _begin_kubernetes}
_CALLED = {
    "local": "LocalCluster",
    "slurm": "dask_jobqueue.SLURMCluster",
    "kubernetes": "dask_kubernetes.operator.KubeCluster",
}


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
    patience = settings({_CONNECT: CONNECT_SECONDS}).get(_CONNECT) or parse_timedelta(
        dask.config.get(_CONNECT)
    )
    try:
        with dask.config.set(settings(_QUIET)):
            client = Client(address, timeout=patience, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(
            f"--scheduler {address}: no Dask scheduler answers within {patience:.0f} s ({why}); start one with "
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
