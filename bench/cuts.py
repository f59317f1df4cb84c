"""How differently the kinds of a partition look to a client: ``python bench/cuts.py``. Needs a Docker engine.

A client in one region talks to a node in another over a kept connection, then the path is cut in five manners. Told is
when the kept connection shows that something is wrong, how much of what was sent meanwhile was acknowledged, and what
a new connection meets. The client waits 8 s; its system gives up on unacknowledged bytes after 3 s (TCP_USER_TIMEOUT).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import registry
from harness.contracts import Address, Lab
from harness.planning import plans
from harness.testbeds import opening

FAULTS = ("partition-region", "reset-region", "blackhole-region", "drop-region", "disconnect-region")
WAIT_S, GIVE_UP_MS, EVERY_S = 8.0, 3000, 0.1
MESSAGE = b"GET /version HTTP/1.1\r\nHost: rift\r\n\r\n"
_BYTES_ACKED = 120
"""Offset in Linux's ``struct tcp_info``."""


def acknowledged(line: socket.socket) -> int:
    """Bytes that the other side's system has acknowledged; 0 once the connection is gone."""
    try:
        return int(struct.unpack_from("=Q", line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), _BYTES_ACKED)[0])
    except OSError:
        return 0


async def kept(address: Address, cut: asyncio.Event) -> tuple[str, float, int]:
    """How a kept connection ends after the cut, when, and how many bytes of those sent since were acknowledged."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_MS)
    writer.write(MESSAGE)
    await reader.read(1000)
    await cut.wait()
    began, before, seen = time.monotonic(), acknowledged(line), 0
    try:
        while (took_s := time.monotonic() - began) < WAIT_S:
            writer.write(MESSAGE)
            try:
                async with asyncio.timeout(EVERY_S):
                    if not await reader.read(1000):
                        return "closed", took_s, max(0, seen - before)
            except TimeoutError:
                if problem := reader.exception():  # its own limit is over, which has the same name
                    return getattr(problem, "strerror", "") or str(problem), took_s, max(0, seen - before)
                seen = max(seen, acknowledged(line))
        return "nothing", WAIT_S, max(0, seen - before)
    except OSError as error:
        return error.strerror or type(error).__name__, time.monotonic() - began, max(0, seen - before)
    finally:
        writer.transport.abort()


async def fresh(address: Address) -> str:
    """What a new connection meets."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            opened_s = time.monotonic() - began
            try:
                writer.write(MESSAGE)
                said = await reader.read(1000)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return "no connection" if "opened_s" not in locals() else "opens, then nothing"
    except OSError as error:
        return f"{error.strerror or type(error).__name__} after {time.monotonic() - began:.1f} s"
    return "an answer" if said else f"opens, closed after {time.monotonic() - began:.1f} s"


async def manner(lab: Lab, name: str, address: Address) -> None:
    """Measure one fault and print its row."""
    fault = registry.fault(name)
    aim = next(aim for aim in fault.aims(lab.topology) if aim.regions == ("us-east-1",))
    cut = asyncio.Event()
    keeping = asyncio.create_task(kept(address, cut))
    await asyncio.sleep(1.0)
    async with fault.apply(lab, aim):
        cut.set()
        (how, after_s, acked), new = await asyncio.gather(keeping, fresh(address))
    print(f"{name:<20} {how:<24} {after_s:>7.1f} s {acked:>12} {new}", flush=True)


async def main() -> None:
    """Print the table."""
    print(f"{'fault':<20} {'kept connection sees':<24} {'after':>9} {'bytes acked':>12} a new connection meets")
    with tempfile.TemporaryDirectory() as folder:
        testbed = opening.open_testbed(
            "compose", plans.topology("three-regions"), registry.target("etcd"), Path(folder),
            run_id=f"bench-{secrets.token_hex(3)}", seed=1, link_server=None, home=registry.home("compose"),
            say=lambda line: None,
        )  # fmt: skip
        async with testbed as lab:
            far = next(seat for seat in testbed.seats("eu-west-1") if seat.node.region == "us-east-1")
            for name in FAULTS:
                await manner(lab, name, far.reach["client"])
                await asyncio.sleep(1.0)


if __name__ == "__main__":
    asyncio.run(main())
