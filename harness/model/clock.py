"""Time as an argument: the real monotonic clock, and one that tests move by hand."""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Tells nanoseconds since the run began; never goes back."""

    def now_ns(self) -> int: ...


class MonotonicClock:
    """The machine's monotonic clock, with zero at construction."""

    def __init__(self) -> None:
        self._zero_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        return time.monotonic_ns() - self._zero_ns


class SimClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance_to(self, now_ns: int) -> None:
        """Move to ``now_ns``; raises ValueError when that is in the past."""
        if now_ns < self._now_ns:
            raise ValueError(f"clock cannot go back from {self._now_ns} to {now_ns} ns")
        self._now_ns = now_ns
