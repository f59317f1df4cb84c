"""What TCP itself notices on a path: segments that had to be sent again, came twice, or came out of turn."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from harness.model.paths import Address, PacketsSeen

CONNECTIONS: Final = 8
MESSAGES: Final = 40
"""On each connection, so far apart that each is a segment of its own."""
GAP_S: Final = 0.01
_MESSAGE: Final = b"rift-pkt"
_CONNECT_LIMIT_S: Final = 4.0
"""A lost first packet is sent again after a second, and then after two more."""
_FIELDS: Final = {"resent": 100, "sent": 156, "twice": 216, "reordered": 220, "early": 224}
"""Offsets of 32-bit counters in Linux's ``struct tcp_info`` (include/uapi/linux/tcp.h, since 5.4)."""


async def notice(address: Address, limit_s: float) -> PacketsSeen:
    """Talk to the beacon behind ``address`` over several connections, and add up what this side's TCP noticed.

    Connections that cannot be made count as nothing sent.
    """
    found = await asyncio.gather(*(_talk(address, i, limit_s) for i in range(CONNECTIONS)))
    total = {name: sum(one.get(name, 0) for one in found) for name in _FIELDS}
    return PacketsSeen(total["sent"], total["resent"], total["twice"], total["early"] + total["reordered"])


async def _talk(address: Address, rank: int, limit_s: float) -> dict[str, int]:
    await asyncio.sleep(rank * GAP_S / CONNECTIONS)
    try:
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return {}
    line = writer.get_extra_info("socket")
    try:
        for _ in range(MESSAGES):
            writer.write(_MESSAGE)
            await asyncio.sleep(GAP_S)
        async with asyncio.timeout(limit_s):
            await reader.readexactly(MESSAGES * len(_MESSAGE))
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass  # what TCP went through meanwhile is the answer
    try:
        return _counters(line)
    finally:
        writer.transport.abort()


def _counters(line: socket.socket) -> dict[str, int]:
    try:
        info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:  # it is closed
        return {}
    return {name: struct.unpack_from("=I", info, at)[0] for name, at in _FIELDS.items() if at + 4 <= len(info)}
