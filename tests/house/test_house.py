"""Is the house in order? Sizes, documentation, sources of costs, and what the project says of itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.schema import row_schema
from simcore import DESIGNS
from simcore.acts import ACTS, GAUGES
from simcore.costs import ASSUMED, COST_MODELS
from simcore.designs import AXES, axis_values
from simcore.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for folder in ("simcore", "pipeline") for path in (ROOT / folder).rglob("*.py"))
TABLES_OF_DATA = {"acts.py", "costs.py", "designs.py"}


def functions(path):
    """Yield every function of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module__is_of_a_size_to_read(path):
    """Files have at most 400 lines, function bodies at most 70, functions at most 5 parameters besides self."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400 or path.name in TABLES_OF_DATA
    for function in functions(path):
        body = function.end_lineno - function.body[0].lineno + 1
        assert body <= 70, f"{function.name} has {body} lines"
        names = [arg.arg for arg in [*function.args.args, *function.args.kwonlyargs]]
        owned = [name for name in names if name not in ("self", "cls")]
        is_command = "command" in "".join(map(ast.dump, function.decorator_list))
        assert len(owned) <= 5 or is_command, f"{function.name} has {len(owned)} parameters"


def test_no_module__has_a_name_that_says_nothing():
    """utils, common, core and helpers are no subjects."""
    assert not {path.stem for path in MODULES} & {"utils", "util", "common", "core", "helpers", "misc"}


def test_columns__each_has_a_meaning_and_a_unit():
    """Every stored column is documented in the schema itself."""
    for field in row_schema():
        assert field.metadata[b"meaning"], field.name
        assert b"unit" in field.metadata, field.name


def test_acts_and_gauges__have_distinct_names_and_meanings():
    """A word means one thing."""
    names = [each.name for each in [*ACTS, *GAUGES]]
    assert len(set(names)) == len(names)
    assert all(each.meaning for each in [*ACTS, *GAUGES])


def test_designs__have_prose_source_and_year():
    """A design is a row that can be checked against its source."""
    for name, design in DESIGNS.items():
        assert name == design.name
        assert design.prose.endswith(".")
        assert design.origin
        assert 1979 <= design.year <= 2026
        assert list(axis_values(design)) == list(AXES)


def test_costs__each_has_a_source_or_says_assumed():
    """No constant without a source; those that nothing supports say so."""
    for model in COST_MODELS.values():
        for act, cost in model.costs.items():
            assert len(cost.source) > len(ASSUMED), act


def test_workloads__document_every_parameter():
    """Each parameter has a meaning, each workload a source."""
    for workload in WORKLOADS.values():
        assert workload.prose
        assert workload.source
        assert all(parameter.meaning for parameter in workload.parameters)


def test_project__names_no_path_of_a_machine():
    """What is written here is true on every machine."""
    home = re.compile(r"/(root|work|home/[a-z]+)/")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: which files belong to the project is not known")
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yaml"} and path != Path(__file__) and path.exists():
            assert not home.search(path.read_text(encoding="utf-8")), name


def test_contracts__imports_point_one_way():
    """The contracts of pyproject.toml hold."""
    pytest.importorskip("importlinter", reason="import-linter is not installed (make check installs it)")
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_worker__imports_numpy_and_the_simulator_only():
    """Each worker start pays for its imports; pandas, pyarrow and the report stay with the driver."""
    heavy = "{'pandas', 'pyarrow', 'seaborn', 'matplotlib', 'jinja2', 'dask', 'distributed', 'click'}"
    code = f"import sys, pipeline.work; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
