"""The compose testbed: everything comes up, no path leads around the links, and nothing is left, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from harness.errors import NotReady, TestbedError, UsageError
from harness.model.topology import Between, Region, Topology
from tests.docker_lab import composed, engine_for_tests, in_container, left_of
from tests.toy import TOOLS, Toy, ask

pytestmark = pytest.mark.docker
on_one_loop = pytest.mark.asyncio(loop_scope="module")

NEAR = Topology(
    name="near",
    regions=(Region(id="east", nodes=2), Region(id="west"), Region(id="edge", nodes=0)),
    links=tuple(
        Between.model_validate({"from": one, "to": other, "rtt_ms": rtt_ms})
        for one, other, rtt_ms in (("east", "west", 40), ("east", "edge", 60), ("west", "edge", 20))
    ),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with engine_for_tests() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    async with composed(NEAR, Toy(), tmp_path_factory.mktemp("lab")) as found:
        yield found
    assert left_of(engine, found.run_id) == []


# --- up ------------------------------------------------------------------------------------------


@on_one_loop
async def test_every_node_comes_up_and_is_reached_from_every_region(lab: Any) -> None:
    for region in NEAR.region_ids:
        for seat in lab.seats(region):
            assert (await ask(seat.reach["main"]))[0] == seat.node.id
    assert len(lab.links.all) == 6
    assert await lab.leader() == "n3"
    assert lab.lost() == ""


@on_one_loop
async def test_every_border_costs_its_round_trip(lab: Any) -> None:
    assert lab.measurements["links"]["east>west"]["preset_ms"] == 40
    for pair, found in lab.measurements["links"].items():
        assert abs(found["rtt_ms"] - found["preset_ms"]) <= 2.0 + 0.05 * found["preset_ms"], pair


@on_one_loop
async def test_everything_carries_the_runs_label(lab: Any, engine: Any) -> None:
    name = f"rift-{lab.run_id}"
    labelled = {"label": f"rift.run={lab.run_id}"}
    for some in (engine.client.containers, engine.client.networks, engine.client.volumes):
        options = {"all": True} if some is engine.client.containers else {}
        named = [one for one in some.list(**options) if one.name.startswith(name)]
        assert named
        assert {one.name for one in named} == {one.name for one in some.list(filters=labelled, **options)}


# --- isolation -----------------------------------------------------------------------------------

REACH = """
import concurrent.futures, socket, sys
def ask(address):
    host, _, port = address.rpartition(":")
    try:
        if host.startswith("udp:"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
                line.settimeout(1.0)
                line.sendto(b"who?", (host[4:], int(port)))
                return line.recv(100).decode()
        with socket.create_connection((host, int(port)), timeout=1.0) as line:
            line.sendall(b"who?\\n")
            return line.recv(100).split()[0].decode()
    except (OSError, IndexError) as error:
        return "nobody"
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    for address, who in zip(sys.argv[1:], pool.map(ask, sys.argv[1:])):
        print(address, who)
"""


def reached(engine: Any, container: Any, *addresses: str) -> dict[str, str]:
    """Who answers at each address, as seen from inside a container."""
    code, said = in_container(
        engine, container, "env", "RES_OPTIONS=timeout:1 attempts:1", "python3", "-c", REACH, *addresses
    )
    assert code == 0, said
    return dict(line.split() for line in said.splitlines())


@on_one_loop
async def test_a_node_reaches_others_by_the_addresses_and_names_that_it_was_given(lab: Any, engine: Any) -> None:
    for node in NEAR.nodes:
        names = {f"{other.id}.rift.test:7100": other.id for other in NEAR.nodes}
        addresses = {str(lab.seat(node.region, other.id).reach["main"]): other.id for other in NEAR.nodes}
        expected = names | addresses
        assert reached(engine, lab.nodes.container(node.id), *expected) == expected


@on_one_loop
async def test_no_node_reaches_another_region_except_through_its_link(lab: Any, engine: Any) -> None:
    """Neither by the address that a node has at home, nor by any name, nor past the engine's own addresses: with the
    links cut, nobody in another region answers anywhere."""
    far = {node.id: str(lab.seat(node.region, node.id).reach["main"]) for node in NEAR.nodes}
    bare = [node.id for node in NEAR.nodes] + [f"rift-{lab.run_id}_{node.id}_1" for node in NEAR.nodes]
    gateways = [network.attrs["IPAM"]["Config"][0]["Gateway"] for network in _networks(lab, engine)]
    away = [f"{host}:7100" for host in (*bare, *gateways, "host.docker.internal", "10.0.2.2")]
    await lab.links.refuse(lab.links.all)
    try:
        for node in NEAR.nodes:
            others = {other.id for other in NEAR.nodes if other.region != node.region}
            names = [f"{other}.rift.test:7100" for other in others]
            links = [str(lab.seat(node.region, other).reach["main"]) for other in others]
            found = reached(engine, lab.nodes.container(node.id), *far.values(), *away, *names, *links)
            assert others.isdisjoint(found.values()), f"{node.id} found {found}"
            assert found[far[node.id]] == node.id, "the probe itself works"
    finally:
        await lab.links.restore(lab.links.all)


@on_one_loop
async def test_no_datagram_leaves_its_region(lab: Any, engine: Any) -> None:
    """Links carry TCP only: with all of them open, nobody in another region answers a datagram, wherever it is sent."""
    gateways = [network.attrs["IPAM"]["Config"][0]["Gateway"] for network in _networks(lab, engine)]
    for node in NEAR.nodes:
        homes = {other.id: f"udp:{lab.seat(other.region, other.id).reach['main']}" for other in NEAR.nodes}
        near = {home: id_ for id_, home in homes.items() if NEAR.node(id_).region == node.region}
        links = [f"udp:{lab.seat(node.region, other.id).reach['main']}" for other in NEAR.nodes]
        away = [f"udp:{host}:7100" for host in (*(f"{other.id}.rift.test" for other in NEAR.nodes), *gateways)]
        found = reached(engine, lab.nodes.container(node.id), *homes.values(), *links, *away)
        far = {other.id for other in NEAR.nodes if other.region != node.region}
        assert far.isdisjoint(found.values()), f"{node.id} found {found}"
        assert near.items() <= found.items(), "the probe itself works"


@on_one_loop
async def test_a_path_around_the_links_would_be_seen(lab: Any, engine: Any) -> None:
    """The test above is tested: a node that is in two regions' networks does reach the other one."""
    west = next(network for network in _networks(lab, engine) if network.name.endswith("_west"))
    n3 = str(lab.seat("west", "n3").reach["main"])
    west.connect(lab.nodes.container("n1"))
    try:
        assert reached(engine, lab.nodes.container("n1"), n3, f"udp:{n3}") == {n3: "n3", f"udp:{n3}": "n3"}
    finally:
        west.disconnect(lab.nodes.container("n1"))


@on_one_loop
async def test_not_even_with_routes_of_its_own_a_node_gets_around_its_link(lab: Any, engine: Any) -> None:
    """From a node's namespace, with the right to change routes: through the link server, and through the engine."""
    n1, n3 = lab.nodes.container("n1"), lab.seat("west", "n3").reach["main"]
    east = str(lab.seat("east", "n1").reach["main"].host).rpartition(".")[0]
    script = f"import subprocess, sys\nfor via in ('{east}.250', '{east}.254'):\n"
    script += f"    subprocess.run(['ip', 'route', 'replace', '{n3.host}/32', 'via', via], check=True)\n"
    script += f"    sys.argv = ['', '{n3}']\n" + "".join(f"    {line}\n" for line in REACH.strip().splitlines())
    script += f"subprocess.run(['ip', 'route', 'del', '{n3.host}/32'])\n"
    said = engine.client.containers.run(
        TOOLS, ["python3", "-c", script], network_mode=f"container:{n1.id}", cap_add=["NET_ADMIN"], remove=True
    )
    assert said.decode().split() == [str(n3), "nobody", str(n3), "nobody"]


def _networks(lab: Any, engine: Any) -> list[Any]:
    found: list[Any] = engine.client.networks.list(filters={"label": f"rift.run={lab.run_id}"})
    return found


# --- power over nodes ----------------------------------------------------------------------------


@on_one_loop
async def test_a_node_is_killed_started_again_with_its_data_and_wiped(lab: Any) -> None:
    home = lab.seat("west", "n3").reach["main"]
    before = lab.nodes.incarnation("n3")
    await lab.nodes.kill("n3")
    assert lab.nodes.state("n3") == "dead"
    with pytest.raises(OSError):  # noqa: PT011 - refused, or no route: the engine's choice
        await asyncio.wait_for(ask(home), 5)

    await lab.nodes.start("n3")
    assert (lab.nodes.state("n3"), lab.nodes.incarnation("n3")) == ("running", before + 1)
    assert await ask(home) == ("n3", before + 1), "its data was lost"

    await lab.nodes.stop("n3", limit_s=1)
    await lab.nodes.wipe("n3")
    await lab.nodes.start("n3")
    assert await ask(home) == ("n3", 1), "its data was kept"


@on_one_loop
async def test_a_paused_node_keeps_silent_until_it_is_resumed(lab: Any) -> None:
    home = lab.seat("west", "n3").reach["main"]
    await lab.nodes.pause("n3")
    assert lab.nodes.state("n3") == "paused"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(home), 0.3)

    await lab.nodes.resume("n3")
    assert lab.nodes.state("n3") == "running"
    assert (await ask(home))[0] == "n3"


@on_one_loop
async def test_a_paused_node_can_be_killed(lab: Any) -> None:
    await lab.nodes.pause("n3")
    await lab.nodes.kill("n3")
    assert lab.nodes.state("n3") == "dead"
    await lab.nodes.start("n3")


@on_one_loop
async def test_power_over_nodes_has_its_limits(lab: Any) -> None:
    with pytest.raises(TestbedError, match=r"n1 is running: .* kill or stop it first"):
        await lab.nodes.wipe("n1")
    with pytest.raises(KeyError):
        await lab.nodes.kill("n9")
    before = lab.nodes.incarnation("n1")
    await lab.nodes.start("n1")
    assert lab.nodes.incarnation("n1") == before, "a running node was started again"


# --- side by side, and trouble on the way up -----------------------------------------------------


@on_one_loop
async def test_two_labs_stand_side_by_side(lab: Any, engine: Any, tmp_path: Path) -> None:
    async with composed(NEAR, Toy(), tmp_path) as other:
        first, second = lab.seat("east", "n1").reach["main"], other.seat("east", "n1").reach["main"]
        assert first.host != second.host
        await lab.nodes.kill("n1")
        assert await ask(second) == ("n1", 1)
        await lab.nodes.start("n1")
    assert left_of(engine, other.run_id) == []
    assert (await ask(first))[0] == "n1", "another lab's end took this one's nodes"


async def test_a_container_that_exits_at_once_is_reported_with_its_last_words(engine: Any, tmp_path: Path) -> None:
    lab = composed(NEAR, Toy(trouble={"n2": "dies"}), tmp_path)
    with pytest.raises(NotReady, match=r"node n2 in east ended with exit code 1 before it was ready") as caught:
        await lab.__aenter__()

    assert "boom: n2 does not like its disk" in str(caught.value)
    assert left_of(engine, lab.run_id) == []
    assert "boom" in lab.logs["n2"].read_text()


async def test_a_subnet_that_another_network_has_is_passed_over(engine: Any, tmp_path: Path) -> None:
    from docker.types import IPAMConfig, IPAMPool

    from harness.testbeds.compose import subnets_in_use
    from harness.testbeds.containers import subnets

    first = subnets.choose(NEAR, Toy().ports, subnets_in_use(engine))
    taken = IPAMConfig(pool_configs=[IPAMPool(subnet=str(first.of_region["west"]))])
    foreign = engine.client.networks.create("not-of-rift", ipam=taken)
    try:
        async with composed(NEAR, Toy(), tmp_path) as lab:
            assert lab.seat("west", "n3").reach["main"].host.rpartition(".")[0] != str(first.of_region["west"][0])[:-2]
        assert foreign.id in {network.id for network in engine.client.networks.list()}, "it was not ours to remove"
    finally:
        foreign.remove()


async def test_an_image_that_cannot_be_had_is_named(tmp_path: Path, engine: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("tests.toy.TOOLS", "registry.invalid/nothing:1")
    lab = composed(NEAR, Toy(), tmp_path)
    with pytest.raises(TestbedError, match=r"image registry.invalid/nothing:1 is not here, and its registry"):
        await lab.__aenter__()
    assert left_of(engine, lab.run_id) == []


async def test_a_cancelled_lab_leaves_nothing(tmp_path: Path, engine: Any) -> None:
    reached = asyncio.Event()
    lab = composed(NEAR, Toy(), tmp_path, say=lambda line: reached.set() if "starting 3 nodes" in line else None)

    async def run() -> None:
        async with lab:
            await asyncio.sleep(1000)

    task = asyncio.create_task(run())
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # Ctrl-C twice
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_of(engine, lab.run_id) == []


async def test_the_embedded_link_server_takes_the_real_ones_place(tmp_path: Path, engine: Any) -> None:
    async with composed(NEAR, Toy(), tmp_path, link_server="embedded") as lab:
        assert lab.measurements["link_server"]["kind"] == "embedded"
        links = list(lab.links.all)
        await lab.links.refuse(links[:1])
        assert [(await lab.links.probe(link)).state for link in links[:2]] == ["refused", "open"]
        assert set(await lab.links.traffic()) >= {str(links[1])}, "only the embedded one counts while they live"
    assert left_of(engine, lab.run_id) == []


def test_a_link_server_by_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--link-server http://127.0.0.1:1: a composed run brings its own"):
        composed(NEAR, Toy(), tmp_path, link_server="http://127.0.0.1:1")
