"""The study that the pipeline is tested with: every stage, in well under a second."""

from __future__ import annotations

TINY = {
    "name": "tiny",
    "question": "Is the sweep honest?",
    "seed": 7,
    "replicates": 2,
    "designs": ["linux24", "phillips", "linus_rmap", "vfork"],
    "workload": {"tree": {"anon_pages": 12, "file_pages": 20}},
    "sweep": {
        "tree": ["phillips-2002", {"depth": 1, "fan_out": 2}, {"depth": 2, "fan_out": 2}],
        "exec_ratio": [0.0, 0.5, 1.0],
    },
}
TINY_CELLS = 72
