"""A first target: how its node starts, when it is ready, and what its client does."""

import sys
from pathlib import Path
from typing import Any

import httpx

from harness.contracts import Launch, Place, Port, Seat
from harness.errors import Refused, Unsure
from harness.model.claims import Claims
from harness.model.op import Op


class Toy:
    """The system under test and what it promises."""

    name = "my-target"
    claims = Claims(consistency=frozenset({"linearizable"}))
    speaks = frozenset({"read", "write", "cas"})
    ports = (Port("client", 7200, ping=b"GET /ping HTTP/1.0\r\n\r\n"),)
    needs_names = False

    def launch(self, place: Place) -> Launch:
        server = Path(__file__).with_name("toy_server.py")
        return Launch((sys.executable, str(server), str(place.listen["client"])))

    async def ready(self, seat: Seat) -> str:
        client = await self.connect(seat)
        await client.invoke(Op(type="invoke", f="read", key="ready"))  # raises until the server answers
        await client.close()
        return ""

    async def connect(self, seat: Seat) -> "Client":
        return Client(str(seat.reach["client"]))


class Client:
    """One connection. Refused means that it certainly did not happen, Unsure that nobody knows."""

    def __init__(self, address: str) -> None:
        self.http = httpx.AsyncClient(base_url=f"http://{address}", trust_env=False)

    async def invoke(self, op: Op) -> Any:
        try:
            if op.f == "read":
                text = (await self.http.get(f"/{op.key}")).text
                return int(text) if text else None
            if op.f == "write":
                (await self.http.put(f"/{op.key}", content=str(op.value))).raise_for_status()
            elif (await self.http.post(f"/{op.key}", content="{} {}".format(*op.value))).status_code == 409:
                raise Refused("the compare failed")
            return op.value
        except httpx.ConnectError as error:
            raise Refused(f"not even connected: {error}") from error
        except httpx.TransportError as error:
            raise Unsure(f"sent, but no answer: {error!r}") from error

    async def close(self) -> None:
        await self.http.aclose()


def make() -> Toy:
    """What ``--target`` calls; its keyword arguments would be the target's options."""
    return Toy()
