"""Hypothesis profiles: ``dev`` for people, ``ci`` the same every time, ``deep`` for a night (HYPOTHESIS_PROFILE)."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# No deadline: the first call may compile the engine, and a loaded machine is not a failure.
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("deep", deadline=None, print_blob=True, max_examples=1_200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


class AtOnce:
    """Tells a failure when it happens: at the end of a run of an hour is late, and a run that is stopped has no end."""

    def __init__(self, config):
        self._config = config

    def pytest_runtest_logreport(self, report):
        """Print why a test failed."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")  # processes of xdist have none
        if report.failed and terminal is not None:
            terminal.write_line(f"\n{report.nodeid}\n{report.longreprtext}")


def pytest_configure(config):
    """Let the deep run tell failures at once."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "deep":
        config.pluginmanager.register(AtOnce(config))


FAULTS = "faults"  # the property of a test in which it tells what became of the faults that it injected


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter):
    """Print what became of injected faults: a line a kind, and their sum."""
    told = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == FAULTS and report.when == "call"
    ]
    if not told:
        return
    heads = ("injected", "happened", "lost", "twice", "unacc.", "hangs")
    sums = [sum(counts[at] for _, counts in told) for at in range(len(heads))]
    terminalreporter.section("faults injected on purpose")
    terminalreporter.write_line(f"{'kind':<36}" + "".join(f"{head:>10}" for head in heads))
    for name, counts in [*sorted(told), (f"all {len(told)} kinds", sums)]:
        terminalreporter.write_line(f"{name:<36}" + "".join(f"{count:>10}" for count in counts))
