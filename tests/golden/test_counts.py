"""Did a number move? Few and small; moving one needs a line under "Model" in CHANGELOG.md."""

import hashlib

import numpy as np
import pytest
from traces import RandomTrace

from simcore import DESIGNS, GEOMETRIES, tiny_geometry
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults

# blake2b of the totals, gauges and act vectors of one random trace of 2,000 events.
FINGERPRINTS = {
    "linux24": "c586f5a59edb6041",
    "rmap25": "a80548a690dc6cad",
    "phillips": "4cd132cf9fa38adf",
    "phillips_sole": "19bad630da519798",
    "phillips_mark": "7dcd7c52e089e6f4",
    "linus_pmd": "b8f368f10977be56",
    "phillips_rmap": "8d3a838e449755fe",
    "linus_rmap": "bf72ae06f15460d6",
    "vfork": "6d64e64e421cff8b",
}  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_random_trace__has_the_counts_it_always_had(design):
    """Every act, gauge and act vector of one trace, as a fingerprint."""
    result = simulate(RandomTrace(1905, wild=0.0).build(2_000), DESIGNS[design], tiny_geometry(8, 2))
    digest = hashlib.blake2b(digest_size=8)
    for part in (result.acts, result.gauges, result.vectors.kinds, result.vectors.times, result.vectors.acts):
        digest.update(part.tobytes())
    assert digest.hexdigest() == FINGERPRINTS[design]


def fork_of_a_small_shell(design):
    """Return the acts of the one fork in a parent with a single child that execs."""
    params = defaults(WORKLOADS["tree"]) | {"tree": {"depth": 1, "fan_out": 1}, "exec_ratio": 1.0}
    trace = WORKLOADS["tree"].make(params, GEOMETRIES["i386"], np.random.default_rng(0))
    return simulate(trace, DESIGNS[design], GEOMETRIES["i386"])


def test_small_shell__fork_copies_as_many_ptes_as_published():
    """Andrew Morton, linux-kernel, 23 Jul 2002: per fork 222 ptes copied in three leaf tables, 222.4 rmap adds.

    The workload's defaults stand for that shell: 220 ptes, within 1 % of the published count.
    """
    result = fork_of_a_small_shell("rmap25")
    fork = dict(zip(result.counts(), result.by_kind("fork"), strict=False))
    assert fork["ptes_copied_fork"] == 220
    assert fork["rmap_added"] == 220
    assert fork["leaf_tables_allocated"] == 3


def test_small_shell__sharing_saves_no_table():
    """All three tables are written before exec, so each is unshared: nothing is saved (Morton, 20 Dec 2002)."""
    counts = fork_of_a_small_shell("phillips").counts()
    assert counts["leaf_tables_linked"] == counts["leaf_tables_unshared"] == 3
