"""A search that is killed at each of its steps on the disk, in turn, and another that goes on where it was.

``python search_crashes.py STUDY FOLDER STRIDE`` prints, as JSON, what the search finds that nobody killed, and what those
find that went on: a process of its own, since it forks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from crash_points import in_child, kill_at

from pipeline import store
from pipeline.fleet import Fleet
from pipeline.search.evaluate import Means
from pipeline.search.objective import objective_of
from pipeline.search.search import Wish, search
from pipeline.study import load_study
from pipeline.work import warm_up


def found(study, folder):
    """Return what a search finds, without what it simulated and where it lies, and what it simulated."""
    objective = objective_of(study, "total_ns", (), None, absolute=False)
    told = search(study, Wish(objective, 12, 3), Means(folder, Fleet(0)))._asdict()
    designs = [{key: value for key, value in each.items() if key != "replay"} for each in told["designs"]]
    return told | {"simulated": 0, "designs": designs}, told["simulated"]


def main(study_file, folder, stride):
    """Print what became of each."""
    os.fsync = lambda _: None
    study = load_study(Path(study_file))
    warm_up()
    whole, cells = found(study, Path(folder) / "whole")
    ends, number = [], 0
    while True:
        path = Path(folder) / str(number)

        def doomed(path=path, number=number):
            kill_at(number, path.with_suffix(".told"))
            found(study, path)

        if in_child(doomed) != signal.SIGKILL:
            break
        committed = len(store.committed(path))
        told, simulated = found(study, path)
        ends.append({"same": told == whole, "committed": committed, "simulated": simulated})
        number += stride
    print(json.dumps({"cells": cells, "ends": ends}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
