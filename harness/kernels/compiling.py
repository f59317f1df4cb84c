"""Loops that run compiled on large inputs and as plain Python on small ones: one source, two speeds.

A kernel is a module-level function over numpy arrays and numbers; it makes no arrays, what it writes is given to it.
``fast(kernel)`` is the same function compiled by numba, with every function of its own module that it calls. Numba is
imported only then: that takes half a second, and whoever checks ten operations should not wait for it. Compiled code is
kept beside the module, or in the user's cache folder when that is read-only, so that only the first use on a machine
compiles; where neither can be written to, each process compiles for itself.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, Final

Kernel = Callable[..., Any]
_PLAIN: Final = {"_nrt": False}
"""Without numba's reference counts, which cost more than the kernels' own work; so kernels make no arrays."""
_KERNELS: Final = ("harness.kernels.", "harness.formats.")
_LOADING = threading.RLock()


def fast(kernel: Kernel) -> Kernel:
    """The compiled form of ``kernel``; it releases the interpreter lock while it runs."""
    with _LOADING:
        return _compiled(kernel)


@cache
def _compiled(kernel: Any) -> Kernel:
    numba: Any = importlib.import_module("numba")  # loaded on purpose only now: see the module's docstring
    world = dict(kernel.__globals__)
    for name in kernel.__code__.co_names:
        called = world.get(name)
        if isinstance(called, FunctionType) and called.__module__.startswith(_KERNELS):
            world[name] = _compiled(called)
    copy = FunctionType(kernel.__code__, world, kernel.__name__, kernel.__defaults__)
    copy.__module__, copy.__qualname__ = kernel.__module__, kernel.__qualname__
    try:
        made: Kernel = numba.njit(cache=True, nogil=True, **_PLAIN)(copy)
    except RuntimeError:  # there is no folder to keep compiled code in
        made = numba.njit(nogil=True, **_PLAIN)(copy)
    return made
