"""Composed regions on an engine whose networks are none of this machine: everything goes through published ports."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from harness.errors import TestbedError
from harness.links.lookout import Lookout
from tests.docker_lab import composed, engine_for_tests, left_of
from tests.own_engine import TOXIPROXY, OwnEngine, own_engine
from tests.test_compose_reaper import GONE_LIMIT_S, gone_after_s, start, until_it_says
from tests.test_compose_testbed import (
    NEAR,
    reached,
    test_a_node_is_killed_started_again_with_its_data_and_wiped,
    test_a_paused_node_keeps_silent_until_it_is_resumed,
    test_every_border_costs_its_round_trip,
    test_every_node_comes_up_and_is_reached_from_every_region,
)
from tests.toy import TOOLS, Toy

pytestmark = [pytest.mark.docker, pytest.mark.slow]
on_one_loop = pytest.mark.asyncio(loop_scope="module")
__all__ = [
    "start",
    "test_a_node_is_killed_started_again_with_its_data_and_wiped",
    "test_a_paused_node_keeps_silent_until_it_is_resumed",
    "test_every_border_costs_its_round_trip",
    "test_every_node_comes_up_and_is_reached_from_every_region",
]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    with engine_for_tests():
        own = own_engine(tmp_path_factory.mktemp("elsewhere"))
    try:
        own.load(TOXIPROXY, TOOLS)
        yield own
    finally:
        own.close()


@pytest.fixture(scope="module")
def engine(elsewhere: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """It is the engine of the current context, as a user's is who said `docker context use elsewhere`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker")))
        patch.delenv("DOCKER_HOST", raising=False)
        patch.setenv("RIFT_SUBNETS", "10.213.0.0/16")  # whatever runs on this machine's engine meanwhile has another
        for words in (["create", "elsewhere", "--docker", f"host={elsewhere.url}"], ["use", "elsewhere"]):
            subprocess.run(["docker", "context", *words], check=True, capture_output=True)
        with engine_for_tests() as found:
            assert found.where == elsewhere.url
            yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    async with composed(NEAR, Toy(), tmp_path_factory.mktemp("lab")) as found:
        yield found
    assert left_of(engine, found.run_id) == []


def inside(lab: Any, region: str) -> dict[str, str]:
    """Where every node is found from within a region."""
    place = next(place for place in lab.target.places.values() if place.node.region == region)
    return {node_id: str(ports["main"]) for node_id, ports in place.reach.items()}


@on_one_loop
async def test_no_address_of_the_engine_is_known_here(lab: Any, elsewhere: OwnEngine) -> None:
    """These tests are about what they say: what is inside is not reached from here, except through its door."""
    for region in NEAR.region_ids[:2]:
        for node_id, address in inside(lab, region).items():
            assert not routed(address.partition(":")[0])
            assert lab.seat(region, node_id).reach["main"].host == elsewhere.host
    assert urlsplit(lab.measurements["link_server"]["url"]).hostname == elsewhere.host


def routed(host: str) -> bool:
    """Whether this machine has more than its default route to an address."""
    said = subprocess.run(["ip", "route", "get", host], capture_output=True, text=True, check=False).stdout
    return bool(said) and " via " not in said.splitlines()[0]


@on_one_loop
async def test_no_published_port_is_a_path_around_a_link(lab: Any, engine: Any, elsewhere: OwnEngine) -> None:
    """A node finds nobody at any published port, on whatever address of the engine's machine it may try."""
    links = engine.client.containers.list(filters={"label": [f"rift.run={lab.run_id}", "rift.role=links"]})[0]
    ports = [found[0]["HostPort"] for found in links.attrs["NetworkSettings"]["Ports"].values() if found]
    assert len(ports) == 2 + 3 * 3
    networks = engine.client.networks.list(filters={"label": f"rift.run={lab.run_id}"})
    gateways = [network.attrs["IPAM"]["Config"][0]["Gateway"] for network in networks]
    doors = [f"{host}:{port}" for host in (elsewhere.host, *gateways) for port in ports]
    for node in NEAR.nodes:
        home = inside(lab, node.region)[node.id]
        found = reached(engine, lab.nodes.container(node.id), home, *doors)
        assert found.pop(home) == node.id, "the probe itself works"
        assert set(found.values()) == {"nobody"}, found


@on_one_loop
async def test_with_its_links_cut_a_region_is_alone(lab: Any, engine: Any) -> None:
    await lab.links.refuse(lab.links.all)
    try:
        for node in NEAR.nodes:
            at = inside(lab, node.region)
            found = reached(engine, lab.nodes.container(node.id), *at.values())
            home = {other.id for other in NEAR.nodes if other.region == node.region}
            assert {who for who in found.values() if who != "nobody"} == home
    finally:
        await lab.links.restore(lab.links.all)


@on_one_loop
async def test_links_are_looked_at_from_beside_them_and_the_way_there_is_told(lab: Any) -> None:
    assert isinstance(lab.links.look, Lookout)
    assert lab.measurements["way_to_engine_ms"] > 0


async def test_an_address_that_the_engines_machine_does_not_have_is_told(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIFT_PUBLISH", "203.0.113.9")
    other = composed(NEAR, Toy(), tmp_path)
    with pytest.raises(TestbedError, match=r"203\.0\.113\.9.*cannot assign requested address"):
        await other.__aenter__()
    assert left_of(engine, other.run_id) == []


def test_the_reaper_of_a_killed_harness_cleans_up_on_the_engine_that_it_is_on(
    engine: Any, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    run_id = f"test-{secrets.token_hex(4)}"
    process = start(run_id)
    until_it_says(process, "starting 4 nodes")
    assert left_of(engine, run_id)
    process.kill()
    assert gone_after_s(engine, run_id, GONE_LIMIT_S) < GONE_LIMIT_S, left_of(engine, run_id)
