"""A lookout sees what one sees oneself, and runs where only a Python is."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from harness.contracts import Address
from harness.errors import TestbedError
from harness.links.beacon import Beacon
from harness.links.lookout import LISTENING, Here, Lookout, open_lookout

ANY = Address("127.0.0.1", 0)


@pytest_asyncio.fixture
async def lookout() -> AsyncIterator[Lookout]:
    server = await open_lookout("127.0.0.1", 0)
    yield Lookout(Address(*server.sockets[0].getsockname()[:2]))
    server.close()


@pytest_asyncio.fixture
async def beacon() -> AsyncIterator[Address]:
    found = await Beacon.open(ANY)
    yield found.address
    await found.close()


async def behaving(how: str) -> tuple[asyncio.Server, Address]:
    """A server that is silent, closes politely, or resets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if how == "reset":
            line = writer.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "silent":
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, Address(*server.sockets[0].getsockname()[:2])


@pytest.mark.parametrize("how", ["silent", "closed", "reset"])
async def test_it_tells_the_manners_of_a_cut_apart(how: str, lookout: Lookout) -> None:
    server, address = await behaving(how)
    async with server:
        assert (await Here.probe(address, b"ping", 0.5)).state == how
        assert (await lookout.probe(address, b"ping", 0.5)).state == how


async def test_it_sees_what_answers_and_what_refuses(lookout: Lookout, beacon: Address) -> None:
    found = await lookout.probe(beacon, b"\x00\xff", 1.0)
    assert found.state == "open"
    assert found.rtt_ms is not None
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert (await lookout.probe(Address(*nobody.getsockname()), b"ping", 1.0)).state == "refused"


async def test_it_measures_round_trips_rates_and_packets(lookout: Lookout, beacon: Address) -> None:
    found = await lookout.rtts_ms({("a", "b"): beacon, ("b", "a"): beacon}, lambda pair: 1.0, 2, 3)
    assert {pair: len(samples) for pair, samples in found.items()} == {("a", "b"): 6, ("b", "a"): 6}
    assert await lookout.throughput_kbps(beacon, 3.0) > 0
    seen = await lookout.notice(beacon, 2.0)
    assert seen.sent > 0
    assert await lookout.way_ms() > 0


async def test_how_far_it_is_from_here_is_no_part_of_what_it_measures(beacon: Address) -> None:
    far = await open_lookout("127.0.0.1", 0)
    delay_s = 0.15

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(*far.sockets[0].getsockname()[:2])
        for source, target in ((reader, outer), (inner, writer)):
            line = await source.readline()
            await asyncio.sleep(delay_s)
            target.write(line)
        writer.close()
        outer.close()

    async with far, await asyncio.start_server(carry, "127.0.0.1", 0) as way:
        lookout = Lookout(Address(*way.sockets[0].getsockname()[:2]))
        assert await lookout.way_ms(samples=1) >= 2000 * delay_s
        found = await lookout.rtts_ms({"near": beacon}, lambda path: 2.0, 2, 3)
        assert min(found["near"]) < 1000 * delay_s


async def test_one_that_is_gone_is_no_finding_about_a_link() -> None:
    server = await open_lookout("127.0.0.1", 0)
    at = Address(*server.sockets[0].getsockname()[:2])
    server.close()
    await server.wait_closed()
    with pytest.raises(TestbedError, match=f"does not answer at {at}"):
        await Lookout(at).probe(at, b"", 1.0)


def test_it_runs_where_only_a_python_is(tmp_path: Path) -> None:
    pytest.importorskip("docker")
    from harness.testbeds.containers import doors

    for name, content in doors.programs().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    bare = {"PATH": os.environ["PATH"]}
    words = [sys.executable, "-S", "-m", "harness.links.lookout", "127.0.0.1", "0"]
    process = subprocess.Popen(words, cwd=tmp_path, env=bare, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
    finally:
        process.kill()
        _, complaint = process.communicate()
    assert said == LISTENING, complaint
