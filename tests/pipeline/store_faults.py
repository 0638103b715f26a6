"""Faults of object stores, on purpose: each request that is chosen fails, and the sweep has to come out as if it had not.

In this process's memory, where the client's calls fail; and on an S3 of this process (moto), where its answers do.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import time
from functools import partial

from tiny_study import TINY

from pipeline import buckets, writer
from pipeline.errors import DatasetError
from pipeline.places import place_of
from pipeline.sweep import run_study

EVERY = 2  # so many requests come to one that fails: never two in a row
_REQUESTS = ("cat_file", "cp_file", "get_file", "ls", "pipe_file", "put_file", "rm_file")
_SLOW_SECONDS = 0.01
HANG_SECONDS = 60.0  # as in fault_kinds
_numbers = itertools.count()


class Faulty:
    """A file system of fsspec whose requests misbehave.

    Parameters
    ----------
    system : file system
        The true one.
    misbehave : callable
        Gets the number of the request and the request; does it, or fails.
    """

    def __init__(self, system, misbehave):
        self._system = system
        self._misbehave = misbehave
        self._requests = itertools.count()

    def __getattr__(self, name):
        true = getattr(self._system, name)
        if name not in _REQUESTS:
            return true
        return lambda *args, **rest: self._misbehave(next(self._requests), partial(true, *args, **rest))


def raising(*error):
    """Return a request that fails: an error of fsspec's, and what it says."""

    def failing(_request):
        raise error[0](*error[1:])

    return failing


BUSY = raising(OSError, errno.EBUSY, "503: please reduce your request rate")
FAILED = raising(OSError, errno.EREMOTEIO, "500: internal error")
SILENT = raising(TimeoutError, "no answer")
CUT = raising(ConnectionResetError, errno.ECONNRESET, "connection reset by peer")


def lost(request):
    """Do what is asked, and lose the answer."""
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        request()
    raise TimeoutError("no answer")


def slow(request):
    """Do what is asked, late."""
    time.sleep(_SLOW_SECONDS)
    return request()


def _study(ground):
    """Return the tiny study, less of it if there are to be few faults."""
    return ground.study(TINY | {"replicates": 1} if ground.factor == 1 else TINY)


def now_and_then(ground, fault):
    """Let every second request fail, all through a sweep; it is finished as if none had."""
    study, url, injected, happened = _study(ground), f"memory://faults/{next(_numbers)}", [], []

    def misbehave(number, request):
        if number % EVERY:
            return request()
        injected.append(number)
        try:
            return fault(request)
        finally:
            happened.append(number)

    began = time.monotonic()
    with _failing(url, misbehave, patience=10.0):
        outcome = run_study(study, url, 0, quiet=True)
    hung = time.monotonic() - began > HANG_SECONDS
    left = outcome.left + len(outcome.failures)
    rest = ground.settled(study, url)
    return (len(injected), len(happened), rest[0] + left, *rest[1:], int(hung))


def for_good(ground):
    """Let a store go down for good at one request after another: the run says so; with the store back it is finished."""
    study, told, step = _study(ground), [], 6 if ground.factor == 1 else 1
    for at in itertools.count(0, step):
        url, happened, named = f"memory://faults/{next(_numbers)}", [], True

        def misbehave(number, request, at=at, happened=happened):
            if number < at:
                return request()
            happened.append(number)
            return BUSY(request)

        began = time.monotonic()
        with _failing(url, misbehave, patience=0.02):
            try:
                run_study(study, url, 0, quiet=True)
            except DatasetError as error:
                named = "503: please reduce your request rate" in str(error)
        hung = time.monotonic() - began > HANG_SECONDS
        if not happened:
            return tuple(map(sum, zip(*told, strict=True)))
        told.append((1, int(named), *ground.settled(study, url), int(hung)))
    return None


@contextlib.contextmanager
def _failing(url, misbehave, patience):
    """Let the requests of one place misbehave, waiting be short, and each trace be a part."""
    place = place_of(url)
    system, place._fs = place._fs, Faulty(place._fs, misbehave)
    before = writer.FLUSH_SECONDS, buckets._FIRST_PAUSE, buckets.GIVE_UP_SECONDS
    writer.FLUSH_SECONDS, buckets._FIRST_PAUSE, buckets.GIVE_UP_SECONDS = -1.0, 0.001, patience
    try:
        yield
    finally:
        writer.FLUSH_SECONDS, buckets._FIRST_PAUSE, buckets.GIVE_UP_SECONDS = before
        place._fs, place._down = system, None


IN_THE_STORE = {
    "store busy (503)": partial(now_and_then, fault=BUSY),
    "store fails (500)": partial(now_and_then, fault=FAILED),
    "store slow": partial(now_and_then, fault=slow),
    "store timing out": partial(now_and_then, fault=SILENT),
    "connection to the store cut": partial(now_and_then, fault=CUT),
    "answer of the store lost": partial(now_and_then, fault=lost),
    "store down for good": for_good,
}
