"""Timers good to a tenth of a millisecond, for every delay that a toxic injects.

Event loops wait in whole milliseconds: too coarse for a slicer's microseconds or for a region whose round
trip is 1 ms. Here one kernel timer (``timerfd``, Linux) serves a heap of deadlines and wakes the loop like a
socket. Where there is none, the loop's own timers do the work, less exactly.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import time
from collections.abc import Callable
from itertools import count

_NS_PER_S = 1_000_000_000
_CLOCK_MONOTONIC = 1
_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``: repeat interval (unused), then the absolute deadline."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "due_s", "due_ns")]


class Alarm:
    """One pending deadline on ``time.monotonic_ns()``."""

    __slots__ = ("call", "due_ns")

    def __init__(self, due_ns: int, call: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Never ring; harmless when it already rang."""
        self.call = None


class Alarms:
    """All pending alarms of one event loop, rung in order of their deadlines."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[int, int, Alarm]] = []
        self._order = count()
        self._armed_ns = 0
        self._fallback: asyncio.TimerHandle | None = None
        self._libc, self._fd = _open_timer()
        if self._fd >= 0:
            loop.add_reader(self._fd, self._on_timer)

    def at(self, due_ns: int, call: Callable[[], None]) -> Alarm:
        """Call ``call()`` once ``time.monotonic_ns()`` has reached ``due_ns``."""
        alarm = Alarm(due_ns, call)
        heapq.heappush(self._heap, (due_ns, next(self._order), alarm))
        if self._armed_ns == 0 or due_ns < self._armed_ns:
            self._arm(due_ns)
        return alarm

    def close(self) -> None:
        """Forget every alarm."""
        self._heap.clear()
        if self._fallback is not None:
            self._fallback.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _arm(self, due_ns: int) -> None:
        self._armed_ns = due_ns
        if self._fd >= 0 and self._libc is not None:
            # A deadline of zero would disarm the timer; one in the past rings at once.
            spec = _TimerSpec(0, 0, *divmod(max(due_ns, 1), _NS_PER_S))
            self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None)
            return
        if self._fallback is not None:
            self._fallback.cancel()
        wait_s = max(0, due_ns - time.monotonic_ns()) / _NS_PER_S
        self._fallback = self._loop.call_later(min(wait_s, 3600.0), self._ring)

    def _on_timer(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # armed again since the loop saw it
        self._ring()

    def _ring(self) -> None:
        now_ns = time.monotonic_ns()
        while self._heap and (self._heap[0][0] <= now_ns or self._heap[0][2].call is None):
            _, _, alarm = heapq.heappop(self._heap)
            if alarm.call is not None:
                alarm.call()
        self._armed_ns = 0
        if self._heap:
            self._arm(self._heap[0][0])


def _open_timer() -> tuple[ctypes.CDLL | None, int]:
    """The C library and a timer file, or ``(None, -1)``; ``os.timerfd_create`` exists only since Python 3.13."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc, int(libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS))
    except (OSError, AttributeError):
        return None, -1
