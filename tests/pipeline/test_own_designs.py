"""A study may define designs: they are validated, frozen, run and reported like those that ship."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml
from report_datasets import make_dataset
from tiny_study import TINY

from pipeline import analysis, store
from pipeline.errors import StudyError
from pipeline.lineup import frozen, known_designs, thawed
from pipeline.plan import make_plan, plan_document, plan_from
from pipeline.report.page import write_report
from pipeline.study import load_study
from pipeline.sweep import jobs_of
from pipeline.work import make_trace, run_batch
from simcore.designs import AXES, DESIGNS, derived
from simcore.geometry import GEOMETRIES
from simcore.simulate import simulate

MODEL = "0" * 32
MINE = {"base": "linus_pmd", "last_sharer": "copies"}
AS_MAPPING = {"linux24": {}, "vfork": None, "mine": MINE}
AS_LIST = ["linux24", {"vfork": {}}, {"mine": MINE}]
HEAD = "name: own\nquestion: Is it mine?\nworkload: tree\ndesigns:\n"


@pytest.fixture
def study_of(write_study):
    """Return a function that loads the tiny study with other designs."""

    def load(designs, **changes):
        return load_study(write_study(designs=designs, **changes))

    return load


def faults(tmp_path, designs, *overrides):
    """Return what a study with these lines of designs is refused with."""
    path = tmp_path / "study.yaml"
    path.write_text(HEAD + designs, encoding="utf-8")
    with pytest.raises(StudyError) as refused:
        load_study(path, overrides)
    return [str(fault) for fault in refused.value.faults]


@pytest.mark.parametrize("designs", [AS_MAPPING, AS_LIST], ids=["mapping", "list"])
def test_own_design__is_base_and_axes(study_of, designs):
    """Both ways of writing give the same: names in order, and the changed row with every axis spelled out."""
    study = study_of(designs)
    assert study.designs == ("linux24", "vfork", "mine")
    changed = derived("mine", DESIGNS["linus_pmd"], {"last_sharer": "copies"})
    assert study.own_designs == {"mine": frozen(changed, "linus_pmd")}
    assert study.own_designs["mine"]["axes"]["last_sharer"] == "copies"
    assert set(study.own_designs["mine"]["axes"]) == {*AXES, "more_than"}
    assert study.rows == {"linux24": DESIGNS["linux24"], "vfork": DESIGNS["vfork"], "mine": changed}
    assert study.spec()["own_designs"] == study.own_designs


def test_own_design__takes_a_number_and_takes_values_away(study_of):
    """more_than is changed like an axis, and null takes away what the base brings along."""
    gt5 = {"base": "mccracken_gt3", "more_than": 5}
    always = {"base": "mccracken_gt3", "fork": "link", "more_than": None}
    rows = study_of({"linux24": {}, "gt5": gt5, "always": always}).rows
    assert (rows["gt5"].more_than, rows["always"].more_than) == (5, None)
    assert rows["always"].fork == "link"


def test_own_design__may_be_baseline_and_floor(study_of):
    """Roles are given to a study's own designs like to any other."""
    study = study_of(AS_LIST, baseline="mine", floor="mine")
    assert (study.baseline, study.floor) == ("mine", "mine")


def test_own_design__is_reached_by_overrides(write_study):
    """An override changes an axis of a design that the study defines."""
    study = load_study(write_study(designs=AS_MAPPING), ["designs.mine.zap=edges"])
    assert study.rows["mine"].zap == "edges"
    assert yaml.safe_load(study.text)["designs"]["mine"] == MINE | {"zap": "edges"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("  linux24:\n  mine: {base: linus_pmd, last_sharr: copies}\n",
         "line 6, designs.mine.last_sharr: unknown axis; did you mean 'last_sharer'?"),
        ("  linux24:\n  mine:\n    base: linus_pmd\n    last_sharer: copy\n",
         "line 8, designs.mine.last_sharer: unknown value of last_sharer 'copy'; did you mean 'copies'?"),
        ("  linux24:\n  mine: {base: linus_pdm}\n",
         "line 6, designs.mine.base: unknown design 'linus_pdm'; did you mean 'linus_pmd'? (forkbench designs"),
        ("  linux24:\n  mine: {base: linus_pmd, source: read_only}\n",
         "line 6, designs.mine: wrprotect 'pmd' leaves ptes writable"),
        ("  linux24:\n  mine: {base: linus_pmd, fork: copy}\n",
         "(null takes away what linus_pmd brings along: wrprotect, links,"),
        ("  linux24:\n  mine: {base: linus_pmd, fork: link_if_more_than}\n",
         "line 6, designs.mine: more_than is None while fork is 'link_if_more_than'"),
        ("  linux24:\n  linus_pmd: {base: linus_pmd, last_sharer: copies}\n",
         "line 6, designs.linus_pmd: 'linus_pmd' is a shipped design, which is what its row says; it may be named"),
        ("  linux24:\n  linus_pmd: {base: phillips}\n",
         "give the changed one a name of its own, e.g. my_linus_pmd: {base: linus_pmd, ...}"),
        ("  linux24:\n  linus_pdm: {}\n",
         "line 6, designs.linus_pdm: 'linus_pdm' is not a shipped design; did you mean 'linus_pmd'?"),
        ("  linux24:\n  mine: {last_sharer: copies}\n",
         "line 6, designs.mine: no base is given; a design of your own starts from a shipped one"),
        ("  linux24:\n  My-Own: {base: linus_pmd}\n",
         "line 6, designs.My-Own: 'My-Own' is not allowed; write at most 24 lower-case letters and digits"),
        ("  linux24:\n  mine: [linus_pmd]\n",
         "line 6, designs.mine: ['linus_pmd'] is a list; a design is a name, or one of your own"),
        ("  linux24:\n  mine: {base: mccracken_gt3, more_than: 3.0}\n",
         "line 6, designs.mine.more_than: 3.0 has a decimal point; whole numbers from 0 to 1048576 populated tables"),
        ("  linux24:\n  mine: {base: linus_pmd, rmap: null}\n",
         "line 6, designs.mine.rmap: None is nothing; write the name of a value of rmap: none, pte_chain, object"),
        ("  - linux24\n  - {mine: {base: linus_pmd}, other: {base: phillips}}\n",
         "line 6, designs[1]: a mapping with 2 keys; a design is a name, or one of your own"),
        ("  - linux24\n  - mine: {base: linus_pmd}\n  - mine\n",
         "line 7, designs[2]: the same value as designs[1]"),
        ("  - linux24\n  - mine: {base: linus_pmd}\n  - min\n",
         "line 7, designs[2]: unknown design 'min'; did you mean 'mine'?"),
        ("  - linux24\n  - 3\n", "line 6, designs[1]: 3 is a number; write the name of a design"),
        ("  {}\n", "line 4, designs: the mapping is empty, and no cell would be left"),
        ("  linux24\n", "line 4, designs: 'linux24' is text; a list is needed here"),
    ],
)  # fmt: skip
def test_wrong_definition__is_told_at_its_line(tmp_path, lines, message):
    """Whatever is wrong with a design is told where it stands, with what is allowed and the nearest name."""
    told = faults(tmp_path, lines)
    assert len(told) == 1, told
    assert message in told[0]


def test_wrong_definitions__come_together(tmp_path):
    """Faults of several designs, and several faults of one, come at once."""
    lines = "  linux24:\n  mine: {base: linus, zap: wole, speed: 3}\n  other: {base: phillips, source: wrprotect}\n"
    told = faults(tmp_path, lines)
    assert [line.partition(":")[0] for line in told] == [
        "line 6, designs.mine.base", "line 6, designs.mine.zap", "line 6, designs.mine.speed", "line 7, designs.other",
    ]  # fmt: skip


def test_wrong_definition__does_not_hide_a_wrong_role(tmp_path):
    """A baseline that is not among the designs is told also if another design is wrong."""
    told = faults(tmp_path, "  phillips:\n  mine: {base: linus_pmd, zap: wole}\n")
    assert any(
        "baseline: the baseline is by default 'linux24', which is not in designs" in line for line in told
    )


@pytest.mark.parametrize(
    ("designs", "changes", "floor"),
    [
        (["linux24", "vfork"], {}, "vfork"),
        (["linux24", "phillips"], {}, None),
        (["linux24", "vfork"], {"floor": None}, None),
        (["linux24", "phillips"], {"floor": "linux24"}, "linux24"),
    ],
)
def test_floor__is_vfork_if_it_runs_or_what_is_said_or_none(study_of, designs, changes, floor):
    """A study need not have a floor; vfork is the floor of a study that has it and says nothing else."""
    assert study_of(designs, **changes).floor == floor


def ids(study):
    """Return cell id by (design, trace)."""
    return {(cell.design, cell.trace.trace_id): cell.cell_id for cell in make_plan(study, MODEL).cells}


def test_ids__of_shipped_designs_do_not_depend_on_own_ones(study_of):
    """A study that defines a design keeps the rows of the others."""
    before, after = ids(study_of(["linux24", "vfork"])), ids(study_of(AS_LIST))
    assert {key: after[key] for key in before} == before
    assert ids(study_of(AS_MAPPING)) == after


@pytest.mark.parametrize(
    "changed",
    [
        {"base": "linus_pmd"},
        {"base": "linus_pmd", "last_sharer": "reuse_protected"},
        {"base": "linus_pmd", "last_sharer": "copies", "zap": "edges"},
        {"base": "linus_pmd", "last_sharer": "copies", "fork": "link_if_more_than", "more_than": 3},
        {"base": "linus_pmd", "last_sharer": "copies", "fork": "link_if_more_than", "more_than": 4},
    ],
)
def test_ids__of_own_designs_move_with_their_axes(study_of, changed):
    """Each axis of a study's own design, and its number, is part of the id; another base with equal axes is not."""
    other = {"base": "linus_pmd", "last_sharer": "copies", "fork": "link_if_more_than", "more_than": 9}
    for known in (MINE, other):
        one, two = (ids(study_of(["linux24", {"mine": row}])) for row in (known, changed))
        moved = {design for design, trace in one if one[design, trace] != two[design, trace]}
        assert moved == {"mine"}
    assert ids(
        study_of(["linux24", {"mine": {"base": "linus_rmap", "rmap": "none", "reclaim": "scan"}}])
    ) == ids(study_of(["linux24", {"mine": {"base": "linus_pmd"}}]))


def test_job__carries_what_a_worker_needs(study_of):
    """A worker that knows nothing of the study builds the design from the job, and gets the counts of its row."""
    plan = make_plan(study_of(AS_MAPPING, sweep={}, replicates=1), MODEL)
    [job] = jobs_of(plan, set())
    assert set(job.own_designs) == {"mine"}
    reply = run_batch([job])
    assert not reply.failures
    mine = dict(zip([design for _, design in job.cells], reply.rows, strict=True))["mine"]
    row = derived("mine", DESIGNS["linus_pmd"], {"last_sharer": "copies"})
    expected = simulate(make_trace(job), row, GEOMETRIES[job.geometry])
    assert mine.acts.tolist() == expected.acts.tolist()
    shipped = {cell.cell_id for cell in plan.cells if cell.design == "mine"}
    assert jobs_of(plan, shipped)[0].own_designs == {}


def test_plan__keeps_own_designs_through_json(study_of):
    """A plan that is written and read again makes the same jobs; one of an older version has no designs of its own."""
    plan = make_plan(study_of(AS_LIST), MODEL)
    document = json.loads("".join(plan_document(plan, {})))
    again = plan_from(document)
    assert again.own_designs == plan.own_designs
    assert [*jobs_of(again, set())] == [*jobs_of(plan, set())]
    del document["study"]["own_designs"]
    assert plan_from(document).own_designs == {}


def test_thawed__is_none_for_what_this_version_does_not_know():
    """A base, an axis, a value or a combination of another version is not guessed at."""
    data = frozen(DESIGNS["linus_pmd"], "linus_pmd")
    assert thawed("mine", data).prose == "linus_pmd by another name."
    assert thawed("mine", data | {"base": "gone"}) is None
    assert thawed("mine", data | {"axes": data["axes"] | {"colour": "red"}}) is None
    assert thawed("mine", data | {"axes": data["axes"] | {"zap": "never"}}) is None
    assert thawed("mine", data | {"axes": data["axes"] | {"source": "read_only"}}) is None


def test_known_designs__of_a_name_that_shipped_later():
    """In a study that took the name first, it means what the study says."""
    own = {"odf": frozen(derived("odf", DESIGNS["linus_pmd"], {"zap": "edges"}), "linus_pmd")}
    known = known_designs(own)
    assert known["odf"].zap == "edges"
    assert set(known) == set(DESIGNS)
    assert dataclasses.replace(known["linux24"]) == DESIGNS["linux24"]


def test_docs__show_studies_that_are_valid(tmp_path):
    """Each example of the guide to studies is read, and defines what it says."""
    guide = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", guide, flags=re.DOTALL)
    needed = {"workload": "workload: tree\n", "designs": "designs: [linux24, rmap25, vfork]\n"}
    own = []
    for number, example in enumerate(examples):
        path = tmp_path / f"{number}.yaml"
        others = "".join(
            line for key, line in needed.items() if not re.search(f"^{key}:", example, re.MULTILINE)
        )
        path.write_text(f"name: own\nquestion: Is it mine?\n{others}{example}", encoding="utf-8")
        own.append(sorted(load_study(path).own_designs))
    assert [designs for designs in own if designs] == [["linus_edges", "mccracken_gt8"], ["linus_edges"]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a dataset with a design of the study's own and no floor."""
    designs = ["linux24", "linus_pmd", {"mine": MINE}]
    return make_dataset(tmp_path_factory.mktemp("own"), designs=designs, sweep={"exec_ratio": [0.5, 1.0]})


def report_of(dataset, folder):
    """Return the text of a dataset's report."""
    write_report(dataset, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def test_dataset__says_what_its_own_designs_are(dataset, tmp_path):
    """Frame and report know the axes of a study's own design, and that the study has no floor."""
    facts = analysis.load(dataset).attrs
    assert facts["own_designs"]["mine"]["base"] == "linus_pmd"
    assert facts["floor"] is None
    page = report_of(dataset, tmp_path)
    assert "linus_pmd with last_sharer: copies." in page
    assert "Sharing, protected by pmd" in page
    assert "The study names no floor" in page
    assert "no floor</dd>" in page
    assert "None" not in page


def test_dataset__with_a_design_of_another_version_is_reported_all_the_same(dataset, tmp_path, forkbench):
    """What this version does not know is drawn and counted, and said to be unknown; it cannot be replayed."""
    folder = tmp_path / "data"
    folder.mkdir()
    for file in dataset.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    document = json.loads((folder / store.PLAN).read_text(encoding="utf-8"))
    document["study"]["own_designs"]["mine"]["base"] = "from_the_future"
    (folder / store.PLAN).write_text(json.dumps(document), encoding="utf-8")
    page = report_of(folder, tmp_path)
    assert "Not known to this version of forkbench." in page
    assert "Other designs" in page
    cell = next(cell.cell_id for cell in store.read_plan(folder).cells if cell.design == "mine")
    shown = forkbench("show", cell, "--results", folder)
    assert "design:    mine (from from_the_future; this version cannot make it)" in shown.stdout
    refused = forkbench("show", cell, "--results", folder, "--simulate")
    assert refused.returncode == 2
    assert "the design 'mine' of this cell is not known to this version of forkbench" in refused.stderr


def test_show__tells_what_an_own_design_is_and_replays_it(dataset, forkbench):
    """A cell of a study's own design is replayed from the frozen plan to the stored row."""
    cell = next(cell for cell in store.read_plan(dataset).cells if cell.design == "mine")
    shown = forkbench("show", cell.cell_id, "--results", dataset, "--simulate")
    assert "design:    mine (linus_pmd with last_sharer: copies)\n" in shown.stdout
    assert shown.stdout.endswith("equal to the stored row\n")


def test_designs__of_a_study_are_listed_and_explained(tmp_path, forkbench):
    """With --study the command lists what the study defines, and explains it, and shipped designs, by name."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(TINY | {"designs": AS_LIST}), encoding="utf-8")
    assert forkbench("designs", "--study", path).stdout == "mine  linus_pmd with last_sharer: copies.\n"
    told = forkbench("designs", "mine", "--study", path).stdout
    assert told.startswith("mine: linus_pmd with last_sharer: copies.\nDefined in a study, from linus_pmd: ")
    assert "last_sharer: copies" in told.partition("Its row:")[2]
    assert forkbench("designs", "linux24", "--study", path).stdout.startswith("linux24: Fork copies")
    refused = forkbench("designs", "mien", "--study", path)
    assert (refused.returncode, refused.stderr) == (2, "unknown design 'mien'; did you mean 'mine'?\n")
    path.write_text(yaml.safe_dump(TINY), encoding="utf-8")
    assert "defines no design of its own" in forkbench("designs", "--study", path).stdout
