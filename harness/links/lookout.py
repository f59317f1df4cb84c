"""Looking at paths, from here or from where the link server is.

A harness that reaches the links through somebody else's ports sees the manners of whoever passes the bytes on: a
refused connection may look like a closed one, and TCP notices nothing of what happens behind. So a *lookout* does the
looking in the link server's own network: ``python3 -m harness.links.lookout HOST PORT`` there, :class:`Lookout` here.
Like all that it imports, this file uses nothing but Python itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, Protocol, TypeVar

from harness.errors import TestbedError
from harness.links import beacon, noticing
from harness.model.paths import Address, LinkProbe, PacketsSeen

K = TypeVar("K")

LISTENING: Final = "looking"
_LINE_LIMIT: Final = 1 << 22
_PATIENCE_S: Final = 30.0
"""What is asked takes its own time, and says how long at most; this is for a lookout that is gone."""


class Looks(Protocol):
    """Who looks at paths. Every method is like the function of that name in ``beacon`` or ``noticing``."""

    async def probe(self, address: Address, ping: bytes, limit_s: float) -> LinkProbe: ...

    async def whisper(self, address: Address, ping: bytes, limit_s: float) -> bool: ...

    async def rtts_ms(
        self, paths: Mapping[K, Address], limit_s: Callable[[K], float], connections: int, pings: int
    ) -> dict[K, list[float]]: ...

    async def throughput_kbps(self, address: Address, limit_s: float) -> float: ...

    async def notice(self, address: Address, limit_s: float) -> PacketsSeen: ...


class Here:
    """Looks from where this process is."""

    probe = staticmethod(beacon.probe)
    whisper = staticmethod(beacon.whisper)
    rtts_ms = staticmethod(beacon.rtts_ms)
    throughput_kbps = staticmethod(beacon.throughput_kbps)
    notice = staticmethod(noticing.notice)


class Lookout:
    """Lets the lookout at an address do it. Methods raise TestbedError when that is gone."""

    def __init__(self, at: Address) -> None:
        self._at = at

    async def probe(self, address: Address, ping: bytes, limit_s: float) -> LinkProbe:
        return LinkProbe(**await self._ask("probe", [str(address), ping.hex(), limit_s]))

    async def whisper(self, address: Address, ping: bytes, limit_s: float) -> bool:
        return bool(await self._ask("whisper", [str(address), ping.hex(), limit_s]))

    async def rtts_ms(
        self, paths: Mapping[K, Address], limit_s: Callable[[K], float], connections: int = 16, pings: int = 3
    ) -> dict[K, list[float]]:
        orders = [(str(address), limit_s(key)) for key, address in paths.items()]
        return dict(zip(paths, await self._ask("rtts", [orders, connections, pings]), strict=True))

    async def throughput_kbps(self, address: Address, limit_s: float) -> float:
        return float(await self._ask("throughput", [str(address), limit_s]))

    async def notice(self, address: Address, limit_s: float) -> PacketsSeen:
        return PacketsSeen(**await self._ask("notice", [str(address), limit_s]))

    async def way_ms(self, samples: int = 8) -> float:
        """How long a connection, a question and its answer take at least: two round trips to the lookout, in ms."""
        found = []
        for _ in range(samples):
            began = time.perf_counter()
            await self._ask("nothing", [])
            found.append((time.perf_counter() - began) * 1000)
        return min(found)

    async def _ask(self, what: str, arguments: list[Any]) -> Any:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                reader, writer = await asyncio.open_connection(self._at.host, self._at.port, limit=_LINE_LIMIT)
                try:
                    writer.write(json.dumps([what, *arguments]).encode() + b"\n")
                    if line := await reader.readline():
                        return json.loads(line)
                finally:
                    writer.close()
        except OSError as error:
            raise TestbedError(f"the lookout beside the link server does not answer at {self._at}: {error}") from error
        raise TestbedError(f"the lookout beside the link server, at {self._at}, hung up; see its container's log")


# --- its own side --------------------------------------------------------------------------------


async def _probe(address: str, ping: str, limit_s: float) -> Any:
    return asdict(await beacon.probe(_address(address), bytes.fromhex(ping), limit_s))


async def _whisper(address: str, ping: str, limit_s: float) -> Any:
    return await beacon.whisper(_address(address), bytes.fromhex(ping), limit_s)


async def _rtts(orders: list[tuple[str, float]], connections: int, pings: int) -> Any:
    paths = {i: _address(address) for i, (address, _) in enumerate(orders)}
    found = await beacon.rtts_ms(paths, lambda i: orders[i][1], connections, pings)
    return list(found.values())


async def _throughput(address: str, limit_s: float) -> Any:
    return await beacon.throughput_kbps(_address(address), limit_s)


async def _notice(address: str, limit_s: float) -> Any:
    return asdict(await noticing.notice(_address(address), limit_s))


async def _nothing() -> Any:
    return None


_ANSWERS: Final[dict[str, Callable[..., Any]]] = {
    "probe": _probe,
    "whisper": _whisper,
    "rtts": _rtts,
    "throughput": _throughput,
    "notice": _notice,
    "nothing": _nothing,
}


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host, int(port))


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        what, *arguments = json.loads(await reader.readline())
        writer.write(json.dumps(await _ANSWERS[what](*arguments)).encode() + b"\n")
        await writer.drain()
    finally:
        writer.close()


async def open_lookout(host: str, port: int) -> asyncio.Server:
    """A lookout that listens (port 0: any free one). Raises OSError."""
    return await asyncio.start_server(_serve, host, port, limit=_LINE_LIMIT)


async def _main(host: str, port: str) -> None:
    server = await open_lookout(host, int(port))
    print(LISTENING, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
