"""Adversaries: traces that are the worst within a bound, and the evidence that they are."""

from __future__ import annotations

from simcore.adversaries.constructed import ADVERSARIES, Adversary, Size

__all__ = ["ADVERSARIES", "Adversary", "Size"]
