"""Designs that no shipped row is: axes combined as a study's author may combine them."""

from __future__ import annotations

from simcore import DESIGNS, Design
from simcore.designs import derived

CHAIN = {"rmap": "pte_chain", "reclaim": "rmap"}
BY_PTE = {"wrprotect": "each_pte", "unshare_on": "write_and_read", "source": "read_only"}

HYBRIDS: dict[str, Design] = {
    name: derived(name, DESIGNS[base], axes)
    for name, base, axes in (
        ("copying_pmd", "linus_pmd", {"last_sharer": "copies"}),
        ("copying_rmap", "linus_rmap", {"last_sharer": "copies"}),
        ("mark_but_stack", "phillips_mark", {"links": "all_but_stack"}),
        ("mark_but_stack_chain", "phillips_mark", {"links": "all_but_stack", **CHAIN}),
        ("sole_everything", "phillips_sole", {
            "unshare_on": "write_and_read", "fault_around": "64_kib", "dontneed": "frees_covered", "charge": "forker",
        }),
        ("v5_each_pte", "cow_pte_v5", BY_PTE),
        ("cow_file_tables", "cow_pte", {"file_tables": "shared"}),
        ("async_file_tables", "async_fork", {"file_tables": "shared"}),
        ("chains_scanned", "rmap25", {"reclaim": "scan"}),
        ("pmd_unshares_at_zap", "linus_pmd", {
            "zap": "unshare", "shared_writes": "exempt_covered", "charge": "owner",
        }),
        ("cow_and_vfork", "cow_pte", {"creation": "vfork"}),
        ("gt1", "mccracken_gt3", {"more_than": 1}),
        ("huge_and_told", "linux24", {"thp": "anon", "mprotect": "reopens", "dirty_tracking": "notify"}),
        ("told_exempt", "mccracken_fixed", {"dirty_tracking": "notify"}),
    )
}  # fmt: skip
ALL = DESIGNS | HYBRIDS
