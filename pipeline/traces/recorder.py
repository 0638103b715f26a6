"""Run a command and record it: through tracefs where that is permitted, else through strace."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pipeline.errors import RefusedError
from pipeline.footprints import stopping
from pipeline.traces.file import FOOTPRINTS, Recorded
from pipeline.traces.following import Followed
from pipeline.traces.ftrace_text import FtraceText, base_name
from pipeline.traces.story import Story
from pipeline.traces.strace_log import told_of_log
from pipeline.traces.tracefs import Instance, TracefsError, tracefs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TRACEFS, STRACE, AUTO = "tracefs", "strace", "auto"
_NO_RANDOMIZE = 0x0040000  # include/uapi/linux/personality.h: ADDR_NO_RANDOMIZE
_KEEP_PERSONALITY = 0xFFFFFFFF
_NO_HUGE_PAGES = 41  # include/uapi/linux/prctl.h: PR_SET_THP_DISABLE
_CALLS = "process,memory"
_MACHINES = ("x86_64",)


class TraceError(RefusedError):
    """Something cannot be recorded or imported."""


class _Ran(NamedTuple):
    """A command that was run: its exit code, and the seconds it took."""

    exit_code: int
    seconds: float


def record(command: Sequence[str], way: str = AUTO) -> tuple[Recorded, str]:
    """Run a command to the end of all its processes; return what was recorded, and why it was not done better, if so.

    Parameters
    ----------
    command : sequence of str
        A program, found on PATH, and its arguments. It has this process's input, output, folder and environment.
    way : {"auto", "tracefs", "strace"}
        How to record.

    Raises
    ------
    TraceError
        There is no such command, or it can be recorded in no way that is asked for.
    """
    _refuse_machine()
    program = shutil.which(command[0])
    if program is None:
        raise TraceError(
            f"trace record: no command {command[0]!r} is found; a program on PATH, or the path of one, is needed; "
            "write it behind --, as in: forkbench trace record -- make -j2"
        )
    if way in (AUTO, TRACEFS):
        try:
            return _by_tracefs(command), ""
        except TracefsError as error:
            if way == TRACEFS:
                raise TraceError(
                    f"trace record: {error}; root, and a kernel with these events, are needed; record with --with strace"
                ) from None
            reason = str(error)
    else:
        reason = ""
    if shutil.which("strace") is None:
        also = f", and {reason}" if reason else ""
        raise TraceError(
            f"trace record: strace is not installed{also}; one of the two is needed; install strace, or be root"
        )
    return _by_strace(command), reason


def _refuse_machine() -> None:
    """Refuse where programs are not recorded."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in _MACHINES:
        raise TraceError(
            f"trace record: this is {platform.system()} on {machine}; Linux on {', '.join(_MACHINES)} is recorded; "
            "record there"
        )


def _by_tracefs(command: Sequence[str]) -> Recorded:
    """Record faults and calls through tracefs, and what execs map through ptrace."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    sight = Followed(page_bytes)
    text = FtraceText(page_bytes)
    with tempfile.TemporaryFile(prefix="forkbench-trace-") as raw, tracefs() as root:
        instance = Instance(root, raw)
        try:
            pid, ran = _run_followed(command, instance, sight)
            lost = instance.stop()
        finally:
            instance.close()
        raw.seek(0)
        lines = (line.decode("utf-8", "replace") for line in raw)
        told = Story(sight, page_bytes, pid).tell(text.moments(lines))
    if not told.processes:
        raise TraceError(
            "trace record: tracefs told nothing of the command, as in a pid namespace of its own; a shell in the first "
            "namespace is needed; record there, or with --with strace"
        )
    return Recorded.of(told, _facts(command, ran, TRACEFS, lost=max(lost, text.lost)))


def _run_followed(command: Sequence[str], instance: Instance, sight: Followed) -> tuple[int, _Ran]:
    """Run a command, recorded and followed; return its number, and how it went."""
    libc = stopping.c_library()
    begun = time.monotonic()
    waiting, go = os.pipe()
    with _keys_are_for_the_command():
        pid = stopping.forked()
        if pid == 0:
            os.close(go)
            _become(command, waiting, libc)
        os.close(waiting)
        try:
            instance.start(pid)
            os.write(go, b".")
        finally:
            os.close(go)  # a command that was not told to go ends here
        status = stopping.follow(pid, libc, sight.look, everybody=True)
    return pid, _Ran(os.waitstatus_to_exitcode(status), time.monotonic() - begun)


def _become(command: Sequence[str], waiting: int, libc: Any) -> NoReturn:
    """Be the command once a byte comes; never returns."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _steady(libc)
        if os.read(waiting, 1) and stopping.traced(libc):
            os.close(waiting)
            os.execvp(command[0], list(command))  # noqa: S606 - no shell is wanted
    except OSError:
        pass
    os._exit(stopping.NOT_FOUND)


def _steady(libc: Any) -> None:
    """Let memory lie at the same addresses in every run, and be faulted in page by page."""
    now = libc.personality(_KEEP_PERSONALITY)
    libc.personality(now | _NO_RANDOMIZE)
    libc.prctl(_NO_HUGE_PAGES, 1, 0, 0, 0)


@contextlib.contextmanager
def _keys_are_for_the_command() -> Iterator[None]:
    """Leave Ctrl-C to the command, which ends by it as it likes, and is recorded; SIGTERM ends the recording as well."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, _terminated),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminated(_number: int, _frame: object) -> NoReturn:
    """End in order, so that nothing is left of the recording: those that are followed end with this process."""
    raise KeyboardInterrupt


def _by_strace(command: Sequence[str]) -> Recorded:
    """Record calls through strace."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    with tempfile.TemporaryDirectory(prefix="forkbench-strace-") as folder:
        log = Path(folder) / "log"
        words = [
            "strace",
            "-f",
            "-ttt",
            "-y",
            "-s",
            "0",
            "-e",
            f"trace={_CALLS}",
            "-o",
            str(log),
            "--",
            *command,
        ]
        begun = time.monotonic()
        with _keys_are_for_the_command():
            done = subprocess.run(words, check=False)  # noqa: S603 - what the user asks for
        ran = _Ran(done.returncode, time.monotonic() - begun)
        try:
            told = told_of_log(log.read_bytes(), page_bytes)
        except (OSError, RefusedError):
            raise TraceError(
                f"trace record: strace recorded nothing (it ended with {done.returncode}); ptrace must be permitted; "
                "try it by itself: strace -f true"
            ) from None
    return Recorded.of(told, _facts(command, ran, STRACE, lost=0))


def _facts(command: Sequence[str], ran: _Ran, way: str, *, lost: int) -> dict[str, Any]:
    """Return what is told of a recording."""
    return {
        "command": base_name(command[0]),
        "taken": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release().partition("-")[0],
        "machine": platform.machine(),
        "way": way,
        "touches": "faults" if way == TRACEFS else FOOTPRINTS,
        "lost": lost,
        "exit_code": ran.exit_code,
        "seconds": round(ran.seconds, 3),
    }
