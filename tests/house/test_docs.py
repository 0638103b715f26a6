"""Do the documents say what is so? Blocks that name a file stand in it; blocks to run run."""

import re
from pathlib import Path

import pytest

from pipeline.reference import reference
from pipeline.terminal import brief
from simcore.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?:python|code) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (document.name, info, text)
    for document in sorted((ROOT / "docs").glob("*.md"))
    for info, text in BLOCK.findall(document.read_text(encoding="utf-8"))
]


def test_documents__have_blocks_that_are_checked():
    """The guide to a new design shows code of six files and a story to run."""
    found = {info for name, info, _ in BLOCKS if name == "adding-a-design.md"}
    assert len(found - {"run"}) == 5
    assert "run" in found


def test_study_reference__is_current():
    """docs/study-reference.md is what the tables say; forkbench reference --out writes it."""
    assert (ROOT / "docs" / "study-reference.md").read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)
def test_workloads__are_told_with_their_defaults(workload):
    """docs/workloads.md has a section for each workload, which names every parameter and its default."""
    told = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")
    section = told.partition(f"\n### {workload.name}\n")[2].partition("\n##")[0]
    words = " ".join(section.split())
    for parameter in workload.parameters:
        default = parameter.default
        if default is None:  # a study has to say it
            assert f"`{parameter.name}`" in words, parameter.name
            continue
        shown = f"{default:,}" if isinstance(default, int) else brief(default)
        assert f"`{parameter.name}` {shown}" in words, parameter.name


@pytest.mark.parametrize(("document", "file", "text"), [block for block in BLOCKS if block[1] != "run"])
def test_block__stands_in_the_file_that_it_names(document, file, text):
    """Code shown in a document is the code there is."""
    there = [line.strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    lines = [line.strip() for line in text.strip().splitlines()]
    found = [there[at : at + len(lines)] for at in range(len(there))]
    assert lines in found, f"{document}: {file}"


@pytest.mark.parametrize(("document", "text"), [block[::2] for block in BLOCKS if block[1] == "run"])
def test_block__runs(document, text):
    """A block to run does what its document says."""
    exec(compile(text, document, "exec"), {})  # noqa: S102 - our own document
