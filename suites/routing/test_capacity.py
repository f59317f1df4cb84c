"""Capacity follows the load, up and down, and no request is lost on the way."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play

CLIENTS = (2, 8, 24, 8, 2)
UP_S = 2.0
CALM_S = 10.0


def test_mra_29_capacity_follows_the_load_without_losing_requests(regions: Any) -> None:
    """More and more clients, then fewer and fewer; each operation takes a tenth of a second of a lane. Leases are long:
    a busy machine that lets one lapse says nothing about capacity."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "load")
        primary = (await play.begin())["primary"]
        steps: list[list[float]] = []
        reached = await lanes(play, primary)
        for clients, next_clients in zip(CLIENTS, (0, *CLIENTS), strict=False):
            began_ns, before = stage.now_ns(), reached
            async with play.load(*(play.client(primary, [play.key(i)]) for i in range(clients))):
                await play.hold(UP_S)
                if clients < next_clients:  # going down takes its time
                    await play.until_true(lambda: settled(play, primary, before), CALM_S)  # noqa: B023
                reached = await lanes(play, primary)
                steps.append([began_ns, stage.now_ns(), reached])
        await play.judge("MRA-29", "capacity", steps=steps)

    regions(scenario, "MRA-29", pattern="active-passive", work_ms="100", scale="0.1")


async def lanes(play: Play, region: str) -> int:
    """What the region says it can carry at once."""
    return int((await play.ask("metrics", region))["capacity"])


async def settled(play: Play, region: str, before: int) -> bool:
    """Whether capacity went down, and is close to what is asked for."""
    told = await play.ask("metrics", region)
    return int(told["capacity"]) < before and int(told["capacity"]) <= max(3, 2 * int(told["demand"]))
