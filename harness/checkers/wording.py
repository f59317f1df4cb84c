"""How checkers name clients, times and faults in their sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.history import NEVER_NS, FaultWindow, Operation
from harness.model.op import FAIL, INFO

AFTERMATH_S: Final = 5.0
"""A fault that ended at most so long before a violation is mentioned with it."""


def client(op: Operation) -> str:
    """``client 3 in eu-west-1``"""
    return f"client {op.process}" + (f" in {op.region}" if op.region else "")


def thing(value: Any) -> str:
    """A value in a sentence: ``7``, ``nothing``, ``true``, ``[1 2 nil]``, ``{a: 1}``."""
    return "nothing" if value is None else _shown(value)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_shown(key)}: {_shown(item)}' for key, item in value.items())}}}"
    return str(value)


def span(ns: int) -> str:
    """A length of time: ``812 ms``, ``3.4 s``, and ``0.4 ms`` and ``0.3 us`` where it is short."""
    ms = ns / NS_PER_MS
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    if 0 < ms < 0.1:
        return f"{ns / 1000:.1f} us"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def after(first_ns: int, then_ns: int) -> str:
    """``812 ms after``, or just ``after`` where no clock was recorded."""
    return f"{span(max(0, then_ns - first_ns))} after" if min(first_ns, then_ns) >= 0 else "after"


def moment(ns: int) -> str:
    """A time since the run began: ``12.043 s``; many recorded histories have none."""
    return f"{ns / NS_PER_S:.3f} s" if 0 <= ns < NEVER_NS else "an unrecorded time"


def during(op: Operation) -> str:
    """When it was under way: ``2.822 to 2.824 s``, ``1.204 s, outcome unknown``, ``events 3 to 4`` without a clock."""
    failed = "failed" if op.type == FAIL else ""
    if op.start_ns >= 0:
        begun = f"{op.start_ns / NS_PER_S:.3f}"
        when = f"{begun} s" if op.type == INFO else f"{begun} to {moment(op.seen_end_ns)}"
    else:
        begun = f"{op.start_index + 1}"
        when = f"event {begun}" if op.type == INFO else f"events {begun} to {op.end_index + 1}"
    return ", ".join(filter(None, (when, failed or ("outcome unknown" if op.type == INFO else ""))))


def window(fault: FaultWindow) -> str:
    """``partition-region, 12.0-17.1 s``"""
    return f"{fault.fault}, {fault.start_ns / NS_PER_S:.1f}-{fault.end_ns / NS_PER_S:.1f} s"


def count(number: int, noun: str) -> str:
    """``1 key``, ``3,214 operations``"""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def and_more(items: Iterable[str], shown: int = 3) -> str:
    """The first few, and how many there are besides: ``1, 2, 3 and 4 more``."""
    words = list(items)
    rest = len(words) - shown
    return ", ".join(words[:shown]) + (f" and {rest} more" if rest > 0 else "")


def amid(faults: Iterable[FaultWindow], start_ns: int, end_ns: int) -> str:
    """What the nemesis was doing between two times, or shortly before: ``while eu-west-1 was cut off (...)``.

    Empty when it was doing nothing. Of several faults, those that overlap are
    named; without such, the last one that had just ended.
    """
    near = [fault for fault in faults if fault.start_ns <= end_ns]
    during = [fault for fault in near if fault.end_ns >= start_ns]
    if during:
        return " and ".join(_during(fault) for fault in during[-2:])
    ended = max(near, key=lambda fault: fault.end_ns, default=None)
    if ended is None or start_ns - ended.end_ns > AFTERMATH_S * NS_PER_S:
        return ""
    return f"{span(start_ns - ended.end_ns)} after the end of a fault on {ended.aim or 'the system'} ({window(ended)})"


def _during(fault: FaultWindow) -> str:
    victim, cut, rest = fault.aim.partition(" cut off")
    if cut or (fault.fault.startswith("partition") and victim and " " not in victim):
        return f"while {victim} {'were' if ' and ' in victim else 'was'} cut off{rest} ({window(fault)})"
    return f"during {fault.fault} on {fault.aim or 'the system'} ({window(fault).partition(', ')[2]})"
