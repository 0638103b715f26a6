"""Processes that may be threads: until about 2005 each thread of LinuxThreads was a process of its own to ps.

A program with threads looked like ``mozilla---mozilla---3*[mozilla]``: the process, the manager of its threads, and the
threads, which have no children and one name. Real processes may look so too, so they are told and not left out; in a
listing that shows signs of a later kernel nothing is told.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.sources.listing import Listing

# Since 2.6 threads are no processes, and these are there; systemd is of 2010.
_LATER = re.compile(
    r"kthreadd?(?:/\d+)?|systemd.*|udevd|dbus-daemon|kworker.*|(?:events|khelper|ksoftirqd|aio)/\d+"
)


def processes_that_may_be_threads(listing: Listing) -> int:
    """Return how many user processes look like LinuxThreads: the managers, and the threads below them."""
    if listing.threads or any(_LATER.fullmatch(node.name) for node in listing.nodes):
        return 0
    parents, names = listing.user_processes()
    children = Counter(parents)
    leaves_named_alike: Counter[int] = Counter()
    for process, parent in enumerate(parents):
        if parent > 0 and not children[process] and names[process] == names[parent]:
            leaves_named_alike[parent] += 1
    return sum(
        1 + threads
        for manager, threads in leaves_named_alike.items()
        if names[manager] == names[parents[manager]] and threads == children[manager]
    )
