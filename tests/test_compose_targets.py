"""The targets of real servers on composed regions: the same clients, the same answers, the same failover."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.op import invoke
from harness.topologies import load
from tests.docker_lab import composed, engine_for_tests, left_of
from tests.real_servers import (
    FIXTURES,
    a_killed_leader_is_replaced,
    client_at,
    loaded,
    registers_work,
    sets_work,
)

pytestmark = pytest.mark.docker


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

            old = await a_killed_leader_is_replaced(lab)
            await lab.nodes.start(old)

            async with client_at(target, lab.seat(topology.node(old).region, old)) as client:
                assert await client.invoke(invoke("members", key="s")) == [9, 10, 100]
        assert left_of(engine, lab.run_id) == []
