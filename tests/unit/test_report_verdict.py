"""The verdict says what the data say, whatever they say."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.latency import flattened
from pipeline.report.digest import EVENTS, Digest
from pipeline.report.event_times import Timing
from pipeline.report.judged import champion
from pipeline.report.slices import slices
from pipeline.report.terminal import terminal_lines
from pipeline.report.verdict import verdict
from pipeline.schema import VECTOR_TYPE
from simcore.acts import ACT, EVENT_KINDS
from simcore.costs import PC_2002

GAP = "\N{NO-BREAK SPACE}"


# One act whose cost has a source, and one whose cost is assumed: times are made of these two.
SOURCED, ASSUMED = "ptes_copied_fork", "execs"


def digest(times, *, assumed=None, faults=None, **facts):
    """Return a digest of designs -> total ns per fork on trace 0, 1, ...; the exec ratio grows with the trace.

    ``assumed`` is the share of a design's time that assumed costs make up, ``faults`` the execs of its slowest fault.
    """
    rows = [
        {
            "cell_id": f"{design}-{trace}", "trace_id": f"t{trace}", "design": design, "workload": "tree",
            "geometry": "i386", "replicate": 0, "creations": 1, "exec_ratio": trace / 2, "total_ns": ns,
            "total_ns_per_fork": ns, "creation_ns_mean": ns / 2, "rest_ns_per_fork": ns / 2,
            **counts(ns, (assumed or {}).get(design, 0)),
        }
        for design, values in times.items()
        for trace, ns in enumerate(values)
    ]  # fmt: skip
    df = pd.DataFrame(rows)
    known = {"baseline": "linux24", "floor": "vfork", "parameters": ["exec_ratio"], "complete": True}
    df.attrs = known | facts
    vectors = [
        [{"event": "write_fault", "times": 1, "acts": [{"act": ASSUMED, "n": faults[name]}]}]
        if name in (faults or {})
        else []
        for name in df["design"]
    ]
    table = pa.table(
        {
            "cell_id": pa.array(df["cell_id"], pa.string()),
            "design": pa.array(df["design"], pa.string()),
            "vectors": pa.array(vectors, VECTOR_TYPE),
        }
    )
    timing = Timing(PC_2002, EVENTS)
    timing.add(table, list(flattened(table["vectors"])))
    return Digest(df, timing.found(), PC_2002)


def counts(ns, share):
    """Return how often each act and kind of event happened in a time, of which a share has assumed costs."""
    costs = PC_2002.costs
    made = {SOURCED: ns * (1 - share) / costs[SOURCED].ns, ASSUMED: ns * share / costs[ASSUMED].ns}
    return dict.fromkeys(ACT, 0.0) | made | {f"{kind}_count": 0 for kind in EVENT_KINDS}


def said(found):
    """Return the statements by heading, without no-break spaces."""
    return {heading: text.replace(GAP, " ") for heading, text in verdict(found)}


WINS = digest({"linux24": [1e6, 1e6], "phillips": [8e5, 9e5], "vfork": [5e5, 5e5]})
LOSES = digest(
    {"linux24": [1e6, 1e6], "phillips": [11e5, 13e5], "linus_pmd": [12e5, 12e5], "vfork": [5e5, 5e5]}
)
SAME = digest({"linux24": [1e6, 1e6], "phillips": [1.001e6, 1.002e6]})
MIXED = digest({"linux24": [1e6, 1e6], "phillips": [5e5, 7e5], "linus_pmd": [11e5, 25e5]})


def test_verdict__sharing_wins():
    """All sharing designs are cheaper: said with the size, the best cell and the way to the floor."""
    found = said(WINS)
    assert "sharing page tables wins (15 % less kernel time)." in found["In short"]
    assert "Over all 2 cells of the sweep: 20 % less to 10 % less." in found["In short"]
    assert "against `linux24`: less kernel time with `phillips` (15 % less" in found["Typical"]
    assert found["Worst"].startswith(
        "No loss in any of the 2 cells of this sweep; the worst: `phillips` needs 10 % less"
    )
    assert (
        "20 % less kernel time than `linux24`, \N{MINUS SIGN}200 µs a fork, at exec ratio 0" in found["Best"]
    )
    assert found["Against the floor"].endswith("`phillips` goes 30 % of that way.")


def test_verdict__sharing_loses():
    """All sharing designs are dearer: the worst cell is named with the command that replays it."""
    found = said(LOSES)
    assert "sharing page tables loses (20 % more kernel time)" in found["In short"]
    assert (
        "Worst of 2 cells of this sweep: `phillips` needs 30 % more kernel time than `linux24`"
        in found["Worst"]
    )
    assert "(`forkbench show phillips-1 --simulate`)" in found["Worst"]
    assert found["Best"].startswith("No gain in any cell of the sweep")
    assert "no sharing design comes nearer to it than the baseline does" in found["Against the floor"]


def test_verdict__no_difference():
    """Differences below half a percent are called none."""
    found = said(SAME)
    assert "sharing page tables makes no difference (the same kernel time)" in found["In short"]
    assert "no difference with `phillips` (the same" in found["Typical"]
    assert "Against the floor" not in found


def test_verdict__depends_on_the_design():
    """Winners come before losers; a multiple is called one."""
    found = said(MIXED)
    assert "wins with 1 and loses with 1 of 2 designs" in found["In short"]
    assert "less kernel time with `phillips` (40 % less" in found["Typical"]
    assert "more kernel time with `linus_pmd` (80 % more" in found["Typical"]
    assert "`linus_pmd` needs 2.5 times the kernel time of `linux24`" in found["Worst"]
    assert champion(MIXED) == "phillips"


def test_verdict__says_where_along_an_axis_it_pays():
    """The best design's lowest and highest median stand with the values at which they are."""
    found = said(MIXED)["Where it pays and where not"]
    assert "`phillips`, of these the design that does best" in found
    assert "loses to `linux24` in 0 % of 2 cells" in found
    assert found.endswith("What moves its median most is exec ratio (50 % less at 0, 30 % less at 0.5).")


def test_verdict__time_moved_adds_up():
    """What fork saves and what the rest gives back are told with their sum."""
    found = said(WINS)["Where the time goes"]
    assert "takes 425 µs under `phillips` and 500 µs under `linux24` (\N{MINUS SIGN}75.0 µs)" in found
    assert "all together \N{MINUS SIGN}150 µs a fork" in found


def test_verdict__chains_are_compared_with_chains():
    """A design with reverse mappings is compared with the eager copy that has them, not with the baseline."""
    times = {"linux24": [1e6], "rmap25": [2e6], "phillips_rmap": [1.5e6], "phillips": [9e5]}
    found = said(digest(times))
    assert "phillips_rmap" not in found["Typical"]
    assert found["Against other eager copies"] == (
        "Against `rmap25`, the eager copy most like them, on the typical cells: "
        "`phillips_rmap` 25 % less (worst cell: 25 % less)."
    )


def test_verdict__without_a_baseline():
    """Nothing is called better or worse; times are given, lowest first."""
    found = said(digest({"phillips": [2e6], "linus_pmd": [1e6]}))
    assert list(found) == ["Typical", "How sure"]
    assert "(median): `linus_pmd` 1.00 ms, `phillips` 2.00 ms" in found["Typical"]
    assert "baseline ran on none of them" in found["Typical"]


def test_verdict__of_one_design():
    """One design by itself has a time and no verdict."""
    found = said(digest({"phillips": [2e6]}, baseline="phillips", floor="phillips"))
    assert list(found) == ["Typical", "How sure"]
    assert "only one design ran" in found["Typical"]


def test_verdict__without_a_sharing_design():
    """Other designs are compared with the baseline as they are."""
    found = said(digest({"linux24": [1e6], "rmap25": [2e6], "vfork": [5e5]}))
    assert "against `linux24`: more kernel time with `rmap25` (2.0 times as much" in found["Typical"]
    assert "In short" not in found
    assert "`vfork`, the floor, needs 50 % less" in found["Against the floor"]
    assert "Where it pays and where not" not in found


def test_verdict__a_floor_that_is_none():
    """Where vfork is not cheaper, nobody is measured by the way to it."""
    found = said(digest({"linux24": [1e6], "phillips": [9e5], "vfork": [1e6]}))
    assert found["Against the floor"].endswith(
        "so it is no floor there: under `vfork` children that never exec are copied eagerly, so it is a floor for fork "
        "and exec only."
    )


def test_verdict__below_the_floor():
    """A design may need less than the floor where children do not exec; no share of the way is made up."""
    found = said(digest({"linux24": [1e6], "phillips": [5e5], "vfork": [9e5]}))["Against the floor"]
    assert "`phillips` needs still less (50 % less than the baseline): under `vfork`" in found


TURNS = digest({"linux24": [1e6] * 4, "phillips": [11e5, 12e5, 7e5, 6e5], "vfork": [5e5] * 4})


def test_verdict__tells_slices_apart_where_one_axis_decides():
    """Where a design goes from winning to losing along an axis, each side is judged by itself."""
    found = said(TURNS)
    assert [part.where for part in slices(TURNS)] == ["exec ratio 0.5", "exec ratio 1.5"]
    assert (
        "loses at exec ratio 0.5 (20 % more kernel time) and wins at exec ratio 1.5 (40 % less"
        in found["In short"]
    )
    assert found["Typical"].startswith("At exec ratio 0.5, on all cells")
    assert "\nAt exec ratio 1.5, on all cells" in found["Typical"]
    assert "`phillips` goes 80 % of that way" in found["Against the floor"]
    assert found["In short"].endswith("40 % less to 20 % more.")


def test_slices__are_one_where_nobody_changes_sides():
    """Without an axis along which a design wins and loses, or without a baseline, nothing is told apart."""
    assert slices(WINS) == [WINS]
    nobody = digest({"phillips": [2e6, 1e6]})
    assert slices(nobody) == [nobody]


def test_verdict__baseline_missing_on_some_traces():
    """In an unfinished study only traces that the baseline ran on are compared."""
    found = said(digest({"linux24": [1e6], "phillips": [2e6, 9e9]}))
    assert "more kernel time with `phillips` (2.0 times as much)" in found["Typical"]


def test_verdict__of_one_point_says_so():
    """A study that sweeps nothing has one point, and no axis is spoken of."""
    found = said(digest({"linux24": [1e6], "phillips": [2e6]}, parameters=[]))
    assert "at the only point of the study" in found["Worst"]
    assert "Where it pays and where not" not in found


def test_verdict__says_what_nearly_all_execs_cost():
    """Where exec ratio is swept, the short answer ends with each design at its highest value, cheapest first."""
    found = said(MIXED)["In short"]
    assert found.endswith(
        "At exec ratio 0.5, the highest swept (typical cells, medians): "
        "`phillips` 30 % less, `linus_pmd` 2.5 times as much."
    )
    assert "highest swept" not in said(digest({"linux24": [1e6], "phillips": [9e5]}))["In short"]


def test_verdict__slowest_fault():
    """The baseline's slowest fault stands beside the slowest of the designs judged against it; chains are apart."""
    times = {name: [1e6] for name in ("linux24", "rmap25", "phillips", "linus_pmd", "linus_rmap")}
    faults = {"linux24": 1, "rmap25": 2, "phillips": 3, "linus_pmd": 4, "linus_rmap": 9}
    found = digest(times, faults=faults)
    assert said(found)["Slowest fault"] == (
        "300 µs under `linux24`, 1.20 ms under `linus_pmd`. Of the others, 900 µs under `phillips`. "
        "With pte_chains, 600 µs under `rmap25`, 2.70 ms under `linus_rmap`."
    )
    second = terminal_lines(found)[1].replace(GAP, " ")
    assert second.endswith("Slowest fault: 300 µs under linux24, 1.20 ms under linus_pmd.")


@pytest.mark.parametrize(
    ("designs", "facts", "text"),
    [
        (["phillips"], {"baseline": "phillips"}, "300 µs under `phillips`."),
        (
            ["phillips", "linus_pmd"],
            {},
            "300 µs under `phillips`. Of the others, 300 µs under `linus_pmd`.",
        ),
        (["linux24", "rmap25"], {}, "300 µs under `linux24`, 300 µs under `rmap25`."),
        (["linux24", "vfork"], {}, "300 µs under `linux24`, 300 µs under `vfork`."),
    ],
    ids=["one design", "no baseline", "no sharing", "baseline and floor"],
)
def test_verdict__slowest_fault_of_a_degenerate_study(designs, facts, text):
    """Without a baseline or a sharing design the times are told as they are."""
    found = digest({name: [1e6] for name in designs}, faults=dict.fromkeys(designs, 1), **facts)
    assert said(found)["Slowest fault"] == text


def test_verdict__without_faults():
    """Where nothing faults, no slowest fault is spoken of."""
    assert "Slowest fault" not in said(WINS)
    assert "Slowest fault" not in terminal_lines(WINS)[1]


def test_verdict__says_what_survives_other_assumptions():
    """Designs that keep their side with assumed costs half and double are told from those that change it."""
    times = {"linux24": [1e6], "phillips": [9e5], "linus_pmd": [8e5]}
    found = said(digest(times, assumed={"phillips": 0.5}))["How sure"]
    assert "these verdicts keep their side: `linus_pmd` (less)" in found
    assert "these change it: `phillips` (less; less at half, more at double)." in found
    assert "Assumed costs make up 17 % of the kernel time on the typical cells." in found
    assert "`pc-2002` stands for the machine of its name, not for the reader's: A 1 GHz Pentium III" in found


def test_verdict__sure_of_nothing_without_a_baseline():
    """Without a baseline no side is spoken of; the share of assumed costs still is."""
    found = said(digest({"phillips": [2e6], "linus_pmd": [1e6]}, assumed={"phillips": 0.75}))["How sure"]
    assert found.startswith("Assumed costs make up 50 % of the kernel time")


def test_verdict__of_one_cell():
    """One cell is not counted in the plural."""
    found = said(digest({"linux24": [1e6], "phillips": [9e5]}))
    assert "Over the only cell of the sweep" in found["In short"]
    assert found["Worst"].startswith("No loss in the only cell of this sweep")


def test_verdict__names_the_axes_that_move_it_most():
    """Of several axes the two that move the best design's median furthest are named, the furthest first."""
    found = digest(
        {"linux24": [1e6] * 4, "phillips": [5e5, 6e5, 7e5, 9e5]}, parameters=["exec_ratio", "b", "c", "d"]
    )
    trace = found.df["trace_id"].str[1:].astype(int)
    found.df[["b", "c", "d"]] = pd.DataFrame({"b": trace % 2, "c": trace // 2, "d": trace * 0})
    text = said(found)["Where it pays and where not"]
    assert (
        "most is exec ratio (50 % less at 0, 10 % less at 1.5) and c (45 % less at 0, 20 % less at 1)."
        in text
    )


def test_verdict__a_floor_that_is_undercut():
    """Where sharing needs less than vfork, the sentence says for what vfork is a floor."""
    found = said(digest({"linux24": [1e6], "phillips": [7e5], "vfork": [8e5]}))["Against the floor"]
    assert found.endswith(
        "`phillips` needs still less (30 % less than the baseline): under `vfork` children that never exec are "
        "copied eagerly, so it is a floor for fork and exec only."
    )
    other = said(digest({"linux24": [1e6], "phillips": [7e5], "linus_pmd": [8e5]}, floor="linus_pmd"))
    assert other["Against the floor"].endswith("`phillips` needs still less (30 % less than the baseline).")


def test_terminal_lines__are_three_and_plain():
    """Always three lines, without markup."""
    for found in (WINS, LOSES, SAME, MIXED, digest({"phillips": [2e6]}, baseline=None, floor=None)):
        lines = terminal_lines(found)
        assert len(lines) == 3
        assert all(lines)
        assert not any("`" in line or "\n" in line for line in lines)
