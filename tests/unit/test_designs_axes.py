"""A design is a row over axes: unknown values and combinations that mean nothing are refused with the reason."""

import pytest

from simcore import DESIGNS, Design
from simcore.designs import AXES, SHARING_AXES, axis_values, derived


def variant(base, **axes):
    """Return a shipped design with some axes changed."""
    return derived("mine", DESIGNS[base], axes)


@pytest.mark.parametrize("axis", AXES)
def test_axis__an_unknown_value_is_named_with_the_allowed_ones(axis):
    """The message lists the axis's values."""
    allowed = ", ".join(AXES[axis])
    with pytest.raises(
        ValueError, match=rf"^design 'mine': {axis} is 'sideways'; allowed are {allowed}; choose"
    ):
        variant("linus_pmd", **{axis: "sideways"})


MEANINGLESS = {
    "a linking design without a rule": (
        "linus_pmd",
        {"source": None, "charge": None},
        "fork links tables but source, charge is not said; sharing needs a rule for each; set them",
    ),
    "a copying design with one": (
        "linux24",
        {"zap": "whole"},
        "zap is set but fork never links a table; these axes speak of linked tables; leave them out or set",
    ),
    "a number without its rule": (
        "linus_pmd",
        {"more_than": 3},
        "more_than is 3 while fork is 'link'; a number of tables belongs to fork 'link_if_more_than' and to no other",
    ),
    "the rule without its number": (
        "mccracken_gt3",
        {"more_than": None},
        "more_than is None while fork is 'link_if_more_than'",
    ),
    "a negative number": (
        "mccracken_gt3",
        {"more_than": -1},
        "more_than is -1; whole numbers from 0 to 1048576 are allowed; write one",
    ),
    "a number that is a truth": (
        "mccracken_gt3",
        {"more_than": True},
        "more_than is True; whole numbers from 0 to 1048576 are allowed",
    ),
    "a source that was never protected": (
        "linus_pmd",
        {"source": "read_only"},
        "with source 'read_only' a sharer could write to a page it still shares; set source to 'wrprotect'",
    ),
    "a source that is protected already": (
        "phillips",
        {"source": "wrprotect"},
        (
            "wrprotect 'each_pte' has made the CoWable ptes of every linked table read-only, so source 'wrprotect' would "
            "find nothing to protect; set source to 'read_only'"
        ),
    ),
    "a last sharer that cannot know": (
        "phillips_mark",
        {"last_sharer": "copies"},
        (
            "last_sharer 'copies' needs to know that a table was shared before, which only a write-protected directory "
            "entry tells; set wrprotect to 'pmd' or last_sharer to 'reuse'"
        ),
    ),
    "faults through entries that nobody protects": (
        "phillips_sole",
        {"unshare_on": "any_fault"},
        "unshare_on 'any_fault' speaks of write-protected directory entries; set wrprotect to 'pmd' or unshare_on to",
    ),
    "deferred copying that shares": (
        "async_fork",
        {"zap": "whole"},
        (
            "copies for the child on a write or zap and has nobody else to share with; set wrprotect to 'pmd', "
            "unshare_on to 'write', last_sharer to 'reuse' and zap to 'unshare'"
        ),
    ),
    "reclaim along no mapping": (
        "linux24",
        {"reclaim": "rmap"},
        "reclaim 'rmap' needs a reverse mapping; set rmap to 'pte_chain' or 'object', or reclaim to 'scan'",
    ),
    "one chain element for many": (
        "linus_rmap",
        {"page_refs": "per_sharer"},
        (
            "a pte_chain has one element for each pte, so a linked table cannot count a page once per sharer; set "
            "page_refs to 'per_table' or rmap to 'object'"
        ),
    ),
    "tables found again, copied nevertheless": (
        "linux26",
        {"file_tables": "shared"},
        "tables shared through the file are found again by faults, so fork has no business with them; set inherit to",
    ),
}


@pytest.mark.parametrize("case", MEANINGLESS)
def test_combination__that_means_nothing_is_refused_with_the_reason(case):
    """What was found, why it means nothing, and what to set."""
    base, axes, reason = MEANINGLESS[case]
    with pytest.raises(ValueError) as refused:
        variant(base, **axes)
    assert str(refused.value).startswith("design 'mine': ")
    assert reason in str(refused.value)


def test_combination__all_its_faults_come_together():
    """Two rules are broken: both are told."""
    with pytest.raises(
        ValueError, match=r"source 'wrprotect' would find nothing.*; also: last_sharer 'copies'"
    ):
        variant("phillips", source="wrprotect", last_sharer="copies")


@pytest.mark.parametrize("wrong", ["link_if_more_than", "link"])
@pytest.mark.parametrize("changed", ["wrprotect", "unshare_on", "last_sharer"])
def test_deferred__each_of_its_rules_is_needed(wrong, changed):
    """fork: deferred stands with one value of each of these; other forks do not care."""
    value = {"wrprotect": "each_pte", "unshare_on": "write_and_read", "last_sharer": "copies"}[changed]
    more = {"source": "read_only"} if changed == "wrprotect" else {}
    with pytest.raises(ValueError, match="fork 'deferred' protects what is not copied yet"):
        variant("async_fork", **({changed: value} | more))
    variant("async_fork", fork=wrong, more_than=1 if wrong != "link" else None, **({changed: value} | more))


def test_sound__are_all_but_those_whose_source_may_stay_writable():
    """The two rows of the patch as it was; its repair is sound."""
    assert {name for name, row in DESIGNS.items() if not row.sound} == {"mccracken", "mccracken_gt3"}


def test_rows__say_a_rule_for_linked_tables_exactly_if_they_link():
    """No row leaves an axis open, none has a rule it cannot use."""
    for row in DESIGNS.values():
        said = {getattr(row, axis) is not None for axis in SHARING_AXES}
        assert said == {row.shares_tables}


def test_rows__use_every_value_of_every_axis_but_two():
    """The axes were made for the rows; two values are for designs of one's own."""
    used = {(axis, getattr(row, axis)) for row in DESIGNS.values() for axis in AXES}
    unused = {(axis, value) for axis, values in AXES.items() for value in values} - used
    assert unused == {("links", "all_but_stack"), ("last_sharer", "copies")}


def test_axis_values__tell_the_number_with_the_rule():
    """The row of the patch's small-parent rule: the number stands beside it."""
    assert axis_values(DESIGNS["mccracken_gt3"])["fork"] == "link_if_more_than 3"
    assert axis_values(DESIGNS["mccracken"])["fork"] == "link"


def test_derived__says_where_it_comes_from():
    """Prose and origin name the base and what was changed; it was never merged."""
    mine = variant("mainline", fault_around="none")
    assert isinstance(mine, Design)
    assert mine.prose == "mainline with fault_around: none."
    assert mine.origin.startswith("Defined in a study, from mainline: ")
    assert (mine.name, mine.merged, mine.fault_around, mine.inherit) == ("mine", False, "none", "unfaultable")
