"""Parts put together: few large files instead of many small ones, with the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import parts, store
from pipeline.errors import DatasetError
from pipeline.order import Source, in_order
from pipeline.places import place_of
from pipeline.writer import refusal, replace_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from pipeline.places import Place, Where


class Compacted(NamedTuple):
    """What became of the parts: how many, and their bytes, before and after."""

    before: tuple[int, int]
    after: tuple[int, int]


def compact(path: Where) -> Compacted:
    """Put together the parts of a dataset that one version of the software wrote for one study.

    A part says what software made it, and has the columns of that version; so parts of several versions stay several.
    The new part is there before the old ones go: whatever ends it, no row is lost, and readers drop what is there twice.

    Raises
    ------
    DatasetError
        If there is no dataset, somebody writes it, a part is damaged, or the place cannot be written.
    NondeterminismError
        If two rows of one cell differ.
    """
    store.read_plan(path)
    place = place_of(path)
    before = store.stored(path)
    try:
        place.claim(store.PLAN)
    except OSError as error:
        raise refusal(path, error) from None
    try:
        for alike in _alike(place):
            if len(alike) > 1:
                _put_together(place, alike)
    except parts.UnreadablePartError as error:
        raise DatasetError(f"{path}: {error}; run the study again, which makes its rows anew") from None
    except OSError as error:
        raise refusal(path, error) from None
    finally:
        place.release()
    return Compacted(before, store.stored(path))


def _alike(place: Place) -> list[list[Path]]:
    """Return the parts that can be put together, group by group."""
    groups: list[tuple[pa.Schema, list[Path]]] = []
    for file in place.parts():
        with parts.opened(file) as part:
            schema = part.schema_arrow
        for known, files in groups:
            if known.equals(schema, check_metadata=True):
                files.append(file)
                break
        else:
            groups.append((schema, [file]))
    return [files for _, files in groups]


def _put_together(place: Place, files: list[Path]) -> None:
    """Write one part with the rows of several, then remove those."""
    with parts.opened(files[0]) as part:
        schema = part.schema_arrow
    count = sum(parts.footer(file).num_rows for file in files)
    replace_parts(place, files, in_order(Source(_rows(files), count), place.scratch), schema)


def _rows(files: list[Path]) -> Iterator[pa.Table]:
    """Yield the rows of parts, row group after row group."""
    for file in files:
        yield from parts.pieces(file)
