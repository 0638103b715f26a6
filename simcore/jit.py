"""The one door to numba: ``jit`` compiles a function of the engine, with a cache that never serves stale code.

numba's own cache looks at one file at a time and does not notice a changed callee elsewhere. So the folder of the
cache is named by a hash of the flags and of the sources that compiled code depends on.

Environment
-----------
FORKBENCH_JIT
    0 runs the engine as plain Python (slow; for coverage and debugging).
FORKBENCH_BOUNDSCHECK
    1 checks every index.
FORKBENCH_CACHE
    Folder for compiled code; default ``$XDG_CACHE_HOME/forkbench`` or ``~/.cache/forkbench``.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
from numba.extending import intrinsic

from simcore.sources import compiled_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simcore.events import IntArray

F = TypeVar("F", bound="Callable[..., object]")

ENABLED = os.environ.get("FORKBENCH_JIT", "1") != "0"
BOUNDSCHECK = os.environ.get("FORKBENCH_BOUNDSCHECK", "0") == "1"


def _candidates() -> Iterator[Path]:
    """Yield the folders in which compiled code might be kept, best first."""
    if "FORKBENCH_CACHE" in os.environ:
        yield Path(os.environ["FORKBENCH_CACHE"])
    if "XDG_CACHE_HOME" in os.environ:
        yield Path(os.environ["XDG_CACHE_HOME"]) / "forkbench"
    home = os.environ.get("HOME")
    if home:
        yield Path(home) / ".cache" / "forkbench"
    yield Path(tempfile.gettempdir()) / f"forkbench-{os.getuid()}"


def _cache_folder() -> Path | None:
    """Return a writable folder for this version's compiled code, or None if there is none anywhere."""
    flags = f"{numba.__version__}-{platform.python_version()}-{'checked' if BOUNDSCHECK else 'fast'}"
    for base in _candidates():
        folder = base / f"{compiled_digest()}-{flags}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


CACHE_FOLDER = _cache_folder() if ENABLED else None
if CACHE_FOLDER is not None:
    numba.config.CACHE_DIR = str(CACHE_FOLDER)  # type: ignore[attr-defined]


def compiler(function: Callable[..., object], *, cached: bool) -> Any:
    """Return a numba dispatcher that Python cannot call, for a function that compiled code calls."""
    options = _OPTIONS | {"cache": cached and CACHE_FOLDER is not None}
    return _NJIT(no_cpython_wrapper=True, **options)(function)


def entry(function: F) -> F:
    """Compile a function that Python calls with arrays, or return it as it is if FORKBENCH_JIT is 0."""
    return cast("F", _NJIT(**_OPTIONS)(function)) if ENABLED else function


def jit(function: F) -> F:
    """Compile a function that compiled code calls, for the types that it is annotated with.

    For one signature: left alone, numba compiles a function anew for each constant that it is called with, which takes
    five times as long. An annotation is ``int``, ``bool``, ``IntArray`` or a tuple of these. An ``IntArray`` is passed
    as a bare pointer, see ``pointer``. If FORKBENCH_JIT is 0 the function is returned as it is.
    """
    if not ENABLED:
        return function
    dispatcher = compiler(function, cached=False)  # its code is kept with that of what calls it
    template = dispatcher.get_call_template

    def compiled_template(arguments: Any, keywords: Any) -> Any:
        if not dispatcher.signatures:
            hints = [hint for name, hint in function.__annotations__.items() if name != "return"]
            dispatcher.compile(tuple(numba_type(hint, function.__globals__) for hint in hints))
            dispatcher.disable_compile()
        return template(arguments, keywords)

    dispatcher.get_call_template = compiled_template
    return cast("F", dispatcher)


_NJIT: Any = numba.njit  # its annotations do not know all of its options
_OPTIONS: dict[str, Any] = {
    "cache": CACHE_FOLDER is not None,
    "boundscheck": BOUNDSCHECK,
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}


_TUPLE: Any = numba.types.Tuple
_POINTER: Any = numba.types.CPointer


class _Tuple:
    """What ``tuple`` means in an annotation: ``tuple[int, int]`` is numba's type of two int64."""

    def __class_getitem__(cls, items: Any) -> Any:
        """Return numba's type of a tuple of types."""
        return _TUPLE(items)


_TYPES = {
    "int": numba.types.int64,
    "bool": numba.types.boolean,
    "IntArray": numba.types.int64[::1] if BOUNDSCHECK else _POINTER(numba.types.int64),
    "tuple": _Tuple,
}


def numba_type(hint: str, names: dict[str, Any]) -> Any:
    """Return numba's type for an annotation; names of a module that stand for a type are looked up there."""
    alias = names.get(hint)
    return eval(str(alias) if alias is not None else hint, {"__builtins__": {}}, _TYPES)  # noqa: S307 - our own source


if TYPE_CHECKING:

    def popcount(word: int) -> int:
        """Return how many bits of an int64 are set."""

    def lowest(word: int) -> int:
        """Return the number of the lowest set bit of an int64 that is not zero."""

    def pointer(array: IntArray) -> IntArray:
        """Return where the words of an int64 array [n] are."""

    def behind(words: IntArray, count: int) -> IntArray:
        """Return the words of an array behind its first ``count``."""

elif ENABLED:

    @intrinsic
    def popcount(_typing: Any, _word: Any) -> Any:
        """Return how many bits of an int64 are set."""

        def emit(_context: Any, builder: Any, _signature: Any, words: Any) -> Any:
            return builder.ctpop(words[0])

        return numba.types.int64(numba.types.int64), emit

    @intrinsic
    def lowest(_typing: Any, _word: Any) -> Any:
        """Return the number of the lowest set bit of an int64 that is not zero."""

        def emit(context: Any, builder: Any, _signature: Any, words: Any) -> Any:
            return builder.cttz(words[0], context.get_constant(numba.types.boolean, False))  # noqa: FBT003

        return numba.types.int64(numba.types.int64), emit

else:

    def popcount(word: int) -> int:
        """Return how many bits of an int64 are set."""
        return (int(word) & ~(-1 << 64)).bit_count()

    def lowest(word: int) -> int:
        """Return the number of the lowest set bit of an int64 that is not zero."""
        return ((int(word) & -int(word)).bit_length()) - 1


if TYPE_CHECKING:
    pass
elif ENABLED and not BOUNDSCHECK:

    @intrinsic
    def pointer(_typing: Any, array: Any) -> Any:
        """Return where the words of an int64 array [n] are: what compiled functions pass on.

        An array is seven words, costs reference counting and a check for negative indices at each access; a pointer is
        one and costs nothing. With FORKBENCH_BOUNDSCHECK=1 arrays stay arrays, so that each access is checked.
        """

        def emit(context: Any, builder: Any, signature: Any, arrays: Any) -> Any:
            return context.make_array(signature.args[0])(context, builder, arrays[0]).data

        return _POINTER(numba.types.int64)(array), emit

    @intrinsic
    def behind(_typing: Any, _words: Any, _count: Any) -> Any:
        """Return the words of an array behind its first ``count``."""

        def emit(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            return builder.gep(given[0], [given[1]])

        words = _POINTER(numba.types.int64)
        return words(words, numba.types.int64), emit

else:

    @jit
    def pointer(array: IntArray) -> IntArray:
        """Return an array: where indices are checked, or nothing is compiled, arrays are passed as they are."""
        return array

    @jit
    def behind(words: IntArray, count: int) -> IntArray:
        """Return the words of an array behind its first ``count``."""
        return words[count:]
