"""The targets of real servers on composed regions: the same clients, the same answers, the same failover."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.failovers import HandsOver
from harness.model.op import invoke
from harness.planning.topologies import load
from tests.docker_lab import composed, engine_for_tests, left_of
from tests.real_servers import (
    FIXTURES,
    a_killed_leader_is_replaced,
    client_at,
    leads,
    lists_work,
    loaded,
    registers_work,
    sets_work,
    until_done,
)

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.mark.parametrize(("name", "options"), [("nats", {}), ("redis", {"wait": "2", "down_after_ms": "800"})])
async def test_every_verb_works_and_a_killed_leader_loses_nothing(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    pytest.importorskip(name)
    topology, target = load("three-regions", FIXTURES / "topologies"), loaded(name).make(**options)
    with engine_for_tests() as engine:
        async with composed(topology, target, tmp_path) as lab:
            home, away = lab.seat_for_client(0), lab.seat("ap-southeast-1", "n1")
            async with client_at(target, home) as here, client_at(target, away) as far:
                await registers_work(here, far)
                await sets_work(here, far)
                await lists_work(here, far)

            old = await a_killed_leader_is_replaced(lab)
            await lab.nodes.start(old)

            async with client_at(target, lab.seat(topology.node(old).region, old)) as client:
                assert await client.invoke(invoke("members", key="s")) == [9, 10, 100]
        assert left_of(engine, lab.run_id) == []


@pytest.mark.parametrize(("name", "mode"), [("postgres", "quorum"), ("patroni", "sync")])
@pytest.mark.timeout(600)  # the first time its image is built
async def test_postgres_fails_over_and_is_handed_back(tmp_path: Path, name: str, mode: str) -> None:
    """A confirmed write is there after a killed primary was replaced, and after the role went back."""
    pytest.importorskip("psycopg")
    topology, target = load("three-regions", FIXTURES / "topologies"), registry.target(name, {"mode": mode})
    with engine_for_tests() as engine:
        async with composed(topology, target, tmp_path) as lab:
            async with client_at(target, lab.seat("eu-west-1", "n2")) as client:
                await until_done(client, invoke("append", 7, key=0))

            old = await a_killed_leader_is_replaced(lab)
            async with client_at(target, lab.seat("eu-west-1", "n2")) as client:
                await until_done(client, invoke("append", 8, key=0))
            await lab.nodes.start(old)
            assert isinstance(target, HandsOver)
            await target.hand_over(lab.seats(), old)
            await leads(lab, lambda node: node == old)

            async with client_at(target, lab.seat(topology.node(old).region, old)) as client:
                await until_done(client, invoke("append", 9, key=0))
                shown = await client.invoke(invoke("entries", key=0))
                assert [value for value in dict.fromkeys(shown) if value in (7, 8, 9)] == [7, 8, 9]
        assert left_of(engine, lab.run_id) == []
