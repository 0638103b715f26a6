"""A private tracefs instance: made, filled while a command runs, and taken away; or why it cannot be had.

Linux, Documentation/trace/ftrace.rst (instances) and events.rst. An instance has buffers and events of its own, so that
nothing of the machine's other tracing is touched.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.errors import RefusedError
from pipeline.traces.ftrace_text import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_EVENTS = (
    "task/task_newtask",
    "sched/sched_process_exec",
    "sched/sched_process_exit",
    "exceptions/page_fault_user",
    "exceptions/page_fault_kernel",
    *(f"syscalls/sys_{side}_{name}" for name in CALLS for side in ("enter", "exit")),
)
_BETTER = ("sched/sched_prepare_exec",)  # since Linux 6.10: the moment when the old address space goes
BUFFER_KIB = 32_768  # a processor
_PIECE = 1 << 20
_POLL_MS = 50


class TracefsError(RefusedError):
    """Tracefs cannot be used here; the message is the reason."""


@contextlib.contextmanager
def tracefs() -> Iterator[Path]:
    """Yield a folder where tracefs is mounted; where it is not, it is mounted for the time being.

    Raises
    ------
    TracefsError
        It cannot be used.
    """
    for place in _PLACES:
        with contextlib.suppress(OSError):
            if (place / "instances").is_dir() and os.access(place / "instances", os.W_OK):
                yield place
                return
    if os.geteuid() != 0:
        raise TracefsError("tracefs is for root only, and this is not root")
    mount = shutil.which("mount")
    folder = Path(tempfile.mkdtemp(prefix="forkbench-tracefs-"))
    try:
        command = [mount or "mount", "-t", "tracefs", "nodev", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        except OSError as error:
            raise TracefsError(
                f"tracefs is not mounted, and mount cannot be run ({error.strerror})"
            ) from None
        if done.returncode:
            raise TracefsError(f"tracefs cannot be mounted ({_first_line(done.stderr) or done.returncode})")
        try:
            yield folder
        finally:
            command = [shutil.which("umount") or "umount", str(folder)]
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own words
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _first_line(text: str) -> str:
    """Return the first line of a message, without the stop at its end."""
    return next(iter(text.strip().splitlines()), "").rstrip(".")


class Instance:
    """A tracefs instance with all events on that a recording needs; it follows a process and its children.

    Parameters
    ----------
    root : Path
        Where tracefs is mounted.
    out : file
        Takes the text of ``trace_pipe``.

    Raises
    ------
    TracefsError
        The kernel has not all of the events, or does not let them be switched on.
    """

    def __init__(self, root: Path, out: IO[bytes]) -> None:
        self.folder = root / "instances" / f"forkbench-{os.getpid()}"
        self._out = out
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read, name="trace_pipe", daemon=True)
        try:
            self.folder.mkdir()
            self._set_up()
        except OSError as error:
            self.close()
            what = Path(error.filename or self.folder).name
            raise TracefsError(f"{what} cannot be set ({(error.strerror or str(error)).lower()})") from None
        except TracefsError:
            self.close()
            raise

    def _set_up(self) -> None:
        """Choose what is recorded; nothing is yet."""
        missing = [event for event in _EVENTS if not (self.folder / "events" / event).is_dir()]
        if missing:
            named = ", ".join(event.partition("/")[2] for event in missing[:3])
            raise TracefsError(f"the kernel has no event {named}{' and others' if len(missing) > 3 else ''}")
        self._write("tracing_on", "0")
        self._write("buffer_size_kb", str(BUFFER_KIB))
        self._write("trace_clock", "mono")
        self._write("options/event-fork", "1")
        for event in (*_EVENTS, *(event for event in _BETTER if (self.folder / "events" / event).is_dir())):
            self._write(f"events/{event}/enable", "1")

    def _write(self, name: str, text: str) -> None:
        """Write a control file."""
        (self.folder / name).write_text(text, encoding="ascii")

    def start(self, pid: int) -> None:
        """Record a process and its children from now on, and read what is recorded."""
        self._write(
            "set_event_pid", str(pid)
        )  # before anything is on: without it everybody would be recorded
        self._write("tracing_on", "1")
        self._reader.start()

    def stop(self) -> int:
        """Stop recording, read the rest; return how many events were lost."""
        self._write("tracing_on", "0")
        self._stop.set()
        self._reader.join()
        lost = 0
        for stats in self.folder.glob("per_cpu/cpu*/stats"):
            for line in stats.read_text(encoding="ascii").splitlines():
                name, _, value = line.partition(": ")
                lost += int(value) if name in ("overrun", "commit overrun", "dropped events") else 0
        return lost

    def _read(self) -> None:
        """Copy ``trace_pipe`` until it is empty and recording has stopped."""
        pipe = os.open(self.folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            poll = select.poll()
            poll.register(pipe, select.POLLIN)
            while True:
                stopping = self._stop.is_set()
                try:
                    piece = os.read(pipe, _PIECE)
                except BlockingIOError:
                    piece = b""
                if piece:
                    self._out.write(piece)
                elif stopping:
                    return
                else:
                    poll.poll(_POLL_MS)
        finally:
            os.close(pipe)

    def close(self) -> None:
        """Take the instance away, with what it has recorded."""
        if self._reader.is_alive():
            with contextlib.suppress(OSError):
                self._write("tracing_on", "0")
            self._stop.set()
            self._reader.join()
        with contextlib.suppress(OSError):
            self.folder.rmdir()
