"""How long one group of operations was not served, read from what its clients saw.

A group is one kind of operation in one region. Its error rate in the seconds before the disturbance says what is
normal. The group is interrupted when some window of ``WINDOW_S`` afterwards has more errors than that rate explains, by
``SIGMAS`` standard deviations of a binomial distribution; or, without such a window, when nothing succeeded for far
longer than ever before: clients may wait an outage out. What passed while the harness itself stood still counts neither
as a silence nor, when it was most of an operation's time, as an error. Three moments follow, each when a client saw it:

    detected        the first error of the first bad window
    first success   the end of the first success that *began* after the detection: what was under way may have been
                    answered by the part that was still alive
    steady          the end of the first success after the last error of the last bad window, when at least
                    ``WINDOW_S`` of normal service follow

``resolution_s`` is how exactly the first success is known: since the beginning of the last failed attempt before it.
``failing_s`` is when the last failed attempt of the last bad window began: certainly not steady before. What comes
after the heal counts only for a group that was not steady before it. A group that only the heal interrupted is measured
from there (``after_heal``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import sqrt
from statistics import median
from typing import Any, Final, NamedTuple

from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.history import NEVER_NS, Operation
from harness.model.op import OK

WINDOW_S: Final = 1.0
BEFORE_S: Final = 5.0
"""So much of the time before a disturbance says what is normal."""
SAMPLES_MIN: Final = 10
SIGMAS: Final = 5.0
"""Windows overlap and there are hundreds of them: what is rarer than one in a million is no chance any more."""
ROUNDING: Final = 1e-9
"""So many errors more or less are none: what is exactly at the limit must not depend on the last digit."""
WELL: Final = 0.5
"""A group with a lower success share was not served before either."""
STILL: Final = 3.0
"""A silence counts when it is so many times as long as the longest one before, and ``STILL_MIN_S``."""
STILL_MIN_S: Final = 0.25
_WINDOW_NS: Final = round(WINDOW_S * NS_PER_S)


class Period(NamedTuple):
    """A disturbance: its start, when it was undone, and until when nothing else disturbed; ns since the run began.
    ``stalls`` is when the harness stood still, ``(begin_ns, end_ns)``."""

    start_ns: int
    heal_ns: int
    until_ns: int
    stalls: tuple[tuple[int, int], ...] = ()

    def stalled_ns(self, since_ns: int, to_ns: int) -> int:
        """How much of that time the harness stood still."""
        return sum(max(0, min(end_ns, to_ns) - max(begin_ns, since_ns)) for begin_ns, end_ns in self.stalls)


@dataclass(frozen=True)
class Normal:
    """What was normal: the success ``share``, the ``error_rate`` that it allows for, the longest time between two
    successes, and the median time between two attempts. ``cause`` says why nothing is known."""

    share: float = 0.0
    error_rate: float = 0.0
    silence_ns: int = 0
    sampling_ns: int = 0
    cause: str = ""


@dataclass(frozen=True)
class Outage:
    """What one disturbance did to one group. Times are seconds since its start; None where it did not come to that."""

    normal: Normal
    interrupted: bool = False
    errors: int = 0
    detected_s: float | None = None
    first_success_s: float | None = None
    steady_s: float | None = None
    resolution_s: float | None = None
    failing_s: float = 0.0
    watched_s: float = 0.0
    steady_before_heal: bool = False
    after_heal: bool = False

    def as_data(self) -> dict[str, Any]:
        """For machines; times rounded to 0.1 ms."""
        times = ("detected_s", "first_success_s", "steady_s", "resolution_s", "failing_s", "watched_s")
        told = {name: None if getattr(self, name) is None else round(getattr(self, name), 4) for name in times}
        normal = {
            "before_share": round(self.normal.share, 4),
            "sampling_ms": round(self.normal.sampling_ns / NS_PER_MS, 2),
            "cause": self.normal.cause,
        }
        flags = ("interrupted", "errors", "steady_before_heal", "after_heal")
        return {name: getattr(self, name) for name in flags} | told | normal


def measure(operations: Sequence[Operation], period: Period) -> Outage:
    """What the disturbance did to ``operations`` (one group, by start), as far as it was watched."""
    start_ns, heal_ns, until_ns, _ = period
    operations = [op for op in operations if not _blurred(op, period)]
    normal = _normal([op for op in operations if start_ns - BEFORE_S * NS_PER_S <= op.start_ns < start_ns], period)
    seen = _ended(operations, until_ns)
    seen = [op for op in seen if op.seen_end_ns >= start_ns]
    if normal.cause or not seen:
        return Outage(Normal(cause=normal.cause or "nobody tried after the fault"))
    watched_s = (min(until_ns, max(_seen_ns(op, until_ns) for op in seen)) - start_ns) / NS_PER_S
    bad = _bad_windows(seen, normal.error_rate)
    if not bad:
        return _waited_out(operations, period, Outage(normal, watched_s=watched_s))
    wrong = [op for op in seen[bad[0] :] if op.type != OK]
    if start_ns < heal_ns <= wrong[0].start_ns:
        return replace(measure(operations, Period(heal_ns, until_ns, until_ns, period.stalls)), after_heal=True)
    detected_ns = min(_seen_ns(op, until_ns) for op in wrong)
    first = _first_success(seen, detected_ns)
    early = _ended(seen, heal_ns)
    in_time = _steady(early, normal.error_rate, heal_ns) if heal_ns < until_ns else None
    steady = in_time or _steady(seen, normal.error_rate, until_ns)
    counted = early if in_time else seen
    return Outage(
        normal,
        interrupted=True,
        errors=sum(op.type != OK for op in seen),
        detected_s=(detected_ns - start_ns) / NS_PER_S,
        first_success_s=None if first is None else (first.end_ns - start_ns) / NS_PER_S,
        steady_s=None if steady is None else (steady.end_ns - start_ns) / NS_PER_S,
        resolution_s=_resolution_s(seen, first, detected_ns),
        failing_s=max(0, _last_error_ns(counted, _bad_windows(counted, normal.error_rate)[-1]) - start_ns) / NS_PER_S,
        watched_s=watched_s,
        steady_before_heal=in_time is not None,
    )


def _ended(operations: Sequence[Operation], until_ns: int) -> list[Operation]:
    """Those that began before then, without what was under way then: what comes next may have broken it."""
    began = [op for op in operations if op.start_ns < until_ns]
    return [op for op in began if op.seen_end_ns <= until_ns or op.seen_end_ns == NEVER_NS]


def _blurred(op: Operation, period: Period) -> bool:
    """Whether it went wrong mostly while the harness stood still, which may be why: a time limit passes then, too."""
    if op.type == OK or op.seen_end_ns == NEVER_NS or not period.stalls:
        return False
    return 2 * period.stalled_ns(op.start_ns, op.seen_end_ns) > op.seen_end_ns - op.start_ns


def _normal(before: Sequence[Operation], period: Period) -> Normal:
    ended = [op for op in before if op.seen_end_ns < period.start_ns]
    if len(ended) < SAMPLES_MIN:
        return Normal(cause=f"only {len(ended)} operations before the fault, of {SAMPLES_MIN} that show what is normal")
    share = sum(op.type == OK for op in ended) / len(ended)
    if share < WELL:
        return Normal(share, cause=f"only {share:.0%} succeeded before the fault")
    served_ns = sorted(op.end_ns for op in ended if op.type == OK)
    silence_ns = max((_silence_ns(*pair, period) for pair in pairwise(served_ns)), default=0)
    sampling_ns = round(median(after.start_ns - op.start_ns for op, after in pairwise(ended)))
    # That no error was seen in so many attempts does not make the next one a wonder.
    return Normal(share, max(1 - share, 1 / len(ended)), silence_ns, sampling_ns)


def _bad_windows(operations: Sequence[Operation], rate: float) -> list[int]:
    """The positions from which on a window has more errors than ``rate`` explains."""
    starts = [op.start_ns for op in operations]
    errors = [0, *accumulate(op.type != OK for op in operations)]
    found = []
    for begin, since_ns in enumerate(starts):
        end = bisect_left(starts, since_ns + _WINDOW_NS)
        expected = (end - begin) * rate
        if errors[end] - errors[begin] > expected + SIGMAS * sqrt(expected * (1 - rate)) + ROUNDING:
            found.append(begin)
    return found


def _seen_ns(op: Operation, until_ns: int) -> int:
    """When its client knew how it ended; an operation that nobody saw end lasts as long as anybody watched."""
    return until_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns


def _first_success(seen: Sequence[Operation], since_ns: int) -> Operation | None:
    return min((op for op in seen if op.type == OK and op.start_ns >= since_ns), key=lambda op: op.end_ns, default=None)


def _steady(seen: Sequence[Operation], rate: float, until_ns: int) -> Operation | None:
    """The first success of the normal service that lasts until ``until_ns``; None when that is too short to tell."""
    bad = _bad_windows(seen, rate)
    if not bad:
        return None
    after = _first_success(seen, _last_error_ns(seen, bad[-1]))
    return after if after is not None and until_ns - after.end_ns >= _WINDOW_NS else None


def _last_error_ns(seen: Sequence[Operation], begin: int) -> int:
    """When the last error of the window from position ``begin`` on began."""
    end_ns = seen[begin].start_ns + _WINDOW_NS
    return max(op.start_ns for op in seen[begin:] if op.type != OK and op.start_ns < end_ns)


def _resolution_s(seen: Sequence[Operation], first: Operation | None, detected_ns: int) -> float | None:
    if first is None:
        return None
    failed_ns = [op.start_ns for op in seen if op.type != OK and op.start_ns <= first.start_ns]
    return (first.end_ns - max(failed_ns, default=detected_ns)) / NS_PER_S


def _silence_ns(since_ns: int, after_ns: int, period: Period) -> int:
    return after_ns - since_ns - period.stalled_ns(since_ns, after_ns)


def _waited_out(operations: Sequence[Operation], period: Period, whole: Outage) -> Outage:
    """Hardly an error, but perhaps a silence: operations that began and were answered only when it was over."""
    served_ns = sorted(op.end_ns for op in operations if op.type == OK and op.end_ns <= period.until_ns)
    silences = [(_silence_ns(*pair, period), pair[1]) for pair in pairwise(served_ns) if pair[1] > period.start_ns]
    longest_ns, over_ns = max(silences, default=(0, 0))
    if longest_ns <= max(STILL * whole.normal.silence_ns, STILL_MIN_S * NS_PER_S):
        return whole
    back_s = (over_ns - period.start_ns) / NS_PER_S
    waited = max(op.start_ns for op in operations if op.end_ns == over_ns)
    return replace(
        whole,
        interrupted=True,
        first_success_s=back_s,
        steady_s=back_s,
        resolution_s=(over_ns - waited) / NS_PER_S,
        failing_s=max(0, waited - period.start_ns) / NS_PER_S,
        steady_before_heal=over_ns <= period.heal_ns,
    )
