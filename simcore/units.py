"""Units: functions of the engine that are compiled once and on their own, and called through a cell.

numba links the code of a callee into each caller and optimises all of it anew, so a function below six others is
optimised seven times. A unit ends that: its callers hold no code of it, but load its address from a *cell*, a word
that they find by name. So units can be compiled in any order, and half of them by a second process.

What must not change the counts cannot: a unit is the function that it was. Where indices are checked, or nothing is
compiled, a unit is an ordinary function.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import llvmlite.binding
import numba
from llvmlite import ir
from numba.extending import intrinsic

from simcore.jit import BOUNDSCHECK, CACHE_FOLDER, ENABLED, compiler, jit, numba_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

F = TypeVar("F", bound="Callable[..., object]")

_HELPER_SECONDS = 300  # after so long the first process compiles what the second has not


def unit(function: F) -> F:
    """Compile a function on its own, for the types that it is annotated with; see ``simcore.jit.jit`` for those.

    ``ready`` has to be called before compiled code that calls it.
    """
    if not ENABLED or BOUNDSCHECK:
        return jit(function)
    made = _Unit(function)
    call = made.caller()
    _UNITS[id(call)] = made
    return cast("F", call)


def ready(function: Callable[..., object]) -> None:
    """Compile all units below a function, or load them from the cache; whoever asks again is answered at once."""
    if id(function) in _READY:
        return
    with _LOCK:
        units = list(_below(function, set()))
        missing = [made for made in units if not made.cell.value]
        if missing and _processors() > 1 and _is_cold(missing[0]):
            _compile_beside_a_helper(units, function)
        for made in missing:
            made.load()
        _READY.add(id(function))


def compile_share(module: str, name: str) -> None:
    """Compile what the helper of another process has to, of the units below a function of the engine."""
    function = getattr(sys.modules[module], name)
    for made in _shares(list(_below(function, set())))[1]:
        made.load()


class _Unit:
    """A function, its types, and the cell that holds its address once it is compiled."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function
        hints = dict(function.__annotations__)
        result = hints.pop("return")
        names = function.__globals__
        self.result = numba.types.none if result == "None" else numba_type(result, names)
        self.types = tuple(numba_type(hint, names) for hint in hints.values())
        self.name = f"{function.__module__}.{function.__qualname__}.cell"
        self.cell = ctypes.c_int64(0)
        self.dispatcher = compiler(function, cached=True)
        llvmlite.binding.add_symbol(self.name, ctypes.addressof(self.cell))

    def load(self) -> None:
        """Compile the function, or load it from the cache; from then on it can be called."""
        if self.cell.value:
            return
        self.dispatcher.compile(self.types)
        compiled = self.dispatcher.overloads[self.types]
        self.cell.value = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)

    def caller(self) -> Any:
        """Return what compiled code calls in place of the function."""

        def emit(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            convention = context.call_conv
            pointer = convention.get_function_type(self.result, self.types).as_pointer()
            cell = builder.module.globals.get(self.name) or ir.GlobalVariable(
                builder.module, pointer, self.name
            )
            callee = builder.load(cell)
            _status, value = convention.call_function(builder, callee, self.result, self.types, given)
            return value  # the status says whether an exception was raised: the engine raises none

        def typed(_context: Any, *_given: Any) -> Any:
            return self.result(*self.types), emit

        first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(self.function).parameters.values()
        cast("Any", typed).__signature__ = inspect.Signature([first, *parameters])
        return intrinsic(typed)


_UNITS: dict[int, _Unit] = {}  # by the id of what callers call
_READY: set[int] = set()  # ids of functions, all of which live as long as their modules
_LOCK = threading.Lock()


def _below(function: Any, seen: set[int]) -> Iterator[_Unit]:
    """Yield the units that a function calls, through whatever other functions, itself included; callees first."""
    made = _UNITS.get(id(function))
    code = made.function if made else getattr(function, "py_func", function)
    if id(code) in seen:
        return
    seen.add(id(code))
    for name in code.__code__.co_names:
        value = code.__globals__.get(name)
        if id(value) in _UNITS or hasattr(value, "py_func"):
            yield from _below(value, seen)
    if made:
        yield made


def _shares(units: list[_Unit]) -> tuple[list[_Unit], list[_Unit]]:
    """Return two parts of some units that take about as long to compile: the longer ones are dealt out first."""
    sizes = {made.name: _size(made.function, set()) for made in units}
    parts: tuple[list[_Unit], list[_Unit]] = ([], [])
    sums = [0, 0]
    for made in sorted(units, key=lambda made: (-sizes[made.name], made.name)):
        smaller = int(sums[1] < sums[0])
        parts[smaller].append(made)
        sums[smaller] += sizes[made.name]
    return parts


def _size(function: Any, seen: set[int]) -> int:
    """Return how much code is compiled for a unit: its own, and that of the functions below it that are none."""
    code = getattr(function, "py_func", function)
    if id(code) in seen:
        return 0
    seen.add(id(code))
    called = [code.__globals__.get(name) for name in code.__code__.co_names]
    below = sum(_size(each, seen) for each in called if hasattr(each, "py_func"))
    return len(code.__code__.co_code) + below


def _compile_beside_a_helper(units: list[_Unit], function: Any) -> None:
    """Compile half of the units below a function here while another process puts the other half into the cache."""
    code = getattr(function, "py_func", function)
    program = (
        f"import {code.__module__}; from simcore.units import compile_share; "
        f"compile_share({code.__module__!r}, {code.__qualname__!r})"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )
    quiet = subprocess.DEVNULL
    try:
        helper = subprocess.Popen(  # noqa: S603 - this interpreter, our own program
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": path},
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
        )
    except OSError:
        return  # then all is compiled here
    with helper:
        for made in _shares(units)[0]:
            made.load()
        try:
            helper.wait(_HELPER_SECONDS)
        except subprocess.TimeoutExpired:
            helper.kill()


def _is_cold(made: _Unit) -> bool:
    """Return whether there is a cache, and a unit is not in it."""
    return CACHE_FOLDER is not None and not any(CACHE_FOLDER.rglob(f"*.{made.function.__name__}-*.nbi"))


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
