"""A driver that is killed at each of its steps on the disk, in turn, and another that goes on where it was.

``python crash_points.py STUDY FOLDER STRIDE [MODE]`` prints, as JSON, what became of each: a process of its own, since it
forks. MODE is ``run`` (if nothing is said); ``remembered``, where each cell is simulated once for all drivers, which then
get its row from memory, so that a large study can be tried at every point; or ``compact``, where it is the parts of an
unfinished dataset that are put together.

Steps that repeat one another, as the removal of one file after another does, are tried at the first and the last FEW of
each kind and at every MANYth in between where a run is ``remembered``: each costs a study.

The crash points are the calls that change or order what is on the disk; the driver is killed before one, or behind it.
A killed process loses nothing that it gave to the kernel, so nothing is waited for: fsync does nothing here.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
from pathlib import Path

from pipeline import fanout, rows, store, writer
from pipeline.compaction import compact
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.work import Reply, run_batch, warm_up

FEW, MANY = 4, 8
STEPS = [(os, "link"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (os, "ftruncate")]


def label(number, name, args):
    """Return what a crash point is called: ``before link part``, ``behind replace plan.json``."""
    files = [Path(arg).name for arg in args if isinstance(arg, str | Path)]
    what = (
        re.sub(r"^\.staging-\d+-|[0-9a-f]{20,}|-?\d+$|\.parquet$", "", files[-1])
        if files
        else "file or folder"
    )
    return f"{'behind' if number % 2 else 'before'} {name} {what.strip('-.') or 'part'}"


def kill_at(number, told):
    """Let this process be killed at a step: before it if the number is even, else behind it; ``told`` is where."""
    steps = iter(range(number // 2 + 1))

    def deadly(step, name):
        def taken(*args, **kwargs):
            last = next(steps, None) == number // 2
            if last:
                told.write_text(label(number, name, args), encoding="utf-8")
            if last and number % 2 == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            done = step(*args, **kwargs)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return taken

    for home, name in STEPS:
        setattr(home, name, deadly(getattr(home, name), name))


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


def labelled(study, folder):
    """Return what each crash point of a run is called, in order, by letting a driver go through all of them."""
    told = folder.with_name("labels")

    def noted():
        names = []

        def noting(step, name):
            def taken(*args, **kwargs):
                names.extend(label(number, name, args) for number in (0, 1))
                return step(*args, **kwargs)

            return taken

        for home, name in STEPS:
            setattr(home, name, noting(getattr(home, name), name))
        run_study(study, folder, 0, quiet=True)
        told.write_text(json.dumps(names), encoding="utf-8")

    if in_child(noted):
        sys.exit("a driver that only noted its steps was killed")
    names = json.loads(told.read_text(encoding="utf-8"))
    told.unlink()  # which is no step: it is this process that removes it
    return names


def worthwhile(names):
    """Return the numbers of the crash points to try: of those with one label the first, the last, and some between."""
    places = {}
    for number, name in enumerate(names):
        places.setdefault(name, []).append(number)
    return sorted({n for mine in places.values() for n in (*mine[:FEW], *mine[FEW:-FEW:MANY], *mine[-FEW:])})


class Remembered:
    """Takes the place of ``run_batch``: every cell is simulated once, and ``asked`` are those that were asked for."""

    def __init__(self, study):
        reply = run_batch([*jobs_of(make_plan(study, model_version()), set())])
        self._rows = {row.cell_id: row for row in reply.rows}
        self.asked = []

    def __call__(self, jobs):
        ids = [cell_id for job in jobs for cell_id, _ in job.cells]
        self.asked += ids
        return Reply([self._rows[cell_id] for cell_id in ids], [], 0.0)


def crashed(study, folder, number, simulator):
    """Return what became of a driver that was killed at a step, and of the next one; None if it was not."""
    told = folder.with_name(f"at-{number}")

    def doomed():
        kill_at(number, told)
        run_study(study, folder, 0, quiet=True)

    if in_child(doomed) != signal.SIGKILL:
        return None
    there = store.committed(folder)
    committed = len(there)
    if isinstance(simulator, Remembered):
        simulator.asked.clear()
    outcome = run_study(study, folder, 0, quiet=True)
    left = [file.name for file in folder.iterdir() if file.name.startswith(".staging")]
    table = store.read(folder)
    return {
        "at": number,
        "label": told.read_text(encoding="utf-8"),
        "again": len(there & set(simulator.asked)) if isinstance(simulator, Remembered) else None,
        "committed": committed,
        "resumed": outcome.resumed,
        "simulated": outcome.simulated,
        "rows": len(table),
        "checksum": rows.checksum(table),
        "complete": (folder / store.COMPLETE).exists(),
        "left": left,
    }


def crashed_compaction(study, folder, number, simulator):
    """Return what became of an unfinished dataset whose parts were being put together; None if nobody was killed."""
    told = folder.with_name(f"at-{number}")
    plan = make_plan(study, model_version())
    with writer.Dataset(folder, plan, provenance()) as dataset:
        for job in jobs_of(plan, set())[:6]:
            dataset.add(simulator([job]).rows)
    before = rows.checksum(store.read(folder))

    def doomed():
        kill_at(number, told)
        compact(folder)

    if in_child(doomed) != signal.SIGKILL:
        return None
    read = rows.checksum(store.read(folder))
    count = len(store.read(folder))
    compact(folder)
    left = [file.name for file in folder.iterdir() if file.name.startswith(".staging")]
    parts = store.stored(folder)[0]
    after = rows.checksum(store.read(folder))
    outcome = run_study(study, folder, 0, quiet=True)
    return {
        "at": number,
        "label": told.read_text(encoding="utf-8"),
        "same": read == after == before,
        "parts": parts,
        "left": left,
        "resumed": outcome.resumed == count,
        "checksum": outcome.checksum,
    }


def main(study_file, folder, stride, mode="run"):
    """Print what became of each driver."""
    os.fsync = lambda _: None
    Path(folder).mkdir(exist_ok=True)
    study = load_study(Path(study_file))
    warm_up()
    simulator = run_batch if mode == "run" else Remembered(study)
    fanout.run_batch = simulator
    writer.FLUSH_SECONDS = float("inf") if mode == "remembered" else -1.0  # a part for each trace
    writer.FLUSH_ROWS = study.cells // 4
    crash = crashed_compaction if mode == "compact" else crashed
    numbers = itertools.count(0, stride)
    if mode == "remembered":
        numbers = worthwhile(labelled(study, Path(folder) / "noted"))
    found = []
    for number in numbers:
        one = crash(study, Path(folder) / str(number), number, simulator)
        if one is None:
            break
        found.append(one)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
