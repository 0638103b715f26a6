"""Reading pstree listings: the mail's tree by hand, ornaments one by one, repairs and refusals."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.errors import RefusedError
from pipeline.sources.listing import Listing, ListingError, read_listing
from pipeline.sources.shipped import SHIPPED, shipped_listing

# The tree as its author drew it, columns intact; the shipped file has lost its indentation.
INTACT = r"""
init-+-apache---8*[apache]
     |-apmd
     |-bash---bash---xinit-+-XFree86
     |                     `-xfwm-+-xfce---gnome-terminal-+-bash---pstree
     |                            |                       `-gnome-pty-helpe
     |                            `-xfgnome
     |-cardmgr
     |-cupsd---http
     |-5*[getty]
     |-gpm
     |-kapm-idled
     |-kdeinit---kdeinit
     |-5*[kdeinit]
     |-kdesud
     |-keventd
     |-kmail
     |-mozilla-bin---mozilla-bin---3*[mozilla-bin]
     |-portmap
     |-sshd
     `-xchat
"""
XFWM = "init/bash/bash/xinit/xfwm"
TERMINAL = f"{XFWM}/xfce/gnome-terminal"
BY_HAND = {
    "init": 1,
    "init/apache": 1, "init/apache/apache": 8,
    "init/apmd": 1,
    "init/bash": 1, "init/bash/bash": 1, "init/bash/bash/xinit": 1, "init/bash/bash/xinit/XFree86": 1,
    XFWM: 1, f"{XFWM}/xfce": 1, f"{XFWM}/xfgnome": 1,
    TERMINAL: 1, f"{TERMINAL}/bash": 1, f"{TERMINAL}/bash/pstree": 1, f"{TERMINAL}/gnome-pty-helpe": 1,
    "init/cardmgr": 1,
    "init/cupsd": 1, "init/cupsd/http": 1,
    "init/getty": 5,
    "init/gpm": 1,
    "init/kapm-idled": 1,
    "init/kdeinit": 6, "init/kdeinit/kdeinit": 1,
    "init/kdesud": 1, "init/keventd": 1, "init/kmail": 1,
    "init/mozilla-bin": 1, "init/mozilla-bin/mozilla-bin": 1, "init/mozilla-bin/mozilla-bin/mozilla-bin": 3,
    "init/portmap": 1, "init/sshd": 1, "init/xchat": 1,
}  # fmt: skip


def paths(listing: Listing) -> list[str]:
    """Return each node's names from the root down, joined by slashes."""
    found: list[str] = []
    for node in listing.nodes:
        found.append(node.name if node.parent < 0 else f"{found[node.parent]}/{node.name}")
    return found


def test_read_listing__gives_the_mails_tree_as_read_by_hand():
    """Every process of the shipped listing hangs where the intact drawing shows it, though its columns are gone."""
    listing = shipped_listing("phillips-2002")
    assert Counter(paths(listing)) == BY_HAND
    assert len(listing.nodes) == 50
    assert listing.threads == 0
    assert listing.warnings == ()


def test_read_listing__gives_the_same_nodes_with_and_without_indentation():
    """Columns carry nothing that the bars do not say: both drawings of the mail's tree give identical nodes."""
    assert read_listing(INTACT) == shipped_listing("phillips-2002")


def test_as_tree__leaves_kernel_threads_out_and_keeps_the_order():
    """48 user processes, the root first, parents before children; keventd and kapm-idled are gone."""
    tree = shipped_listing("phillips-2002").as_tree("phillips-2002")
    assert tree["label"] == "phillips-2002"
    assert len(tree["parents"]) == len(tree["names"]) == 48
    assert tree["parents"][0] == -1
    assert all(0 <= parent < process for process, parent in enumerate(tree["parents"]) if process)
    assert not {"keventd", "kapm-idled"} & set(tree["names"])
    assert tree["names"][tree["parents"][tree["names"].index("pstree")]] == "bash"


def test_shipped__names_the_publication_of_every_listing():
    """Each shipped text says where it was published and when; the first study's is the mail's."""
    assert len(SHIPPED) == 60
    assert all(name == listing.name and listing.published for name, listing in SHIPPED.items())
    assert all(1998 <= listing.year <= 2026 for listing in SHIPPED.values())
    assert "E16VsPE-0000DZ-00@starship.berlin" in SHIPPED["phillips-2002"].published


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a---2*[b---c]", {"a": 1, "a/b": 2, "a/b/c": 2}),
        ("a---2*[b---3*[c]]", {"a": 1, "a/b": 2, "a/b/c": 6}),
        ("a-+-2*[b-+-c]\n  |      `-d]\n  `-e", {"a": 1, "a/b": 2, "a/b/c": 2, "a/b/d": 2, "a/e": 1}),
        ("a---b[x]", {"a": 1, "a/b[x]": 1}),
        ("a---2*[b[x]]", {"a": 1, "a/b[x]": 2}),
    ],
)
def test_groups__multiply_everything_inside(text, expected):
    """N*[x] stands for N processes, and for N times whatever is drawn below x; only its own brackets go."""
    assert Counter(paths(read_listing(text))) == expected


def test_threads__are_counted_but_are_no_processes():
    """{x} is a thread, also in groups and with a pid; a group around a process multiplies its threads."""
    listing = read_listing("init-+-java---33*[{java}]\n     |-2*[db---{db}]\n     `-one---{one}(77)")
    assert Counter(paths(listing)) == {"init": 1, "init/java": 1, "init/db": 2, "init/one": 1}
    assert listing.threads == 33 + 2 + 1


@pytest.mark.parametrize(
    "text",
    [
        "init(1)-+-cron(154)\n        `-sshd(151)---bash(2506)",
        "init(1,root)-+-cron(154)\n             `-sshd(151)---bash(2506,ann)",
        "init-+-cron\n     `-sshd---bash(ann)",
        "init─┬─cron\n     └─sshd───bash",
        "> init-+-cron\n>      `-sshd---bash",
        "> > init-+-cron\n> >      `-sshd---bash",
        "init-+-cron\r\n     `-sshd---bash\r\n",
        "\n\ninit-+-cron\n\n     `-sshd---bash   \n\n",
        "init-+-cron\n\u00a0\u00a0\u00a0\u00a0\u00a0`-sshd---bash",
        "init-+-cron\n'-sshd---bash",
    ],
)
def test_ornaments__change_nothing(text):
    """Pids, users, UTF-8 lines, mail quoting, blank lines, hard spaces and a straight quote leave the tree as it is."""
    listing = read_listing(text)
    assert paths(listing) == ["init", "init/cron", "init/sshd", "init/sshd/bash"]
    assert listing.warnings == ()


def test_names__may_hold_blanks_parentheses_and_end_in_dashes():
    """A connector is the last three dashes, and what stands in parentheses goes only if a name is left."""
    listing = read_listing(
        "systemd-+-(sd-pam)\n|-gnome-settings----Isolated Web Co---g++\n`-gnome-keyring--+-a\n`-b"
    )
    assert paths(listing)[1:] == [
        "systemd/(sd-pam)",
        "systemd/gnome-settings-",
        "systemd/gnome-settings-/Isolated Web Co",
        "systemd/gnome-settings-/Isolated Web Co/g++",
        "systemd/gnome-keyring-",
        "systemd/gnome-keyring-/a",
        "systemd/gnome-keyring-/b",
    ]


def test_missing_root__is_put_back():
    """A listing that begins below its root gets one, and says so."""
    listing = read_listing("     |-cron\n     `-sshd-+-bash\n            `-sftp")
    assert paths(listing) == ["init", "init/cron", "init/sshd", "init/sshd/bash", "init/sshd/sftp"]
    assert [(warned.line, "root" in warned.text) for warned in listing.warnings] == [(1, True)]


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("     |-make---mak+", ["init/make", "init/make/mak"]),
        ("     |-compiz-+-+", ["init/compiz"]),
        ("     |-compiz-+++", ["init/compiz"]),
        ("     |-app---26+", ["init/app"]),
        ("     |-app---7*[{ap+", ["init/app"]),
        ("     |-app---2*[wor+", ["init/app", "init/app/wor", "init/app/wor"]),
    ],
)
def test_cut_lines__keep_what_can_be_read(cut, expected):
    """A line cut at the terminal's width gives the processes that can be seen, and a warning with its number."""
    listing = read_listing(f"init-+-cron\n{cut}\n     `-sshd")
    assert paths(listing) == ["init", "init/cron", *expected, "init/sshd"]
    assert [warned.line for warned in listing.warnings] == [2]


def test_text_around_a_tree__is_left_out():
    """Prose before and after the tree is no part of it; each side is told once."""
    listing = read_listing("Hello all,\n\nhere it is\n\ninit-+-cron\n     `-sshd\n\n--\nAnn---B\nC")
    assert paths(listing) == ["init", "init/cron", "init/sshd"]
    assert [warned.line for warned in listing.warnings] == [1, 8]


def test_second_tree__is_left_out():
    """A second root ends the first tree, so that its branches are not hung into the first."""
    listing = read_listing("init-+-cron\nsh-+-a\n`-b")
    assert paths(listing) == ["init", "init/cron"]
    assert [warned.line for warned in listing.warnings] == [2]


def test_line_without_branch__is_passed_over():
    """A stray line inside a tree is told and costs nothing else."""
    listing = read_listing("init-+-cron\n...\n     `-sshd")
    assert paths(listing) == ["init", "init/cron", "init/sshd"]
    assert [warned.line for warned in listing.warnings] == [2]


def test_too_many_bars__are_repaired():
    """A line with more bars than open branches becomes a child of the innermost open one, and is told."""
    listing = read_listing("init-+-cron\n| | | |-deep\n`-sshd")
    assert paths(listing) == ["init", "init/cron", "init/deep", "init/sshd"]
    assert "4 bars" not in listing.warnings[0].text
    assert "3 bars" in listing.warnings[0].text


def test_lonely_chain__is_a_tree():
    """A tree without any branch is one line."""
    assert paths(read_listing("sh---make---cc1")) == ["sh", "sh/make", "sh/make/cc1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no text"),
        (" \n\t\n", "no text"),
        ("hello world", "'hello world'"),
        ("init", "'init'"),
        ("# Title\n\n---\n\nSome prose --- with dashes.\n", "'# Title'"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", "'| a | b |'"),
        ("total 4\n-rw-r--r-- 1 ann ann 12 Jan  1 12:00 a\n", "'total 4'"),
        (".\n├── src\n│   └── main.c\n└── README\n", "'.'"),
    ],
)
def test_no_listing__is_refused_with_what_was_found(text, found):
    """A text that draws no tree is refused: what it begins with, what is allowed, what to do."""
    with pytest.raises(ListingError) as refused:
        read_listing(text)
    message = str(refused.value)
    assert message.startswith(f"{found if found == 'no text' else 'a text that begins with ' + found}")
    assert "the output of pstree, ps or systemd-cgls is allowed" in message
    assert "pstree -l > FILE" in message
    assert isinstance(refused.value, RefusedError)


@pytest.mark.parametrize(
    "text", ["a---999999*[b]", "a---1000*[b---1000*[c---1000*[d]]]", "a" + "---9*[b" * 30_000]
)
def test_huge_groups__are_refused_before_they_are_written_out(text):
    """A group that stands for more processes than any machine has is refused, however it is nested."""
    with pytest.raises(ListingError, match=r"line 1: with .* at most 100000 are allowed"):
        read_listing(text)


def test_group_of_absurd_size__is_left_out():
    """A number of hundreds of digits is no group; it is told, and the rest is read."""
    listing = read_listing(f"a-+-{'9' * 5000}*[b]\n  `-c")
    assert paths(listing) == ["a", "a/c"]
    assert [warned.line for warned in listing.warnings] == [1]


def test_listing_with_arguments__has_one_process_on_each_line():
    """pstree -a draws no connector: a line with as many bars as branches are open is a child of the line above."""
    text = "systemd\n  |-agetty -o -p tty1 linux\n  |-cron -f\n  |   `-cron -f\n  |       `-sh -c x\n  `-sshd -D\n"
    for drawn in (text, "\n".join(line.strip() for line in text.splitlines())):
        listing = read_listing(drawn)
        assert paths(listing) == [
            "systemd", "systemd/agetty", "systemd/cron", "systemd/cron/cron", "systemd/cron/cron/sh", "systemd/sshd",
        ]  # fmt: skip
        assert (listing.format, listing.warnings) == ("pstree -a", ())
