"""A small real lab for tests: four regions, one node each, real processes, real links, and a target that only answers.

``async with open_lab(folder) as lab`` gives a ``contracts.Lab``. ``blinded(lab)`` is the same lab with all power
taken away: probes see what is there, actions do nothing and say that all went well.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from harness.contracts import (
    Address,
    Client,
    Containers,
    Lab,
    Launch,
    Links,
    Nodes,
    Packets,
    Place,
    Port,
    Seat,
    Service,
)
from harness.errors import Unsure
from harness.model.claims import Claims
from harness.model.topology import Between, Region, Topology
from harness.testbeds.local import LocalTestbed

REGIONS = ("north", "east", "south", "west")
SQUARE = Topology(
    name="square",
    regions=tuple(Region(id=region) for region in REGIONS),
    links=tuple(
        Between.model_validate({"from": one, "to": other, "rtt_ms": 10, "jitter_ms": 2})
        for i, one in enumerate(REGIONS)
        for other in REGIONS[i + 1 :]
    ),
)
"""Near enough for quick tests, and enough regions for every fault."""

_PORT = Port("echo", 7400, ping=b"ping\n")
_SERVER = """
import signal, socketserver, sys

heard = 0

class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        global heard
        for line in self.rfile:
            heard += line == b"ping\\n"
            self.wfile.write(b"%d\\n" % heard)

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Server((sys.argv[1], int(sys.argv[2])), Talk).serve_forever()
"""
"""Answers every line with the number of pings it has heard from anybody."""


class Echo:
    """The target: one small server process per node, which keeps nothing. The first node calls itself leader."""

    name = "echo"
    claims = Claims()
    speaks: frozenset[str] = frozenset()
    ports: tuple[Port, ...] = (_PORT,)
    needs_names = False
    upgrade = "rift/refstore:1"
    """Another image that has a Python, too."""

    def launch(self, place: Place) -> Launch:
        listen = place.listen["echo"]
        return Launch((sys.executable, "-I", "-S", "-c", _SERVER, listen.host, str(listen.port)))

    def service(self, place: Place) -> Service:
        listen = place.listen["echo"]
        argv = ("-I", "-S", "-c", _SERVER, listen.host, str(listen.port))
        return Service("rift/tools:1", argv, entrypoint=("python3",))

    async def ready(self, seat: Seat) -> str:
        try:
            await pings_heard(seat.reach["echo"])
        except OSError as error:
            return str(error)
        return ""

    async def connect(self, seat: Seat) -> Client:
        raise Unsure("the echo target has no clients")

    async def leader(self, seats: Iterable[Seat]) -> str | None:
        return "n1"


async def pings_heard(address: Address) -> int:
    """Ask a node, at its own address, how many pings have reached it."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"how many?\n")
        return int(await reader.readline())
    finally:
        writer.close()


@asynccontextmanager
async def open_lab(folder: Path, topology: Topology = SQUARE) -> AsyncIterator[LocalTestbed]:
    async with LocalTestbed(topology, Echo(), folder, f"lab-{secrets.token_hex(4)}", seed=7) as lab:
        yield lab


@dataclass
class Blinded:
    """A lab whose actions do nothing."""

    topology: Topology
    links: Links
    nodes: Nodes
    packets: Packets
    containers: Containers


def blinded(lab: Lab) -> Lab:
    links = _Without(lab.links, ("refuse", "blackhole", "reset", "shape", "restore"))
    nodes = _Without(lab.nodes, ("kill", "stop", "start", "pause", "resume", "wipe"))
    packets = _Without(lab.packets, ("drop", "disturb", "restore")) if hasattr(lab, "packets") else None
    powerless = ("disconnect", "connect", "change_image")
    containers = cast(Containers, _Without(lab.containers, powerless) if hasattr(lab, "containers") else None)
    return cast(Lab, Blinded(lab.topology, cast(Links, links), cast(Nodes, nodes), cast(Packets, packets), containers))


class _Without:
    """Looks like ``real``, but the methods ``dead`` do nothing."""

    def __init__(self, real: object, dead: tuple[str, ...]) -> None:
        self._real, self._dead = real, dead

    def __getattr__(self, name: str) -> Any:
        return _nothing if name in self._dead else getattr(self._real, name)


async def _nothing(*args: object, **kwargs: object) -> None: ...
