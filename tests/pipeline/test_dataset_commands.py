"""What a dataset tells of itself: how far it is, whether it is sound, and its rows in other formats."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pyarrow as pa
import pytest
from asking import asked
from tiny_study import TINY_CELLS

from pipeline import analysis, folders, parts, store
from pipeline.plan import make_plan
from pipeline.provenance import model_version, provenance
from pipeline.schema import row_schema
from pipeline.study import load_study
from pipeline.sweep import jobs_of, run_study
from pipeline.verify import verify
from pipeline.work import CellFailure, run_batch
from pipeline.writer import Dataset

LOOKED_AT = [
    "plan", "parts", "schema", "duplicates", "complete", "identity", "totals", "checksum", "simulated again",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a complete dataset of the tiny study."""
    import yaml  # noqa: PLC0415
    from tiny_study import TINY  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("made")
    (folder / "study.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    run_study(load_study(folder / "study.yaml"), folder / "tiny", 0, quiet=True)
    return folder / "tiny"


@pytest.fixture
def dataset(made, tmp_path):
    """Return a copy of it that a test may damage."""
    shutil.copytree(made, tmp_path / "tiny")
    return tmp_path / "tiny"


def wrong(folder, sample=3):
    """Return what is wrong with a dataset."""
    return {finding.what: finding.found for finding in verify(folder, sample) if not finding.right}


def replaced(folder, change):
    """Put another part in the place of a dataset's only one, its rows changed."""
    [file] = parts.part_files(folder)
    table = change(parts.read_part(file))
    content = parts.encoded(table.replace_schema_metadata(row_schema().metadata), {}, {})
    file.unlink()
    folders.write_new(folder, parts.part_name(content), content)


def with_column(name, change):
    """Return a change of a table that changes one column."""

    def changed(table):
        column = pa.array([change(value) for value in table[name].to_pylist()], table[name].type)
        return table.set_column(table.column_names.index(name), table.schema.field(name), column)

    return changed


def test_status__of_a_complete_dataset(made, capsys):
    """Exit code 0, in words and as JSON."""
    code, told = asked(capsys, "status", made)
    assert code == 0
    assert told.startswith(f"tiny: {TINY_CELLS} of {TINY_CELLS} cells done (100 %), 0 failed, 0 left\n")
    facts = json.loads(asked(capsys, "status", made, "--json")[1])
    assert (facts["complete"], facts["writer"], facts["parts"]) == (True, None, 1)


def test_status__while_a_run_writes_it(dataset, write_study, capsys):
    """Cells that failed, by cause, those that are left, and the process that holds the lock; exit code 1."""
    plan = make_plan(load_study(write_study(replicates=3)), model_version())
    ids = [cell_id for job in jobs_of(plan, store.committed(dataset)) for cell_id, _ in job.cells]
    with Dataset(dataset, plan, provenance()) as opened:
        opened.finish([CellFailure(cell_id, "Timeout", "too long", "") for cell_id in ids[:2]])
        code, told = asked(capsys, "status", dataset)
    assert code == 1
    assert f"tiny: {TINY_CELLS} of 108 cells done (67 %), 2 failed, 34 left\n  failed, Timeout: 2\n" in told
    assert "is writing it" in told
    assert "next:" not in told
    assert "nobody writes it now" in asked(capsys, "status", dataset)[1]


def test_verify__of_a_sound_dataset(made, capsys):
    """Everything is looked at, some cells are simulated again; exit code 0."""
    code, told = asked(capsys, "verify", made, "--sample", "4")
    assert code == 0
    lines = told.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"ok     {what}" for what in LOOKED_AT]
    assert lines[-1].endswith("simulated again: 4 cells, each equal to its row")
    assert [each["what"] for each in json.loads(asked(capsys, "verify", made, "--json")[1])] == LOOKED_AT


def test_verify__finds_missing_rows_and_another_checksum(dataset, capsys):
    """Rows that are gone: the dataset is not complete, and not what it was; exit code 1."""
    replaced(dataset, lambda table: table.slice(5))
    code, told = asked(capsys, "verify", dataset, "--sample", "0")
    assert code == 1
    assert f"WRONG  complete: 5 of {TINY_CELLS} planned cells have no row" in told
    assert f"not {json.loads((dataset / store.COMPLETE).read_text())['checksum']} of {TINY_CELLS}" in told


@pytest.mark.parametrize(
    ("column", "change", "what", "found"),
    [
        ("forks", lambda value: value + 1, "totals", "do not add up"),
        ("seed", lambda value: value + 1, "identity", "say other than the plan what they are"),
        ("touches", lambda value: value + 1, "simulated again", "3 of 3 cells came out otherwise"),
    ],
)
def test_verify__finds_rows_that_were_changed(dataset, column, change, what, found):
    """Counts that do not add up, rows of something else, rows that nobody would get again."""
    replaced(dataset, with_column(column, change))
    assert found in wrong(dataset)[what]
    assert "not" in wrong(dataset)["checksum"]


def test_verify__finds_damage_duplicates_and_other_schemas(dataset):
    """A part with other bytes, a cell with two rows, a column of another type."""
    [file] = parts.part_files(dataset)
    table = parts.read_part(file)
    twice = parts.encoded(table.slice(0, 2), {}, {})
    folders.write_new(dataset, parts.part_name(twice), twice)
    findings = {finding.what: finding for finding in verify(dataset, 0)}
    assert findings["duplicates"].found.startswith("2 rows there twice, equal each time")
    assert all(finding.right for finding in findings.values())
    other = parts.encoded(with_column("events", lambda value: value + 1)(table.slice(0, 1)), {}, {})
    folders.write_new(dataset, parts.part_name(other), other)
    assert "two runs of it differ in events" in wrong(dataset)["duplicates"]
    file.write_bytes(file.read_bytes()[:-1])
    assert "damaged" in wrong(dataset)["parts"]
    narrow = parts.encoded(table.drop_columns(["forks"]), {}, {})
    folders.write_new(dataset, parts.part_name(narrow), narrow)
    assert "other columns or types" in wrong(dataset)["schema"]


def test_export__csv_and_json_have_every_row_and_column(made, capsys):
    """What pandas loads is what is written, times under the study's cost model or another."""
    df = analysis.load(made)
    code, text = asked(capsys, "export", made, "--csv")
    assert code == 0
    heading, *again = csv.reader(io.StringIO(text))
    assert heading == list(df.columns)
    assert [row[heading.index("cell_id")] for row in again] == df["cell_id"].tolist()
    assert [float(row[heading.index("total_ns")]) for row in again] == df["total_ns"].tolist()
    document = json.loads(asked(capsys, "export", made, "--json", "--costs", "x86-64-2025")[1])
    assert (document["study"]["name"], document["study"]["costs"]) == ("tiny", "x86-64-2025")
    assert document["columns"]["pgtable_bytes_max"]["unit"] == "bytes"
    assert [row["forks"] for row in document["rows"]] == df["forks"].tolist()


def test_export__chosen_columns_and_files(made, tmp_path, capsys):
    """Columns in the order in which they are named; a table for people; a file that is whole."""
    text = asked(capsys, "export", made, "--csv", "--columns", "design,forks")[1]
    assert next(csv.reader(io.StringIO(text))) == ["design", "forks"]
    heading, _, *rows = asked(capsys, "export", made, "--markdown")[1].splitlines()
    assert heading.startswith("| cell_id | design | replicate | ")
    assert len(rows) == TINY_CELLS
    out = tmp_path / "rows.md"
    assert asked(capsys, "export", made, "--markdown", "--out", out) == (0, "")
    assert out.read_text(encoding="utf-8").count("\n") == TINY_CELLS + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--csv", "--columns", "desing"], "--columns: unknown column 'desing'; did you mean 'design'?"),
        ([], "no format is named; there are --csv, --json and --markdown"),
        (["--csv", "--costs", "pc"], "--costs: unknown cost model 'pc'"),
        (
            ["--csv", "--out", "no/such/folder.csv"],
            "folder.csv: cannot be written (no such file or directory)",
        ),
    ],
)
def test_export__refuses_what_it_cannot_do(made, capsys, arguments, message):
    """Exit code 2 and one message."""
    code, told = asked(capsys, "export", made, *arguments)
    assert (code, message in told) == (2, True), told


@pytest.mark.parametrize("command", [["status"], ["verify"], ["export", "--csv"]])
def test_folder_without_a_dataset__is_refused(tmp_path, capsys, command):
    """Each command says that there is no dataset."""
    code, told = asked(capsys, *command, tmp_path)
    assert code == 2
    assert "not a dataset, it has no plan.json; forkbench run STUDY makes one" in told


def test_verify__says_that_another_simulator_cannot_compare(tmp_path, write_study):
    """Rows of another simulator are sound, but nothing can be simulated again."""
    plan = make_plan(load_study(write_study(replicates=1)), "0" * 32)
    with Dataset(tmp_path / "other", plan, provenance()) as opened:
        opened.add(run_batch(jobs_of(plan, set())).rows)
        opened.finish([])
    findings = verify(tmp_path / "other", 5)
    assert all(finding.right for finding in findings)
    assert "the simulator is another one" in findings[-1].found
