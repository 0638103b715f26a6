"""Fitted parameters -> a cost model in which every act has a price and says where it comes from.

An act is *measured* if a parameter is its own or the larger part of a sum; *derived* if another measured cost is taken
for it; ASSUMED where the division of a sum, or a number of ``x86-64-2025``, stands in for a measurement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.calibration.parameters import KNOWN, PARAMETERS, REFERENCE
from simcore.costs import ASSUMED, Cost, CostModel

if TYPE_CHECKING:
    from pipeline.calibration.fit import Estimate
    from pipeline.calibration.parameters import Parameter

MEASURED, DERIVED = "measured", "derived"
# Acts that mainline never does, or that no script tells apart: what they cost instead, and why.
_LIKE: dict[str, tuple[str, ...]] = {
    "ptes_visited_unshare": ("ptes_visited_fork",),
    "ptes_copied_unshare": ("ptes_copied_fork", "ptes_present_fork"),
    "ptes_wrprotected_unshare": ("ptes_wrprotected_fork",),
    "faults_table_only": ("faults_zero_page",),
    "faults_swap": ("faults_file_map",),
    "vmas_split": ("vmas_copied",),
    "faults_huge": ("faults_zero_page",),
    "faults_huge_zero": ("faults_zero_page",),
    "faults_huge_reuse": ("faults_zero_page",),
}
# Acts that no script does: the number of the shipped model, times what a like act takes here and takes there.
_SCALED: dict[str, str] = {
    "leaf_tables_linked": "refs_taken",
    "leaf_tables_dropped": "refs_dropped",
    "stack_grows": "faults_zero_page",
    "reclaims": "faults_zero_page",
    "ptes_visited_reclaim": "ptes_zapped",
    "ptes_unmapped_reclaim": "ptes_zapped",
    "pages_reclaimed": "pages_freed",
    "pages_swapped_out": "faults_zero_page",
    "pages_read_back": "faults_zero_page",
    "huge_pages_allocated": "pages_zeroed",
    "huge_pages_freed": "pages_freed",
    "huge_copied_fork": "refs_taken",
    "huge_split": "ptes_copied_fork",
    "huge_zapped": "ptes_zapped",
    "huge_changed_mprotect": "ptes_changed_mprotect",
}
_CHAINS = {"rmap_added": "refs_taken", "rmap_removed": "refs_dropped"}
_LIMITS = (
    "Priced are memory management and one fixed amount for each fork, exec, exit and mapping, as the processor that does "
    "them spends it while it does nothing else. Not priced are the programs' other system calls, waiting for devices and "
    "locks, other processors' part of a TLB flush, and distant memory. Caches are in the numbers as they were. A "
    "vma that was written takes more to copy than another, and is priced like any."
)


def cost_model(name: str, estimates: dict[str, Estimate], machine: dict[str, str]) -> CostModel:
    """Return the cost model of a fit; ``machine`` says where and when the scripts were timed."""
    fitted = _fitted(estimates)
    chains = {act: _scaled(like, fitted, REFERENCE.costs[act].ns) for act, like in _CHAINS.items()}
    counts = {act: fitted.pop(act) for act in _CHAINS}
    for act, likes in _LIKE.items():
        fitted[act] = _like(likes, fitted)
    for act, like in _SCALED.items():
        fitted[act] = _scaled(like, fitted, KNOWN[act].ns)
    costs = {act: (fitted | chains)[act] for act in REFERENCE.costs}
    prose = f"A machine with {machine['processor']} and {machine['kernel']}, measured on {machine['date']}."
    return CostModel(name, prose, costs, _LIMITS, counts, machine)


def _fitted(estimates: dict[str, Estimate]) -> dict[str, Cost]:
    """Return the costs of the acts that parameters pay for."""
    return {
        act: Cost(
            round(estimates[parameter.name].ns * share, 3),
            _source(parameter, act, estimates[parameter.name].ns),
            (
                round(estimates[parameter.name].low * share, 3),
                round(estimates[parameter.name].high * share, 3),
            ),
        )
        for parameter in PARAMETERS
        for act, share in parameter.shares.items()
    }


def _source(parameter: Parameter, act: str, ns: float) -> str:
    """Return where the cost of an act of a parameter comes from."""
    scripts = f"scripts {', '.join(parameter.families)}"
    if len(parameter.acts) == 1 or parameter.shares[act] == 1:
        return f"{MEASURED}: {parameter.unit}; {scripts}"
    part = f"part of {ns:,.1f} ns measured for {parameter.unit} ({scripts}), divided as {REFERENCE.name} does"
    return f"{ASSUMED}: {part}" if KNOWN[act].assumed else f"{MEASURED}: the larger {part}"


def _like(acts: tuple[str, ...], fitted: dict[str, Cost]) -> Cost:
    """Return the cost of an act that is taken for others."""
    intervals = [fitted[act].interval or (fitted[act].ns, fitted[act].ns) for act in acts]
    low, high = (round(sum(ends), 3) for ends in zip(*intervals, strict=True))
    ns = round(sum(fitted[act].ns for act in acts), 3)
    return Cost(ns, f"{DERIVED}: as {' and '.join(acts)}", (low, high))


def _scaled(like: str, fitted: dict[str, Cost], reference: float) -> Cost:
    """Return the reference's number for an act, times what another act takes here over what it takes there."""
    factor = fitted[like].ns / KNOWN[like].ns
    return Cost(
        round(reference * factor, 3),
        f"{ASSUMED}: {reference:g} ns of {REFERENCE.name} times {factor:.2f}, which {like} takes here to there",
    )
