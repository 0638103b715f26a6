"""The report is one file that needs nothing else, says what it is made of, and is the same every time."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from report_datasets import make_dataset, make_part

from pipeline.errors import DatasetError, RefusedError
from pipeline.report.page import write_report
from pipeline.report.tables import ACT_GROUPS
from pipeline.study import load_study
from pipeline.sweep import run_study
from simcore.acts import ACTS
from simcore.costs import PC_2002

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """The page as a list of elements; refuses tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        """Note an element and what it is in."""
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        """Note an element that closes itself, as SVG writes them."""
        self.elements.append((tag, dict(attributes), tuple(self.open)))

    def handle_endtag(self, tag):
        """Close what was opened last."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        """Collect text outside of style sheets."""
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        """All text, with single spaces."""
        return " ".join(" ".join(self.words).split())


def written(dataset, folder):
    """Return the report of a dataset, as text and parsed."""
    write_report(dataset, folder / "report.html")
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a small dataset."""
    return make_dataset(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def report(dataset, tmp_path_factory):
    """Return its report, as text and parsed."""
    return written(dataset, tmp_path_factory.mktemp("report"))


def test_report__asks_for_nothing(report):
    """No element fetches anything, and the only addresses are places in the page and data to be saved."""
    text, page = report
    fetching = ("src", "srcset", "action", "data", "poster")
    assert not [found for found in page.elements for name in fetching if name in found[1]]
    links = [attributes["href"] for _, attributes, _ in page.elements if "href" in attributes]
    assert all(link.startswith(("#", "data:text/csv;charset=utf-8,")) or link == "data:," for link in links)
    assert not re.search(r"https?:|@import|@font-face|url\((?!#)", text)
    assert not [tag for tag, _, _ in page.elements if tag in ("iframe", "object", "embed", "base", "form")]


def test_report__policy_allows_one_style_sheet_and_one_script_by_hash(report):
    """The policy names the hashes of what the page holds, nothing is inline but these, and no handler is an attribute."""
    text, page = report
    policy = next(
        a["content"] for tag, a, _ in page.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [held] = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(held.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [a for _, a, _ in page.elements if "style" in a or any(name.startswith("on") for name in a)]


def test_report__numbers_of_figures_are_in_the_page(report):
    """Every figure but the key has its numbers as CSV behind a link: a heading, and as many fields in each line."""
    _, page = report
    links = [a for tag, a, _ in page.elements if tag == "a" and a["href"].startswith("data:text/csv")]
    figures = [tag for tag, _, _ in page.elements if tag == "figure"]
    assert len(links) == len(figures) - 1
    for link in links:
        rows = list(csv.reader(io.StringIO(unquote(link["href"].partition(",")[2]))))
        assert len(rows) >= 2
        assert {len(row) for row in rows} == {len(rows[0])}
        assert "design" in rows[0]
        assert link["download"].endswith(".csv")
    standing = next(link for link in links if link["download"] == "standing.csv")
    assert "linux24,linux24,1,1,1,1" in unquote(standing["href"])


def test_report__links_lead_somewhere(report):
    """Every link within the page, and every label, names an id that is there exactly once."""
    _, page = report
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {
        link[1:]
        for _, a, _ in page.elements
        for link in (a.get("href", ""), a.get("xlink:href", ""))
        if link[:1] == "#"
    }
    labels = ("aria-labelledby", "aria-describedby")
    wanted |= {name for _, a, _ in page.elements for label in labels for name in a.get(label, "").split()}
    assert wanted <= set(ids)


def test_report__every_figure_is_described(report):
    """Each svg has the role of an image, a title and a description of its own."""
    _, page = report
    figures = [attributes for tag, attributes, _ in page.elements if tag == "svg"]
    titles = [
        attributes["id"] for tag, attributes, around in page.elements if tag == "title" and "svg" in around
    ]
    descriptions = [attributes["id"] for tag, attributes, _ in page.elements if tag == "desc"]
    assert len(figures) >= 10
    assert [figure["aria-labelledby"] for figure in figures] == titles
    assert [figure["aria-describedby"] for figure in figures] == descriptions
    assert all(figure["role"] == "img" for figure in figures)


def test_report__is_the_same_every_time(dataset, report, tmp_path):
    """Made again, the page is byte for byte the same."""
    assert written(dataset, tmp_path)[0] == report[0]


def test_report__tables_can_be_reached_and_read(report):
    """Each table scrolls in a box that the keyboard reaches, has a name, and headings for columns and rows."""
    _, page = report
    boxes = [a for tag, a, _ in page.elements if tag == "div" and a.get("class") == "scroll"]
    tables = [a for tag, a, _ in page.elements if tag == "table"]
    assert len(boxes) == len(tables) >= 7
    assert all(box["tabindex"] == "0" and box["role"] == "region" for box in boxes)
    assert all(a.get("scope") in ("col", "row", "rowgroup") for tag, a, _ in page.elements if tag == "th")


def test_report__says_what_it_is_made_of(dataset, report):
    """Question, versions, checksum, every cost with its source, and the assumed ones by name."""
    _, page = report
    checksum = re.search(r'"checksum": "([0-9a-f]+)"', (dataset / "_complete.json").read_text()).group(1)
    assert checksum in page.text
    assert "What does sharing cost on a small tree?" in page.text
    assert all(" ".join(cost.source.split()) in page.text for cost in PC_2002.costs.values())
    listed = page.text.partition("Assumed, that is without a published source")[2]
    assert all(act in listed for act, cost in PC_2002.costs.items() if cost.assumed)
    assert page.text.count(PC_2002.digest) == 2


def test_report__tells_how_the_verdict_changes_with_the_cost_model(report):
    """Every shipped cost model has its columns, and the verdict says what they change."""
    _, page = report
    assert "Under other cost models" in page.text
    assert "typical, x86-64-2025" in page.text
    assert "On the typical cells the least time is that of" in page.text
    assert "INCOMPLETE" not in page.text


def test_report__opens_with_the_verdict(dataset, report, tmp_path):
    """The first section is the verdict, and the terminal gets three of its lines."""
    _, page = report
    lines = write_report(dataset, tmp_path / "again.html")
    assert len(lines) == 3
    assert page.text.index("Verdict") < page.text.index("Worst beside typical")
    plain = (
        page.text.replace(" ,", ",")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace(" :", ":")
        .replace(" ;", ";")
        .replace(" .", ".")
    )
    for line in lines:
        for sentence in line.split("Slowest fault: "):
            assert " ".join(sentence.split()) in plain


def test_report__under_another_cost_model_is_refused_by_name(dataset, tmp_path):
    """An unknown cost model is refused, and no page is written."""
    with pytest.raises(RefusedError, match="unknown name 'pc-2202'; did you mean 'pc-2002'"):
        write_report(dataset, tmp_path / "report.html", costs="pc-2202")
    assert not (tmp_path / "report.html").exists()


def test_report__of_an_unfinished_study_is_stamped(tmp_path):
    """The page of a dataset that lacks cells says how many there are; the verdict's lines leave that to the caller."""
    dataset = make_part(tmp_path, traces=4)
    _, page = written(dataset, tmp_path)
    assert "INCOMPLETE 28/42" in page.text
    assert not any("INCOMPLETE" in line for line in write_report(dataset, tmp_path / "again.html"))


def test_report__can_be_made_again_as_typed(dataset, tmp_path, monkeypatch):
    """The commands name the dataset as it was given, quoted for a shell, and report on what they made."""
    folder = tmp_path / "my data"
    shutil.copytree(dataset, folder)
    monkeypatch.chdir(tmp_path)
    _, page = written(Path("my data"), tmp_path)
    assert (
        "forkbench run 'my data/study.yaml' --results elsewhere forkbench report elsewhere forkbench show"
        in page.text
    )
    assert "byte for byte" not in page.text


def test_report__of_nothing_is_refused(tmp_path):
    """A dataset without a row has no report."""
    with pytest.raises(DatasetError, match="no row yet"):
        write_report(make_part(tmp_path, traces=0), tmp_path / "report.html")


def test_report__escapes_what_a_study_says(tmp_path):
    """A question that looks like markup or like an attribute is shown, not run."""
    evil = '<script>alert(\'1\')</script> & "<b>" style="color: red" ` `</code> ${x} {{ x }}'
    text, page = written(make_dataset(tmp_path, question=evil, sweep={}), tmp_path)
    assert text.count("<script") == 1
    assert "alert" not in text.partition("<script>")[2]
    assert not [tag for tag, _, _ in page.elements if tag == "b"]
    assert " ".join(evil.split()) in page.text


def test_report__shows_the_name_of_a_study_as_text(tmp_path):
    """No study file may have such a name, but a dataset that others made can."""
    make_dataset(tmp_path / "made", sweep={})
    study = replace(load_study(tmp_path / "made" / "study.yaml"), name="<script>")
    assert not run_study(study, tmp_path / "data", 0, quiet=True).failures
    text, page = written(tmp_path / "data", tmp_path)
    assert text.count("<script") == 1
    assert page.text.count("<script>") >= 3  # heading, title, provenance


DEGENERATE = {
    "one cell": {"designs": ["phillips"], "baseline": "phillips", "floor": "phillips", "sweep": {}},
    "one point": {"sweep": {}},
    "no sharing": {"designs": ["linux24", "rmap25", "vfork"], "sweep": {"exec_ratio": [0.5, 1.0]}},
    "floor is baseline": {
        "designs": ["linux24", "phillips"],
        "floor": "linux24",
        "sweep": {"exec_ratio": [0.5, 1.0]},
    },
    "two designs": {"designs": ["linux24", "vfork"], "sweep": {"exec_ratio": [1.0]}},
    "nobody forks": {"sweep": {"tree": [{"depth": 0, "fan_out": 1}, {"depth": 1, "fan_out": 1}]}},
    "never a fork": {"workload": {"tree": {"tree": {"depth": 0, "fan_out": 1}}}, "sweep": {}},
    "words on an axis": {"sweep": {"first": ["child", "parent"], "geometry": ["i386", "x86-64"]}},
    "many values": {
        "designs": ["linux24", "phillips", "vfork"],
        "workload": "tree",
        "sweep": {"anon_pages": list(range(1, 13))},
    },
    "replicates": {"replicates": 2, "sweep": {"exec_ratio": [0.5]}},
    "rmap is baseline": {
        "designs": ["rmap25", "linus_rmap", "linux24"],
        "baseline": "rmap25",
        "floor": "linux24",
    },
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_report__of_a_degenerate_study(name, tmp_path):
    """Studies with one design, one cell, no fork or no numbers on an axis get a whole page and three lines."""
    changes = DEGENERATE[name]
    lines = write_report(make_dataset(tmp_path, **changes), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(lines) == 3
    assert all(lines)
    assert not re.search(r"\b(nan|None|inf)\b", page.text)
    assert not re.search(r"\b1 (cells|traces|designs)\b", page.text)
    assert "How sure" in page.text
    assert ("Slowest fault" in page.text) == ("Latency of a fault" in page.text)
    for design in changes.get("designs", []):
        assert design in page.text


def test_act_groups__cover_every_act():
    """Each act belongs to one group of the table, so that its columns add up."""
    for act in ACTS:
        assert sum(act.name.startswith(prefixes) for prefixes in ACT_GROUPS.values()) == 1, act.name


def test_report__of_several_listings_counts_users(tmp_path, report):
    """With five listings the report has a table over users and a line in the verdict; with one it has neither."""
    names = ["wsl-2021-bash", "openvz-2006-vps-httpd", "debian-2003-p-server", "openvz-2018-centos6-vps"]
    sweep = {"tree": ["phillips-2002", *names], "exec_ratio": [0.0, 1.0]}
    text, page = written(
        make_dataset(tmp_path, designs=["linux24", "linus_pmd", "vfork"], sweep=sweep), tmp_path
    )
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"users-table-caption", "users-along-1-caption"} <= set(ids)
    assert "Over 5 listings, one a user, against linux24" in page.text
    assert written(tmp_path / "data", tmp_path)[0] == text
    assert "users-table" not in report[0]
    assert "one a user" not in report[1].text
