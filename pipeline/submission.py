"""A sweep that was handed to a cluster, as its dataset tells of it, and where to find that by its ID.

==================  ==========================================================================================
``submission.json`` the latest driver: ID, scheduler, host, process, begin, end; written by the driver alone
``driver.log``      what drivers said, one after another
``cancel``          there while somebody wants the run to stop; any run looks for it, the next one removes it
==================  ==========================================================================================

The ID of a submission is a hash of its dataset's place and its plan: the same command gives the same ID.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import folders, store
from pipeline.dataset_argument import place_named
from pipeline.errors import DatasetError, RefusedError
from pipeline.places import place_of
from pipeline.plan import content_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.places import Where

RECORD, LOG, CANCEL = "submission.json", "driver.log", "cancel"
ID_DIGITS = 12
MIN_DIGITS = 6
_LOOK_SECONDS = 1.0  # between two looks at whether somebody wants a run to stop
_LOOK_AFAR_SECONDS = 5.0  # the same in an object store, where each is a request
_RESULTS = Path("results")


class Submission(NamedTuple):
    """The latest driver of a dataset.

    Parameters
    ----------
    id : str
        Of the submission.
    scheduler, host : str
        The scheduler's address; the machine on which the driver runs.
    process : int
        The driver's number there.
    begun, ended : str
        Times, UTC, ISO 8601; ``ended`` is "" until the driver has ended in order.
    code : int or None
        Its exit code.
    """

    id: str
    scheduler: str
    host: str
    process: int
    begun: str
    ended: str = ""
    code: int | None = None


def submission_id(dataset: Path | str, plan_id: str) -> str:
    """Return the ID of handing a plan to a cluster that writes it to a place."""
    return content_id([str(dataset), plan_id])[:ID_DIGITS]


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def write_record(dataset: Where, record: Submission) -> None:
    """Note who drives a dataset; the one who does holds its lock. What the disk refuses is an OSError."""
    place_of(dataset).replace(RECORD, json.dumps(record._asdict(), indent=1).encode())


def read_record(dataset: Where) -> Submission | None:
    """Return who drove a dataset last; None if it never was submitted.

    Raises
    ------
    DatasetError
        The record is damaged.
    """
    try:
        text = _read(dataset, RECORD)
        known: dict[str, Any] = json.loads(text or "null")
        return None if text is None else Submission(**{name: known[name] for name in Submission._fields})
    except (ValueError, KeyError, TypeError):
        raise DatasetError(
            f"{dataset}/{RECORD}: damaged; remove it; submitting again writes it anew"
        ) from None


def log_of(dataset: Where) -> str:
    """Return what the drivers of a dataset said.

    Raises
    ------
    DatasetError
        None ever did, or the log cannot be read.
    """
    text = _read(dataset, LOG)
    if text is None:
        there = (
            "there is no such folder"
            if not place_of(dataset).exists()
            else f"it has no {LOG}, for it never was submitted"
        )
        raise DatasetError(f"{dataset}: no log, {there}; forkbench submit STUDY makes one")
    return text


def _read(dataset: Where, name: str) -> str | None:
    """Return the content of a file of a dataset, None if it is not there; raises DatasetError if it cannot be read."""
    try:
        return place_of(dataset).read(name).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DatasetError(f"{dataset}/{name}: cannot be read ({reason}); make it readable") from None


# Stopping a run from elsewhere


def ask_to_stop(dataset: Where) -> int:
    """Ask the run that writes a dataset to finish what runs and stop; return its process.

    Raises
    ------
    DatasetError
        There is no such dataset, nobody writes it, or it cannot be asked.
    """
    store.read_plan(dataset)
    writer = store.writer_of(dataset)
    if writer is None:
        raise DatasetError(
            f"{dataset}: nothing to cancel, for no run writes it; forkbench status {dataset} tells how far it is"
        )
    try:
        place_of(dataset).write_new(CANCEL, b"")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DatasetError(
            f"{dataset}/{CANCEL}: cannot be written ({reason}), which is how a run is asked to stop; "
            f"make it writable, or send SIGTERM to process {writer} on its machine"
        ) from None
    return writer


def forget_wish(dataset: Where) -> None:
    """Forget that somebody wanted a run to stop; the one who writes the dataset does so."""
    place = place_of(dataset)
    if place.has(CANCEL):
        place.remove([CANCEL])


def wish_to_stop(dataset: Where) -> Callable[[], bool]:
    """Return a function that says whether somebody wants the run to stop; it looks once a second at most."""
    place = place_of(dataset)
    rhythm = _LOOK_SECONDS if isinstance(place, folders.Folder) else _LOOK_AFAR_SECONDS
    looked, wished = float("-inf"), False

    def wanted() -> bool:
        nonlocal looked, wished
        if not wished and time.monotonic() - looked >= rhythm:
            looked = time.monotonic()
            with suppress(OSError, DatasetError):  # a store that is down for a while is no wish
                wished = place.has(CANCEL)
        return wished

    return wanted


# Finding a dataset


def remember(record_id: str, dataset: Path | str, study: str, scheduler: str) -> None:
    """Keep where a submission's dataset is, for this user on this machine."""
    folder = _registry()
    folder.mkdir(parents=True, exist_ok=True)
    known = {"dataset": str(dataset), "study": study, "scheduler": scheduler, "submitted": now()}
    folders.replace(folder, f"{record_id}.json", json.dumps(known, indent=1).encode())


def dataset_of(name: str) -> Where:
    """Return the dataset that a user means: a folder, or the ID of a submission, at least 6 digits of it.

    Raises
    ------
    RefusedError
        No submission has the ID, or several do.
    """
    if Path(name).exists() or not re.fullmatch(f"[0-9a-f]{{{MIN_DIGITS},{ID_DIGITS}}}", name):
        return place_named(name)
    found = {each: place for each, place in _known() if each.startswith(name)}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise RefusedError(
            f"{name}: {len(found)} submissions begin with it, {', '.join(sorted(found))}; give more digits"
        )
    raise RefusedError(
        f"{name}: no submission of this user on this machine, nor of a dataset in {_RESULTS}/, has that ID; "
        "name the dataset instead"
    )


def _known() -> Iterator[tuple[str, Where]]:
    """Yield ID and dataset of each submission that is known here."""
    for file in sorted(_registry().glob("*.json")):
        try:
            yield file.stem, place_named(str(json.loads(file.read_text(encoding="utf-8"))["dataset"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # one that is damaged hides no other
    for file in sorted(_RESULTS.glob(f"*/{RECORD}")):
        record = read_record(file.parent)
        if record is not None:
            yield record.id, file.parent


def _registry() -> Path:
    """Return the folder where submissions are remembered."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "forkbench" / "submissions"
