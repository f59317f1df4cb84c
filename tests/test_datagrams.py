"""Ports that speak UDP: their datagrams cross borders over links only, with the links' delays, cuts and losses."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from harness import registry
from harness.contracts import Address, Client, Launch, Place, Port, Seat, Service
from harness.errors import TestbedError, Unsure
from harness.links.beacon import whisper
from harness.links.control import LinkFleet
from harness.links.routes import Trouble, ways
from harness.model.attestation import effective
from harness.model.claims import Claims
from harness.model.topology import Between, LinkProfile, Region, Topology
from harness.nemesis import until_healed
from harness.testbeds.local import LocalTestbed
from tests.lab import blinded

on_one_loop = pytest.mark.asyncio(loop_scope="module")

RTT_MS = 60
PAIR = Topology(
    name="pair",
    regions=(Region(id="east"), Region(id="west")),
    links=(Between.model_validate({"from": "east", "to": "west", "rtt_ms": RTT_MS}),),
)
GOSSIP = """
import json, socket, socketserver, sys, threading

name, host, port, talk = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind((host, port))
heard = []

def listen():
    while True:
        data, sender = line.recvfrom(1 << 16)
        heard.append([data.decode()[:20], sender[0], sender[1]])
        if data.startswith(b"who?"):
            line.sendto(name.encode(), sender)

class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        for order in self.rfile:
            words = order.split()
            if words and words[0] == b"say":
                line.sendto(b"who?", (words[1].decode(), int(words[2])))
            self.wfile.write(json.dumps(heard).encode() + b"\\n")

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

threading.Thread(target=listen, daemon=True).start()
Server((host, talk), Talk).serve_forever()
"""


class Gossip:
    """Answers datagrams with its name, and sends them from its own port when it is told to, as gossip does."""

    name = "gossip"
    claims = Claims()
    speaks: frozenset[str] = frozenset()
    ports: tuple[Port, ...] = (
        Port("talk", 7500, ping=b"heard?\n"),
        Port("gossip", 7500 + 1, ping=b"who?", protocol="udp"),
    )
    needs_names = False

    def launch(self, place: Place) -> Launch:
        return Launch((sys.executable, *self._words(place)))

    def service(self, place: Place) -> Service:
        return Service("rift/tools:1", self._words(place), entrypoint=("python3",))

    def _words(self, place: Place) -> tuple[str, ...]:
        at = place.listen["gossip"]
        return ("-I", "-S", "-c", GOSSIP, place.node.id, at.host, str(at.port), str(place.listen["talk"].port))

    async def ready(self, seat: Seat) -> str:
        await order(seat.reach["talk"], "heard?")
        return ""

    async def connect(self, seat: Seat) -> Client:
        raise Unsure("gossip has no clients")


async def order(address: Address, words: str) -> list[list[Any]]:
    """Tell a node something; what it has heard so far, from which address and port."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(f"{words}\n".encode())
        found: list[list[Any]] = json.loads(await reader.readline())
        return found
    finally:
        writer.close()


async def answered(lab: Any, source: str, node: str, limit_s: float = 1.0) -> bool:
    return await whisper(lab.seat(source, node).reach["gossip"], b"who?", limit_s)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalTestbed]:
    run_id = f"udp-{secrets.token_hex(4)}"
    async with LocalTestbed(PAIR, Gossip(), tmp_path_factory.mktemp("lab"), run_id, seed=7) as found:
        yield found


@on_one_loop
async def test_a_datagram_is_answered_over_its_link_after_a_round_trip(lab: LocalTestbed) -> None:
    at = lab.seat("east", "n2").reach["gossip"]
    took_ms = []
    for _ in range(5):
        began = time.perf_counter()
        assert await whisper(at, b"who?", 4.0)
        took_ms.append((time.perf_counter() - began) * 1000)
    assert min(took_ms) >= RTT_MS, "it did not go over the link"


@on_one_loop
async def test_nodes_know_each_other_by_the_addresses_that_they_were_given(lab: LocalTestbed) -> None:
    """Gossip answers whoever spoke: a datagram from a node's own port comes from where that node is found."""
    n1, n2 = lab.seat("east", "n1"), lab.seat("west", "n2")
    there, back = lab.seat("east", "n2").reach["gossip"], lab.seat("west", "n1").reach["gossip"]
    await order(n1.reach["talk"], f"say {there.host} {there.port}")
    async with asyncio.timeout(5):
        while ["n2", there.host, there.port] not in await order(n1.reach["talk"], "heard?"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # another process sets no event here
    assert ["who?", back.host, back.port] in await order(n2.reach["talk"], "heard?")


@on_one_loop
@pytest.mark.parametrize("name", ["partition-region", "blackhole-region", "partition-one-way", "drop-region"])
async def test_a_cut_takes_datagrams_too_and_gives_them_back(lab: LocalTestbed, name: str) -> None:
    fault = registry.fault(name)
    if not fault.needs <= lab.powers:
        pytest.skip("no packet filter of its own here")
    aim = fault.aims(PAIR)[-1]
    before = await fault.symptoms(lab, aim)
    async with fault.apply(lab, aim):
        assert effective(before, await fault.symptoms(lab, aim)) == ""
        assert not any([await answered(lab, "east", "n2"), await answered(lab, "west", "n1")])
        assert await answered(lab, "east", "n1"), "nothing is cut inside a region"
    assert (await until_healed(lab, fault, aim, before))[1] == ""
    assert await answered(lab, "east", "n2")
    assert await answered(lab, "west", "n1")


@on_one_loop
async def test_a_cut_that_spares_datagrams_is_found_out(lab: LocalTestbed, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing() -> None: ...

    fault = registry.fault("partition-region")
    aim = fault.aims(PAIR)[0]
    before = await fault.symptoms(lab, aim)
    with monkeypatch.context() as blind:
        blind.setattr(lab.links, "_then", nothing)
        async with fault.apply(lab, aim):
            why = effective(before, await fault.symptoms(lab, aim))
    assert "2 of 2 show no effect: east>n2 half, west>n1 half" in why
    assert (await until_healed(lab, fault, aim, before))[1] == ""


@on_one_loop
async def test_a_cut_of_nothing_is_found_out(lab: LocalTestbed) -> None:
    fault, powerless = registry.fault("partition-region"), blinded(lab)
    aim = fault.aims(PAIR)[0]
    before = await fault.symptoms(powerless, aim)
    async with fault.apply(powerless, aim):
        assert "show no effect" in effective(before, await fault.symptoms(powerless, aim))


@on_one_loop
async def test_lost_packets_are_lost_datagrams(lab: LocalTestbed) -> None:
    if "packets" not in lab.powers:
        pytest.skip("no packet filter of its own here")
    links = [link for link in lab.links.all if link.source == "east"]
    assert await answers_of(lab, 200) == 200
    await lab.packets.disturb(links, "lose", 0.25, "test")
    try:
        # Both ways, over this link alone: 9 of 16 come back. The bounds are missed once in 10^9 runs.
        assert 60 < await answers_of(lab, 200) < 165
    finally:
        await lab.packets.restore(links, "test")
    assert await answers_of(lab, 200) == 200


async def answers_of(lab: Any, count: int) -> int:
    """How many of ``count`` datagrams to the node across the border are answered."""
    found = await asyncio.gather(
        *(whisper(lab.seat("east", "n2").reach["gossip"], b"who?", 1.5, times=1) for _ in range(count))
    )
    return sum(found)


async def test_the_end_of_what_carries_datagrams_is_noticed(tmp_path: Path) -> None:
    async with LocalTestbed(PAIR, Gossip(), tmp_path, f"udp-{secrets.token_hex(4)}", seed=7) as lab:
        assert lab.lost() == ""
        os.kill(int((tmp_path / "datagrams" / "pid").read_text()), signal.SIGKILL)
        async with asyncio.timeout(10):
            while not lab.lost():  # noqa: ASYNC110  (another process sets no event here)
                await asyncio.sleep(0.02)
        assert "inside/datagrams.py is gone" in lab.lost()
        with pytest.raises(OSError):  # noqa: PT011 - whatever the system calls it
            await lab.links.refuse(lab.links.all)


def test_what_datagrams_suffer_follows_from_the_links_troubles() -> None:
    base = LinkProfile(rtt_ms=61, jitter_ms=5, bandwidth_kbps=10)
    assert ways(base, ()) == {"up": (30, 2), "down": (31, 3)}
    assert ways(base, (Trouble("shape"),)) == {"up": (30, 2), "down": (31, 3)}
    for kind in ("refuse", "reset", "blackhole"):
        assert ways(base, (Trouble(kind),)) == {"up": None, "down": None}
    assert ways(base, (Trouble("blackhole", "upstream"),)) == {"up": None, "down": (31, 3)}
    assert ways(base, (Trouble("blackhole", "downstream"), Trouble("shape"))) == {"up": (30, 2), "down": None}


async def test_a_target_without_any_tcp_is_told_so(tmp_path: Path) -> None:
    open_fleet: Any = LinkFleet.open
    with pytest.raises(TestbedError, match="no port that speaks TCP"):
        await open_fleet(None, PAIR, [Port("g", 1, protocol="udp")], None, None, None, {}, "x")
