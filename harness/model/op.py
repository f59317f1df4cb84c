"""One event of a history: an operation begins, or ends in one of three ways."""

from __future__ import annotations

from typing import Any, Final

import msgspec

INVOKE: Final = "invoke"
OK: Final = "ok"
FAIL: Final = "fail"
INFO: Final = "info"
TYPES: Final = (INVOKE, OK, FAIL, INFO)

NEMESIS: Final = -1
"""The process number of the nemesis; clients count from 0."""


class Op(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An operation's invocation or completion.

    ``fail`` means that it certainly did not happen, ``info`` that nobody knows. ``value`` is the
    argument in an invocation and the argument or answer in a completion: a read's answer, the written
    value of a write, ``[old, new]`` of a compare-and-set (``cas``). ``key`` names the object (None when
    there is one only). ``time_ns`` counts from the start of the run. The nemesis uses ``f`` = ``start``
    or ``stop``, ``key`` = the fault's name, and ``value`` = a dict with ``id``, ``aim`` (in words),
    ``regions``, ``nodes`` and, in completions, ``effective`` or ``healed`` and ``why``.
    """

    type: str
    f: str
    process: int = NEMESIS
    key: Any = None
    value: Any = None
    time_ns: int = -1
    index: int = -1
    region: str = ""
    node: str = ""
    error: str = ""

    @property
    def is_nemesis(self) -> bool:
        return self.process == NEMESIS


def invoke(f: str, value: Any = None, key: Any = None) -> Op:
    """An invocation as generators emit it: process and time are filled in when it is dispatched."""
    return Op(type=INVOKE, f=f, value=value, key=key)
