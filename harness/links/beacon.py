"""Measuring a path over real sockets: beacons that answer, and the clients that ask them.

A :class:`Beacon` is one region's far end, served by the harness itself. A connection that starts with ``SINK``
counts what it receives and reports the rate as seen by the receiver, which no buffer on the way can beautify; on
every other connection the beacon echoes. Like all that it imports, this file uses nothing but Python itself: see
``lookout``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from harness.links.echo import SINK, SINK_ORDER, SINK_REPORT, EchoServer
from harness.model.paths import Address, LinkProbe

K = TypeVar("K")

PING: Final = b"rift-png"
PING_GAP_S: Final = 0.0015
"""Pings of one measurement are this far apart, so that they do not queue for the processor behind each other."""
CONNECT_LIMIT_S: Final = 2.0
MOMENT_S: Final = 0.05
"""How long a probe looks at a new connection before it pings. A proxy with nobody behind it hangs up by itself;
a ping that it has not read by then would turn the polite end into a reset."""

WHISPERS: Final = 4

_WINDOW_MS: Final = 700
_ENOUGH_BYTES: Final = 4_000_000
_CHUNK: Final = bytes(16_000)


class Beacon:
    """An echo and sink server on one address. Close it when the run ends."""

    def __init__(self, server: EchoServer) -> None:
        self.address = Address(server.host, server.port)
        self.close = server.close

    @classmethod
    async def open(cls, address: Address) -> Beacon:
        """Listen on ``address`` (port 0: any free one; see ``address`` of the result). Raises OSError."""
        return cls(await EchoServer.open(address.host, address.port))


class _Asker(asyncio.Protocol):
    """A client's end: one question at a time, and ``answer`` completes with the first bytes that come back.
    ``can_write`` is set while the transport takes more, and once an answer is there.

    ``answer`` fails with ConnectionResetError or, after a polite end, EOFError.
    """

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.answered_ns = 0
        self.can_write = asyncio.Event()
        self.can_write.set()

    def data_received(self, data: bytes) -> None:
        self.answered_ns = time.perf_counter_ns()
        self.can_write.set()
        if not self.answer.done():
            self.answer.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.can_write.set()
        if not self.answer.done():
            self.answer.set_exception(exc or EOFError("the connection was closed before any byte came back"))
            self.answer.exception()  # asked for, so that an end that nobody waits for is not complained about

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    async def ask(self, transport: asyncio.Transport, question: bytes) -> float:
        """Send and wait for the first bytes back; the time it took in ms."""
        if self.answer.done():
            self.answer.result()  # raises when the connection ended since the last answer
            self.answer = asyncio.get_running_loop().create_future()
        if transport.is_closing():  # uvloop raises no OSError for it
            raise EOFError("the connection was closed")
        start_ns = time.perf_counter_ns()
        transport.write(question)
        await asyncio.shield(self.answer)
        return (self.answered_ns - start_ns) / 1e6


async def _connect(address: Address) -> tuple[asyncio.Transport, _Asker]:
    async with asyncio.timeout(CONNECT_LIMIT_S):
        return await asyncio.get_running_loop().create_connection(_Asker, address.host, address.port)


async def rtts_ms(
    paths: Mapping[K, Address], limit_s: Callable[[K], float], connections: int = 16, pings: int = 3
) -> dict[K, list[float]]:
    """Round trips to the beacon behind each path: ``connections`` per path, all paths at once, ``pings`` each.

    A ping unanswered within ``limit_s(path)`` ends its connection's series; what was lost is missing in the result.
    """
    loop = asyncio.get_running_loop()
    gap_s = PING_GAP_S * len(paths)
    start = loop.time() + 0.02 + 0.001 * connections * len(paths)  # connecting takes its time, too

    async def series(key: K, row: int, column: int) -> list[float]:
        slots = [start + PING_GAP_S * row + gap_s * (column + connections * i) for i in range(pings)]
        return await _ping_series(paths[key], slots, limit_s(key))

    tasks = {
        key: [asyncio.create_task(series(key, row, column)) for column in range(connections)]
        for row, key in enumerate(paths)
    }
    return {key: [ms for task in row for ms in await task] for key, row in tasks.items()}


async def _ping_series(address: Address, slots: Sequence[float], limit_s: float) -> list[float]:
    """Ping at each time of ``slots`` (the loop's clock) on one connection; the answers' times in ms."""
    found: list[float] = []
    transport: asyncio.Transport | None = None
    try:
        transport, asker = await _connect(address)
        for slot in slots:
            await asyncio.sleep(slot - asyncio.get_running_loop().time())
            async with asyncio.timeout(limit_s):
                found.append(await asker.ask(transport, PING))
    except (OSError, EOFError, TimeoutError):
        pass  # what is missing in the answer says it
    finally:
        if transport is not None:
            transport.abort()
    return found


class _Listener(asyncio.DatagramProtocol):
    """Sets ``heard`` with the first datagram."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.set()


async def whisper(address: Address, ping: bytes, limit_s: float, times: int = WHISPERS) -> bool:
    """Whether a datagram is answered within ``limit_s``. It is sent several times, because datagrams get lost."""
    transport, listener = await asyncio.get_running_loop().create_datagram_endpoint(
        _Listener, remote_addr=(address.host, address.port)
    )
    try:
        for _ in range(times):
            transport.sendto(ping)
            with suppress(TimeoutError):
                await asyncio.wait_for(listener.heard.wait(), limit_s / times)
            if listener.heard.is_set():
                return True
        return False
    finally:
        transport.close()


async def throughput_kbps(address: Address, limit_s: float) -> float:
    """Bulk rate in KB/s (1 KB = 1000 bytes) toward the beacon behind ``address``, as the beacon receives.

    The flow lasts under a second; 0.0 when no report came within ``limit_s``.
    """
    transport: asyncio.Transport | None = None
    try:
        async with asyncio.timeout(limit_s):
            transport, asker = await _connect(address)
            transport.write(SINK_ORDER.pack(SINK, _WINDOW_MS, _ENOUGH_BYTES))
            for _ in range(_ENOUGH_BYTES // len(_CHUNK) + 2):
                await asker.can_write.wait()
                if asker.answer.done():
                    break
                transport.write(_CHUNK)
            report = await asker.answer
    except (OSError, EOFError, TimeoutError):
        return 0.0
    finally:
        if transport is not None:
            transport.abort()
    received, took_s = SINK_REPORT.unpack(report[: SINK_REPORT.size])
    return float(received / took_s / 1000) if took_s > 0 else 0.0


async def probe(address: Address, ping: bytes, limit_s: float) -> LinkProbe:
    """Connect to ``address``, send ``ping`` and see what comes back within ``limit_s``.

    With an empty ``ping`` a connection that stays open without a byte counts as ``open``.
    """
    transport: asyncio.Transport | None = None
    try:
        async with asyncio.timeout(limit_s):
            transport, asker = await _connect(address)
            await asyncio.wait([asker.answer], timeout=MOMENT_S)
            return LinkProbe("open", await asker.ask(transport, ping))
    except TimeoutError:
        if transport is not None and not ping:
            return LinkProbe("open", detail=f"connected to {address} and stayed so; there is no ping to send")
        return LinkProbe("silent", detail=f"no byte from {address} within {limit_s:g} s")
    except ConnectionRefusedError:
        return LinkProbe("refused", detail=f"nothing listens on {address}")
    except EOFError as end:
        return LinkProbe("closed", detail=f"{address}: {end}")
    except OSError as problem:
        return LinkProbe("reset", detail=f"{address}: {problem}")
    finally:
        if transport is not None:
            transport.abort()
