"""A YAML file of our own that is no study: read, with the places where faults are noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import RefusedError, StudyError
from pipeline.values import Place
from pipeline.yaml_marks import readings


def opened(path: Path | str, what: str, remedy: str) -> tuple[Any, Place]:
    """Return what a file holds, and its place; faults of the YAML that hide nothing are noted there.

    Parameters
    ----------
    path : path
        The file.
    what : str
        What it should be, e.g. "a cost model".
    remedy : str
        What to do if it cannot be read.

    Raises
    ------
    StudyError
        It is no YAML; all faults at once.
    RefusedError
        It cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RefusedError(f"{path}: is not UTF-8; {what} is YAML; name another file") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RefusedError(f"{path}: cannot be read ({reason}); {remedy}") from None
    document = readings(text)[0]
    if not document.parsed:
        raise StudyError(str(path), document.faults)
    return document.data, Place((), document.marks, {}, list(document.faults))
