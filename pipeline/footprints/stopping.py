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
_FORKS, _THREADS, _EXECS, _EXITS = 0x2 | 0x4, 0x8, 0x10, 0x40  # options: fork and vfork, clone, exec, exit
_KILL_WITH_US = 0x100000
_EVENT_EXEC, _EVENT_EXIT = 4, 6
_ALL_CHILDREN = 0x40000000  # __WALL
NOT_FOUND = 127
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
    libc = c_library()
    pid = forked()
    if pid == 0:
        _become(command, folder, environment, libc)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)  # also done by the child: whoever comes first
    code = follow(pid, libc, look)
    return os.waitstatus_to_exitcode(code)


def forked() -> int:
    """Return what ``os.fork`` does; the child may make system calls and no more."""
    with warnings.catch_warnings():  # that other threads are not copied
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def c_library() -> Any:
    """Return the C library, for ptrace.

    Raises
    ------
    RefusedError
        It has no ptrace.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "ptrace"):
        raise RefusedError("ptrace: this system has none; Linux is needed; do it there")
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
        if traced(libc):
            os.execvpe(command[0], list(command), environment)  # noqa: S606 - no shell is wanted
    except OSError:
        pass
    os._exit(NOT_FOUND)


def traced(libc: Any) -> bool:
    """Let the parent follow the calling process from its exec on; return whether the system permits it."""
    return bool(libc.ptrace(_TRACEME, 0, None, None) == 0)


def follow(root: int, libc: Any, look: Callable[[int, str], None], *, everybody: bool = False) -> int:
    """Let a process and its children run to their ends, stopping where there is something to see.

    Parameters
    ----------
    root : int
        The first process: a child of this one, for which ``traced`` was true.
    libc : CDLL
        From ``c_library``.
    look : function
        As of ``run``.
    everybody : bool
        Follow threads too, and processes that leave the group of ``root``. This process may have no other children.

    Returns
    -------
    int
        The wait status of ``root``.
    """
    known: set[int] = set()
    status_of_root = NOT_FOUND << 8
    options = _FORKS | _EXECS | _EXITS | _KILL_WITH_US | (_THREADS if everybody else 0)
    while True:
        try:
            pid, status = os.waitpid(-1 if everybody else -root, _ALL_CHILDREN)
        except ChildProcessError:
            return status_of_root
        if not os.WIFSTOPPED(status):
            status_of_root = status if pid == root else status_of_root
            known.discard(pid)  # numbers are used again
            continue
        event, sent = status >> 16, os.WSTOPSIG(status)
        if (
            pid not in known
        ):  # the first stop, behind the first exec or as somebody's child, is none of its own
            known.add(pid)
            libc.ptrace(_SETOPTIONS, pid, None, options)
            look(pid, BEGIN)
            sent = signal.SIGTRAP
        elif event in _MOMENTS:
            look(pid, _MOMENTS[event])
        passed_on = 0 if event or sent in (signal.SIGTRAP, signal.SIGSTOP) else sent
        libc.ptrace(_CONT, pid, None, passed_on)
