"""Trace generators, by the name that a study uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.workloads.tree import TREE_WORKLOAD

if TYPE_CHECKING:
    from simcore.workloads.parameters import Workload

WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in (TREE_WORKLOAD,)}
