"""Every format that a listing comes in, drawn of one small machine: each gives the tree that the machine has."""

from __future__ import annotations

import html
import re

import pytest

from pipeline.sources.cleaning import decoded
from pipeline.sources.listing import CGROUPS, FLAT, Listing, ListingError, read_listing

# The machine: init starts cron, a login whose shell runs ps, and a database with a writer.
TREE = [
    "init", "init/cron", "init/cron/cron", "init/cron/cron/sh", "init/login", "init/login/bash", "init/login/bash/ps",
    "init/postgres", "init/postgres/postgres",
]  # fmt: skip
PSTREE = """\
init-+-cron---cron---sh
     |-login---bash---ps
     `-postgres-+-postgres
                |-{postgres}
                `-2*[{postgres}]
"""
WITH_ARGUMENTS = """\
init splash
  |-cron -f
  |   `-cron -f
  |       `-sh -c backup--full---now
  |-login -p
  |   `-bash
  |       `-ps -ef
  `-postgres -D /srv/db
      |-postgres
      |-{postgres}
      `-2*[{postgres}]
"""
PS_EF = """\
UID        PID  PPID  C STIME TTY          TIME CMD
root         1     0  0 Oct25 ?        00:00:03 /sbin/init splash
root         2     0  0 Oct25 ?        00:00:00 [kthreadd]
root         3     2  0 Oct25 ?        00:00:00 [kworker/0:1]
root       400     1  0 Oct25 ?        00:00:00 /usr/sbin/cron -f
root       401   400  0 Oct25 ?        00:00:00 /usr/sbin/CRON -f
root       402   401  0 10:25 ?        00:00:00 /bin/sh -c backup
root       500     1  0 10:25 tty1     00:00:00 login -- ann
ann        510   500  0 10:25 tty1     00:00:00 -bash
ann        520   510  0 10:26 tty1     00:00:00 ps -ef
postgres   600     1  0 Oct25 ?        00:01:00 /usr/lib/postgresql/17/bin/postgres -D /srv/db
postgres   601   600  0 Oct25 ?        00:00:00 postgres: writer
""".replace("CRON", "cron")
PS_AXJF = """\
 PPID   PID  PGID   SID TTY      TPGID STAT   UID   TIME COMMAND
    0     2     0     0 ?           -1 S        0   0:00 [kthreadd]
    2     3     0     0 ?           -1 I<       0   0:00  \\_ [kworker/0:1]
    0     1     1     1 ?           -1 Ss       0   0:03 /sbin/init splash
    1   400   400   400 ?           -1 Ss       0   0:00 /usr/sbin/cron -f
  400   401   400   400 ?           -1 S        0   0:00  \\_ /usr/sbin/cron -f
  401   402   402   402 ?           -1 Ss       0   0:00      \\_ /bin/sh -c backup
    1   500   500   500 tty1       520 Ss       0   0:00 login -- ann
  500   510   510   500 tty1       520 S     1000   0:00  \\_ -bash
  510   520   520   500 tty1       520 R+    1000   0:00      \\_ ps axjf
    1   600   600   600 ?           -1 Ss     105   1:00 /usr/lib/postgresql/17/bin/postgres -D /srv/db
  600   601   601   601 ?           -1 Ss     105   0:00  \\_ postgres: writer
"""
PS_AUXF = """\
USER       PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND
root         2  0.0  0.0      0     0 ?        S    Oct25   0:00 [kthreadd]
root         3  0.0  0.0      0     0 ?        I<   Oct25   0:00  \\_ [kworker/0:1]
root         1  0.0  0.1 102124 11628 ?        Ss   Oct25   0:03 /sbin/init splash
root       400  0.0  0.0   9000  2800 ?        Ss   Oct25   0:00 /usr/sbin/cron -f
root       401  0.0  0.0   9000  3000 ?        S    Oct25   0:00  \\_ /usr/sbin/cron -f
root       402  0.0  0.0   2600   700 ?        Ss   10:25   0:00      \\_ /bin/sh -c backup
root       500  0.0  0.0   6000  4000 tty1     Ss   10:25   0:00 login -- ann
ann        510  0.0  0.0   8000  5000 tty1     S    10:25   0:00  \\_ -bash
ann        520  0.0  0.0   9800  3300 tty1     R+   10:26   0:00  |   \\_ ps auxf
postgres   600  0.0  0.4 213000 29000 ?        Ss   Oct25   1:00 /usr/lib/postgresql/17/bin/postgres -D /srv/db
postgres   601  0.0  0.1 213000  8000 ?        Ss   Oct25   0:00  \\_ postgres: writer
"""
SIZES = [11628, 2800, 3000, 700, 4000, 5000, 3300, 29000, 8000]
KERNEL = ["init/kthreadd", "init/kthreadd/kworker/0:1"]


def paths(listing: Listing) -> list[str]:
    """Return the names of each user process from the root down, joined by slashes."""
    parents, names = listing.user_processes()
    found: list[str] = []
    for parent, name in zip(parents, names, strict=True):
        found.append(name if parent < 0 else f"{found[parent]}/{name}")
    return found


def test_machine__is_the_same_in_every_format():
    """Drawn, with arguments, as tables with PPID and as a forest: one tree; kernel threads are told apart."""
    for text in (PSTREE, WITH_ARGUMENTS, PS_EF, PS_AXJF, PS_AUXF):
        listing = read_listing(text)
        assert paths(listing) == TREE, listing.format
        assert listing.warnings == ()
        assert listing.threads == (3 if "{" in text else 0)
        assert len(listing.nodes) - len(TREE) == (0 if "{" in text else 2)


@pytest.mark.parametrize("options", [["p"], ["u"], ["p", "u"]])
def test_pids_and_users__are_no_part_of_a_name(options):
    """pstree -p, -u and both, with and without -a: name(pid,user) in a drawing, name,pid,user before arguments."""
    ids = iter(range(1, 99))

    def marks() -> str:
        return ",".join(str(next(ids)) if option == "p" else "ann" for option in options)

    names = "init|cron|sh|login|bash|ps|postgres"
    drawn = re.sub(rf"\b(?:{names})\b(?!\}})", lambda found: f"{found[0]}({marks()})", PSTREE)
    listed = re.sub(
        rf"^([ |`-]*)({names})\b", lambda found: f"{found[0]},{marks()}", WITH_ARGUMENTS, flags=re.MULTILINE
    )
    assert paths(read_listing(drawn)) == TREE
    assert paths(read_listing(listed)) == TREE


def test_name_with_blanks__is_whole_where_a_pid_ends_it():
    """With arguments a name ends at its first blank, unless a pid says where it ends."""
    listing = read_listing("systemd,1\n  |-Isolated Web Co,77 -contentproc\n  `-(sd-pam),9\n")
    assert paths(listing)[1:] == ["systemd/Isolated Web Co", "systemd/(sd-pam)"]


def vt100(text: str) -> str:
    """Return a drawing in the line characters of a VT100, as pstree -G prints it."""
    signs = {"-+-": "qwq", "---": "qqq", "|-": "tq", "`-": "mq", "| ": "x"}
    return re.sub(
        r"-\+-|---|\|-|`-|\| ",
        lambda found: f"\x1b(0\x0f{signs[found[0]]}\x1b(B" + " " * (found[0] == "| "),
        text,
    )


def utf8(text: str) -> str:
    """Return a drawing in UTF-8, as pstree -U prints it."""
    for sign, drawn in {"-+-": "─┬─", "---": "───", "|-": "├─", "`-": "└─", "| ": "│ "}.items():
        text = text.replace(sign, drawn)
    return text


WAYS = {
    "VT100": vt100,
    "VT100 without escapes": lambda text: vt100(text).replace("\x1b", "").replace("\x0f", ""),
    "UTF-8": utf8,
    "UTF-8 read as Windows-1252": lambda text: utf8(text).encode().decode("cp1252"),
    "UTF-8 read as Latin-1": lambda text: utf8(text).encode().decode("latin-1"),
    "UTF-8 read as Mac Roman": lambda text: utf8(text).encode().decode("mac-roman"),
    "HTML entities": lambda text: "<pre>" + html.escape(text).replace("|", "&#124;").replace("-", "&#x2d;"),
    "HTML, line breaks": lambda text: text.replace(" ", "&nbsp;").replace("\n", "<br>\n"),
    "HTML, nothing but line breaks": lambda text: text.replace("\n", "<br />"),
    "indentation stripped": lambda text: "\n".join(line.strip() for line in text.splitlines()),
    "blanks collapsed": lambda text: "\n".join(re.sub(" +", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "quoted twice, in HTML": lambda text: "".join(f"&gt; &gt; {line}\n" for line in text.splitlines()),
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "colours": lambda text: re.sub(r"([a-z]{3,})", "\x1b[1m\\1\x1b[0;22m", text),
    "word processor": lambda text: text.replace("---", "—").replace("`", "‘"),  # noqa: RUF001
}


@pytest.mark.parametrize("way", WAYS)
def test_drawing__survives_what_is_done_to_it(way):
    """Line characters of terminals, wrong encodings, HTML, mail and archives leave a drawing as it is."""
    for text in (PSTREE, WITH_ARGUMENTS):
        if way == "word processor" and text is WITH_ARGUMENTS:
            continue  # its arguments hold dashes that are no connector
        listing = read_listing(WAYS[way](text))
        assert paths(listing) == TREE
        assert listing.threads == 3
        assert listing.warnings == ()


@pytest.mark.parametrize(
    "way",
    [
        "HTML, line breaks", "HTML, nothing but line breaks", "blanks collapsed", "indentation stripped", "quoted",
        "quoted twice, in HTML", "double spaced", "carriage returns", "colours",
    ],
)  # fmt: skip
def test_table__survives_what_is_done_to_it(way):
    """A table with PPID needs no columns: it is read whatever became of its blanks."""
    for text in (PS_EF, PS_AXJF):
        listing = read_listing(WAYS[way](text))
        assert paths(listing) == TREE
        assert listing.warnings == ()


def test_forest__takes_depth_from_bars_once_its_indentation_is_gone():
    """Without blanks a forest tells depth by bars alone; that it may be deeper is told."""
    listing = read_listing(WAYS["blanks collapsed"](PS_AUXF))
    assert "init/login/ps" not in paths(listing)
    assert "init/login/bash/ps" in paths(listing)  # its bar is left
    assert [warned.line for warned in listing.warnings] == [2]
    assert "the indentation is lost" in listing.warnings[0].text


def test_forest__keeps_its_columns_where_one_is_filled_up():
    """A left-aligned column before the command is filled with blanks that are no indentation."""
    rows = [
        ("2", "-", "[kthreadd]"), ("3", "-", " \\_ [rcu_gp]"), ("1", "0::/init", "/sbin/init"),
        ("9", "0::/a.slice", "sshd -D"), ("10", "0::/a", " \\_ sshd: ann"), ("11", "0::/a", "     \\_ -bash"),
    ]  # fmt: skip
    text = "PID CGROUP             COMMAND\n" + "\n".join(f"{a:>3} {b:<18} {c}" for a, b, c in rows)
    assert paths(read_listing(text)) == ["init", "init/sshd", "init/sshd/sshd", "init/sshd/sshd/bash"]


def test_files__are_utf_8_or_utf_16():
    """A file that Windows wrote is read as well; other bytes do no harm to what can be read."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert paths(read_listing(decoded(utf8(PSTREE).encode(encoding)))) == TREE
    assert paths(read_listing(decoded(PSTREE.encode() + b"\n\xff\xfe\n"))) == TREE


def test_blanks_alone__draw_a_forest():
    """ps -H draws no sign: two blanks a storey; a stray one in a flat table draws nothing."""
    told = ["  PID   TTY   TIME CMD"]
    for line in PS_AXJF.splitlines()[1:]:
        pid, command = line.split()[1], line[PS_AXJF.index("COMMAND") :]
        storey = 2 * (command.index("\\_") // 4 + 1) if "\\_" in command else 0
        told.append(f"{pid:>5} ?  00:00:00 {' ' * storey}{command.lstrip(' |_' + chr(92))}")
    assert paths(read_listing("\n".join(told))) == TREE
    flat = "PID RSS CMD\n1 9 init\n2 9   a\n3 9 b\n4 9 c\n"
    assert read_listing(flat).shape == FLAT


def test_sizes__are_those_of_the_table():
    """RSS is the resident size in KiB, of user processes; a drawing has none."""
    assert read_listing(PS_AUXF).resident_kib() == SIZES
    assert set(read_listing(PS_EF).resident_kib()) == {None}


def test_flat_table__has_memory_figures_and_no_tree():
    """ps aux: sizes of the same processes, no parents; as a tree it is refused with what would do."""
    flat = re.sub(r"(?: \||   ) *\\_ ?|  \\_ ", " ", PS_AUXF).replace("  \\_ ", " ")
    listing = read_listing(flat)
    assert (listing.shape, listing.resident_kib()) == (FLAT, SIZES)
    assert {node.parent for node in listing.nodes[1:]} == {0}
    with pytest.raises(
        ListingError, match=r"^ps, flat .*: memory figures, and nothing about .*; .* ps -ef > FILE"
    ):
        listing.as_tree("flat")


def test_threads__are_folded_into_their_process():
    """ps -eLf has a row for each thread: those of one PID are one process."""
    head, *rows = PS_EF.splitlines()
    told = [head.replace("PPID ", "PPID   LWP ")]
    for row in rows:
        user, pid, rest = row.split(None, 2)
        ppid, rest = rest.split(None, 1)
        told += [
            f"{user} {pid} {ppid} {int(pid) + extra} {rest}" for extra in range(3 if pid == "600" else 1)
        ]
    listing = read_listing("\n".join(told))
    assert paths(listing) == TREE
    assert listing.threads == 2


def test_android_table__has_a_column_without_heading():
    """The ps of Android before 8 prints the state and does not head it."""
    text = (
        "USER     PID   PPID  VSIZE  RSS     WCHAN    PC        NAME\n"
        "root      1     0     9044   864   002d5f30 004370f0 S /init\n"
        "root      2     0     0      0     002383d4 00000000 S kthreadd\n"
        "root      3     2     0      0     0023ea90 00000000 S ksoftirqd/0\n"
        "root      700   1     90440  8640  ffffffff 99fb6870 S zygote64\n"
        "u0_a1     900   700   80440  9640  ffffffff 99fb6870 S com.example.mail\n"
    )
    listing = read_listing(text)
    assert paths(listing) == ["init", "init/zygote64", "init/zygote64/com.example.mail"]
    assert listing.resident_kib() == [864, 8640, 9640]


def test_command_in_the_middle__ends_where_the_next_columns_begin():
    """ps -eo pid,ppid,cmd,%mem has columns on both sides of the command."""
    text = "  PID  PPID CMD                         %MEM %CPU\n    1     0 /sbin/init splash            0.1  0.0\n"
    listing = read_listing(text + "   40     1 /usr/sbin/sshd -D            0.1  0.0\n")
    assert paths(listing) == ["init", "init/sshd"]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/sbin/sshd -D", "sshd"), ("-bash", "bash"), ("sshd: ann [priv]", "sshd"), ("init [3]", "init"),
        ("postgres: 17/main: writer", "postgres"), ("@dbus-daemon --system", "dbus-daemon"), ("(sd-pam)", "(sd-pam)"),
        ("./a.out", "a.out"), ("[sh] <defunct>", "sh"), ("sh <defunct>", "sh"), ("-", "-"), ("/", "/"),
    ],
)  # fmt: skip
def test_command__gives_the_name_of_its_program(command, name):
    """Of a command line the program's own name is left, without path, dash of a login shell and colon."""
    listing = read_listing(f"PID PPID CMD\n1 0 /sbin/init\n2 1 {command}\n")
    assert paths(listing) == ["init", f"init/{name}"]


def test_zombie__is_a_user_process():
    """A zombie stands in brackets like a kernel thread, but it was forked by a user process."""
    listing = read_listing(PS_AUXF + "ann 700 0.0 0.0 0 0 ? Z 10:26 0:00 [make] <defunct>\n")
    assert paths(listing) == [*TREE, "init/make"]
    assert listing.resident_kib() == [*SIZES, None]


def test_cut_rows__keep_their_place():
    """Rows cut at the terminal's width lose arguments only."""
    assert paths(read_listing("\n".join(line[:84] for line in PS_EF.splitlines()))) == TREE


def test_rows_wrapped_by_a_terminal__are_put_together():
    """The rest of a wrapped row is no process, also where it begins with a number like one; each is told."""
    lines = [line[at : at + 66] for line in PS_EF.splitlines() for at in range(0, len(line), 66)]
    listing = read_listing("\n".join(lines))
    assert paths(listing) == TREE
    assert [warned.line for warned in listing.warnings] == [12]
    tables = "PID PPID CMD\n  1    0 init 0123456789\n  2    1 a\n  3    1 long 0123456789\n44 1 x\nrest\n  5    1 b\n"
    wrapped = tables.replace("0123456789\n44", "0123456789\nand\n  4    1 long 0123456789\n44")
    assert paths(read_listing(wrapped)) == ["init", "init/a", "init/long", "init/long", "init/b"]


def test_rows_wrapped_by_mail__are_put_together():
    """A row that was broken before its command gets it from the next line."""
    broken = PS_EF.replace(
        "00:00:00 /usr/sbin/cron -f\nroot       401", "00:00:00\n/usr/sbin/cron -f\nroot       401"
    )
    listing = read_listing(broken.replace("TIME CMD", "TIME\nCMD"))
    assert paths(listing) == TREE
    assert [warned.line for warned in listing.warnings] == [7]


def test_drawing_wrapped__is_put_together():
    """A branch that mail put behind its bars, and a name that a terminal broke, come back; each is told."""
    name = "gnome-terminal-server"
    long = f"init-+-cron\n     |-{name}---{name}---{name}"
    listing = read_listing(f"{long}-wi\nth-tail\n     `-sshd\n")
    assert paths(listing)[-2:] == [f"init/{name}/{name}/{name}-with-tail", "init/sshd"]
    assert [warned.line for warned in listing.warnings] == [3]
    names = ["a" * 20, "b" * 20, "c" * 20]
    deep = f"{names[0]}-+-{names[1]}-+-{names[2]}-+-x\n{' ' * 21}|{' ' * 22}|{' ' * 22}`-y\n{' ' * 21}`-z"
    broken = deep.replace(f"{' ' * 22}`-y", "\n`-y")
    assert paths(read_listing(broken)) == paths(read_listing(deep))


def test_missing_header__is_told():
    """Rows without their header are read as the usual table that they fit."""
    for text in (PS_EF, PS_AXJF, PS_AUXF):
        listing = read_listing("\n".join(text.splitlines()[1:]))
        assert paths(listing) == TREE
        assert "the header is missing" in listing.warnings[0].text


def test_missing_root__is_put_back():
    """Where PID 1 is not listed the processes without a listed parent hang below one that stands for it."""
    rows = [line for line in PS_EF.splitlines() if not line.startswith("root         1 ")]
    listing = read_listing("\n".join(rows))
    assert paths(listing) == TREE
    assert [warned.text for warned in listing.warnings] == [
        "the process that started the others is not listed; 'init' was put in its place"
    ]
    assert paths(read_listing("PID PPID CMD\n70 8 httpd\n71 70 httpd\n")) == ["httpd", "httpd/httpd"]


def test_parents_that_are_not_listed__are_told_line_by_line():
    """Each process whose parent is missing is a child of the root, and is told with its line."""
    listing = read_listing("PID PPID CMD\n1 0 init\n7 6 a\n9 8 b\n")
    assert paths(listing) == ["init", "init/a", "init/b"]
    assert [(warned.line, "PID" in warned.text) for warned in listing.warnings] == [(3, True), (4, True)]


def test_circles_and_repeats__are_told():
    """Processes that are their own ancestors, and a pid that stands there twice, do no harm."""
    listing = read_listing("PID PPID CMD\n1 0 init\n7 8 a\n8 7 b\n9 9 c\n1 0 init\n")
    assert paths(listing) == ["init", "init/a", "init/a/b", "init/c"]
    assert [warned.line for warned in listing.warnings] == [3, 5, 6]


def test_second_listing_and_text_around__are_left_out():
    """Prose before and after a table, and a second table, are no part of it."""
    listing = read_listing(f"$ ps -ef\n{PS_EF}\nThat was it.\nBye\n")
    assert paths(listing) == TREE
    assert [warned.line for warned in listing.warnings] == [1, 15]
    both = read_listing(PS_EF + PS_AXJF)
    assert paths(both) == TREE
    assert [warned.line for warned in both.warnings] == [13]


CGLS = """\
Control group /:
-.slice
├─user.slice
│ └─user-1000.slice
│   ├─session-6.scope
│   │ ├─500 login -- ann
│   │ ├─510 -bash
│   │ └─520 systemd-cgls
│   └─user@1000.service
│     └─init.scope
│       └─530 /usr/lib/systemd/systemd --user
├─init.scope
│ └─1 /sbin/init splash
└─system.slice
  ├─cron.service
  │ ├─400 /usr/sbin/cron -f
  │ └─401 /bin/sh -c backup
  └─docker.service
    ├─600 /usr/bin/dockerd
    └─run.scope
      └─610 sleep 9
"""


def test_control_groups__are_said_to_be_no_parents():
    """systemd-cgls is read, intact and stripped: groups are no processes, and the tree's label says what it is."""
    for text in (CGLS, WAYS["indentation stripped"](CGLS), WAYS["quoted"](CGLS)):
        listing = read_listing(text)
        assert listing.shape == CGROUPS
        assert paths(listing) == [
            "init", "init/login", "init/login/bash", "init/login/systemd-cgls", "init/systemd",
            "init/cron", "init/cron/sh", "init/dockerd", "init/dockerd/sleep",
        ]  # fmt: skip
        assert listing.warnings == ()
    assert listing.as_tree("mine.txt")["label"] == "mine.txt (control groups, not parents)"


def test_linux_threads__are_told_and_kept():
    """Before 2.6 a program with threads is three storeys of one name; later listings show such forks and mean them."""
    threads = "init-+-kswapd\n     |-mysqld---mysqld---9*[mysqld]\n     `-httpd---5*[httpd]"
    assert read_listing(threads).perhaps_threads == 10
    assert len(paths(read_listing(threads))) == 1 + 11 + 6
    assert read_listing(threads.replace("kswapd", "kthreadd---kswapd0")).perhaps_threads == 0
    assert read_listing(threads.replace("kswapd", "java---{java}")).perhaps_threads == 0


def test_forks_without_their_sign__are_found_by_their_branches():
    """Where every fork is drawn as --- the innermost one that can have a branch has it; each is told."""
    text = "init---acpid\n     |-hald(hal)----runner(root)----addon\n     |                      |-input\n     |-last\n"
    for drawn in (text, WAYS["indentation stripped"](text)):
        listing = read_listing(drawn)
        assert paths(listing) == [
            "init", "init/acpid", "init/hald", "init/hald/runner", "init/hald/runner/addon", "init/hald/runner/input",
            "init/last",
        ]  # fmt: skip
        assert [warned.line for warned in listing.warnings] == [2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PID TTY TIME CMD\n1 ? 0:00 init\n", r"^line 2: rows of ps without parents and without memory .*\(PID TTY"),
        ("UID PID PPID CMD\n\nnothing here\n", r"^a header of ps and no row below it; .*ps -ef > FILE"),
        ("PID PPID LWP CMD\n- 1 5 a\n", r"^line 2: only rows of threads; .*ps -eLf"),
        ("\n" * 60_000, r"^more than 20,000 lines of less than 40 characters on average; .*; take a part of"),
    ],
)  # fmt: skip
def test_table_that_says_too_little__is_refused_with_the_reason(text, message):
    """What looks like a table of ps and cannot be used says what is missing and what to do."""
    with pytest.raises(ListingError, match=message):
        read_listing(text)
