"""Which trees a workload refuses, and how it says so."""

from __future__ import annotations

import pytest

from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import defaults
from simcore.workloads.shape import PROCESSES_MAX, shape_of, tree_fault


@pytest.mark.parametrize(
    "value",
    [
        {"depth": 0, "fan_out": 1}, {"depth": 16, "fan_out": 2 - 1},
        {"label": "x", "parents": [-1, 0, 0, 2], "names": ["a", "b", "c", "d"]},
    ],
)  # fmt: skip
def test_tree_fault__lets_both_forms_pass(value):
    """A complete tree and a measured one are allowed."""
    assert tree_fault(value) is None


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("phillips", ("'phillips' is not a process tree", "'fan_out'")),
        ({"depth": 2}, ("keys 'depth'", "write one of the two")),
        ({}, ("keys nothing",)),
        ({"depth": 2.0, "fan_out": 2}, ("depth is 2.0", "whole numbers from 0")),
        ({"depth": 2, "fan_out": 0}, ("fan_out is 0", "whole numbers from 1")),
        ({"depth": 30, "fan_out": 2}, (f"more than {PROCESSES_MAX} processes", "smaller depth or fan_out")),
        ({"label": 1, "parents": [-1], "names": ["a"]}, ("label is 1",)),
        ({"label": "x", "parents": -1, "names": "a"}, ("not a list",)),
        ({"label": "x", "parents": [], "names": []}, ("0 parents and 0 names",)),
        ({"label": "x", "parents": [-1, 0], "names": ["a"]}, ("2 parents and 1 names",)),
        ({"label": "x", "parents": [0], "names": ["a"]}, ("parents[0] is 0", "root first")),
        ({"label": "x", "parents": [-1, 1], "names": ["a", "b"]}, ("parents[1] is 1", "0 to 0 is allowed")),
        ({"label": "x", "parents": [-1, True], "names": ["a", "b"]}, ("parents[1] is True",)),
        ({"label": "x", "parents": [-1], "names": [None]}, ("names[0] is None",)),
    ],
)  # fmt: skip
def test_tree_fault__says_what_was_found_and_what_is_allowed(value, parts):
    """Every refusal names the value, the range and the remedy."""
    said = tree_fault(value)
    assert said is not None
    assert all(part in said for part in parts), said
    assert said.count(";") >= 2


def test_tree_fault__shortens_a_huge_value():
    """A value of a million entries is not printed whole."""
    assert len(str(tree_fault(list(range(10**6))))) < 300


def test_defaults__gives_every_parameter_once():
    """A study that is silent gets a value for each parameter."""
    workload = WORKLOADS["tree"]
    assert list(defaults(workload)) == [parameter.name for parameter in workload.parameters]
    assert len(set(defaults(workload))) == len(workload.parameters)


def test_workloads__are_listed_under_their_names():
    """The dictionary's keys are the workloads' own names."""
    assert all(name == workload.name for name, workload in WORKLOADS.items())


def test_shape_of__makes_a_complete_tree_level_by_level():
    """Two levels of three: the root's children are 1 to 3, theirs follow in order; a level runs one program."""
    shape = shape_of({"depth": 2, "fan_out": 3})
    assert shape.parents == [-1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert shape.names == ["level-0"] + ["level-1"] * 3 + ["level-2"] * 9
    assert shape.children()[:4] == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]


def test_shape_of__copies_a_measured_tree():
    """The shape is the study's own, and changing it leaves the study alone."""
    tree = {"label": "x", "parents": [-1, 0], "names": ["a", "b"]}
    shape = shape_of(tree)
    shape.names.append("c")
    assert tree["names"] == ["a", "b"]
