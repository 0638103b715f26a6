"""The identities of the simulator."""

import sys

from simcore import simulate, sources


def test_compiled_digest__covers_every_module_that_the_engine_has_loaded(monkeypatch):
    """What compiled code may hold a constant of is in the name of its cache folder."""
    hashed = set()
    monkeypatch.setattr(sources, "_digest", lambda paths: hashed.update(paths) or "")
    sources.compiled_digest.__wrapped__()
    names = {path.relative_to(sources._HOME).with_suffix("").as_posix() for path in hashed}
    assert {"heap", "acts", "events", "jit", "units", "engine/loop", "engine/faults"} <= names
    engine = [module for name, module in sys.modules.items() if name.startswith("simcore.engine.")]
    used = {
        value.__module__
        for module in engine
        for value in vars(module).values()
        if getattr(value, "__module__", None) and str(value.__module__).startswith("simcore.")
    }
    assert {name.removeprefix("simcore.").replace(".", "/") for name in used} <= names
    assert simulate.__name__ == "simcore.simulate"


def test_digests__differ_between_whole_and_part():
    """A change of a cost model is another simulator but the same compiled code."""
    assert sources.source_digest() != sources.compiled_digest()
    assert len(sources.source_digest()) == len(sources.compiled_digest()) == 32
