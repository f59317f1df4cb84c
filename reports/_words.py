"""Numbers, times and values as a reader expects them; text from systems under test made harmless."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.history import Operation

# Controls (XML forbids them), halves of surrogate pairs (UTF-8 does), and marks that reverse the text around them.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def clean(text: object) -> str:
    """``text`` with every character that a document or a terminal could stumble over replaced by a mark."""
    return _HARMFUL.sub("\ufffd", str(text))


def short(text: object, limit: int = 60) -> str:
    """One line of at most ``limit`` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def count(n: int, thing: str = "") -> str:
    """``count(3214, "operation")`` is ``3,214 operations``."""
    if not thing:
        return f"{n:,}"
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def millis(ms: float) -> str:
    """A duration given in ms, with about three digits: ``0.42 ms``, ``91 ms``, ``1.24 s``."""
    if ms >= 120_000:
        return f"{ms / 60_000:.1f} min"
    if ms >= 1000:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def lasting(ns: int) -> str:
    """A duration given in ns."""
    return millis(ns / NS_PER_MS)


def moment(ns: int) -> str:
    """A point in time, as seconds since the run began: ``12.345 s``."""
    return f"{ns / NS_PER_S:,.3f} s"


def size(n: float) -> str:
    """A number of bytes: ``1.2 MB``."""
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}" if unit != "B" else f"{n:.0f} B"
        n /= 1000
    return f"{n:,.1f} GB"


def shown(value: Any, limit: int = 40) -> str:
    """A value of an operation: numbers and words as they are, everything else as JSON."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return short(value, limit)
    try:
        return short(msgspec.json.encode(value).decode(), limit)
    except (TypeError, ValueError):
        return short(repr(value), limit)


def phrase(operation: Operation) -> str:
    """What an operation asked and got, in a few words: ``read 7``, ``write 9``, ``cas 3→4``."""
    f, value, result = operation.f, operation.value, operation.result
    if operation.type == "ok" and "read" in f:
        return f"{f} {shown(result)}"
    if f == "cas" and isinstance(value, list | tuple) and len(value) == 2:
        return f"cas {shown(value[0])}→{shown(value[1])}"
    asked = f if value is None else f"{f} {shown(value)}"
    return asked if operation.type != "ok" or result in (None, value) else f"{asked} → {shown(result)}"
