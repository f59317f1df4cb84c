"""A target for tests of the testbed: real little servers that count their starts in a file, and can misbehave."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable

from harness.contracts import Address, Client, Launch, Place, Port, Seat, Service
from harness.errors import Unsure
from harness.model.claims import Claims

TOOLS = "rift/tools:1"
"""An image with a Python, built by `rift images`."""
SERVER = """
import pathlib, socket, socketserver, subprocess, sys, threading, time

name, host, port, data, mode, peer = sys.argv[1:]
starts = pathlib.Path(data, "starts")
with starts.open("a") as file:
    file.write("one\\n")
print(name, "warms up", flush=True)
if mode == "dies":
    sys.exit("boom: " + name + " does not like its disk")
if mode == "hangs":
    time.sleep(1000)
if mode == "forks":
    subprocess.Popen(["/bin/sleep", "1000"])
if mode == "resolves":
    print("peer is", socket.gethostbyname(peer), flush=True)

class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"%s %d\\n" % (name.encode(), len(starts.read_text().splitlines())))

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

def whisper():
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind((host, int(port)))
    while True:
        line.sendto(name.encode(), line.recvfrom(100)[1])

threading.Thread(target=whisper, daemon=True).start()
Server((host, int(port)), Talk).serve_forever()
"""


class Toy:
    """Answers every line with its node id and how often it was started with the data it has; datagrams with its id.

    ``trouble`` maps a node id to how it misbehaves: ``dies``, ``hangs`` (never ready), ``forks`` (leaves a child).
    """

    name = "toy"
    claims = Claims()
    speaks: frozenset[str] = frozenset()

    def __init__(self, port: int = 7100, trouble: dict[str, str] | None = None, needs_names: bool = False) -> None:
        self.ports: tuple[Port, ...] = (Port("main", port, ping=b"ping\n"),)
        self.needs_names = needs_names
        self.trouble = trouble or {}
        self.places: dict[str, Place] = {}

    def launch(self, place: Place) -> Launch:
        return Launch((sys.executable, "-I", "-S", "-c", SERVER, *self._words(place)))

    def service(self, place: Place) -> Service:
        return Service(TOOLS, ("python3", "-I", "-S", "-c", SERVER, *self._words(place)), data=str(place.data_dir))

    def _words(self, place: Place) -> tuple[str, ...]:
        self.places[place.node.id] = place
        listen, mode = place.listen["main"], self.trouble.get(place.node.id, "")
        peer = next((name for id_, name in place.name_of.items() if id_ != place.node.id), "")
        return (place.node.id, listen.host, str(listen.port), str(place.data_dir), mode, peer)

    async def ready(self, seat: Seat) -> str:
        try:
            await ask(seat.reach["main"])
        except OSError as error:
            return str(error)
        return ""

    async def connect(self, seat: Seat) -> Client:
        raise Unsure("the toy has no clients")

    async def leader(self, seats: Iterable[Seat]) -> str | None:
        return max(seat.node.id for seat in seats)


async def ask(address: Address) -> tuple[str, int]:
    """Who listens there, and how often it was started with its data. Raises OSError."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"who?\n")
        words = (await reader.readline()).split()
        if len(words) != 2:
            raise OSError(f"{address} hung up")
        return words[0].decode(), int(words[1])
    finally:
        writer.close()
