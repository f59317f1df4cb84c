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
    Clocks,
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
from harness.testbeds import faketime
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
import pathlib, signal, socketserver, sys, time

heard = 0
pathlib.Path(sys.argv[3], "started").touch()

class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        global heard
        for line in self.rfile:
            heard += line == b"ping\\n"
            self.wfile.write(b"%f\\n" % time.time() if line == b"time?\\n" else b"%d\\n" % heard)

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Server((sys.argv[1], int(sys.argv[2])), Talk).serve_forever()
"""
"""Answers every line with the number of pings it has heard from anybody, or with its time."""


class Echo:
    """The target: one small server process per node, which needs nothing of what it keeps. The first node calls itself
    leader."""

    name = "echo"
    claims = Claims()
    speaks: frozenset[str] = frozenset()
    ports: tuple[Port, ...] = (_PORT,)
    needs_names = False
    upgrade = "rift/refstore:1"
    """Another image that has a Python, too."""
    rebuilds = True

    def launch(self, place: Place) -> Launch:
        return Launch((sys.executable, *_words(place)))

    def service(self, place: Place) -> Service:
        return Service("rift/tools:1", _words(place), entrypoint=("python3",), data=str(place.data_dir))

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

    async def clock(self, seat: Seat) -> tuple[float, float]:
        now_s = await _asked(seat.reach["echo"], b"time?\n")
        return now_s, now_s


def _words(place: Place) -> tuple[str, ...]:
    listen = place.listen["echo"]
    return ("-I", "-S", "-c", _SERVER, listen.host, str(listen.port), str(place.data_dir))


async def pings_heard(address: Address) -> int:
    """Ask a node, at its own address, how many pings have reached it."""
    return int(await _asked(address, b"how many?\n"))


async def _asked(address: Address, question: bytes) -> float:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(question)
        return float(await reader.readline() or "nan")
    finally:
        writer.close()


@asynccontextmanager
async def open_lab(folder: Path, topology: Topology = SQUARE) -> AsyncIterator[LocalTestbed]:
    """Up even on a machine that is too busy for exact latencies: what faults do is asked for here, not that."""
    run_id, clocks = f"lab-{secrets.token_hex(4)}", not faketime.refused()
    async with LocalTestbed(topology, Echo(), folder, run_id, 7, exact_links=False, clocks=clocks) as lab:
        yield lab


@dataclass
class Blinded:
    """A lab whose actions do nothing."""

    topology: Topology
    links: Links
    nodes: Nodes
    packets: Packets
    containers: Containers
    clocks: Clocks


def blinded(lab: Lab) -> Lab:
    links = _Without(lab.links, ("refuse", "blackhole", "reset", "shape", "restore"))
    nodes = _Without(lab.nodes, ("kill", "stop", "start", "pause", "resume", "wipe"))
    packets = _Without(lab.packets, ("drop", "disturb", "restore")) if hasattr(lab, "packets") else None
    powerless = ("disconnect", "connect", "change_image")
    containers = cast(Containers, _Without(lab.containers, powerless) if hasattr(lab, "containers") else None)
    clocks = cast(Clocks, _Without(lab.clocks, ("shift", "restore")) if hasattr(lab, "clocks") else None)
    powers = cast(Links, links), cast(Nodes, nodes), cast(Packets, packets), containers, clocks
    return cast(Lab, Blinded(lab.topology, *powers))


class _Without:
    """Looks like ``real``, but the methods ``dead`` do nothing."""

    def __init__(self, real: object, dead: tuple[str, ...]) -> None:
        self._real, self._dead = real, dead

    def __getattr__(self, name: str) -> Any:
        return _nothing if name in self._dead else getattr(self._real, name)


async def _nothing(*args: object, **kwargs: object) -> None: ...
