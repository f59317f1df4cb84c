"""A real little server with a scripted loss: each time it starts again, it forgets the last acknowledged appends.

It writes down what it forgot, and when it began to listen, by the machine's monotonic clock: the truth that a drill's
measurements are compared with. One node; clients of both regions go there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.contracts import Address, Client, Launch, Place, Port, Seat
from harness.errors import Refused, Unsure
from harness.model.claims import Claims, Objectives
from harness.model.op import Op

SERVER = """
import asyncio, json, pathlib, sys, time

host, port, data, forget = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]), int(sys.argv[4])
log = data / "log"
lines = log.read_text().splitlines() if log.exists() else []
if lines and forget:
    (data.parent / "forgotten").write_text(json.dumps([json.loads(line) for line in lines[-forget:]]))
    lines = lines[:-forget]
    log.write_text("".join(line + "\\n" for line in lines))
rows = [json.loads(line) for line in lines]
file = log.open("a")

async def talk(reader, writer):
    while line := await reader.readline():
        key, value = json.loads(line)
        if value is not None:
            rows.append([key, value])
            file.write(json.dumps([key, value]) + "\\n")
            file.flush()
        answer = value if value is not None else [v for k, v in rows if k == key]
        writer.write(json.dumps(answer).encode() + b"\\n")

async def main():
    server = await asyncio.start_server(talk, host, port)
    with (data.parent / "listening").open("a") as since:
        since.write(f"{time.monotonic_ns()}\\n")
    await server.serve_forever()

asyncio.run(main())
"""


class Scripted:
    """The target. ``home`` is where the node left its truth, ``invoked_ns`` when each value was sent."""

    name = "scripted"
    claims = Claims(objectives=Objectives(rto_s=30, rpo_s=0))
    speaks = frozenset({"append", "entries"})
    ports = (Port("main", 7310, ping=b"[0, null]\n"),)
    needs_names = False

    def __init__(self, forget: str = "0") -> None:
        self._forget = forget
        self.home = Path()
        self.invoked_ns: dict[int, int] = {}

    def launch(self, place: Place) -> Launch:
        self.home = place.data_dir.parent
        listen = place.listen["main"]
        words = (listen.host, str(listen.port), str(place.data_dir), self._forget)
        return Launch((sys.executable, "-I", "-S", "-c", SERVER, *words))

    async def ready(self, seat: Seat) -> str:
        client = await self.connect(seat)
        await client.invoke(Op(type="invoke", f="entries", key=0))
        await client.close()
        return ""

    async def connect(self, seat: Seat) -> Client:
        at = seat.reach["main"]
        return ScriptedClient(at, self.invoked_ns, *await asyncio.open_connection(at.host, at.port))

    async def leader(self, seats: Iterable[Seat]) -> str | None:
        return "n1"


class ScriptedClient:
    """One connection; notes when it was asked to append a value."""

    def __init__(
        self, at: Address, invoked_ns: dict[int, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._at, self._invoked_ns, self._reader, self._writer = at, invoked_ns, reader, writer

    async def invoke(self, op: Op) -> Any:
        if op.value is not None:
            self._invoked_ns[op.value] = time.monotonic_ns()
        try:
            if self._writer.is_closing():
                self._reader, self._writer = await asyncio.open_connection(self._at.host, self._at.port)
        except OSError as error:
            raise Refused(str(error)) from error
        try:
            self._writer.write(json.dumps([op.key, op.value]).encode() + b"\n")
            line = await self._reader.readline()
        except OSError as error:
            line = b""
            self._writer.close()
            raise Unsure(str(error)) from error
        if not line:
            self._writer.close()
            raise (Refused if op.f == "entries" else Unsure)("hung up")
        return json.loads(line)

    async def close(self) -> None:
        self._writer.close()


def make(**options: str) -> Scripted:
    """The target; ``forget``: how many appends a restart loses."""
    return Scripted(**options)
