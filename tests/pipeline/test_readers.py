"""Parts of several versions, read by others as docs/dataset.md says, and by us."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pyarrow as pa
import pytest
from tiny_study import TINY_CELLS

from pipeline import analysis, folders, parts, store
from pipeline.study import load_study
from pipeline.sweep import run_study

DOCUMENT = Path(__file__).parents[2] / "docs" / "dataset.md"
LATE = ["file_ptes_zapped", "shm_pages_freed"]  # acts that an older version did not count
NEXT = "acts_of_tomorrow"
RECIPE = re.compile(r"^### (\w+)\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPES = {name.lower(): text for name, text in RECIPE.findall(DOCUMENT.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Return a dataset with rows of this version, of an older and of a newer one."""
    from tiny_study import TINY  # noqa: PLC0415
    from yaml import safe_dump  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("mixed")
    (folder / "study.yaml").write_text(safe_dump(TINY), encoding="utf-8")
    run_study(load_study(folder / "study.yaml"), folder / "out", 0, quiet=True)
    [file] = parts.part_files(folder / "out")
    table = parts.read_part(file)
    older = of_version(table, "old").drop_columns(LATE)
    newer = of_version(table, "new").append_column(NEXT, pa.array([7] * len(table), pa.int64()))
    for each in (older, newer):
        content = parts.encoded(each, {}, {})
        folders.write_new(folder / "out", parts.part_name(content), content)
    return folder / "out"


def of_version(table, version):
    """Return rows as another version of the simulator would have made them: with other ids."""
    names = table.column_names
    ids = pa.array([f"{version}{cell_id[len(version) :]}" for cell_id in table["cell_id"].to_pylist()])
    table = table.set_column(names.index("cell_id"), "cell_id", ids)
    versions = pa.array([version] * len(table))
    return table.set_column(names.index("model_version"), "model_version", versions)


def read_as_documented(reader, folder):
    """Run the recipe of the document and return what it made."""
    known = {"folder": str(folder)}
    exec(compile(RECIPES[reader], str(DOCUMENT), "exec"), known)  # noqa: S102 - our own document
    if reader == "duckdb":
        return known["rows"].arrow().read_all(), known
    made = {"pandas": "df", "pyarrow": "table", "polars": "frame"}[reader]
    found = known[made]
    return found.to_arrow() if reader == "polars" else pa.table(found) if reader == "pandas" else found, known


@pytest.mark.parametrize("reader", ["pandas", "pyarrow", "duckdb", "polars"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the recipes are short
def test_reader__sees_every_row_and_every_column(mixed, reader):
    """Rows of all versions; what a version did not count is null; nothing is dropped silently."""
    if importlib.util.find_spec(reader) is None:
        pytest.skip(f"not installed: {reader} (extra readers)")
    table, known = read_as_documented(reader, mixed)
    assert len(table) == 3 * TINY_CELLS
    by_version = {
        row["model_version"]: row for row in table.select(["model_version", *LATE, NEXT]).to_pylist()
    }
    old, new = by_version.pop("old"), by_version.pop("new")
    [now] = by_version.values()
    assert [old[name] for name in LATE] == [None, None]
    assert all(each[name] is not None for each in (now, new) for name in LATE)
    assert (old[NEXT], now[NEXT], new[NEXT]) == (None, None, 7)
    if "current" in known:
        assert len(known["current"]) == TINY_CELLS


def test_we__read_the_rows_of_the_plan(mixed):
    """Rows of other versions are not mixed in, whatever columns they have."""
    assert len(store.read(mixed)) == len(analysis.load(mixed)) == TINY_CELLS
    assert store.status(mixed).complete
