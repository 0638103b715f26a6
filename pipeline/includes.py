"""Studies that include others: one document of several files, in which every value still knows its file and line.

What the including file says goes before what it includes; mappings are joined key by key, anything else is replaced.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

from pipeline import values
from pipeline.errors import Fault, RefusedError, StudyError
from pipeline.yaml_marks import Document, readings

if TYPE_CHECKING:
    from pathlib import Path as FilePath

INCLUDE = "include"
MAX_INCLUDES = 20  # files that one study reads; a chain of a few is all that anybody can follow


def study_text(file: FilePath) -> str:
    """Return the text of a study's file.

    Raises
    ------
    RefusedError
        If it cannot be read.
    StudyError
        If it is not UTF-8.
    """
    try:
        raw = file.read_bytes()
    except IsADirectoryError:
        raise RefusedError(
            f"{file}: is a folder; a study is a YAML file; name one, e.g. {file}/study.yaml"
        ) from None
    except OSError as error:
        raise RefusedError(
            f"{file}: {(error.strerror or 'cannot be read').lower()}; name a study's YAML file"
        ) from None
    try:
        return raw.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise StudyError(str(file), [Fault(message, line=line, column=column)]) from None


def with_includes(document: Document, file: FilePath) -> Document:
    """Return a document joined with what it includes; faults of an included file carry its name.

    Parameters
    ----------
    document : Document
        Of the study; it is not changed.
    file : Path
        The study's; paths of includes count from the folder of the file that says them.
    """
    if not isinstance(document.data, dict) or INCLUDE not in document.data:
        return document
    whole = Document({}, {}, list(document.faults), files={})
    _Joining(whole).take(document, file, None, (file.resolve(),))
    return whole


class _Joining:
    """Put documents into one, the first that says a value wins."""

    def __init__(self, whole: Document) -> None:
        self._whole = whole
        self._files = 0

    def take(self, document: Document, file: FilePath, name: str | None, chain: tuple[FilePath, ...]) -> None:
        """Take what a file says, then what it includes; ``chain`` has the files around it, this one last."""
        for path, mark in document.marks.items():
            if path not in self._whole.marks:
                self._whole.marks[path] = mark
                if name is not None:
                    self._whole.files[path] = name
        own = {key: value for key, value in document.data.items() if key != INCLUDE}
        _join(self._whole.data, own)
        if INCLUDE not in document.data:
            return
        place = values.Place(
            (INCLUDE,), document.marks, {}, self._whole.faults, {(): name} if name is not None else {}
        )
        given = document.data[INCLUDE]
        if isinstance(given, list):
            entries = [(place.at(index), each) for index, each in enumerate(given)]
        else:
            entries = [(place, given)]
        for here, each in reversed(entries):  # the last of several includes wins over the first
            self._include(each, file, here, chain)

    def _include(self, value: Any, file: FilePath, place: values.Place, chain: tuple[FilePath, ...]) -> None:
        """Take one included file."""
        meaning = "the path of a YAML file, from the folder of this one"
        name = values.text(value, place, meaning=meaning)
        if name is None:
            return
        path = file.parent / name
        self._files += 1
        if path.resolve() in chain:
            place.fault(f"{name!r} includes itself, directly or through others; take one of the includes out")
            return
        if self._files > MAX_INCLUDES:
            place.fault(
                f"more than {MAX_INCLUDES} files are included; that many are allowed; join some of them"
            )
            return
        found = self._read(path, place)
        if found is not None:
            self.take(found, path, str(path), (*chain, path.resolve()))

    def _read(self, path: FilePath, place: values.Place) -> Document | None:
        """Return an included file, None after noting why it is none."""
        faults, found = self._whole.faults, None
        try:
            found = readings(study_text(path))[0]
            faults += [fault._replace(file=str(path)) for fault in found.faults]
        except StudyError as error:
            faults += [fault._replace(file=str(path)) for fault in error.faults]
        except RefusedError as error:
            place.fault(str(error).replace("name a study's YAML file", "an include names a YAML file"))
        if found is None or not found.parsed:
            return None
        if not isinstance(found.data, dict):
            message = f"the file holds {values.kind_of(found.data)}; an included file is a mapping with keys of a study"
            faults.append(Fault(message, line=1, column=1, file=str(path)))
            return None
        return found


def _join(into: dict[str, Any], data: dict[str, Any]) -> None:
    """Add to a mapping what it does not say yet."""
    for key, value in data.items():
        if key not in into:
            into[key] = value if not isinstance(value, dict) else {}
            if not isinstance(value, dict):
                continue
        if isinstance(value, dict) and isinstance(into[key], dict):
            _join(into[key], value)
