"""Print the numbers that docs/flagship.md discusses: python docs/flagship.py results/flagship.

With a folder behind it, the README's two figures are drawn there: python docs/flagship.py results/flagship docs/figures.
"""

import logging
import sys
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt

from pipeline import analysis

SHARING = [
    "odf",
    "odf_paper",
    "cow_pte",
    "cow_pte_v5",
    "async_fork",
]  # beside mainline, whose faults they have
OF_2002 = ["phillips", "phillips_sole", "phillips_mark", "linus_pmd"]  # beside linux24


def percent(ratio: float) -> str:
    """Return a ratio as what it is more or less than one."""
    return f"{100 * (ratio - 1):+.1f} %"


def section(title: str) -> None:
    """Begin a part of the output."""
    print(f"\n== {title}")


def ratios(df: pd.DataFrame, metric: str, baseline: str, designs: list[str], by: str) -> pd.DataFrame:
    """Return the median ratio of each design at each value of a column."""
    found = df.assign(ratio=analysis.paired(df, metric, baseline))
    found = found[found.design.isin(designs)].pivot_table(
        index=by, columns="design", values="ratio", aggfunc="median"
    )
    return found[[name for name in designs if name in found]]


def users(df: pd.DataFrame, baseline: str, designs: list[str], metric: str = "total_ns") -> None:
    """Print how users fare: the median with its interval, the share that loses with its interval, the worst of them."""
    typical = analysis.typical(df, metric, baseline)
    losers = analysis.losers(df, metric, baseline)
    each = analysis.users(df, metric, baseline)
    for name in designs:
        one, lost = typical.loc[name], losers.loc[name]
        own = each[each.design == name].ratio
        print(
            f"{name:15} median {percent(one.user_ratio)} ({percent(one.user_low)} to {percent(one.user_high)}), "
            "loses for "
            f"{100 * lost.share:.0f} % ({100 * lost.low:.0f} to {100 * lost.high:.0f} %) of {len(own)} users, "
            f"best {percent(own.min())}, worst {percent(own.max())}"
        )


def programs(df: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of profiles and recorded programs, named."""
    rest = df[~df.workload.isin(["tree", "snapshot", "adversary"])]
    return rest.assign(program=rest.workload.where(rest.workload != "recorded", rest.file.astype(str)))


def main(folder: str, df: pd.DataFrame) -> None:
    """Print every number."""
    pd.set_option("display.width", 160, "display.max_columns", 30, "display.float_format", "{:.3f}".format)
    chosen = df[df.workload != "adversary"]
    snapshots = df[(df.workload == "snapshot") & (df.parent_writes == 0)]
    machines = df[df.tree_measured.eq(other=True)]

    section("users: sharing beside mainline")
    users(machines, "mainline", [*SHARING, "shared_mmap", "mainline_vfork"])
    section("users: the designs of 2002 beside linux24")
    users(machines, "linux24", OF_2002)
    section("users: with pte_chains, beside rmap25")
    users(
        machines, "rmap25", ["phillips_rmap", "linus_rmap", "mccracken", "mccracken_gt3", "mccracken_fixed"]
    )
    section("users: page tables at their peak, beside mainline")
    users(machines, "mainline", [*SHARING, "shared_mmap"], "pgtable_bytes_max")

    section("1. fork and exec, and every profile: kernel time beside mainline")
    print(ratios(programs(df), "total_ns", "mainline", [*SHARING, "mainline_vfork"], "program"))
    section("1. the same, beside linux24")
    print(ratios(programs(df), "total_ns", "linux24", OF_2002, "program"))
    section("2. and 3. a bit per table, and write-protecting at the directory entry: beside phillips_sole")
    marked = ["phillips", "phillips_mark", "linus_pmd"]
    print(ratios(chosen, "total_ns", "phillips_sole", marked, "workload"))
    print(ratios(snapshots, "fork_ns_mean", "phillips_sole", marked, "anon_pages"))
    section("4. shared mappings: shared_mmap beside mainline")
    print(ratios(chosen, "total_ns", "mainline", ["shared_mmap"], "workload").T)
    section("5. reverse mappings: beside rmap25, and linus_rmap beside linux24")
    print(ratios(chosen, "total_ns", "rmap25", ["phillips_rmap", "linus_rmap", "linux26"], "workload").T)
    section("6. the worst: kernel time, one fork, one fault, beside mainline")
    for metric in ("total_ns", "creation_ns_mean", "fault_ns_mean"):
        worst = analysis.worst(df, metric, "mainline").loc[SHARING]
        print(metric, worst[["workload", metric, "ratio", "cell_id"]], sep="\n")
    section(
        "the size and exec ratio at which sharing pays: snapshot, its parent writes nothing, beside mainline"
    )
    found = analysis.crossover(snapshots, "total_ns", "mainline", "anon_pages", "exec_ratio")
    for name in ("odf_paper", "cow_pte"):
        print(name)
        print(
            found[found.design == name].pivot_table(index="exec_ratio", columns="anon_pages", values="ratio")
        )
    section("a parent that writes while its children live, none of which execs: snapshot, beside mainline")
    saving = df[(df.workload == "snapshot") & (df.exec_ratio == 0)]
    saving = saving.assign(ratio=analysis.paired(saving, "total_ns", "mainline"))
    for name in ("odf", "cow_pte", "cow_pte_v5"):
        print(name)
        print(
            saving[saving.design == name].pivot_table(
                index="parent_writes", columns="anon_pages", values="ratio"
            )
        )
    section("depth and library sharing: complete trees, beside mainline")
    grown = df[(df.workload == "tree") & ~df.tree_measured.eq(other=True)]
    for name in ("odf_paper", "cow_pte"):
        only = grown.assign(ratio=analysis.paired(grown, "total_ns", "mainline"))
        print(name)
        print(
            only[only.design == name].pivot_table(
                index="library_sharing", columns="tree_depth", values="ratio"
            )
        )
    section(
        "constructed worst cases: kernel time beside mainline, by adversary and design that it is against"
    )
    own = df[df.workload == "adversary"]
    print(ratios(own, "total_ns", "mainline", SHARING, "name"))
    section("latency: the longest fork and fault of each design, in us, over all cells")
    for event in ("fork", "read_fault", "write_fault"):
        tail = analysis.tail(folder, "x86-64-2025", event)
        print(event, (tail.groupby("design")["ns"].max() / 1000).round(1).to_dict())


LOOKS = {"cow_pte": "#0072b2", "cow_pte_v5": "#d55e00", "async_fork": "#7a5c00", "mainline_vfork": "#555555"}


def draw(df: pd.DataFrame, folder: Path) -> None:
    """Draw how users fare, and what size a process has for which sharing pays."""
    # matplotlib misses mathematical fonts, which nothing here needs.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "flagship", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    folder.mkdir(parents=True, exist_ok=True)
    each = analysis.users(df[df.tree_measured.eq(other=True)], "total_ns", "mainline")
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    axes.axvspan(1, 1.06, color="#f3dede", linewidth=0)
    axes.text(1.03, 0.03, "loses", ha="center")
    for name, colour in LOOKS.items():
        own = each[each.design == name].ratio.sort_values()
        axes.step(
            own, [(rank + 1) / len(own) for rank in range(len(own))], where="post", color=colour, label=name
        )
    axes.set(
        xlim=(0.5, 1.06), ylim=(0, 1.02), xlabel="kernel time, times mainline", ylabel="share of 39 machines"
    )
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(folder / "users.svg", metadata={"Date": None})
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    saved = df[df.workload == "snapshot"]
    for writes, line in ((0, "o-"), (64, "o--"), (4096, "o:")):
        by_size = ratios(
            saved[(saved.parent_writes == writes) & (saved.exec_ratio == 0)],
            "total_ns", "mainline", list(LOOKS) if writes == 0 else ["cow_pte"], "anon_pages",
        )  # fmt: skip
        for name in by_size:
            label = f"{name}, the parent writes {writes:,} pages" if writes else name
            axes.plot(by_size.index / 256, by_size[name], line, markersize=4, color=LOOKS[name], label=label)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(
        xscale="log", xlabel="memory of the process that forks, MB", ylabel="kernel time, times mainline"
    )
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(folder / "sizes.svg", metadata={"Date": None})


if __name__ == "__main__":
    rows = analysis.load(sys.argv[1])
    main(sys.argv[1], rows)
    if len(sys.argv) > 2:
        draw(rows, Path(sys.argv[2]))
