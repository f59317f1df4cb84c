"""How long nobody was served, found by asking of every moment what clients saw around it. Shares no code with the
checkers; times are nanoseconds.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from harness.model.history import NEVER_NS, FaultWindow, History, Operation
from harness.model.op import INVOKE, OK

SECOND = 1_000_000_000
CUTS = ("partition", "reset", "blackhole", "drop", "disconnect")


class Seen(NamedTuple):
    """Of one group: ``why`` nothing is known; whether it was interrupted, surely failing and surely steady when (since
    the disturbance), and when a client was first served again; None: never seen."""

    why: str = ""
    interrupted: bool = False
    failing_ns: int = 0
    steady_ns: int | None = None
    served_ns: int | None = None


def groups(history: History) -> dict[tuple[str, str], list[Operation]]:
    """Every kind of operation in every region."""
    found: dict[tuple[str, str], list[Operation]] = {}
    for op in history.operations:
        found.setdefault((op.region, op.f), []).append(op)
    return found


def cut_off(fault: FaultWindow, region: str) -> bool:
    """Whether the fault itself parts the region from all others."""
    return region in fault.regions and fault.fault.split("-")[0] in CUTS


def seen(history: History, fault: FaultWindow, ops: list[Operation]) -> Seen:
    """What the fault did to one group."""
    return _seen(ops, fault.start_ns, fault.end_ns, _over_ns(history, fault))


def _over_ns(history: History, fault: FaultWindow) -> int:
    """The next disturbance."""
    later = [op.time_ns for op in history if op.is_nemesis and op.type == INVOKE and op.time_ns > fault.end_ns]
    return min(later, default=max(op.time_ns for op in history))


def _seen(ops: list[Operation], start_ns: int, heal_ns: int, over_ns: int) -> Seen:
    before = [op for op in ops if start_ns - 5 * SECOND <= op.start_ns < start_ns and op.seen_end_ns < start_ns]
    good = sum(op.type == OK for op in before)
    if len(before) < 10 or 2 * good < len(before):
        return Seen("nobody knows what is normal")
    rate = max((len(before) - good) / len(before), 1 / len(before))
    watched = [op for op in ops if op.seen_end_ns >= start_ns and _whole(op, over_ns)]
    if not watched:
        return Seen("nobody tried")
    bad = _bad(watched, rate)
    if not bad:
        return _waited(ops, before, start_ns, over_ns)
    broken = [op for op in watched if op.type != OK and op.start_ns >= bad[0]]
    if start_ns < heal_ns <= min(op.start_ns for op in broken):
        return _seen(ops, heal_ns, over_ns, over_ns)
    known_ns = min(min(op.seen_end_ns, over_ns) if op.seen_end_ns != NEVER_NS else over_ns for op in broken)
    served = [op.end_ns for op in watched if op.type == OK and op.start_ns >= known_ns]
    early = [op for op in watched if _whole(op, heal_ns)]
    for attempt, until_ns in ((early, heal_ns), (watched, over_ns)):
        late = _bad(attempt, rate)
        if not late or (attempt is early and heal_ns >= over_ns):
            continue
        last_ns = _last_error(attempt, late[-1])
        back = [op.end_ns for op in attempt if op.type == OK and op.start_ns >= last_ns]
        if back and until_ns - min(back) >= SECOND:
            steady_ns = min(back) - start_ns
            break
    else:
        last_ns, steady_ns = _last_error(watched, bad[-1]), None
    return Seen("", True, max(0, last_ns - start_ns), steady_ns, min(served) - start_ns if served else None)


def _whole(op: Operation, until_ns: int) -> bool:
    """Began before, and ended before if it ended."""
    return op.start_ns < until_ns and (op.seen_end_ns <= until_ns or op.seen_end_ns == NEVER_NS)


def _bad(ops: list[Operation], rate: float) -> list[int]:
    """The beginnings of all seconds with more errors than ``rate`` explains by five standard deviations."""
    found = []
    for begin in ops:
        second = [op for op in ops if begin.start_ns <= op.start_ns < begin.start_ns + SECOND]
        errors = sum(op.type != OK for op in second)
        limit = len(second) * rate + 5 * sqrt(len(second) * rate * (1 - rate))
        if errors - limit > 1e-9:  # not when it is exactly there
            found.append(begin.start_ns)
    return found


def _last_error(ops: list[Operation], begin_ns: int) -> int:
    return max(op.start_ns for op in ops if op.type != OK and begin_ns <= op.start_ns < begin_ns + SECOND)


def _waited(ops: list[Operation], before: list[Operation], start_ns: int, over_ns: int) -> Seen:
    """No error worth the name, but perhaps nobody was answered for long."""
    usual = _silences([op for op in before if op.type == OK])
    found = _silences([op for op in ops if op.type == OK and op.end_ns <= over_ns])
    found = [(long, end_ns) for long, end_ns in found if end_ns > start_ns]
    long, end_ns = max(found, default=(0, 0))
    if long <= 3 * max((each for each, _ in usual), default=0) or long <= SECOND // 4:
        return Seen()
    waited_ns = max(op.start_ns for op in ops if op.end_ns == end_ns)
    return Seen("", True, max(0, waited_ns - start_ns), end_ns - start_ns, end_ns - start_ns)


def _silences(answered: list[Operation]) -> list[tuple[int, int]]:
    """Lengths and ends of the times between one answer and the next."""
    ends = sorted(op.end_ns for op in answered)
    return [(ends[i + 1] - ends[i], ends[i + 1]) for i in range(len(ends) - 1)]
