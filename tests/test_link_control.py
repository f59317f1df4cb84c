"""Links as their users see them: real proxies, real sockets, on every link server that can be had here."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.contracts import Address, Link, Links, Port
from harness.errors import TestbedError, UsageError
from harness.links.api import ProxyState, Rejected, Toxic, ToxiproxyApi
from harness.links.beacon import Beacon, probe
from harness.links.choose import LinkServer, open_server
from harness.links.control import LinkFleet, sweep
from harness.model.topology import Between, LinkProfile, Node, Region, Topology

FREE = Address("127.0.0.1", 0)
PORTS = (Port("client", 1, ping=b"hello, node"), Port("peer", 2, ping=b"hello, peer"))
ATLANTIC = ("us-east-1", "eu-west-1")
PACIFIC = ("us-east-1", "ap-southeast-1")
TOPOLOGY = Topology(
    name="three",
    regions=(Region(id="us-east-1"), Region(id="eu-west-1", nodes=2), Region(id="ap-southeast-1")),
    links=(
        Between(source="us-east-1", target="eu-west-1", rtt_ms=41, jitter_ms=4),
        Between(source="us-east-1", target="ap-southeast-1", rtt_ms=80),
        Between(source="eu-west-1", target="ap-southeast-1", rtt_ms=0),
    ),
)


@dataclass
class Child:
    """The smallest process handle there is."""

    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    async def terminate(self) -> None:
        self.popen.kill()
        await asyncio.to_thread(self.popen.wait)


async def spawn(name: str, argv: Sequence[str], log: Path) -> Child:
    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(argv, stdout=output, stderr=output, env={}, cwd="/")

    return Child(start())


async def spawn_nothing(name: str, argv: Sequence[str], log: Path) -> Child:
    raise AssertionError(f"{name} must not be started: {argv}")


@contextmanager
def toxiproxy_on_path(folder: Path) -> Iterator[None]:
    """Makes the real server the one on PATH, or skips."""
    binary = os.environ.get("TOXIPROXY_SERVER") or shutil.which("toxiproxy-server")
    if binary is None:
        pytest.skip("no real Toxiproxy: neither $TOXIPROXY_SERVER nor toxiproxy-server on PATH")
    (folder / "toxiproxy-server").symlink_to(binary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.fixture(params=["embedded", "toxiproxy"])
async def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LinkServer]:
    """A server that the test may break."""
    with toxiproxy_on_path(tmp_path) if request.param == "toxiproxy" else nullcontext():
        found = await open_server(None, spawn, tmp_path, seed=7, prefer=request.param)
    yield found
    await found.close()


@pytest.fixture(scope="module", params=["embedded", "toxiproxy"])
def shared_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkServer]:
    folder = tmp_path_factory.mktemp("server")
    with toxiproxy_on_path(folder) if request.param == "toxiproxy" else nullcontext():
        found = asyncio.run(open_server(None, spawn, folder, seed=7, prefer=request.param))
    yield found
    asyncio.run(found.close())


@pytest.fixture
async def server(shared_server: LinkServer) -> AsyncIterator[LinkServer]:
    """A running server without proxies."""
    yield shared_server
    for name in await shared_server.api.run(shared_server.api.proxies):
        await shared_server.api.run(shared_server.api.remove_proxy, name)


@dataclass
class World:
    """A fleet of links between regions whose nodes are echo servers in this process."""

    fleet: LinkFleet
    server: LinkServer
    echoes: dict[str, Beacon]

    def links(self, source: str, target: str) -> list[Link]:
        return [link for link in self.fleet.all if (link.source, link.target.region) == (source, target)]

    def one(self, source: str, target: str) -> Link:
        return self.links(source, target)[0]

    async def state(self, link: Link) -> str:
        return (await self.fleet.probe(link)).state

    async def proxy(self, link: Link, port: str = "client") -> ProxyState:
        proxies = await self.server.api.run(self.server.api.proxies)
        return next(p for n, p in proxies.items() if n.endswith(f".{link.source}.{link.target.id}.{port}"))


async def open_fleet(
    server: LinkServer,
    echoes: dict[str, Beacon],
    prefix: str = "run-1",
    topology: Topology = TOPOLOGY,
    listen_at: Callable[[str, Node, Port], Address] = lambda source, node, port: FREE,
) -> LinkFleet:
    return await LinkFleet.open(
        server,
        topology,
        PORTS,
        listen_at=listen_at,
        upstream_of=lambda region, node, port: echoes[node.id].address,
        beacon_listen_at=lambda source, target: FREE,
        beacons={region: echoes[region].address for region in topology.region_ids},
        prefix=prefix,
    )


@pytest.fixture
async def echoes() -> AsyncIterator[dict[str, Beacon]]:
    names = [node.id for node in TOPOLOGY.nodes] + list(TOPOLOGY.region_ids)
    found = {name: await Beacon.open(FREE) for name in names}
    yield found
    for echo in found.values():
        await echo.close()


@pytest.fixture
async def world(server: LinkServer, echoes: dict[str, Beacon]) -> AsyncIterator[World]:
    fleet = await open_fleet(server, echoes)
    yield World(fleet, server, echoes)
    await fleet.close()


async def an_open_connection(world: World, link: Link) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client's connection over ``link`` that has already had an answer."""
    address = world.fleet.address(link, "client")
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"first")
    assert await reader.readexactly(5) == b"first"
    return reader, writer


# --- the links as they should be -----------------------------------------------------------------


async def the_rtt_is(fleet: LinkFleet, pair: tuple[str, str], least_ms: float, below_ms: float) -> bool:
    """Never shorter than the least, and short enough once: a busy machine makes some of many measurements longer."""
    for _ in range(20):
        found_ms = await fleet.rtt_ms(*pair)
        if found_ms < below_ms:
            return found_ms >= least_ms
    return False


async def the_throughput_is(fleet: LinkFleet, pair: tuple[str, str], least_kbps: float, most_kbps: float) -> bool:
    """Never more than the most, and as much as the least once."""
    for _ in range(5):
        found_kbps = await fleet.throughput_kbps(*pair)
        if found_kbps > least_kbps:
            return found_kbps < most_kbps
    return False


async def test_there_is_a_link_from_every_region_to_every_node_elsewhere(world: World) -> None:
    links: Links = world.fleet
    assert {str(link) for link in links.all} == {
        "us-east-1>n2", "us-east-1>n3", "us-east-1>n4",
        "eu-west-1>n1", "eu-west-1>n4",
        "ap-southeast-1>n1", "ap-southeast-1>n2", "ap-southeast-1>n3",
    }  # fmt: skip
    proxies = await world.server.api.run(world.server.api.proxies)
    assert set(proxies) == set(world.fleet.proxy_names)
    assert len(proxies) == 8 * len(PORTS) + 6


async def test_verify_measures_every_ordered_pair_within_its_tolerance(
    server: LinkServer, echoes: dict[str, Beacon]
) -> None:
    data = TOPOLOGY.as_data()
    for link, rtt_ms in zip(data["links"], (200, 240, 300), strict=True):
        link["rtt_ms"] = rtt_ms  # 5 % of that is more than a busy machine adds
    fleet = await open_fleet(server, echoes, topology=Topology.model_validate(data))
    found = await fleet.verify()
    assert set(found) == {f"{a}>{b}" for a, b in TOPOLOGY.pairs}
    for pair in found.values():
        assert abs(pair["rtt_ms"] - pair["preset_ms"]) <= 0.05 * pair["preset_ms"]
    await fleet.close()


@pytest.mark.parametrize("jitter_ms", [0, 1])
async def test_a_busy_machine_lengthens_most_round_trips_and_only_jitter_makes_that_a_finding(
    server: LinkServer, echoes: dict[str, Beacon], monkeypatch: pytest.MonkeyPatch, jitter_ms: int
) -> None:
    data = TOPOLOGY.as_data()
    data["links"] = [link | {"jitter_ms": min(jitter_ms, link["rtt_ms"])} for link in data["links"]]
    fleet = await open_fleet(server, echoes, topology=Topology.model_validate(data))
    undisturbed = fleet.look.rtts_ms

    async def disturbed(*arguments: Any) -> dict[tuple[str, str], list[float]]:
        found = await undisturbed(*arguments)
        return {pair: [*samples, *(ms + 50 for ms in 2 * samples)] for pair, samples in found.items()}

    monkeypatch.setattr(fleet.look, "rtts_ms", disturbed)
    with pytest.raises(TestbedError, match="links are not as") if jitter_ms else nullcontext():
        await fleet.verify(rounds=10)  # one of them is undisturbed here, too
    await fleet.close()


async def test_verify_names_the_pair_whose_latency_was_changed_behind_its_back(world: World) -> None:
    api = world.server.api
    changed = Toxic(name="base-latency-down", type="latency", stream="downstream", attributes={"latency": 60})
    name = "run-1.us-east-1.to.ap-southeast-1"
    await api.run(api.update_toxic, name, changed)
    with pytest.raises(
        TestbedError, match=r"of 6 links .*us-east-1>ap-southeast-1 measured 1\d\d\.\d ms, preset 80 ms"
    ):
        await world.fleet.verify(rounds=2)


async def test_verify_reports_a_pair_that_does_not_answer(world: World) -> None:
    api = world.server.api
    await api.run(api.set_enabled, "run-1.us-east-1.to.eu-west-1", False)
    with pytest.raises(TestbedError, match="us-east-1>eu-west-1 measured no answer, preset 41 ms"):
        await world.fleet.verify(rounds=2)


async def test_a_probe_over_an_open_link_takes_the_round_trip(world: World) -> None:
    found = await world.fleet.probe(world.one(*PACIFIC))
    assert found.state == "open"
    assert found.rtt_ms is not None
    assert found.rtt_ms >= 80


async def test_a_dead_node_behind_a_good_link_looks_closed_not_refused(world: World) -> None:
    await world.echoes["n4"].close()
    assert await world.state(world.one(*PACIFIC)) == "closed"


async def test_jitter_and_bandwidth_of_the_topology_reach_the_proxies(
    server: LinkServer, echoes: dict[str, Beacon]
) -> None:
    data = TOPOLOGY.as_data()
    data["links"][0] |= {"rtt_ms": 51, "jitter_ms": 5, "bandwidth_kbps": 300}
    fleet = await open_fleet(server, echoes, topology=Topology.model_validate(data))
    proxy = await World(fleet, server, echoes).proxy(next(link for link in fleet.all if str(link) == "us-east-1>n2"))
    found = {toxic.name: (toxic.stream, toxic.attributes) for toxic in proxy.toxics}
    assert found == {
        "base-latency-up": ("upstream", {"latency": 25, "jitter": 2}),
        "base-latency-down": ("downstream", {"latency": 26, "jitter": 3}),
        "base-bandwidth-up": ("upstream", {"rate": 300}),
        "base-bandwidth-down": ("downstream", {"rate": 300}),
    }
    assert await the_throughput_is(fleet, ATLANTIC, 150, 450)
    await fleet.close()


async def test_a_topology_of_one_region_has_no_links_and_is_in_order(
    server: LinkServer, echoes: dict[str, Beacon]
) -> None:
    alone = Topology(name="alone", regions=(Region(id="us-east-1", nodes=3),))
    fleet = await open_fleet(server, echoes, topology=alone)
    await fleet.restore(fleet.all)
    assert (fleet.all, await fleet.verify(), await fleet.traffic()) == ((), {}, {})
    await fleet.close()


# --- cuts ----------------------------------------------------------------------------------------


async def test_a_refused_link_answers_with_connection_refused(world: World) -> None:
    link = world.one(*ATLANTIC)
    reader, writer = await an_open_connection(world, link)
    await world.fleet.refuse([link])
    assert await world.state(link) == "refused"
    assert await reader.read() == b""
    writer.close()
    await world.fleet.restore([link])
    assert await world.state(link) == "open"


async def test_a_link_that_was_refused_has_its_latency_again(world: World) -> None:
    links = world.links(*PACIFIC)
    await world.fleet.refuse(links)
    assert await world.fleet.rtt_ms(*PACIFIC) == float("inf")
    await world.fleet.restore(links)
    assert await the_rtt_is(world.fleet, PACIFIC, 78, 120)


async def test_a_blackholed_link_is_silent_and_keeps_connections_open(world: World) -> None:
    link = world.one(*ATLANTIC)
    reader, writer = await an_open_connection(world, link)
    await world.fleet.blackhole([link])
    assert await world.state(link) == "silent"
    writer.write(b"into the void")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await reader.read(1)
    await world.fleet.restore([link])
    assert await reader.read() == b""  # what was swallowed cannot come back, so the connection ends
    writer.close()
    assert await world.state(link) == "open"


@pytest.mark.parametrize(("toward", "arrives"), [("upstream", False), ("downstream", True)])
async def test_a_one_way_blackhole_swallows_one_direction_only(world: World, toward: str, arrives: bool) -> None:
    link = world.one(*PACIFIC)
    got = asyncio.Event()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            got.set()
            writer.write(b"answer")
        await reader.read()
        writer.close()

    address = world.echoes["n4"].address
    await world.echoes["n4"].close()
    node = await asyncio.start_server(note, address.host, address.port)
    await world.fleet.blackhole([link], toward=toward)
    assert await world.state(link) == "silent"
    assert got.is_set() is arrives
    await world.fleet.restore([link])
    assert await world.state(link) == "open"
    node.close()


async def test_a_direction_that_does_not_exist_is_rejected(world: World) -> None:
    with pytest.raises(ValueError, match="sideways"):
        await world.fleet.blackhole(world.fleet.all, toward="sideways")


async def test_a_reset_link_answers_with_a_reset(world: World) -> None:
    link = world.one(*ATLANTIC)
    await world.fleet.reset([link])
    assert await world.state(link) == "reset"
    await world.fleet.restore([link])
    assert await world.state(link) == "open"


async def test_every_port_of_a_link_is_cut(world: World) -> None:
    link = world.one(*ATLANTIC)
    await world.fleet.refuse([link])
    for port in PORTS:
        assert (await probe(world.fleet.address(link, port.name), b"x", 1.0)).state == "refused"
    await world.fleet.restore([link])


async def test_other_links_do_not_feel_a_cut(world: World) -> None:
    cut = world.links(*ATLANTIC)
    await world.fleet.blackhole(cut)
    others = [link for link in world.fleet.all if link not in cut]
    states = await asyncio.gather(*(world.state(link) for link in others))
    assert set(states) == {"open"}


async def test_a_link_that_is_not_of_this_fleet_is_a_key_error(world: World) -> None:
    stranger = Link("us-east-1", Node(id="n9", region="mars", zone="a", index=9))
    with pytest.raises(KeyError, match="us-east-1>n9"):
        await world.fleet.refuse([stranger])


# --- shapes and measurements ---------------------------------------------------------------------


async def test_a_shape_replaces_latency_and_restore_brings_the_old_one_back(world: World) -> None:
    links = world.links(*ATLANTIC)
    assert await the_rtt_is(world.fleet, ATLANTIC, 40, 100)
    await world.fleet.shape(links, LinkProfile(rtt_ms=200, jitter_ms=10))
    assert await the_rtt_is(world.fleet, ATLANTIC, 185, 260)
    probed = await world.fleet.probe(links[0])
    assert probed.rtt_ms is not None
    assert probed.rtt_ms > 185
    await world.fleet.restore(links)
    assert await the_rtt_is(world.fleet, ATLANTIC, 40, 100)


async def test_a_bandwidth_collapse_is_measured_and_ends_with_restore(world: World) -> None:
    links = world.links(*ATLANTIC)
    free = 2000, float("inf")
    assert await the_throughput_is(world.fleet, ATLANTIC, *free)
    await world.fleet.shape(links, LinkProfile(rtt_ms=41, bandwidth_kbps=100))
    assert await the_throughput_is(world.fleet, ATLANTIC, 50, 150)
    await world.fleet.restore(links)
    assert await the_throughput_is(world.fleet, ATLANTIC, *free)


async def test_nothing_flows_over_a_blackholed_pair(world: World) -> None:
    await world.fleet.blackhole(world.links(*ATLANTIC), toward="upstream")
    assert await world.fleet.throughput_kbps(*ATLANTIC) == 0.0
    assert await world.fleet.rtt_ms(*ATLANTIC) == float("inf")


async def test_the_pairs_measurement_suffers_only_when_all_its_links_do(world: World) -> None:
    first, second = world.links(*ATLANTIC)
    await world.fleet.refuse([first])
    assert await world.fleet.rtt_ms(*ATLANTIC) < float("inf")
    await world.fleet.refuse([second])
    assert await world.fleet.rtt_ms(*ATLANTIC) == float("inf")
    await world.fleet.restore([first])
    assert await world.fleet.rtt_ms(*ATLANTIC) < float("inf")
    await world.fleet.restore([second])


async def test_traffic_counts_the_bytes_of_each_link_and_direction(world: World) -> None:
    link, other = map(str, world.links(*ATLANTIC))
    before = await world.fleet.traffic()  # the server never forgets, and other tests used these names, too
    reader, writer = await an_open_connection(world, world.one(*ATLANTIC))
    writer.write(b"and 20 bytes of more")
    await reader.readexactly(20)
    writer.close()

    async def grown(link: str, key: str) -> int:
        now = await world.fleet.traffic()
        return now.get(link, {}).get(key, 0) - before.get(link, {}).get(key, 0)

    async with asyncio.timeout(5):
        while [await grown(link, key) for key in ("bytes_up", "bytes_down")] != [25, 25]:
            pass  # each look asks the server
    assert await grown(other, "bytes_up") == 0
    assert await grown(link, "connections") == (1 if world.server.kind == "embedded" else 0)


# --- overlapping owners --------------------------------------------------------------------------


async def test_two_owners_of_one_cut_do_not_heal_each_other(world: World) -> None:
    link = world.one(*ATLANTIC)
    await world.fleet.refuse([link], owner="a")
    await world.fleet.refuse([link], owner="b")
    await world.fleet.restore([link], owner="a")
    assert await world.state(link) == "refused"
    await world.fleet.restore([link], owner="b")
    assert await world.state(link) == "open"


async def test_a_shape_outlives_the_cut_that_overlapped_it(world: World) -> None:
    links = world.links(*ATLANTIC)
    await world.fleet.shape(links, LinkProfile(rtt_ms=150), owner="slow")
    await world.fleet.refuse(links, owner="cut")
    await world.fleet.blackhole(links, owner="hole")
    await world.fleet.restore(links, owner="cut")
    assert await world.state(links[0]) == "silent"
    await world.fleet.restore(links, owner="hole")
    assert await the_rtt_is(world.fleet, ATLANTIC, 145, 200)
    await world.fleet.restore(links, owner="slow")
    assert await the_rtt_is(world.fleet, ATLANTIC, 40, 100)


async def test_restore_without_an_owner_heals_what_anybody_did(world: World) -> None:
    await world.fleet.refuse(world.fleet.all, owner="a")
    await world.fleet.blackhole(world.fleet.all, owner="b")
    await world.fleet.restore(world.fleet.all)
    states = await asyncio.gather(*(world.state(link) for link in world.fleet.all))
    assert set(states) == {"open"}


async def test_restore_leaves_a_link_alone_that_is_as_it_should_be(world: World) -> None:
    link = world.one(*ATLANTIC)
    reader, writer = await an_open_connection(world, link)
    await world.fleet.restore(world.fleet.all)
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.close()


async def test_restore_mends_what_somebody_changed_behind_its_back(world: World) -> None:
    api, link = world.server.api, world.one(*ATLANTIC)
    name = (await world.proxy(link)).name
    await api.run(api.set_enabled, name, False)
    await api.run(api.remove_toxic, name, "base-latency-up")
    await world.fleet.restore([link])
    proxy = await world.proxy(link)
    assert proxy.enabled
    assert {toxic.name for toxic in proxy.toxics} == {"base-latency-up", "base-latency-down"}


async def test_a_cancelled_cut_cannot_land_after_the_restore(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    api, link = world.server.api, world.one(*ATLANTIC)
    set_enabled = api.set_enabled
    begun, landed = threading.Event(), threading.Event()

    def slowly(proxy: str, enabled: bool) -> None:
        begun.set()
        time.sleep(0.3)
        set_enabled(proxy, enabled)
        landed.set()

    monkeypatch.setattr(api, "set_enabled", slowly)
    cut = asyncio.create_task(world.fleet.refuse([link]))
    await asyncio.to_thread(begun.wait)
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    await world.fleet.restore([link])
    await asyncio.to_thread(landed.wait)
    assert (await world.proxy(link)).enabled


# --- whose proxies -------------------------------------------------------------------------------


async def test_close_and_sweep_touch_no_foreign_proxy(server: LinkServer, echoes: dict[str, Beacon]) -> None:
    api, upstream = server.api, str(echoes["n1"].address)
    left_behind = await open_fleet(server, echoes, prefix="run-1")
    lookalike = await open_fleet(server, echoes, prefix="run-11")
    await api.run(api.populate, [ProxyState(name="run-1", listen="127.0.0.1:0", upstream=upstream)])
    assert set(await sweep(server, "run-1")) == set(left_behind.proxy_names)
    assert set(await api.run(api.proxies)) == {"run-1", *lookalike.proxy_names}
    await lookalike.close()
    assert set(await api.run(api.proxies)) == {"run-1"}
    await lookalike.close()


async def test_an_address_in_use_fails_with_its_name_and_leaves_no_proxy(
    server: LinkServer, echoes: dict[str, Beacon]
) -> None:
    taken = echoes["n1"].address

    def listen_at(source: str, node: Node, port: Port) -> Address:
        return taken if (source, node.id, port.name) == ("ap-southeast-1", "n3", "peer") else FREE

    with pytest.raises(TestbedError, match=rf"{taken}.*in use"):
        await open_fleet(server, echoes, listen_at=listen_at)
    assert await server.api.run(server.api.proxies) == {}


async def test_names_that_would_break_urls_are_rejected(server: LinkServer, echoes: dict[str, Beacon]) -> None:
    with pytest.raises(TestbedError, match="run/1"):
        await open_fleet(server, echoes, prefix="run/1")


async def test_the_servers_refusal_names_the_proxy_and_the_answer(world: World) -> None:
    api = world.server.api
    again = Toxic(name="base-latency-up", type="latency", stream="upstream", attributes={})
    with pytest.raises(
        Rejected, match=r"409 to POST /proxies/run-1\.us-east-1\.n2\.client/toxics: toxic already exists"
    ):
        await api.run(api.add_toxic, "run-1.us-east-1.n2.client", again)


# --- the server ----------------------------------------------------------------------------------


async def test_a_server_that_dies_is_named_with_its_pid_and_log(
    own_server: LinkServer, echoes: dict[str, Beacon]
) -> None:
    fleet = await open_fleet(own_server, echoes)
    assert own_server.pid is not None
    os.kill(own_server.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        with pytest.raises(TestbedError, match=rf"link server \(pid {own_server.pid}\) is gone.*\.log"):
            await fleet.refuse(fleet.all)
    await fleet.close()  # nothing is left to remove, and that is no error


async def test_a_server_given_by_url_is_gone_when_nobody_listens_there_any_more(own_server: LinkServer) -> None:
    joined = await open_server(own_server.url, spawn, Path(), seed=7)
    assert not joined.owned
    assert not joined.gone
    assert own_server.process is not None
    await own_server.process.terminate()
    assert joined.gone
    assert str(joined) == f"link server {own_server.url}"
    await joined.close()


async def test_a_dying_server_is_called_gone_even_if_its_process_is_still_ending(
    echoes: dict[str, Beacon], tmp_path: Path
) -> None:
    @dataclass
    class Lingering(Child):
        """Seems alive for three more looks."""

        looks: int = 3

        def alive(self) -> bool:
            if super().alive():
                return True
            self.looks -= 1
            return self.looks >= 0

    async def spawn_lingering(name: str, argv: Sequence[str], log: Path) -> Child:
        return Lingering((await spawn(name, argv, log)).popen)

    server = await open_server(None, spawn_lingering, tmp_path, seed=7, prefer="embedded")
    fleet = await open_fleet(server, echoes)
    assert isinstance(server.process, Lingering)
    server.process.popen.kill()
    await asyncio.to_thread(server.process.popen.wait)
    with pytest.raises(TestbedError, match=r"is gone"):
        await fleet.refuse(fleet.all)
    await server.close()


async def test_a_server_that_hangs_is_an_error_and_not_a_hang(
    own_server: LinkServer, echoes: dict[str, Beacon], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = await open_fleet(own_server, echoes)
    monkeypatch.setattr("harness.links.api.READ_LIMIT_S", 0.3)
    assert own_server.pid is not None
    os.kill(own_server.pid, signal.SIGSTOP)
    async with asyncio.timeout(10):
        with pytest.raises(TestbedError, match=rf"pid {own_server.pid}\) does not answer.*no answer in time"):
            await fleet.refuse(fleet.all)


async def test_two_servers_in_one_process_do_not_mix(server: LinkServer, own_server: LinkServer) -> None:
    here, there = (ProxyState(name=name, listen="127.0.0.1:0", upstream="127.0.0.1:9") for name in ("here", "there"))

    def churn(api: ToxiproxyApi, proxy: ProxyState) -> None:
        for _ in range(20):
            api.populate([proxy])
            api.set_enabled(proxy.name, False)
            assert set(api.proxies()) == {proxy.name}
            api.remove_proxy(proxy.name)

    await asyncio.gather(server.api.run(churn, server.api, here), own_server.api.run(churn, own_server.api, there))


async def test_toxiproxy_on_path_is_chosen_before_the_embedded_server(tmp_path: Path) -> None:
    with toxiproxy_on_path(tmp_path):
        server = await open_server(None, spawn, tmp_path, seed=7)
    assert (server.kind, server.owned) == ("toxiproxy", True)
    await server.close()
    assert server.gone


@pytest.mark.parametrize("prefer", ["embedded", "toxiproxy"])
async def test_a_server_listens_where_it_is_told(prefer: str, tmp_path: Path) -> None:
    free = await Beacon.open(Address("127.0.0.2", 0))
    with toxiproxy_on_path(tmp_path) if prefer == "toxiproxy" else nullcontext():
        with pytest.raises(TestbedError, match=r"(?i)address already in use"):
            await open_server(None, spawn, tmp_path, seed=7, prefer=prefer, listen=free.address)
        await free.close()
        server = await open_server(None, spawn, tmp_path, seed=7, prefer=prefer, listen=free.address)
    assert server.url == f"http://{free.address}"
    await server.close()


async def test_a_server_given_by_url_is_used_and_left_running(server: LinkServer, tmp_path: Path) -> None:
    joined = await open_server(server.url, spawn_nothing, tmp_path, seed=7)
    assert (joined.kind, joined.owned, joined.version) == ("url", False, server.version)
    await joined.close()
    assert await server.api.run(server.api.version) == server.version


@pytest.mark.parametrize("url", ["https://127.0.0.1:8474", "http://127.0.0.1", "http://127.0.0.1:x", "nonsense"])
async def test_a_malformed_url_is_a_usage_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not like http://"):
        await open_server(url, spawn_nothing, tmp_path, seed=7)


async def test_a_url_where_nothing_listens_says_so(tmp_path: Path) -> None:
    echo = await Beacon.open(FREE)
    await echo.close()
    with pytest.raises(TestbedError, match=rf"{echo.address} \(given by URL; is it running\?\): GET /version failed"):
        await open_server(str(echo.address), spawn_nothing, tmp_path, seed=7)


async def test_a_url_of_something_else_is_no_link_server(tmp_path: Path) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n<html>hello!")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(web, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    with pytest.raises(TestbedError, match="is no link server: GET /version answered '<html>hello!'"):
        await open_server(f"http://127.0.0.1:{port}", spawn_nothing, tmp_path, seed=7)
    other.close()


async def test_a_server_that_does_not_start_shows_its_last_log_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toxiproxy-server").write_text("#!/bin/sh\necho 'cannot: the moon is full' >&2\nexit 3\n")
    (tmp_path / "toxiproxy-server").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(TestbedError, match=r"is gone.*the moon is full.*ended before it answered"):
        await open_server(None, spawn, tmp_path, seed=7)


async def test_insisting_on_a_missing_toxiproxy_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TestbedError, match="toxiproxy-server is not on PATH; install"):
        await open_server(None, spawn_nothing, tmp_path, seed=7, prefer="toxiproxy")


# --- the measuring end ---------------------------------------------------------------------------


async def test_a_probe_without_ping_calls_a_quiet_connection_open() -> None:
    echo = await Beacon.open(FREE)
    assert (await probe(echo.address, b"", 0.1)).state == "open"
    await echo.close()
    assert (await probe(echo.address, b"", 0.1)).state == "refused"
