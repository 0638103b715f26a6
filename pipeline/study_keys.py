"""The keys of a study, as data: what each means, how it is written, what it is if it is left out.

``pipeline.study`` validates with them, ``pipeline.reference`` writes them down.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.includes import MAX_INCLUDES
from pipeline.joint_entries import MAX_SAMPLE

MAX_CELLS = 1_000_000  # all rows of a study are sorted in memory at about 5 kB each
MAX_REPLICATES = 10_000
MAX_SEED = 2**63 - 1
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
NAME_MEANING = "1 to 100 letters, digits, '.', '_' and '-', beginning with a letter or digit"


class Key(NamedTuple):
    """One key of a study.

    Parameters
    ----------
    name, form, meaning : str
        The key, how its value is written, and what it says.
    needed : bool
        Whether a study has to have it.
    default : Any
        Its value in a study without it, where that is one value.
    silent : str
        What a study without it is, where that is not one value.
    """

    name: str
    form: str
    meaning: str
    needed: bool = False
    default: Any = None
    silent: str = ""


TABLE = (
    Key("name", f"text: {NAME_MEANING}", "name of the study and of its dataset", needed=True),
    Key("question", "text", "what the study asks, in words", needed=True),
    Key("include", "a path or a list of paths",
        f"files whose keys this study has too, at most {MAX_INCLUDES}; what it says itself goes before",
        silent="nothing is included"),
    Key("designs", "a list of names, or a mapping from names to definitions", "what is compared", needed=True),
    Key("workload", "a name, or a mapping from names to fixed parameters", "what runs", needed=True),
    Key("sweep", "a mapping from axes to lists of values",
        "what is varied, each axis on its own; a workload's name holds axes for that one alone",
        silent="nothing is swept"),
    Key("zip", "a mapping from axes to lists of equal length, or a list of such mappings",
        "what is varied together: the first values, the second ones, and so on", silent="no zip"),
    Key("points", "a list of mappings from axes to values", "points, each written out", silent="no points"),
    Key("sample", "a mapping with method, points, seed and of",
        f"points drawn from ranges and lists, at most {MAX_SAMPLE:,}", silent="no sample"),
    Key("exclude", "a list of conditions", "cells that are left out", silent="nothing is left out"),
    Key("only_when", "a list of mappings with cells and when", "cells that run only when a condition holds",
        silent="all run"),
    Key("geometry", "a name", "page and table sizes", default="i386"),
    Key("thp", "`never`, `always` or `madvise`",
        "where anonymous memory may have transparent huge pages; x86-64 with `always` is the geometry x86-64-thp",
        default="never"),
    Key("costs", "a name", "cost model of the report; counts do not depend on it", default="pc-2002"),
    Key("seed", f"a whole number from 0 to {MAX_SEED}", "of everything that is drawn", default=0),
    Key("replicates", f"a whole number from 1 to {MAX_REPLICATES:,}",
        "each replicate of a point draws a trace of its own, with a seed derived from the trace's id", default=1),
    Key("baseline", "the name of one of the designs", "the design that the others are compared with",
        silent="`linux24`"),
    Key("floor", "the name of one of the designs, or `null` for none",
        "the design that cannot be undercut where it applies", silent="`vfork` if it is among the designs"),
)  # fmt: skip
KEYS = tuple(key.name for key in TABLE)
REQUIRED = tuple(key.name for key in TABLE if key.needed)
DEFAULTS: dict[str, Any] = {key.name: key.default for key in TABLE if key.default is not None}
