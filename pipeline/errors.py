"""What the pipeline raises, and how faults of a file are told.

Two kinds: somebody asked for the impossible (``RefusedError`` and its children; shown without a traceback,
exit code 2), or we are wrong (``NondeterminismError``; shown with everything we know, exit code 3).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

Path = tuple[str | int, ...]


class RefusedError(Exception):
    """Somebody asked for the impossible; the message says where, what is allowed and what to do."""


class DatasetError(RefusedError):
    """A dataset cannot be read or written."""


class ClusterError(RefusedError):
    """The workers cannot do the work: none came up, or all of them went away."""


class InterruptedRunError(RefusedError):
    """The user stopped a run at once."""


class StoreDownError(DatasetError, OSError):
    """An object store refuses, or does not answer; ``strerror`` says how, ``filename`` is its URL."""

    def __str__(self) -> str:
        """Return where, what was found, and what to do."""
        return (
            f"{self.filename}: cannot be reached ({self.strerror}); what is stored is safe; "
            "see to it that it answers, and run the same command again"
        )


class DatasetWarning(UserWarning):
    """Something about a dataset that its user should know."""


class DamagedPartWarning(DatasetWarning):
    """A dataset is read without the rows of a damaged part."""


class LockWaitWarning(DatasetWarning):
    """Whoever holds a dataset's lock may be dead, which takes a while to find out."""


class NondeterminismError(Exception):
    """One cell gave two different rows: we are wrong."""


class Fault(NamedTuple):
    """One thing that is wrong in a study.

    Parameters
    ----------
    message : str
        What was found, what is allowed, what to do.
    path : tuple of str and int
        The place in the document, () for the whole of it.
    line, column : int
        From 1; line 0 where the fault has no line of its own.
    origin : str
        What is to blame if it is not the file: ``--set key=value``.
    file : str
        The included file that is to blame, "" for the study's own.
    """

    message: str
    path: Path = ()
    line: int = 0
    column: int = 0
    origin: str = ""
    file: str = ""

    def __str__(self) -> str:
        """Return ``line 12, sweep.tree[1]: what is wrong``."""
        line = f"line {self.line}" if self.line else ""
        if line and not self.path:
            line += f", column {self.column}"
        where = ", ".join(part for part in (self.origin or line, dotted(self.path)) if part)
        return f"{where}: {self.message}" if where else self.message

    def located(self, file: str) -> str:
        """Return ``study.yaml:12:3: sweep.tree[1]: what is wrong``; ``file`` is the study's own."""
        where = self.origin or f"{self.file or file}:{self.line or 1}:{self.column or 1}"
        return ": ".join(part for part in (where, dotted(self.path), self.message) if part)


class StudyError(RefusedError):
    """A study is refused; all its faults come together.

    Parameters
    ----------
    file : str
        The study's file, as the user wrote it.
    faults : iterable of Fault
        At least one.
    """

    def __init__(self, file: str, faults: Iterable[Fault]) -> None:
        self.file = file
        self.faults = sorted(
            faults, key=lambda fault: (bool(fault.origin), fault.file, fault.line, fault.column)
        )
        count = counted(len(self.faults), "problem")
        super().__init__(
            "\n".join([f"{file}: {count}", *(f"  {fault.located(file)}" for fault in self.faults)])
        )


def counted(number: int, noun: str) -> str:
    """Return ``1 cell``, ``2 cells``, ``1,000 cells``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def dotted(path: Path) -> str:
    """Return ``('sweep', 'tree', 1)`` as ``sweep.tree[1]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known name, or all known names if none is near."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"


def unwritable(file: PathLike[str], error: OSError, option: str = "--out") -> RefusedError:
    """Return the refusal of a file that cannot be written, which another name given with ``option`` may mend."""
    reason = (error.strerror or str(error)).lower()
    return RefusedError(f"{file}: cannot be written ({reason}); name another file with {option}")
