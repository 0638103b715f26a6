"""Run a command and look at each of its processes in the moment before it is gone: Linux's ptrace.

A traced process stops when it exits, while its memory is still there (PTRACE_EVENT_EXIT), so that a program is seen
whole without its help. Its children are traced too: those of make are the shell, the compiler and the linker.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# include/uapi/linux/ptrace.h and include/uapi/linux/wait.h: the same on every architecture
_TRACEME, _CONT, _SETOPTIONS = 0, 7, 0x4200
_FORKS, _EXECS, _EXITS = 0x2 | 0x4, 0x10, 0x40  # options: fork and vfork, exec, exit
_KILL_WITH_US = 0x100000
_EVENT_EXEC, _EVENT_EXIT = 4, 6
_ALL_CHILDREN = 0x40000000  # __WALL
_NOT_FOUND = 127
BEGIN, EXEC, EXIT = "begin", "exec", "exit"
_MOMENTS = {_EVENT_EXEC: EXEC, _EVENT_EXIT: EXIT}


def run(
    command: Sequence[str], folder: Path, environment: dict[str, str], look: Callable[[int, str], None]
) -> int:
    """Run a command and call ``look(pid, moment)`` for each process when it begins, has exec'ed, or is about to exit.

    Parameters
    ----------
    command : sequence of str
        The program, found on PATH, and its arguments.
    folder : Path
        Where it runs.
    environment : dict
        All of its environment.
    look : function
        ``moment`` is BEGIN, EXEC or EXIT; the process stands still meanwhile. The command itself is the first to begin.

    Returns
    -------
    int
        The command's exit code, minus the signal's number if one ended it.

    Raises
    ------
    RefusedError
        The system has no ptrace. Where it forbids it the command does not run: the exit code is 127.
    """
    libc = _libc()
    with (
        warnings.catch_warnings()
    ):  # that other threads are not copied; the child makes system calls and no more
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _become(command, folder, environment, libc)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)  # also done by the child: whoever comes first
    code = _follow(pid, libc, look)
    return os.waitstatus_to_exitcode(code)


def _libc() -> Any:
    """Return the C library, for ptrace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "ptrace"):
        raise RefusedError("footprints measure: this system has no ptrace; Linux is needed; measure there")
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    return libc


def _become(command: Sequence[str], folder: Path, environment: dict[str, str], libc: Any) -> NoReturn:
    """Be the command, in a process group of its own and silent; never returns."""
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        if libc.ptrace(_TRACEME, 0, None, None) == 0:
            os.execvpe(command[0], list(command), environment)  # noqa: S606 - no shell is wanted
    except OSError:
        pass
    os._exit(_NOT_FOUND)


def _follow(root: int, libc: Any, look: Callable[[int, str], None]) -> int:
    """Let all processes of the group run to their ends, stopping where there is something to see.

    Returns the wait status of ``root``.
    """
    known: set[int] = set()
    status_of_root = _NOT_FOUND << 8
    while True:
        try:
            pid, status = os.waitpid(-root, _ALL_CHILDREN)
        except ChildProcessError:
            return status_of_root
        if not os.WIFSTOPPED(status):
            status_of_root = status if pid == root else status_of_root
            continue
        event, sent = status >> 16, os.WSTOPSIG(status)
        if (
            pid not in known
        ):  # the first stop, behind the first exec or as somebody's child, is none of its own
            known.add(pid)
            options = _FORKS | _EXECS | _EXITS | _KILL_WITH_US
            libc.ptrace(_SETOPTIONS, pid, None, options)
            look(pid, BEGIN)
            sent = signal.SIGTRAP
        elif event in _MOMENTS:
            look(pid, _MOMENTS[event])
        passed_on = 0 if event or sent in (signal.SIGTRAP, signal.SIGSTOP) else sent
        libc.ptrace(_CONT, pid, None, passed_on)
