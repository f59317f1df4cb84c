"""A beacon's server: echoes, or counts what it receives and reports the rate as seen by the receiver.

This file uses nothing but Python itself, so that it also runs by itself where only a Python is:
``python3 echo.py HOST PORT HOST PORT ...``.
"""

from __future__ import annotations

import asyncio
import math
import struct
import sys
import time
from typing import Final, cast

SINK: Final = b"SINK"
SINK_ORDER: Final = struct.Struct(">4sII")  # magic, window in ms, bytes after which it is enough
SINK_REPORT: Final = struct.Struct(">Qd")  # bytes after the first chunk, seconds they took


class EchoServer:
    """Echoes on one address; a connection that starts with ``SINK`` is counted instead. Made by :meth:`open`."""

    def __init__(self, server: asyncio.Server, ends: set[_End]) -> None:
        self.host, self.port = server.sockets[0].getsockname()[:2]
        self._server = server
        self._ends = ends

    @classmethod
    async def open(cls, host: str, port: int) -> EchoServer:
        """Listen (port 0: any free one). Raises OSError."""
        ends: set[_End] = set()
        return cls(await asyncio.get_running_loop().create_server(lambda: _End(ends), host, port), ends)

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self._server.close()
        for end in list(self._ends):
            end.abort()
        await self._server.wait_closed()


class _End(asyncio.Protocol):
    """The beacon's end of one connection: undecided, then echo or sink."""

    def __init__(self, ends: set[_End]) -> None:
        self._ends = ends
        self._head = b""
        self._sink: _Sink | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._ends.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ends.discard(self)
        if self._sink is not None:
            self._sink.stop()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._sink is not None:
            self._sink.take(len(data))
            return
        self._head += data
        if SINK.startswith(self._head[:4]) and len(self._head) < SINK_ORDER.size:
            return
        if self._head.startswith(SINK):
            _, window_ms, enough = SINK_ORDER.unpack_from(self._head)
            self._sink = _Sink(self._transport, window_ms / 1000, enough)
            self._sink.take(len(self._head) - SINK_ORDER.size)
            return
        self._transport.write(self._head)
        self._head = b""


class _Sink:
    """Counts from the first payload chunk on, for a window or until it is enough, then reports.

    The first chunk starts the clock and does not count; the last one stops it. What comes after the report is
    thrown away until the client hangs up: closing on unread data would send a reset, which can overtake the report.
    """

    def __init__(self, transport: asyncio.Transport, window_s: float, enough: int) -> None:
        self._transport, self._enough = transport, enough
        self._timer = asyncio.get_running_loop().call_later(window_s, self._report)
        self._first = self._last = math.nan
        self._bytes = 0

    def take(self, size: int) -> None:
        if size == 0:
            return
        self._last = time.perf_counter()
        if math.isnan(self._first):
            self._first = self._last
            return
        self._bytes += size
        if self._bytes >= self._enough:
            self._report()

    def stop(self) -> None:
        self._timer.cancel()

    def _report(self) -> None:
        self.stop()
        self._enough = 1 << 62
        took_s = 0.0 if math.isnan(self._first) else self._last - self._first
        self._transport.write(SINK_REPORT.pack(self._bytes, took_s))


async def _main(places: list[str]) -> None:
    servers = [await EchoServer.open(host, int(port)) for host, port in zip(places[::2], places[1::2], strict=True)]
    print(f"beacons: {len(servers)}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
