"""One direction of one connection: reads one socket, passes the bytes through the toxics, writes the other.

Without toxics a read is followed at once by a write from the same buffer: no copy, no task, no queue. Bytes that
the receiver has no room for are kept here, and reading stops until they are gone.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from harness.links.server.alarms import Alarms
from harness.links.server.stage import Entry, Outlet, Stage
from harness.links.server.toxic import Chunk, Mark
from harness.model.seeds import Rng

# One buffer serves all pipes: a read and the write that follows happen without a pause between them.
_BUFFER = memoryview(bytearray(256 * 1024))
_CHUNK_BYTES = 32 * 1024
"""The largest chunk that toxics see."""


@dataclass
class Tally:
    """Bytes of one direction of one proxy so far, over all its connections."""

    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True)
class Ends:
    """What a pipe asks of its connection: ``over(pipe, mark)`` when it has ended, ``reset()`` to end everything."""

    over: Callable[[Pipe, Mark], None]
    reset: Callable[[], None]


class Pipe:
    """Bytes from ``source`` to ``dest``, both non-blocking; ``rng`` is this direction's own."""

    def __init__(self, source: socket.socket, dest: socket.socket, tally: Tally, ends: Ends, rng: Rng) -> None:
        self.source = source
        self.dest = dest
        self.over = False
        self._tally = tally
        self._ends = ends
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._stages: list[Stage] = []
        self._pending: deque[bytes] = deque()
        self._ending: Mark | None = None
        self._source_ended = False
        self._reading = False

    # --- toxics ---

    def add(self, entry: Entry, alarms: Alarms) -> None:
        """Put a toxic at the end of the chain."""
        if self.over:
            return
        stage = Stage(entry, self._rng, alarms, self._ends.reset)
        self._stages.append(stage)
        self._connect()
        stage.begin()
        self._wake_all()

    def update(self, entry: Entry) -> None:
        """Act by the entry's new attributes from now on, also on what waits already."""
        for stage in self._stages_of(entry):
            stage.begin()
            self._wake_all()

    def remove(self, entry: Entry) -> None:
        """Take a toxic out; what waited before it goes on to its successor."""
        for stage in self._stages_of(entry):
            outlet = stage.next
            rest = stage.leave()
            self._stages.remove(stage)
            self._connect()
            outlet.take_over(rest)
            self._wake_all()

    # --- the end of the chain ---

    def has_room(self) -> bool:
        return not self._pending

    def put(self, data: bytes | Mark, at_ns: int) -> None:
        """What has come through the chain."""
        if isinstance(data, Mark):
            self._end(data)
        elif self._ending is None:
            self._write(memoryview(data))

    def take_over(self, rest: list[Chunk]) -> None:
        """What waited before the last stage, which is removed."""
        for chunk in rest:
            self.put(chunk.data, chunk.at_ns)

    # --- the life of the pipe ---

    def start(self) -> None:
        """Begin to read."""
        self._adjust_reading()

    def source_gone(self) -> None:
        """The source socket is about to be closed by the other direction: what was read still goes through."""
        if not self._source_ended:
            self._source_ends(Mark.CLOSE)

    def stop(self) -> None:
        """Touch neither socket any more."""
        self.over = True
        self._read(False)
        if self._pending:
            self._loop.remove_writer(self.dest)
            self._pending.clear()
        for stage in self._stages:
            stage.end()
        self._stages.clear()

    # --- inside ---

    def _stages_of(self, entry: Entry) -> list[Stage]:
        return [stage for stage in self._stages if stage.entry is entry]

    def _connect(self) -> None:
        """Tell every stage its neighbours."""
        outlets: list[Outlet] = [*self._stages[1:], self]
        wakers = [self._adjust_reading, *(stage.pump for stage in self._stages)]
        for stage, outlet, before in zip(self._stages, outlets, wakers, strict=False):
            stage.next, stage.before = outlet, before

    def _wake_all(self) -> None:
        """Something has changed: there may be room again anywhere."""
        for stage in reversed(list(self._stages)):
            stage.pump()
        self._adjust_reading()

    def _adjust_reading(self) -> None:
        first: Outlet = self._stages[0] if self._stages else self
        self._read(not (self.over or self._source_ended or self._ending) and first.has_room())

    def _read(self, wanted: bool) -> None:
        if wanted and not self._reading:
            self._loop.add_reader(self.source, self._on_readable)
        elif self._reading and not wanted:
            self._loop.remove_reader(self.source)
        self._reading = wanted

    def _on_readable(self) -> None:
        try:
            if not self._stages:
                size = self.source.recv_into(_BUFFER)
                if size:
                    self._tally.received_bytes += size
                    self._write(_BUFFER[:size])
                    return
                data = b""
            else:
                data = self.source.recv(_CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._source_ends(Mark.CLOSE)
            return
        if not data:
            self._source_ends(Mark.EOF)
            return
        self._tally.received_bytes += len(data)
        self._stages[0].put(data, time.monotonic_ns())
        self._adjust_reading()

    def _source_ends(self, mark: Mark) -> None:
        self._source_ended = True
        self._read(False)
        first: Outlet = self._stages[0] if self._stages else self
        first.put(mark, time.monotonic_ns())

    def _write(self, data: memoryview) -> None:
        if self.over:
            return
        sent = 0
        if not self._pending:
            try:
                sent = self.dest.send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self._ends.over(self, Mark.CLOSE)
                return
            self._tally.sent_bytes += sent
            if sent == len(data):
                return
            self._loop.add_writer(self.dest, self._on_writable)
        self._pending.append(bytes(data[sent:]))
        self._adjust_reading()

    def _on_writable(self) -> None:
        try:
            while self._pending:
                data = self._pending[0]
                sent = self.dest.send(data)
                self._tally.sent_bytes += sent
                if sent < len(data):
                    self._pending[0] = data[sent:]
                    return
                self._pending.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._ends.over(self, Mark.CLOSE)
            return
        self._loop.remove_writer(self.dest)
        if self._ending is not None:
            self._ends.over(self, self._ending)
        else:
            self._wake_all()

    def _end(self, mark: Mark) -> None:
        """Nothing follows; end as soon as the receiver has taken what is pending."""
        if self.over or self._ending is not None:
            return
        self._ending = mark
        self._read(False)
        if not self._pending:
            self._ends.over(self, mark)
