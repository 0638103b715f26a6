"""Trace generators, by the name that a study uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.workloads.adversary import ADVERSARY_WORKLOAD
from simcore.workloads.build import BUILD_WORKLOAD
from simcore.workloads.capture import CAPTURE_WORKLOAD
from simcore.workloads.daemon_spawn import DAEMON_SPAWN_WORKLOAD
from simcore.workloads.forkserver import FORKSERVER_WORKLOAD
from simcore.workloads.forktime import FORKTIME_WORKLOAD
from simcore.workloads.lmbench import FORK_EXEC_WORKLOAD, FORK_EXIT_WORKLOAD, FORK_SH_WORKLOAD
from simcore.workloads.postgres import POSTGRES_WORKLOAD
from simcore.workloads.prefork import PREFORK_WORKLOAD
from simcore.workloads.recorded import RECORDED_WORKLOAD
from simcore.workloads.shell import SHELL_WORKLOAD
from simcore.workloads.snapshot import SNAPSHOT_WORKLOAD
from simcore.workloads.tree import TREE_WORKLOAD
from simcore.workloads.worker_pool import WORKER_POOL_WORKLOAD
from simcore.workloads.zygote import ZYGOTE_WORKLOAD

if TYPE_CHECKING:
    from simcore.workloads.parameters import Workload

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        TREE_WORKLOAD,
        SNAPSHOT_WORKLOAD,
        SHELL_WORKLOAD,
        CAPTURE_WORKLOAD,
        RECORDED_WORKLOAD,
        FORKTIME_WORKLOAD,
        BUILD_WORKLOAD,
        PREFORK_WORKLOAD,
        ZYGOTE_WORKLOAD,
        POSTGRES_WORKLOAD,
        FORKSERVER_WORKLOAD,
        DAEMON_SPAWN_WORKLOAD,
        WORKER_POOL_WORKLOAD,
        FORK_EXIT_WORKLOAD,
        FORK_EXEC_WORKLOAD,
        FORK_SH_WORKLOAD,
        ADVERSARY_WORKLOAD,
    )
}
