"""Every fault of a study is reported, all at once, each at its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RefusedError, StudyError
from pipeline.study import MAX_CELLS, load_study
from pipeline.values import MAX_MISFITS

# Line numbers count from the first line after the quotes. Each line below with a comment has one mistake.
TEN_MISTAKES = """\
name: ten
question: What is wrong here?
geometri: i386                      # 3 unknown key
seed: 1e6                           # 4 a number that YAML reads as text
replicates: 3.7                     # 5 not a whole number
costs: [pc-2002]                    # 6 wrong type
baseline: linux24
baseline: rmap25                    # 8 duplicate key
floor: vfork
designs: [linux24, linus_pdm, vfork]  # 10 unknown design
workload:
  tree:
    anon_pages: -5                  # 13 impossible range
\tfile_pages: 160                   # 14 tab
    first: parent
sweep:
  exec_ratio: []                    # 17 empty axis
  library_sharing: [0.5]
"""
EXPECTED = [
    (3, "geometri", "did you mean 'geometry'?"),
    (4, "seed", "write 1000000"),
    (5, "replicates", "3.7 is not a whole number"),
    (6, "costs", "['pc-2002'] is a list; write the name of a cost model"),
    (8, "baseline", "duplicate key, first on line 7"),
    (10, "designs[1]", "unknown design 'linus_pdm'; did you mean 'linus_pmd'?"),
    (13, "workload.tree.anon_pages", "-5 is out of range; whole numbers from 1 to"),
    (14, "", "a tab in the indentation"),
    (17, "sweep.exec_ratio", "the list is empty"),
]

VALID = """\
name: valid
question: Is this right?
designs: [linux24, vfork]
workload: tree
"""


def write(tmp_path, text):
    """Return the path of a study with this text."""
    path = tmp_path / "study.yaml"
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, encoding="utf-8")
    return path


def faults_of(tmp_path, text, *overrides):
    """Return the faults of a study with this text."""
    with pytest.raises(StudyError) as refused:
        load_study(write(tmp_path, text), overrides)
    return refused.value.faults


def only_fault(tmp_path, text, *overrides):
    """Return the one line that a study with this text is refused with."""
    faults = faults_of(tmp_path, text, *overrides)
    assert len(faults) == 1, faults
    return str(faults[0])


def test_ten_mistakes__come_together_each_at_its_line(tmp_path):
    """A study with mistakes of many kinds gets one message for each, with line, path and remedy."""
    told = [str(fault) for fault in faults_of(tmp_path, TEN_MISTAKES)]
    assert len(told) == len(EXPECTED), told
    for line, (number, path, message) in zip(told, EXPECTED, strict=True):
        assert line.startswith(f"line {number}, {path}"), line
        assert message in line


def test_ten_mistakes__exit_code_two_without_traceback(tmp_path, forkbench):
    """The command refuses the same study with exit code 2, the file's name, the count, and no traceback."""
    path = write(tmp_path, TEN_MISTAKES)
    done = forkbench("check", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == f"{path}: {len(EXPECTED)} problems"
    assert len(done.stderr.splitlines()) == len(EXPECTED) + 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "line 1, column 1: the file holds a list; a study is a mapping"),
        ("just words\n", "line 1, column 1: the file holds text"),
        ("", "line 1, column 1: the file is empty"),
        ("# only a comment\n", "line 1, column 1: the file is empty"),
        ("a: [1, 2\nb: 3\n", "line 2, column 2: not YAML: did not find expected ',' or ']'"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: a second document begins"),
        ("a: b\nc: \x07\n", "line 2, column 4: the character '\\x07' is not allowed in YAML"),
        ("é: ü\nc: \x07\n", "line 2, column 4: the character '\\x07' is not allowed in YAML"),
        (b"name: a\nquestion: \xff\n", "line 2, column 11: the byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbfname: \xc3\xa9\xe9\n", "line 1, column 8: the byte 0xe9 is not UTF-8"),
        ("[" * 10_000, "line 1, column 21: nested more than 20 levels deep"),
        ("- " * 10_000, "line 1, column 41: nested more than 20 levels deep"),
        ("a: &a [*a]\n", "line 1, column 8: the alias *a stands inside the value that it names"),
        ("x: 1\na: &a\n  b: *a\n", "line 3, column 6: the alias *a stands inside the value that it names"),
        ("a: " + "x" * (1 << 20), "line 1, column 1: the file has 1,048,579 characters"),
    ],
)
def test_text_that_is_no_study__one_message(tmp_path, text, message):
    """A text that cannot be a study is refused with one message that names the line."""
    assert only_fault(tmp_path, text).startswith(message)


def test_alias_bomb__is_refused(tmp_path):
    """Aliases that unfold to a million values are refused before they are unfolded."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases unfold to more than 100,000 values" in only_fault(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed: on", "line 5, seed: True is a truth value (YAML 1.1 reads on, off, yes and no as such)"),
        ("seed: 2.0", "line 5, seed: 2.0 has a decimal point; whole numbers from 0 to"),
        ('seed: "12"', "write 12 without quotes"),
        ("seed: -1", "-1 is out of range; whole numbers from 0 to 9223372036854775807 are allowed"),
        ("seed: 9223372036854775808", "is out of range"),
        ("seed: .nan", "nan is not a whole number"),
        ("seed: .inf", "inf is not a whole number"),
        ("seed:", "line 5, seed: nothing is given"),
        ("seed: 010", "'010' is not decimal in YAML 1.1, but octal, hexadecimal or base 60"),
        ("seed: 1:30", "'1:30' is not decimal in YAML 1.1"),
        ("seed: 2002-01-30", "'2002-01-30' is read as a date"),
        ("seed: !!python/object/apply:os.getcwd []", "tagged 'tag:yaml.org,2002:python/object/apply:os.getcwd'"),
        ("replicates: 0", "0 is out of range; whole numbers from 1 to 10000 are allowed"),
        ("costs: pc2002", "unknown cost model 'pc2002'; did you mean 'pc-2002'?"),
        ("geometry: 386", "386 is a number; write the name of a geometry: i386, "),
        ("baseline: rmap25", "the baseline is 'rmap25', which is not in designs (linux24, vfork); add it there"),
        ("3: x", "the key '3' is not read as text; put it in quotes"),
        ("<<: {seed: 1}", "the merge key '<<' is not supported"),
        ("? [seed]\n: 1", "a list or mapping is used as a key"),
        ("sweep: 3", "3 is a number; a mapping is needed here"),
        ("sweep: {exec_ratio: 0.5}", "0.5 is a number; a list is needed here, e.g. [0.5]"),
        ("sweep: {exec_ratios: [0.5]}", "sweep.exec_ratios: unknown key; did you mean 'exec_ratio'?"),
        ("sweep: {exec_ratio: [1e-1]}", "'1e-1' is text: YAML 1.1 reads an exponent only after a point"),
        ("sweep: {exec_ratio: [0, 0.0]}", "sweep.exec_ratio[1]: the same value as sweep.exec_ratio[0]"),
        ("sweep: {exec_ratio: [.nan]}", "nan is not a finite number; numbers from 0 to 1 are allowed"),
        ("sweep: {first: [on]}", "True is a truth value"),
        ("sweep: {first: [nobody]}", "unknown value of first 'nobody'; known are child, parent"),
        ("sweep: {tree: [phillips]}", "unknown listing 'phillips'; did you mean 'phillips-2002'?"),
        ("sweep: {tree: [3]}", "3 is a number; a tree is a listing's name, {listing: FILE}"),
        ("sweep: {tree: [{depth: 3}]}", "sweep.tree[0].fan_out: missing"),
        ("sweep: {tree: [{depth: 3, fan_out: 2.5}]}", "sweep.tree[0].fan_out: 2.5 is not a whole number"),
        ("sweep: {tree: [{depth: 60, fan_out: 2}]}", "depth 60 with fan_out 2 makes more than"),
        ("sweep: {tree: [{listing: nowhere.txt}]}", "'nowhere.txt': no such file or directory"),
        ("sweep: {geometry: [i386, arm64]}", "sweep.geometry[1]: unknown geometry 'arm64'"),
        ("sweep: {seed: [1]}", "sweep.seed: unknown key"),
    ],
)  # fmt: skip
def test_wrong_value__says_what_is_allowed(tmp_path, line, message):
    """A value of the wrong type or range is shown, with what is allowed in its place."""
    told = " | ".join(str(fault) for fault in faults_of(tmp_path, VALID + line + "\n"))
    assert message in told


def test_missing_keys__are_all_named(tmp_path):
    """Each key that a study needs and does not have is named."""
    told = [str(fault) for fault in faults_of(tmp_path, "seed: 3\n")]
    assert [line.split(":")[0] for line in told] == [
        "line 1, name", "line 1, question", "line 1, designs", "line 1, workload",
    ]  # fmt: skip
    assert "missing; every study needs it; add a line 'question: ...'" in told[1]


def test_pages_that_do_not_fit__are_refused_once_for_each_reason(tmp_path):
    """Parameters without room in the geometry are refused before anything runs, with the point of the sweep."""
    text = VALID.replace("workload: tree", "workload:\n  tree:\n    anon_pages: 4000000")
    fault = only_fault(tmp_path, text)
    assert fault.startswith("line 5, workload.tree: geometry 'i386': text, data and heap take ")
    fault = only_fault(tmp_path, text + "sweep: {exec_ratio: [0, 0.5, 1]}\n")
    assert fault.startswith("line 5, workload.tree: at exec_ratio: 0.0 and 2 other points: geometry 'i386'")
    told = faults_of(tmp_path, VALID + "sweep: {anon_pages: [9, 3000000, 4000000]}\n")
    assert [str(fault).split(": geometry")[0] for fault in told] == [
        "line 4, workload.tree: at anon_pages: 3000000", "line 4, workload.tree: at anon_pages: 4000000",
    ]  # fmt: skip
    many = ", ".join(str(3_000_000 + number) for number in range(9))
    told = faults_of(tmp_path, VALID + f"sweep: {{anon_pages: [{many}]}}\n")
    assert len(told) == MAX_MISFITS + 1
    assert "4 other reasons of the same sort" in str(told[-1])


def test_fixed_and_swept__is_ambiguous(tmp_path):
    """A parameter that is both fixed and swept is refused."""
    text = VALID.replace("workload: tree", "workload:\n  tree:\n    exec_ratio: 0.5")
    fault = only_fault(tmp_path, text + "sweep: {exec_ratio: [0.0, 1.0]}\n")
    assert fault.startswith("line 6, workload.tree.exec_ratio: also swept in sweep.exec_ratio")


def test_too_many_cells__are_refused(tmp_path):
    """A product of axes beyond what a dataset can hold is refused with the number of cells."""
    axis = ", ".join(str(number) for number in range(1, 1002))
    text = VALID + f"replicates: 1000\nsweep: {{anon_pages: [{axis}]}}\n"
    assert f"2,002,000 cells; at most {MAX_CELLS:,} are allowed" in only_fault(tmp_path, text)


def test_tabs__other_faults_keep_their_lines(tmp_path):
    """Each line indented with a tab is reported, and the other faults are found as if it were right."""
    text = VALID.replace("workload: tree", "workload:\n\ttree:\n\t\tanon_pages: none\n\t\tfirst: parent")
    told = [str(fault) for fault in faults_of(tmp_path, text + "seed: -1\n")]
    assert [line.split(":")[0] for line in told] == [
        "line 5, column 1", "line 6, column 1", "line 6, workload.tree.anon_pages", "line 7, column 1", "line 8, seed",
    ]  # fmt: skip


def test_tab_in_text__is_no_fault(tmp_path):
    """A tab where YAML allows it is let through."""
    study = load_study(write(tmp_path, VALID.replace("Is this right?", "|\n  one\n  \ttwo")))
    assert study.question == "one\n\ttwo"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("replicates=3.7", "--set replicates=3.7, replicates: 3.7 is not a whole number"),
        ("exec_ratio=3", "--set exec_ratio=3, workload.tree.exec_ratio: 3 is out of range"),
        ("exec_ratio=[0.5, 3]", "--set exec_ratio=[0.5, 3], sweep.exec_ratio[1]: 3 is out of range"),
        ("exec_ratios=0.3", "--set exec_ratios=0.3, exec_ratios: unknown key"),
        ("geometry=i387", "--set geometry=i387, geometry: unknown geometry 'i387'; did you mean 'i386'?"),
        ("replicats=3", "--set replicats=3, replicats: unknown key; did you mean 'replicates'?"),
        ("designs[1]=vfrk", "--set designs[1]=vfrk, designs[1]: unknown design 'vfrk'"),
        ("designs[7]=vfork", "designs is a list without 7"),
        ("seed.x=1", "seed is a number without 'x'"),
        ("sweep.exec_ratio=[]", "--set sweep.exec_ratio=[], sweep.exec_ratio: the list is empty"),
        ("seed=[1", "--set seed=[1, seed: not YAML"),
        ("seed=", "--set seed=, seed: nothing is given; whole numbers"),
        ("workload.tree.anon_pages=0", "workload.tree.anon_pages: 0 is out of range"),
    ],
)
def test_override__is_validated_and_blamed(tmp_path, override, message):
    """A wrong --set is blamed itself, not a line of the file."""
    text = VALID.replace("workload: tree", "workload: {tree: {}}") + "seed: 5\n"
    assert message in only_fault(tmp_path, text, override)


@pytest.mark.parametrize("override", ["replicates", "=3", "a..b=3", "a[x]=3"])
def test_override_without_key_or_value__is_refused(tmp_path, override):
    """What is not key=value is refused with the form."""
    with pytest.raises(RefusedError, match="not key=value; write a dotted key"):
        load_study(write(tmp_path, VALID), [override])


def test_override__replaces_and_adds(tmp_path):
    """An override replaces a value, adds one, and reaches into lists and mappings that were not there."""
    path = write(tmp_path, VALID + "seed: 5\n")
    study = load_study(path, ["seed=6", "replicates=2", "sweep.exec_ratio=[0, 0.5]", "designs[1]=vfork"])
    assert (study.seed, study.replicates, study.sweep, study.cells) == (6, 2, {"exec_ratio": [0.0, 0.5]}, 8)


@pytest.mark.parametrize(("name", "message"), [("none.yaml", "no such file"), ("", "is a folder")])
def test_unreadable_file__is_refused(tmp_path, name, message):
    """A path that is no file is refused with the reason."""
    with pytest.raises(RefusedError, match=message):
        load_study(tmp_path / name)


def test_listing_file__is_resolved_from_the_studys_folder(tmp_path):
    """A listing's path counts from the study's folder, and its tree becomes part of the study."""
    (tmp_path / "mine.txt").write_text("init-+-bash---make\n     `-sshd\n", encoding="utf-8")
    study = load_study(write(tmp_path, VALID + "sweep: {tree: [{listing: mine.txt}]}\n"))
    assert study.sweep["tree"] == [
        {"label": "mine.txt", "parents": [-1, 0, 1, 0], "names": ["init", "bash", "make", "sshd"]}
    ]


def test_listing_that_is_none__is_refused(tmp_path):
    """A file that is no process listing is refused at the line that names it."""
    (tmp_path / "mine.txt").write_text("Dear diary,\n", encoding="utf-8")
    told = only_fault(tmp_path, VALID + "sweep: {tree: [{listing: mine.txt}]}\n")
    assert told.startswith("line 5, sweep.tree[0].listing: 'mine.txt' gives no process tree")


def test_first_study__is_large_enough(shipped_study):
    """The first study has at least 2,000 cells."""
    study = load_study(shipped_study)
    assert study.cells >= 2_000
    assert len(study.designs) == 9


@given(st.text() | st.text(alphabet="ab:- \n\t[]{}&*!|>'\"#?,0.1e", max_size=60))
def test_any_text__is_refused_or_read_never_a_crash(tmp_path_factory, text):
    """Whatever a file holds, it is either a study or refused with messages."""
    path = tmp_path_factory.mktemp("any") / "study.yaml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    with pytest.raises(StudyError, match="problem"):
        load_study(path)
