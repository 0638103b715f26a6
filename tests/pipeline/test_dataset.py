"""What is stored is whole, checked, and never twice."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tiny_study import TINY, TINY_CELLS

from pipeline import folders, parts, rows, store, writer
from pipeline.errors import DamagedPartWarning, DatasetError, NondeterminismError
from pipeline.plan import make_plan
from pipeline.schema import (
    CODED_VECTOR_TYPE,
    PROVENANCE_KEY,
    SCHEMA_VERSION,
    STUDY_KEY,
    VECTOR_TYPE,
    VERSION_KEY,
    row_schema,
)
from pipeline.study import load_study
from pipeline.sweep import jobs_of
from pipeline.work import run_batch
from pipeline.writer import Dataset

MADE_BY = {"python": "test", "model_version": "m"}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Return the plan of the tiny study."""
    path = tmp_path_factory.mktemp("plan") / "study.yaml"
    path.write_text(yaml.safe_dump(TINY), encoding="utf-8")
    return make_plan(load_study(path), "m")


@pytest.fixture(scope="module")
def found(plan):
    """Return a row of every cell of the tiny study."""
    return run_batch(jobs_of(plan, set())).rows


@pytest.fixture
def filled(tmp_path, plan, found):
    """Return the folder of a dataset with all rows, in three parts."""
    folder = tmp_path / "filled"
    with Dataset(folder, plan, MADE_BY) as dataset:
        for start in range(0, TINY_CELLS, 24):
            dataset.add(found[start : start + 24])
            dataset.flush()
    assert len(parts.part_files(folder)) == 3
    return folder


def commit(dataset, given):
    """Store rows at once, as one part."""
    dataset._waiting = [*given]
    dataset.flush()


def finish(folder, plan):
    """Finish a dataset and return the checksum of its rows."""
    with Dataset(folder, plan, MADE_BY) as dataset:
        return dataset.finish([])


def test_rows__come_back_as_they_went_in(filled, plan, found):
    """Every count, gauge and act vector is read as the simulator gave it."""
    table = store.read(filled).to_pylist()
    assert [row["cell_id"] for row in table] == sorted(row.cell_id for row in found)
    cells = {cell.cell_id: cell for cell in plan.cells}
    by_id = {row.cell_id: row for row in found}
    for row in table:
        cell, given = cells[row["cell_id"]], by_id[row["cell_id"]]
        assert (row["design"], row["trace_id"], row["seed"]) == (
            cell.design,
            cell.trace.trace_id,
            cell.trace.seed,
        )
        assert json.loads(row["params"]) == cell.trace.params
        names = row_schema().names
        counts = [row[name] for name in names[names.index("forks") : names.index("vectors")]]
        assert counts == [*given.acts.tolist(), *given.gauges.tolist()]
        totals = dict.fromkeys((name for name in names[names.index("forks") :]), 0)
        for vector in row["vectors"]:
            for act in vector["acts"]:
                totals[act["act"]] += act["n"] * vector["times"]
        assert all(totals[name] == row[name] for name in names[names.index("forks") : names.index("mms_max")])


def test_schema__carries_units_version_study_and_provenance(filled, plan):
    """A part can be understood without this program: units in the fields, origin in the file."""
    schema = pq.read_schema(parts.part_files(filled)[0])
    assert schema.names == row_schema().names
    assert schema.field("pgtable_bytes_max").metadata[b"unit"] == b"bytes"
    assert schema.metadata[VERSION_KEY.encode()] == str(SCHEMA_VERSION).encode()
    assert json.loads(schema.metadata[STUDY_KEY.encode()]) == plan.study
    assert json.loads(schema.metadata[PROVENANCE_KEY.encode()]) == MADE_BY
    own = store.read(filled).schema.metadata
    assert json.loads(own[STUDY_KEY.encode()])["question"] == plan.study["question"]


def test_rows__with_millions_of_acts_are_one_column(plan, found):
    """Rows of processes with much memory have so many distinct faults that names of acts take 100 MB and more."""
    times = 2_000_000 // len(found[0].act)
    large = found[0]._replace(
        kinds=np.tile(found[0].kinds, times),
        times=np.tile(found[0].times, times),
        starts=np.concatenate([[0], np.cumsum(np.tile(np.diff(found[0].starts), times))]),
        act=np.tile(found[0].act, times),
        n=np.tile(found[0].n, times),
    )
    cell = next(cell for cell in plan.cells if cell.cell_id == large.cell_id)
    table = rows.table_of("tiny", "m", [(cell, large)])
    small = rows.table_of("tiny", "m", [(cell, found[0])])
    assert table["vectors"].to_pylist()[0] == small["vectors"].to_pylist()[0] * times


def test_parts__tell_packed_traces_by_their_digest():
    """What is packed in a study is megabytes, and once in plan.json: in a part its digest stands for it."""
    study = {"sweep": {"file": [{"name": "make", "digest": "d1", "packed": "x" * 1_000_000}]}, "packed": 1}
    content = parts.encoded(row_schema().empty_table(), study, MADE_BY)
    assert len(content) < 200_000
    told = json.loads(pq.read_schema(pa.BufferReader(content)).metadata[STUDY_KEY.encode()])
    assert told == {"sweep": {"file": [{"name": "make", "digest": "d1"}]}, "packed": 1}


def test_finish__puts_the_parts_together_and_says_complete(filled, plan):
    """A complete dataset has one part, the same rows as before, and a summary with their checksum."""
    before = rows.checksum(store.read(filled))
    assert finish(filled, plan) == before
    assert len(parts.part_files(filled)) == 1
    summary = json.loads((filled / store.COMPLETE).read_text(encoding="utf-8"))
    assert (summary["cells"], summary["checksum"]) == (TINY_CELLS, before)
    assert store.status(filled).complete


def test_parts_of_other_software__are_left_apart(filled, plan):
    """Parts with different provenance are not put together, for the file could say only one."""
    with Dataset(filled, plan, MADE_BY | {"python": "another"}) as dataset:
        dataset.finish([])
    assert len(parts.part_files(filled)) == 3


def test_rows_left_twice_by_a_crash__are_read_once(filled, plan):
    """Parts that a crash left beside the one that holds all their rows do no harm."""
    small = {file.name: file.read_bytes() for file in parts.part_files(filled)}
    before = finish(filled, plan)
    for name, content in small.items():
        (filled / name).write_bytes(content)
    assert len(store.read(filled)) == TINY_CELLS
    assert finish(filled, plan) == before


def test_row_that_comes_again__is_dropped_if_equal(filled, plan, found):
    """A cell that Dask ran twice has one row, and nothing is written for the second."""
    before = parts.part_files(filled)
    with Dataset(filled, plan, MADE_BY) as dataset:
        dataset.add(found[:5])
        dataset.flush()
    assert parts.part_files(filled) == before


@pytest.mark.parametrize("together", [True, False])
def test_row_that_comes_again__is_our_fault_if_different(tmp_path, plan, found, together):
    """Two different rows of one cell are refused, whether they come together or one is stored already."""
    other = found[0]._replace(acts=found[0].acts + (np.arange(len(found[0].acts)) == 0))
    with Dataset(tmp_path / "twice", plan, MADE_BY) as dataset:
        if not together:
            commit(dataset, found[:1])
        with pytest.raises(
            NondeterminismError, match=f"cell {other.cell_id}: two runs of it differ in forks"
        ):
            commit(dataset, [*found[:1], other])


def test_checksum__does_not_depend_on_files_or_order(tmp_path, plan, found, filled):
    """The same rows have the same checksum in any order and any number of parts, and other rows another."""
    reordered = tmp_path / "reordered"
    with Dataset(reordered, plan, MADE_BY) as dataset:
        for row in reversed(found):
            dataset.add([row])
        dataset.flush()
    expected = rows.checksum(store.read(filled))
    assert rows.checksum(store.read(reordered)) == expected
    assert rows.checksum(store.read(filled).slice(1)) != expected


def test_pieces__are_what_is_read(filled, plan, write_study):
    """In three parts, in one whose vectors come coded, and after the study was cut: the same rows, the same hash."""
    for state in ("parts", "finished", "cut"):
        if state == "finished":
            finish(filled, plan)
        elif state == "cut":
            smaller = make_plan(load_study(write_study(designs=["linux24", "vfork"])), "m")
            with Dataset(filled, smaller, MADE_BY):
                pass
        whole, pieces = store.read(filled), list(store.pieces(filled))
        coded = pieces[-1].schema.field("vectors").type
        assert coded == (VECTOR_TYPE if state == "parts" else CODED_VECTOR_TYPE)
        found = pa.concat_tables(each.cast(whole.schema) for each in pieces)
        assert found.equals(whole, check_metadata=True)
        hashed = rows.Checksum()
        for each in pieces:
            hashed.add(each)
        assert hashed.digest() == rows.checksum(whole)
        assert len(whole) == (TINY_CELLS if state != "cut" else TINY_CELLS * 2 // len(TINY["designs"]))


def test_pieces__of_a_damaged_dataset_leave_out_what_is_damaged(filled, plan):
    """The one part of a finished dataset is cut: a warning, and one table without rows."""
    finish(filled, plan)
    [part] = parts.part_files(filled)
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.warns(DamagedPartWarning, match="damaged"):
        assert [len(each) for each in store.pieces(filled)] == [0]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_part__is_told_and_its_cells_are_run_again(filled, plan, damage):
    """A part that is not what was written counts for nothing, is set aside, and is mentioned."""
    file = parts.part_files(filled)[0]
    lost = parts.read_part(file).num_rows
    content = file.read_bytes()
    changed = bytes([content[100] ^ 1])
    file.write_bytes(
        {"cut": content[:-9], "flipped": content[:100] + changed + content[101:], "empty": b""}[damage]
    )
    told = f"{file.name}: damaged, .* its cells will be simulated again when the study is run"
    with pytest.warns(DamagedPartWarning, match=told):
        assert len(store.read(filled)) == TINY_CELLS - lost
    with pytest.warns(DamagedPartWarning, match=told):
        assert len(store.committed(filled)) == TINY_CELLS - lost
    with pytest.warns(DamagedPartWarning, match=told):
        assert file.name in store.status(filled).unreadable[0]
    with Dataset(filled, plan, MADE_BY) as dataset:
        assert len(dataset.done) == TINY_CELLS - lost
        size = file.with_name(f"unreadable-{file.name}").stat().st_size
        told = f"{file.name}: damaged, its {size:,} bytes are not those that were written; its cells are run again"
        assert dataset.notes == [told]
    assert store.status(filled).unreadable == []


def test_leftover_staging_file__is_ignored_and_removed(filled, plan):
    """What a killed driver did not finish writing is never read, and the next driver clears it away."""
    left = filled / f"{folders.STAGING}123-part-0.parquet"
    left.write_bytes(b"half a part")
    assert len(store.read(filled)) == TINY_CELLS
    finish(filled, plan)
    assert not left.exists()


def test_write_new__never_touches_an_existing_file(tmp_path):
    """A file that is there stays as it is, and nothing is left behind."""
    assert folders.write_new(tmp_path, "a", b"first")
    assert not folders.write_new(tmp_path, "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_second_driver__is_refused_with_the_first_ones_number(tmp_path, plan):
    """One driver writes a dataset; another is told which process that is."""
    with (
        Dataset(tmp_path / "one", plan, MADE_BY),
        pytest.raises(DatasetError, match=rf"another run \(process {os.getpid()}\) is writing it"),
        Dataset(tmp_path / "one", plan, MADE_BY),
    ):
        pass
    with Dataset(tmp_path / "one", plan, MADE_BY) as dataset:
        assert dataset.done == set()


def test_newer_schema__is_refused(filled):
    """Rows of a future version are refused rather than misread."""
    table = parts.read_part(parts.part_files(filled)[0])
    metadata = table.schema.metadata | {VERSION_KEY.encode(): str(SCHEMA_VERSION + 1).encode()}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink)
    content = bytes(sink.getvalue())
    folders.write_new(filled, parts.part_name(content), content)
    with pytest.raises(
        DatasetError, match=f"schema version {SCHEMA_VERSION + 1}; .* install a newer forkbench"
    ):
        store.read(filled)


def test_edited_study__keeps_the_rows_that_both_plans_have(filled, write_study, plan):
    """A study with fewer designs reads its own rows only; the old study again finds all of them."""
    fewer = make_plan(load_study(write_study(designs=["linux24", "vfork"])), "m")
    with Dataset(filled, fewer, MADE_BY) as dataset:
        assert len(dataset.done) == TINY_CELLS // 2
        told = "the study was edited: 0 cells to simulate, 36 with a row from before; 36 rows of cells that are no longer"
        assert [note[: len(told)] for note in dataset.notes] == [told]
        dataset.finish([])
    assert set(store.read(filled)["design"].to_pylist()) == {"linux24", "vfork"}
    with Dataset(filled, plan, MADE_BY) as dataset:
        assert len(dataset.done) == TINY_CELLS
        told = "the study was edited: 0 cells to simulate, 72 with a row from before; 0 rows of cells"
        assert [note[: len(told)] for note in dataset.notes] == [told]


def test_study_of_another_name__does_not_take_over(filled, write_study, plan):
    """A dataset belongs to the study whose name it was made with; another is told to go elsewhere."""
    other = make_plan(load_study(write_study(name="other")), "m")
    told = "holds the study 'tiny', not 'other'; .* name another folder with --results"
    with pytest.raises(DatasetError, match=told), Dataset(filled, other, MADE_BY):
        pass
    assert store.read_plan(filled) == plan
    with Dataset(filled, plan, MADE_BY) as dataset:
        assert (len(dataset.done), dataset.notes) == (TINY_CELLS, [])


def test_frozen_study__is_the_one_that_was_run(tmp_path, write_study):
    """With --set the dataset's study.yaml gives the cells that were run, and says what was set; else it is a copy."""
    file = write_study()
    file.write_text("# Why this is asked.\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    sets = ["replicates=1", "sweep.exec_ratio=[0, 0.5]", "question='1e6: why, é?'"]
    for overrides, folder in ((sets, tmp_path / "set"), ([], tmp_path / "plain")):
        plan = make_plan(load_study(file, overrides), "m")
        with Dataset(folder, plan, MADE_BY):
            frozen = folder / store.STUDY
        again = make_plan(load_study(frozen), "m")
        assert (again.cells, again.study) == (plan.cells, plan.study)
        assert frozen.read_text(encoding="utf-8").startswith("# Why this is asked.\n")
    assert "# changed by --set 'replicates=1'\n" in (tmp_path / "set" / store.STUDY).read_text(
        encoding="utf-8"
    )
    assert (tmp_path / "plain" / store.STUDY).read_bytes() == file.read_bytes()


def test_other_simulator__makes_all_cells_new(filled, write_study):
    """Rows of another simulator are kept but not mixed in, and the reason is told."""
    other = make_plan(load_study(write_study()), "another")
    with Dataset(filled, other, MADE_BY) as dataset:
        assert dataset.done == set()
        assert dataset.notes[0].startswith("the simulator changed (from m to another): 72 cells to simulate")
    assert len(store.read(filled)) == 0
    assert not store.status(filled).complete


def test_folder_of_somebody_else__is_not_used(tmp_path, plan):
    """A folder with other files, or a file, is refused before anything is written."""
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with (
        pytest.raises(DatasetError, match=r"holds other files and no plan.json"),
        Dataset(tmp_path, plan, MADE_BY),
    ):
        pass
    assert {file.name for file in tmp_path.iterdir()} <= {"notes.txt", "study.yaml"}
    with pytest.raises(DatasetError, match="is a file; a dataset is a folder"):
        Dataset(tmp_path / "notes.txt", plan, MADE_BY).__enter__()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_disk_that_refuses__is_told_without_a_traceback(tmp_path, plan, found, monkeypatch, number):
    """A full or read-only disk is the user's matter; rows that were stored stay, nothing half is left."""
    folder = tmp_path / "full"

    def refuse(_handle):
        raise OSError(number, os.strerror(number))

    with Dataset(folder, plan, MADE_BY) as dataset:
        commit(dataset, found[:3])
        with monkeypatch.context() as patch:
            patch.setattr(folders.os, "fsync", refuse)
            reason = os.strerror(number).lower()
            with pytest.raises(
                DatasetError, match=f"cannot be written \\({reason}\\); rows that are stored are safe"
            ):
                commit(dataset, found[3:])
    assert len(store.read(folder)) == 3
    assert not list(folder.glob(f"{folders.STAGING}*"))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_reading__starts_no_thread(filled):
    """Arrow's threads can abort a process that ends right after it has read, so reading starts none."""
    count = "len(os.listdir('/proc/self/task'))"
    read = f"from pipeline import store; before = {count}; store.read({str(filled)!r}); after = {count}"
    code = f"import os; {read}; assert after == before, (before, after)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("content", "message"), [(None, "it has no plan.json"), ("{", "damaged, it is no plan")]
)
def test_folder_without_a_plan__is_no_dataset(tmp_path, content, message):
    """A folder without a readable plan is refused with what makes one."""
    if content is not None:
        (tmp_path / store.PLAN).write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        store.read(tmp_path)
    with pytest.raises(DatasetError, match="there is no such folder; forkbench run STUDY makes one"):
        store.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"cells": [], "traces": [], "provenance": {"forkbench": "0.0.9", "commit": "0123456789abcdef"}},
         "another version of forkbench (0.0.9, commit 0123456789ab), whose plans have another form; run the study again"),
        ({"cells": []}, "another version of forkbench, whose plans have another form"),
        ({"format": 99, "columns": {}}, "another version of forkbench, whose plans"),
        ({"columns": {}}, "damaged, it is no plan; remove it and run the study again; rows are kept"),
    ],
)  # fmt: skip
def test_plan_of_another_version__is_told_as_such(tmp_path, plan, document, told):
    """An older one or a newer one is not damaged; running the study again puts a plan of this version in its place."""
    old = {"plan_id": "0" * 32, "model_version": "0" * 32, "study": plan.study, "text": ""} | document
    (tmp_path / store.PLAN).write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(DatasetError) as refused:
        store.read_plan(tmp_path)
    assert str(refused.value).partition(": ")[2].removeprefix("written by ").startswith(told)
    with Dataset(tmp_path, plan, MADE_BY):
        assert store.read_plan(tmp_path).plan_id == plan.plan_id


def test_rows_wait__at_most_a_while(tmp_path, plan, found, monkeypatch):
    """The first rows are committed at once, others when the time is over or there are many."""
    now = 1000.0
    monkeypatch.setattr(writer.time, "monotonic", lambda: now)
    with Dataset(tmp_path / "timed", plan, MADE_BY) as dataset:
        dataset.add(found[:1])
        assert len(dataset.done) == 1
        dataset.add(found[1:2])
        assert len(dataset.done) == 1
        now += writer.FLUSH_SECONDS + 1
        dataset.add(found[2:3])
        assert len(dataset.done) == 3
