"""Trace generators, by the name that a study uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.workloads.capture import CAPTURE_WORKLOAD
from simcore.workloads.shell import SHELL_WORKLOAD
from simcore.workloads.snapshot import SNAPSHOT_WORKLOAD
from simcore.workloads.tree import TREE_WORKLOAD

if TYPE_CHECKING:
    from simcore.workloads.parameters import Workload

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (TREE_WORKLOAD, SNAPSHOT_WORKLOAD, SHELL_WORKLOAD, CAPTURE_WORKLOAD)
}
