"""The slow twin: dicts and small classes in the kernel's words. It is the specification; read it first.

Nothing here is clever. ``state`` has the nouns; ``sharing``, ``forks``, ``faults``, ``zap`` and ``reclaiming`` have
the verbs, ``run`` the events.
"""

from __future__ import annotations

from simcore.oracle.run import Oracle

__all__ = ["Oracle"]
