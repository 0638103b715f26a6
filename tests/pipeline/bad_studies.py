"""Studies that are wrong, each in its own way; ``bad_studies.txt`` has what is found in each.

``python tests/pipeline/bad_studies.py`` writes that file anew, to be read before it is kept.
"""

from __future__ import annotations

import os
import re
import resource
import tempfile
from pathlib import Path

from pipeline.errors import StudyError
from pipeline.study import load_study

HEAD = "name: bad\nquestion: What is wrong?\ndesigns: [linux24, odf, vfork]\nworkload: tree\n"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


def h(**changes):
    """Return a right study with some keys replaced or added."""
    right = {
        "name": "bad",
        "question": "What is wrong?",
        "designs": "[linux24, odf, vfork]",
        "workload": "tree",
    }
    return "".join(f"{key}: {value}\n" for key, value in (right | changes).items())


STUDIES = {
    "empty": "",
    "comment": "# nothing\n",
    "list": "- linux24\n",
    "words": "sweep everything\n",
    "number": "42\n",
    "unclosed": HEAD + "sweep: {exec_ratio: [0, 1}\n",
    "unclosed quote": HEAD + "costs: 'pc-2002\n",
    "two documents": HEAD + "---\n" + HEAD,
    "bell": HEAD + "costs: \x07\n",
    "bad indent": HEAD + "sweep:\n  exec_ratio: [0]\n anon_pages: [1]\n",
    "tab": HEAD + "sweep:\n\texec_ratio: [0]\n",
    "colon missing": HEAD + "seed 5\n",
    "unknown alias": HEAD + "seed: *nobody\n",
    "deep list": "[" * 5000,
    "deep mapping": "".join("  " * n + "a:\n" for n in range(60)),
    "deep flow mapping": HEAD + "sweep: " + "{a: " * 300 + "1" + "}" * 300 + "\n",
    "alias bomb": BOMB,
    "alias bomb below a key": HEAD + "sweep:\n  exec_ratio: &x [0, 1]\n" + BOMB,
    "alias in itself": HEAD + "sweep: &s {exec_ratio: *s}\n",
    "too long": HEAD + "# " + "x" * (1 << 20) + "\n",
    "tag": HEAD + "seed: !!python/object/apply:os.system [ls]\n",
    "binary tag": HEAD + "seed: !!binary aGVsbG8=\n",
    "set": HEAD + "sweep: !!set {exec_ratio, first}\n",
    "date": HEAD + "seed: 2002-01-30\n",
    "octal": HEAD + "seed: 0o17\n",
    "hex": HEAD + "seed: 0x1F\n",
    "base 60": HEAD + "replicates: 1:30\n",
    "merge key": HEAD + "<<: {seed: 1}\n",
    "list as key": HEAD + "? [a, b]\n: 1\n",
    "number as key": HEAD + "5: seed\n",
    "twice": HEAD + "seed: 1\nseed: 2\n",
    "twice below": HEAD + "sweep: {exec_ratio: [0], exec_ratio: [1]}\n",
    "nothing needed": "seed: 1\n",
    "misspelt keys": "nam: bad\nqestion: x\ndesign: [linux24]\nworkloads: tree\n",
    "parameter at the top": HEAD + "anon_pages: 600\n",
    "name with slash": h(name="a/b"),
    "name number": h(name="2002"),
    "no question": h(question='""'),
    "question truth": h(question="yes"),
    "no designs": h(designs="[]"),
    "designs text": h(designs="odf"),
    "design unknown": h(designs="[linux24, odff]"),
    "design twice": h(designs="[linux24, odf, odf]"),
    "own without base": h(designs="[linux24, {mine: {zap: edges}}]"),
    "own bad axis": h(designs="[linux24, {mine: {base: odf, zapp: edges}}]"),
    "shipped changed": h(designs="[linux24, {odf: {base: linux26}}]"),
    "baseline missing": h(designs="[odf, vfork]"),
    "floor unknown": HEAD + "floor: vforks\n",
    "workload unknown": h(workload="three"),
    "workload empty": h(workload="{}"),
    "parameter unknown": h(workload="{tree: {anon_page: 5}}"),
    "parameter range": h(workload="{tree: {anon_pages: 0, exec_ratio: 1.5}}"),
    "parameter float": h(workload="{tree: {anon_pages: 60.0}}"),
    "parameter text": h(workload="{tree: {anon_pages: '60'}}"),
    "exponent": h(workload="{tree: {anon_pages: 1e3}}"),
    "size suffix": h(workload="{tree: {anon_pages: 4KiB}}"),
    "choice unknown": h(workload="{tree: {first: parents}}"),
    "listing missing": h(workload="{tree: {listing: none.txt}}"),
    "capture missing": h(workload="{capture: {}}"),
    "does not fit": h(workload="{tree: {anon_pages: 4000000}}"),
    "sweep list": HEAD + "sweep: [exec_ratio]\n",
    "sweep scalar": HEAD + "sweep: {exec_ratio: 0.5}\n",
    "sweep empty": HEAD + "sweep: {exec_ratio: []}\n",
    "sweep twice": HEAD + "sweep: {exec_ratio: [0, 0.0]}\n",
    "sweep nan": HEAD + "sweep: {exec_ratio: [.nan, .inf]}\n",
    "swept and fixed": h(workload="{tree: {exec_ratio: 1}}", sweep="{exec_ratio: [0, 1]}"),
    "geometry twice": HEAD + "geometry: i386\nsweep: {geometry: [i386, x86-64]}\n",
    "too many cells": HEAD
    + "replicates: 10000\nsweep: {anon_pages: ["
    + ", ".join(map(str, range(1, 102)))
    + "]}\n",
    "seed below 0": HEAD + "seed: -1\n",
    "seed too big": HEAD + "seed: 99999999999999999999\n",
    "replicates float": HEAD + "replicates: 2.5\n",
    "replicates none": HEAD + "replicates:\n",
    "costs unknown": HEAD + "costs: pc2002\n",
    "geometry number": HEAD + "geometry: 386\n",
    "zip lengths": HEAD + "zip: {anon_pages: [1, 2], file_pages: [1, 2, 3]}\n",
    "zip unknown": HEAD + "zip: {anon_pags: [1], file_pages: [2]}\n",
    "zip value": HEAD + "zip:\n  - {anon_pages: [1, x], file_pages: [2, -3]}\n",
    "zip empty": HEAD + "zip: []\n",
    "zip nothing": HEAD + "zip: {}\n",
    "zip repeats": HEAD + "zip: {anon_pages: [5, 5], exec_ratio: [0, 0]}\n",
    "zip and sweep": HEAD + "sweep: {anon_pages: [7]}\nzip: {anon_pages: [1, 2], file_pages: [1, 2]}\n",
    "zip and fixed": h(workload="{tree: {anon_pages: 7}}", zip="{anon_pages: [1, 2], file_pages: [1, 2]}"),
    "zip population": HEAD + "zip: {tree: [{population: laptops}], anon_pages: [5]}\n",
    "points uneven": HEAD + "points: [{anon_pages: 5}, {exec_ratio: 0.5}]\n",
    "points no list": HEAD + "points: {anon_pages: 5}\n",
    "points value": HEAD + "points: [{anon_pages: 5, exec_ratio: 7}]\n",
    "points repeat": HEAD + "points: [{anon_pages: 5}, {anon_pages: 5}]\n",
    "points empty one": HEAD + "points: [{}]\n",
    "points geometry": HEAD + "points: [{geometry: arm}]\n",
    "sample nothing": HEAD + "sample: {}\n",
    "sample number": HEAD + "sample: 64\n",
    "sample method": HEAD + "sample: {method: sobel, points: 8, of: {exec_ratio: {from: 0, to: 1}}}\n",
    "sample power": HEAD + "sample: {method: sobol, points: 100, of: {exec_ratio: {from: 0, to: 1}}}\n",
    "sample range": HEAD
    + "sample: {points: 8, of: {anon_pages: {from: 9, to: 5}, "
    + "exec_ratio: {from: 0, to: 1, scale: log}, file_pages: {to: 9}}}\n",
    "sample scalar": HEAD + "sample: {points: 0, of: {anon_pages: 5, first: {from: 1, to: 2}, tree: []}}\n",
    "sample out of range": HEAD + "sample: {points: 4, of: {exec_ratio: {from: -1, to: 2}}}\n",
    "sample scale": HEAD + "sample: {points: 4, seed: -2, of: {exec_ratio: {from: 0, to: 1, scale: logs}}}\n",
    "exclude no list": HEAD + "exclude: {design: odf}\n",
    "exclude empty": HEAD + "exclude: [{}]\n",
    "exclude unknown": HEAD + "exclude: [{desing: odf}, {design: rmap25}]\n",
    "exclude value": HEAD
    + "exclude: [{anon_pages: many}, {exec_ratio: {from: 0.9, to: 0.1}}, {exec_ratio: {}}]\n",
    "exclude all": HEAD + "exclude: [{workload: tree}]\n",
    "exclude baseline": HEAD
    + "sweep: {exec_ratio: [0, 1]}\nexclude:\n  - {design: vfork}\n  - {design: linux24, exec_ratio: 0}\n",
    "exclude because": HEAD + "exclude: [{design: odf, because: 3}]\n",
    "only_when half": HEAD + "only_when: [{cells: {design: odf}}]\n",
    "only_when words": HEAD + "only_when: [odf]\n",
    "only_when never": HEAD + "only_when: [{cells: {workload: tree}, when: {exec_ratio: 0.123}}]\n",
    "include missing": "include: none.yaml\n" + HEAD,
    "include number": "include: 3\n" + HEAD,
    "include itself": "include: bad.yaml\n" + HEAD,
    "include faulty": "include: faulty.yaml\n" + HEAD + "sed: 1\n",
    "include broken": "include: [broken.yaml]\n" + HEAD,
    "include list file": "include: list.yaml\n" + HEAD,
    "joint for nobody": h(
        workload="{snapshot: {}, tree: {}}", zip="{children: [1, 2], library_sharing: [0, 1]}"
    ),
    "many kinds": h(
        designs="[linux24, linus_pdm]",
        geometri="i386",
        seed="1e6",
        replicates="3.7",
        costs="[pc-2002]",
        workload="{tree: {anon_pages: -5}}",
        sweep="{exec_ratio: []}",
        exclude="[{design: x}]",
    ),
}
AROUND = {"faulty.yaml": "seed: x\nreplicates: 0\n", "list.yaml": "- 1\n", "broken.yaml": "seed: [1\n"}


def found_in(message):
    """Return where each fault stands and what it is: lines without what is allowed and what to do."""
    return [re.split(r"; ", line.strip(), maxsplit=1)[0] for line in message.splitlines()[1:]]


def written_down(folder):
    """Return the content of ``bad_studies.txt``; ``folder`` is made the working directory."""
    os.chdir(folder)
    for name, text in AROUND.items():
        Path(name).write_text(text, encoding="utf-8")
    lines = []
    for name, text in STUDIES.items():
        Path("bad.yaml").write_text(text, encoding="utf-8")
        try:
            load_study(Path("bad.yaml"))
        except StudyError as error:
            lines += [f"# {name}", *found_in(str(error))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    file = Path(__file__).with_suffix(".txt").resolve()
    with tempfile.TemporaryDirectory() as scratch:
        file.write_text(written_down(scratch), encoding="utf-8")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
