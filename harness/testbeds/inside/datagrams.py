"""Links for datagrams, beside the link server, which carries streams only: ``datagrams.py serve FOLDER``.

``FOLDER/routes.json`` lists ``[link, [host, port], [host, port], {address: address}]``: where a link listens, where its
node is, and for each node of the connecting region how that one is found from over there. What a node sends from its
own port arrives from the address by which the other one knows it, as gossip needs it; what anybody else sends gets a
port of its own here, and the answers come back through that. ``FOLDER/ways.json`` says for each link and direction
(``up`` to its node, ``down`` back) ``[delay_ms, jitter_ms]``, or null when nothing passes; it is looked at for each
datagram. ``datagrams.py tell FOLDER JSON`` replaces it. Uses nothing but Python itself.
"""

import asyncio
import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

IDLE_S = 60.0
"""A port that answers came back through is given up when nobody has used it for so long."""
Place = tuple[str, int]


class Ways:
    """What passes on which link, as the file says now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] = (0, 0)
        self._ways: dict[str, Any] = {}

    def of(self, link: str, way: str) -> list[float] | None:
        """Delay and jitter in ms, None when the link swallows."""
        found = self._path.stat()
        if (now := (found.st_ino, found.st_mtime_ns)) != self._known:
            self._ways, self._known = json.loads(self._path.read_text()), now
        passes: list[float] | None = self._ways[link][way]
        return passes

    def carry(self, link: str, way: str, send: Callable[[], None]) -> None:
        """Send after the link's delay, unless it is cut now or then."""
        if (passes := self.of(link, way)) is not None:
            delay_ms, jitter_ms = passes
            delay_s = max(0.0, delay_ms + random.uniform(-jitter_ms, jitter_ms)) / 1000
            asyncio.get_running_loop().call_later(delay_s, self._arrive, link, way, send)

    def _arrive(self, link: str, way: str, send: Callable[[], None]) -> None:
        if self.of(link, way) is not None:
            send()


class Link(asyncio.DatagramProtocol):
    """One link's listening end."""

    transport: asyncio.DatagramTransport

    def __init__(self, name: str, to: Place, back: dict[str, str], ways: Ways, links: "dict[Place, Link]") -> None:
        self._name, self._to, self._back, self._ways, self._links = name, to, back, ways, links
        self._flows: dict[Place, Flow] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: Any) -> None:
        host, port = sender[:2]
        known_as = self._links.get((self._back.get(host, ""), port)) if port == self._to[1] else None
        if known_as is not None:
            end = known_as.transport
            self._ways.carry(self._name, "up", lambda: end.sendto(data, self._to))
            return
        flow = self._flow((host, port))
        self._ways.carry(self._name, "up", lambda: flow.send(data))

    def _flow(self, client: Place) -> "Flow":
        idle_since = time.monotonic() - IDLE_S
        for other in [other for other, flow in self._flows.items() if flow.used_s < idle_since]:
            self._flows.pop(other).close()
        if client not in self._flows:
            self._flows[client] = Flow(self._to, partial(self._answer, client))
        return self._flows[client]

    def _answer(self, client: Place, data: bytes) -> None:
        self._ways.carry(self._name, "down", lambda: self.transport.sendto(data, client))


class Flow:
    """A port of its own for somebody who is no node's port."""

    def __init__(self, to: Place, answer: Callable[[bytes], None]) -> None:
        self.used_s = time.monotonic()
        self._answer = answer
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.setblocking(False)
        self._line.connect(to)
        asyncio.get_running_loop().add_reader(self._line, self._heard)

    def send(self, data: bytes) -> None:
        """To the node; lost when it cannot be sent now."""
        self.used_s = time.monotonic()
        with suppress(OSError):
            self._line.send(data)

    def close(self) -> None:
        """Give up the port."""
        asyncio.get_running_loop().remove_reader(self._line)
        self._line.close()

    def _heard(self) -> None:
        self.used_s = time.monotonic()
        with suppress(OSError):  # nobody listens over there
            self._answer(self._line.recv(1 << 16))


def _itself(link: Link) -> Link:
    return link


async def serve(folder: Path) -> None:
    """Carry datagrams until the end of this process. Raises OSError when an address cannot be had."""
    links: dict[Place, Link] = {}
    ways = Ways(folder / "ways.json")
    for name, listen, to, back in json.loads((folder / "routes.json").read_text()):
        link = Link(name, tuple(to), back, ways, links)
        await asyncio.get_running_loop().create_datagram_endpoint(partial(_itself, link), local_addr=tuple(listen))
        links[tuple(listen)] = link
    (folder / "pid").write_text(str(os.getpid()))
    print("serving", flush=True)
    await asyncio.Event().wait()


def tell(folder: Path, ways: str) -> None:
    """Replace what passes. Raises OSError when nobody serves, not yet or not any more."""
    fresh = folder / "ways.fresh"
    fresh.write_text(ways)
    os.replace(fresh, folder / "ways.json")
    os.kill(int((folder / "pid").read_text()), 0)


if __name__ == "__main__":
    if sys.argv[1] == "tell":
        tell(Path(sys.argv[2]), sys.argv[3])
    else:
        asyncio.run(serve(Path(sys.argv[2])))
