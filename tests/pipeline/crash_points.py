"""A driver that is killed at each of its steps on the disk, in turn, and another that goes on where it was.

``python crash_points.py STUDY FOLDER STRIDE`` prints, as JSON, what became of each: a process of its own, since it forks.
The crash points are the calls that change or order what is on the disk; the driver is killed before one, or behind it.
A killed process loses nothing that it gave to the kernel, so nothing is waited for: fsync does nothing here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from pipeline import rows, store, writer
from pipeline.study import load_study
from pipeline.sweep import run_study
from pipeline.work import warm_up

STEPS = [(os, "link"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (os, "ftruncate")]


def kill_at(number):
    """Let this process be killed at a step: before it if the number is even, else behind it."""
    steps = iter(range(number // 2 + 1))

    def deadly(step):
        def taken(*args, **kwargs):
            last = next(steps, None) == number // 2
            if last and number % 2 == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            done = step(*args, **kwargs)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return taken

    for home, name in STEPS:
        setattr(home, name, deadly(getattr(home, name)))


def in_child(action):
    """Run something in a process of its own; return the signal that ended it, 0 if none did."""
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"a driver ended with exit code {os.WEXITSTATUS(status)}")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def crashed(study, folder, number):
    """Return what became of a driver that was killed at a step, and of the next one; None if it was not."""

    def doomed():
        kill_at(number)
        run_study(study, folder, 0, quiet=True)

    if in_child(doomed) != signal.SIGKILL:
        return None
    committed = len(store.committed(folder))
    outcome = run_study(study, folder, 0, quiet=True)
    left = [file.name for file in folder.iterdir() if file.name.startswith(".staging")]
    table = store.read(folder)
    return {
        "at": number,
        "committed": committed,
        "resumed": outcome.resumed,
        "simulated": outcome.simulated,
        "rows": len(table),
        "checksum": rows.checksum(table),
        "complete": (folder / store.COMPLETE).exists(),
        "left": left,
    }


def main(study_file, folder, stride):
    """Print what became of each driver."""
    os.fsync = lambda _: None
    writer.FLUSH_SECONDS = -1.0  # a part for each trace
    study = load_study(Path(study_file))
    warm_up()
    found, number = [], 0
    while (one := crashed(study, Path(folder) / str(number), number)) is not None:
        found.append(one)
        number += stride
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
