"""Clusters in files: YAML that names a kind of cluster, how many workers to ask it for, and its parameters."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import values, yaml_files
from pipeline.errors import Fault, RefusedError, StudyError
from pipeline.fleet import ClusterSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEYS = ("cluster", "workers", "wait_seconds", "parameters")
_MAX_WORKERS = 10_000
_MAX_WAIT_SECONDS = 7 * 24 * 3600.0
TEXT, WHOLE, TRUTH, TEXTS, TABLE = "text", "a whole number", "true or false", "a list of texts", "a mapping"


class Kind(NamedTuple):
    """A kind of cluster.

    Parameters
    ----------
    package, extra : str
        What has to be installed, and the extra of ours that does; "" for nothing.
    wait_seconds : float
        That the first worker may take to come, if the file says nothing.
    parameters : dict
        Name -> what may stand there, as the cluster's constructor has it.
    """

    package: str
    extra: str
    wait_seconds: float
    parameters: dict[str, tuple[str, ...]]


# Names and meanings are those of LocalCluster, of dask_jobqueue.SLURMCluster and of dask_kubernetes.operator.KubeCluster.
KINDS = {
    "local": Kind("", "", 60.0, {
        "host": (TEXT,), "interface": (TEXT,), "protocol": (TEXT,), "scheduler_port": (WHOLE,),
        "dashboard_address": (TEXT,), "local_directory": (TEXT,), "memory_limit": (TEXT, WHOLE),
    }),
    "slurm": Kind("dask_jobqueue", "slurm", 3600.0, {
        "queue": (TEXT,), "account": (TEXT,), "walltime": (TEXT,), "cores": (WHOLE,), "processes": (WHOLE,),
        "memory": (TEXT,), "job_cpu": (WHOLE,), "job_mem": (TEXT,), "job_name": (TEXT,), "job_extra_directives": (TEXTS,),
        "job_directives_skip": (TEXTS,), "job_script_prologue": (TEXTS,), "log_directory": (TEXT,),
        "local_directory": (TEXT,), "shared_temp_directory": (TEXT,), "python": (TEXT,), "shebang": (TEXT,),
        "nanny": (TRUTH,), "death_timeout": (WHOLE, TEXT), "worker_extra_args": (TEXTS,), "interface": (TEXT,),
        "protocol": (TEXT,), "scheduler_options": (TABLE,),
    }),
    "kubernetes": Kind("dask_kubernetes", "kubernetes", 600.0, {
        "name": (TEXT,), "namespace": (TEXT,), "image": (TEXT,), "resources": (TABLE,), "env": (TABLE,),
        "worker_command": (TEXTS,), "resource_timeout": (WHOLE,), "idle_timeout": (WHOLE,),
        "scheduler_service_type": (TEXT,), "scheduler_forward_port": (WHOLE,), "port_forward_cluster_ip": (TRUTH,),
        "custom_cluster_spec": (TEXT, TABLE),
    }),
}  # fmt: skip


def load(path: Path | str) -> ClusterSpec:
    """Return what a file says.

    Raises
    ------
    StudyError
        The file says what is not allowed; all faults at once.
    RefusedError
        It cannot be read, or what its kind of cluster needs is not installed.
    """
    remedy = "name the YAML file of a cluster; docs/sweeps.md shows some"
    data, place = yaml_files.opened(path, "a cluster", remedy)
    found = _spec(data, str(path), place)
    if place.faults or found is None:
        raise StudyError(str(path), place.faults or [Fault("holds no cluster")])
    kind = KINDS[found.kind]
    if kind.package and importlib.util.find_spec(kind.package) is None:
        package = kind.package.replace("_", "-")
        raise RefusedError(
            f"{path}: a cluster of kind {found.kind!r} needs {package}, which is not installed; install the extra that "
            f"has it: pip install 'forkbench[{kind.extra}]'"
        )
    return found


def _spec(data: Any, file: str, place: values.Place) -> ClusterSpec | None:
    """Return what the data say, or None after noting what is wrong with them."""
    given = values.mapping(data, _KEYS, place)
    for key in ("cluster", "workers"):
        if isinstance(data, dict) and key not in data:
            place.fault(f"the key {key!r} is missing; add it", follows=False)
    name = (
        values.choice(given["cluster"], KINDS, "kind of cluster", place.at("cluster"))
        if "cluster" in given
        else None
    )
    workers = values.whole(given.get("workers", 1), 1, _MAX_WORKERS, place.at("workers"), "worker processes")
    wait = None
    if "wait_seconds" in given:
        wait = values.number(given["wait_seconds"], 1, _MAX_WAIT_SECONDS, place.at("wait_seconds"), "seconds")
    if name is None:
        return None
    kind = KINDS[name]
    parameters = _parameters(given.get("parameters", {}), kind, place.at("parameters"))
    if place.faults or workers is None:
        return None
    return ClusterSpec(file, name, workers, kind.wait_seconds if wait is None else wait, parameters)


def _parameters(data: Any, kind: Kind, place: values.Place) -> dict[str, Any]:
    """Return the parameters of a cluster; each is what its constructor takes."""
    found = values.mapping(data, kind.parameters, place)
    for name, value in found.items():
        allowed = kind.parameters[name]
        if not any(_IS[each](value) for each in allowed):
            quotes = "; put times and numbers that are text in quotes" if TEXT in allowed else ""
            wanted = " or ".join(allowed)
            place.at(name).fault(f"{values.shown(value)} is {values.kind_of(value)}; write {wanted}{quotes}")
    return found


_IS: dict[str, Callable[[Any], bool]] = {
    TEXT: lambda value: isinstance(value, str) and value.strip() != "",
    WHOLE: lambda value: type(value) is int and value >= 0,
    TRUTH: lambda value: isinstance(value, bool),
    TEXTS: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    TABLE: lambda value: isinstance(value, dict),
}
