"""Hypothesis profiles: ``dev`` for people, ``ci`` the same every time, ``deep`` for a night (HYPOTHESIS_PROFILE)."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: the first call may compile the engine, and a loaded machine is not a failure.
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("deep", deadline=None, print_blob=True, max_examples=1_200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))
