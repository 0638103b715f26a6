"""What acts cost: nothing is forgotten, reverse mappings are what they are, and measured sums come out."""

from __future__ import annotations

import numpy as np
import pytest

from simcore import DESIGNS, GEOMETRIES, Mapping, TraceBuilder, VmaKind
from simcore.acts import ACT, ACTS
from simcore.costs import ASSUMED, COST_MODELS, PC_2002, UNPRICED, X86_64_2025, Cost, CostModel
from simcore.simulate import simulate

ONE = Cost(1.0, f"{ASSUMED}: one")
X86_64 = GEOMETRIES["x86-64"]
AREA = X86_64.mmap_vpn


@pytest.mark.parametrize("model", COST_MODELS.values(), ids=lambda model: model.name)
def test_shipped_model__prices_every_act_or_says_why_not(model):
    """No act is forgotten, and none that is said to cost nothing has a cost."""
    assert model.costs.keys() | UNPRICED.keys() == set(ACT)
    assert not model.costs.keys() & UNPRICED.keys()
    assert model.object_rmap.keys() == {"rmap_added", "rmap_removed"}
    assert model.prose.endswith(".")
    assert model.limits.endswith(".")


def test_models__go_by_their_own_names():
    """The dictionary's keys are the models' names."""
    assert all(name == model.name for name, model in COST_MODELS.items())


@pytest.mark.parametrize("where", ["costs", "object_rmap"])
@pytest.mark.parametrize(
    ("costs", "message"),
    [({"fork": ONE}, "unknown act 'fork'"), ({"forks": Cost(-1.0, "x")}, "forks costs -1.0 ns; 0 or more")],
)
def test_cost_model__refuses_what_is_no_cost(where, costs, message):
    """An act that does not exist and a negative cost are refused, in either table."""
    given = {"costs": {}, "object_rmap": {}} | {where: costs}
    with pytest.raises(ValueError, match=message):
        CostModel("mine", "", **given)


def test_vector__depends_on_the_reverse_mappings_of_a_design():
    """Where a model has other costs for object rmap, designs with it are priced by those, all others are not."""
    model = CostModel(
        "mine", "", {"forks": ONE, "rmap_added": Cost(9.0, "x")}, object_rmap={"rmap_added": ONE}
    )
    place = ACT["rmap_added"]
    assert [model.vector(rmap)[place] for rmap in ("none", "pte_chain", "object")] == [9.0, 9.0, 1.0]
    assert model.vector("object")[ACT["forks"]] == 1.0
    acts = np.zeros((2, len(ACTS)), np.int64)
    acts[:, place] = 1, 3
    assert model.ns(acts, "object").tolist() == [1.0, 3.0]
    assert model.ns(acts).tolist() == [9.0, 27.0]
    assert list(model.listed()) == ["forks", "rmap_added", "rmap_added (object rmap)"]
    assert model.under("object") == {"forks": ONE, "rmap_added": ONE}


def test_count_on_a_page__is_no_chain_element():
    """A reverse mapping is two orders of magnitude cheaper where it is but a count, in the machine of 2002."""
    chain, count = (PC_2002.under(rmap)["rmap_added"].ns for rmap in ("pte_chain", "object"))
    assert chain > 50 * count


def test_linux26__costs_about_what_linux24_does():
    """Copying a pte takes 421 ns in 2002 without reverse mappings, a few counts more with object rmap."""
    fork = {}
    for name in ("linux24", "rmap25", "linux26"):
        result = simulate(written_and_forked(1024), DESIGNS[name], X86_64, engine="oracle")
        fork[name] = float(PC_2002.ns(result.by_kind("fork"), DESIGNS[name].rmap))
    assert 1.0 < fork["linux26"] / fork["linux24"] < 1.1
    assert fork["rmap25"] / fork["linux24"] > 4


def written_and_forked(pages, *after):
    """Return a trace: pages are written, the process forks, and then what the functions do with the builder."""
    builder = TraceBuilder()
    builder.mmap(0, Mapping(AREA, pages, VmaKind.ANON))
    builder.write(0, AREA, pages)
    builder.fork(0, 1)
    for step in after:
        step(builder)
    return builder.build()


def ns(trace, kind):
    """Return what the events of a kind take under mainline on the server of 2025."""
    result = simulate(trace, DESIGNS["mainline"], X86_64, engine="oracle")
    return float(X86_64_2025.ns(result.by_kind(kind), "object"))


def test_2025__fork_takes_what_was_measured():
    """1.8 us a table and 0.10 us a pte: the slopes between a sparse and a full table, and between one and two."""
    one, full, two = (ns(written_and_forked(pages), "fork") for pages in (1, 512, 1024))
    assert (full - one) / 511 == pytest.approx(100)
    assert two - full - 512 * 100 == pytest.approx(1_800)


def test_2025__faults_take_what_was_measured():
    """A first write 1.8 us, a copy 2.5, a reuse 0.8; each is the second of two, so that no table is new."""
    assert slope("write_fault", written_and_forked, 1, 2) == pytest.approx(1_800)
    copies = [written_and_forked(9, lambda b, n=n: b.write(1, AREA, n)) for n in (1, 2)]
    assert ns(copies[1], "write_fault") - ns(copies[0], "write_fault") == pytest.approx(2_500)
    reuses = [written_and_forked(9, lambda b: b.exit(1), lambda b, n=n: b.write(0, AREA, n)) for n in (1, 2)]
    assert ns(reuses[1], "write_fault") - ns(reuses[0], "write_fault") == pytest.approx(800)
    assert slope("read_fault", lambda pages: mapped(VmaKind.ANON, pages, "read"), 1, 2) == pytest.approx(650)
    assert slope("write_fault", lambda pages: mapped(VmaKind.SHM, pages, "write"), 1, 2) == pytest.approx(
        2_200
    )


def test_2025__fault_around_takes_three_to_four_microseconds():
    """The second fault on a file maps 16 pages."""
    assert 3_000 < slope("read_fault", lambda n: mapped(VmaKind.FILE_PRIVATE, 16 * n, "read"), 1, 2) < 4_000


def test_2025__exit_takes_what_was_measured():
    """0.26 us for a page of one's own, 0.1 us for one that others hold too."""
    shared = [written_and_forked(pages, lambda b: b.exit(1)) for pages in (1, 512)]
    assert (ns(shared[1], "exit") - ns(shared[0], "exit")) / 511 == pytest.approx(100)

    def owned(pages):
        return written_and_forked(pages, lambda b: b.exit(1), lambda b: b.exit(0))

    both = ns(owned(512), "exit") - ns(owned(1), "exit")
    assert both / 511 - 100 == pytest.approx(260)


def slope(kind, trace_of, one, more):
    """Return how much longer the events of a kind take in one trace than in another."""
    return ns(trace_of(more), kind) - ns(trace_of(one), kind)


def mapped(kind, pages, verb):
    """Return a trace: something is mapped, and its first pages are touched."""
    builder = TraceBuilder()
    file = -1 if kind == VmaKind.ANON else 0
    builder.mmap(0, Mapping(AREA, 64, kind, writable=True, file=file))
    getattr(builder, verb)(0, AREA, pages)
    return builder.build()
