"""The rollout suites on composed regions: the same scenarios, the same bugs, and tasks that die with their machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.errors import Refused
from harness.model.op import invoke
from harness.model.topology import Topology
from harness.workloads._rollouts import group
from tests.docker_lab import composed, engine_for_tests, left_of
from tests.test_refrollout import ORDER, ROLLOUT, suite

pytestmark = pytest.mark.docker

ONE = Topology.model_validate({"name": "one", "regions": [{"id": "north"}]})
DYING = "nom_28 and server or nom_29 and killed and running"


@pytest.mark.timeout(340)
def test_rollouts_keep_their_guarantees_on_composed_regions_too(tmp_path: Path) -> None:
    """Servers are killed with all that ran on them."""
    with engine_for_tests():
        done = suite(tmp_path, str(ROLLOUT), "-k", DYING, "--testbed", "compose", limit_s=300)
    assert done.returncode == 0, done.stdout
    for row in ("NOM-28", "NOM-29"):
        assert any(line.split()[:2] == [row, "pass"] for line in done.stdout.splitlines()), done.stdout


def test_a_planted_bug_is_found_on_composed_regions_too(tmp_path: Path) -> None:
    with engine_for_tests():
        done = suite(tmp_path, ORDER, "--testbed", "compose", "--target-option", "bug=order-reversed")
    assert done.returncode == 1, done.stdout
    assert "✗ NOM-9" in done.stdout


async def test_what_ran_on_a_machine_that_died_is_started_again_with_it(tmp_path: Path) -> None:
    target: Any = registry.target("refrollout")
    with engine_for_tests() as engine:
        async with composed(ONE, target, tmp_path) as lab:
            seat = lab.seats()[0]
            client = await target.connect(seat)

            async def ask(f: str, **value: Any) -> Any:
                return await client.invoke(invoke(f, value, key="web"))

            async def until(holds: Callable[[list[Any]], bool]) -> list[Any]:
                while True:
                    try:
                        found: list[Any] = await ask("allocs")
                    except Refused:  # it elects itself, or is not there yet
                        found = []
                    if holds(found):
                        return found
                    await asyncio.sleep(0.1)

            async with asyncio.timeout(60):
                await ask("register", job={"ID": "web", "Datacenters": ["*"], "TaskGroups": [group()]})
                [before] = await until(lambda found: [each["ClientStatus"] for each in found] == ["running"])
                began = before["Tasks"]["main"]
                await lab.nodes.kill(seat.node.id)
                await lab.nodes.start(seat.node.id)
                [after] = await until(lambda found: bool(found) and found[0]["Tasks"]["main"] != began)
                assert (after["ID"], after["ClientStatus"]) == (before["ID"], "running")
                output = str(await ask("output", alloc=after["ID"], task="main"))
                assert output.count("pid ") == 2
            await client.close()
        assert left_of(engine, lab.run_id) == []
