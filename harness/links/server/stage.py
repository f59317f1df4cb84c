"""One toxic on one direction of one connection: what waits before it, what it is busy with, when it goes on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from harness.links.server.alarms import Alarm, Alarms
from harness.links.server.toxic import NS_PER_MS, Chunk, Mark, Step, Toxic
from harness.model.seeds import Rng

_PASS = Toxic()
"""What acts on a connection that the toxicity spares."""
_DRAWS_PER_CHUNK = 1 << 16


@dataclass(eq=False)
class Entry:
    """A toxic in a proxy's chain, as the API shows it."""

    name: str
    type: str
    stream: str
    toxicity: float
    toxic: Toxic

    @property
    def direction(self) -> str:
        """``upstream`` (client to server) or ``downstream``."""
        return self.stream.lower()


class Outlet(Protocol):
    """Where a stage passes things on to: the next stage, or the pipe's end."""

    def has_room(self) -> bool: ...

    def put(self, data: bytes | Mark, at_ns: int) -> None: ...

    def take_over(self, rest: list[Chunk]) -> None: ...


class Stage:
    """Runs ``entry``'s toxic. ``next`` and ``before`` (called when there is room again) are set by the pipe.

    All methods return at once: waiting is an alarm, back pressure is ``has_room()``. So adding, changing and
    removing toxics takes effect between two chunks, and can neither hang nor lose one.
    """

    def __init__(self, entry: Entry, rng: Rng, alarms: Alarms, reset: Callable[[], None]) -> None:
        self.entry = entry
        self.next: Outlet
        self.before: Callable[[], None]
        self.passed_bytes = 0
        self.clock_ns = 0
        self.ended = False
        self._rng = rng.child(entry.name)
        self._alarms = alarms
        self._reset = reset
        self._queue: deque[Chunk] = deque()
        self._arrived = 0
        self._head: Chunk | None = None
        self._head_passed_bytes = 0
        self._work: Iterator[Step] | None = None
        self._alarm: Alarm | None = None
        self._fuse: Alarm | None = None
        self._pumping = False
        self._toxic = _PASS

    # --- what toxics see ---

    def uniform(self, number: int, draw: int = 0) -> float:
        return Rng(self._rng.seed, 1 + number * _DRAWS_PER_CHUNK + draw).uniform()[0]

    # --- what the chain sees ---

    def has_room(self) -> bool:
        return not self.ended and len(self._queue) < self._toxic.room_chunks

    def put(self, data: bytes | Mark, at_ns: int) -> None:
        """Take a chunk in; the caller has looked at ``has_room``."""
        if not self.ended:
            self._queue.append(Chunk(data, at_ns, self._arrived))
            self._arrived += 1
            self.pump()

    def take_over(self, rest: list[Chunk]) -> None:
        """Take in what waited before a removed stage, all of it before anything moves on: that keeps the order."""
        if not self.ended:
            for number, chunk in enumerate(rest, self._arrived):
                self._queue.append(chunk._replace(number=number))
            self._arrived += len(rest)
            self.pump()

    def pump(self) -> None:
        """Pass on as much as may pass now."""
        if self._pumping:
            return  # a neighbour called back; the loop below looks again
        self._pumping = True
        try:
            while not self.ended and self._alarm is None and self.next.has_room() and self._step():
                pass
        finally:
            self._pumping = False

    # --- what the pipe does when the chain changes ---

    def begin(self) -> None:
        """Start acting, or act by the entry's new attributes. One draw per connection decides by toxicity whether."""
        if self.ended:
            return
        self._interrupt()
        spared = Rng(self._rng.seed).uniform()[0] >= self.entry.toxicity
        self._toxic = _PASS if spared else self.entry.toxic
        fuse = self._toxic.fuse()
        if fuse is not None:
            after_ms, mark = fuse
            self._fuse = self._alarms.at(time.monotonic_ns() + after_ms * NS_PER_MS, lambda: self._pass_on(mark))

    def leave(self) -> list[Chunk]:
        """Stop for good; returns what has not been passed on, in order."""
        self._interrupt()
        rest = list(self._queue)
        if self._toxic.closes_when_removed and not self.ended:
            rest = [Chunk(Mark.CLOSE, time.monotonic_ns())]
        self.end()
        return rest

    def end(self) -> None:
        """Forget everything."""
        self.ended = True
        self._interrupt()
        self._queue.clear()

    # --- inside ---

    def _step(self) -> bool:
        if self._work is None:
            if not self._queue:
                return False
            self._begin_chunk()
            return True  # the room this made may have brought the next chunk; look at everything again
        step = next(self._work, None)
        if step is None:
            self._head = self._work = None
        elif isinstance(step, int):
            self.clock_ns = step
            if step > time.monotonic_ns():
                self._alarm = self._alarms.at(step, self._on_alarm)
        else:
            self._pass_on(step)
        return True

    def _begin_chunk(self) -> None:
        had_room = self.has_room()
        self._head = head = self._queue.popleft()
        self._head_passed_bytes = 0
        if isinstance(head.data, Mark):
            self._work = iter((self._toxic.hold_end_until(head, self), head.data))
        else:
            self._work = self._toxic.treat(head, head.data, self)
        if not had_room:
            self.before()

    def _pass_on(self, item: bytes | Mark) -> None:
        head = self._head
        at_ns = max(head.at_ns, self.clock_ns) if head is not None else time.monotonic_ns()
        if item is Mark.RESET:
            self._reset()
        elif isinstance(item, Mark):
            self.end()
            self.next.put(item, at_ns)
        elif item:
            self.passed_bytes += len(item)
            self._head_passed_bytes += len(item)
            self.next.put(item, at_ns)

    def _on_alarm(self) -> None:
        self._alarm = None
        self.pump()

    def _interrupt(self) -> None:
        """Stop waiting; what has not been passed on of the chunk in work waits again, first in the queue."""
        for alarm in (self._alarm, self._fuse):
            if alarm is not None:
                alarm.cancel()
        self._alarm = self._fuse = None
        head, self._head, self._work = self._head, None, None
        if head is None:
            return
        if isinstance(head.data, Mark):
            self._queue.appendleft(head)
        elif len(head.data) > self._head_passed_bytes:
            self._queue.appendleft(head._replace(data=head.data[self._head_passed_bytes :]))
