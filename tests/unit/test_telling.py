"""What a design does is told from its row: whatever differs in the row differs in the words."""

from __future__ import annotations

from itertools import combinations

import pytest

from simcore.designs import AXES, DESIGNS, SHARING_AXES, derived
from simcore.telling import MOMENTS, what_happens


def variants(base, axis):
    """Return the designs that differ from a shipped one on one axis alone, as far as that means something."""
    found = {}
    for value in AXES[axis]:
        more_than = {"more_than": 3 if value == "link_if_more_than" else None} if axis == "fork" else {}
        try:
            found[value] = derived("mine", DESIGNS[base], {axis: value} | more_than)
        except ValueError:
            continue
    return found


# No two designs differ in these values alone: fork by copy has no rule for linked tables, and what fork protects decides
# what the source of an unsharing copy is.
NEVER_ALONE = {("fork", "copy"), ("wrprotect", "pmd"), ("source", "read_only")}


@pytest.mark.parametrize("axis", AXES)
def test_axis__changes_the_words(axis):
    """Two designs that differ on one axis are told differently, and every value has such a pair."""
    met = {value for there, value in NEVER_ALONE if there == axis}
    for base in DESIGNS:
        found = variants(base, axis)
        for one, two in combinations(found, 2):
            assert what_happens(found[one]) != what_happens(found[two]), (base, one, two)
            met |= {one, two}
    assert met == set(AXES[axis])


def test_values_that_never_differ_alone__change_the_words_where_they_act():
    """Fork is told by what it copies and protects, the write fault by what becomes of the source."""
    copies, by_pte, by_pmd = (
        dict(what_happens(DESIGNS[name])) for name in ("linux24", "phillips_drop", "linus_pmd")
    )
    assert axes_apart("phillips_drop", "linus_pmd") == {"wrprotect", "source"}
    assert by_pte["fork"] != by_pmd["fork"]
    assert by_pte["write fault"] != by_pmd["write fault"]
    assert "The CoWable ptes of the source are read-only already." in by_pte["write fault"]
    assert copies["fork"] not in (by_pte["fork"], by_pmd["fork"])


def axes_apart(one, two):
    """Return the axes on which two shipped designs differ."""
    return {axis for axis in AXES if getattr(DESIGNS[one], axis) != getattr(DESIGNS[two], axis)}


def test_more_than__is_told():
    """The number of tables from which on fork links is part of the words."""
    four = derived("mine", DESIGNS["mccracken_gt3"], {"more_than": 4})
    assert "more than 4 populated leaf tables" in dict(what_happens(four))["fork"]


@pytest.mark.parametrize("design", DESIGNS)
def test_design__is_told_at_every_moment(design):
    """Each shipped design has whole sentences for each moment."""
    told = what_happens(DESIGNS[design])
    assert tuple(moment for moment, _ in told) == MOMENTS
    assert len(MOMENTS) == 7
    for _, sentences in told:
        assert sentences[0].isupper() or sentences.startswith(("munmap", "madvise"))
        assert sentences.endswith(".")
        assert not set("{}\n") & set(sentences)
        assert "  " not in sentences
        assert "None" not in sentences


def test_design__of_which_nothing_is_linked_is_told_without_linked_tables():
    """A design that copies at fork has no sentence about tables that fork links."""
    for design in DESIGNS.values():
        if not design.shares_tables:
            assert all(getattr(design, axis) is None for axis in SHARING_AXES)
            assert "linked" not in " ".join(sentences for _, sentences in what_happens(design))


@pytest.mark.parametrize(
    ("design", "moment", "words"),
    [
        ("linux24", "fork", "copies the parent's leaf tables pte by pte"),
        ("linux24", "fork", "the ptes of every vma"),
        ("linux24", "reclaim", "walks the ptes of one mm after another"),
        ("phillips", "fork", "makes CoWable ones read-only, whoever shares the table already"),
        ("phillips", "read fault", "filled once, for every mm that shares the table"),
        ("phillips", "write fault", "the next write to each page is a fault"),
        ("phillips", "exit", "one in which vmas end or begin is unshared"),
        ("linus_pmd", "fork", "clears write permission in the directory entries of both mms"),
        ("linus_pmd", "write fault", "CoWable ptes of the source that are still writable are made read-only"),
        ("linus_pmd", "write fault", "the directory entry is reopened, one fault a table"),
        ("linus_pmd", "exec", "in one pass over the address space; every linked table is dropped"),
        ("cow_pte", "fork", "vmas with an anon_vma alone"),
        ("cow_pte", "read fault", "A fault through a write-protected directory entry makes the table the mm's own"),
        ("cow_pte", "write fault", "a last sharer who reuses a table takes it over"),
        ("cow_pte_v5", "fork", "visits every pte of a linked table"),
        ("odf", "fork", "Only a table wholly inside one private anonymous vma is linked, heap and stack excepted"),
        ("odf", "write fault", "its CoWable ptes are made read-only first"),
        ("odf", "zap", "madvise(DONTNEED) does nothing"),
        ("odf", "exit", "counted in its VmPTE to the end"),
        ("async_fork", "fork", "Before the child runs for the first time it copies every table that is still linked"),
        ("async_fork", "write fault", "first gives each such child a copy"),
        ("async_fork", "zap", "unshared first, whatever part of it vanishes"),
        ("mainline", "fork", "vmas with an anon_vma alone"),
        ("mainline", "read fault", "the aligned block of 64 KiB around it"),
        ("mainline", "zap", "frees a table whose whole span one call covers"),
        ("mainline", "reclaim", "the vmas of its anon_vma or file"),
        ("mccracken", "fork", "A table that one writable shared mapping covers wholly is linked without any protection"),
        ("mccracken", "write fault", "only if its refcount is 2"),
        ("mccracken", "write fault", "its last sharer may then write to a page that a copy still maps"),
        ("mccracken", "reclaim", "found through its pte_chain"),
        ("mccracken_gt3", "fork", "If the parent has more than 3 populated leaf tables"),
        ("shared_mmap", "read fault", "this mm's slot is pointed to its table"),
        ("vfork", "fork", "it borrows the parent's mm"),
        ("vfork", "exec", "gives the borrowed mm back"),
    ],
)  # fmt: skip
def test_design__does_what_its_source_says(design, moment, words):
    """What distinguishes a design is said at the moment at which it happens."""
    assert words in dict(what_happens(DESIGNS[design]))[moment]
