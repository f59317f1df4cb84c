"""A client sees what it did and saw before, wherever it asks next; one that only reads never sees time go back."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("pattern", ["read-replicas", "active-active"])
def test_mra_14_a_session_keeps_its_promises_wherever_it_goes(regions: Any, pattern: str) -> None:
    """Sessions that change their region with every step, with a region cut off for a while."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "session")
        await play.begin()
        roaming = [play.client(play.regions, [play.key(i)], session=f"s{i}") for i in range(6)]
        async with play.load(*roaming):
            await play.hold(1.5)
            async with stage.fault("latency-degraded", region=play.regions[2]):
                await play.hold(1.0)
            async with play.cut(play.regions[2]):
                await play.hold(1.0)
            await play.hold(0.5)
        await play.calm()
        await play.judge("MRA-14", "sessions", sessions=True)

    regions(scenario, "MRA-14", consistency="session", pattern=pattern)


def test_mra_16_reads_of_one_client_never_go_back(regions: Any) -> None:
    """One writer, readers that change their region with every step."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "forward")
        primary = (await play.begin())["primary"]
        keys = [play.key(i) for i in range(2)]
        readers = [play.reader(play.regions, keys, session=f"r{i}") for i in range(4)]
        async with play.load(*(play.series(primary, key, session=f"w{key}") for key in keys), *readers):
            await play.hold(1.5)
            async with stage.fault("latency-degraded", region=play.regions[2]):
                await play.hold(1.0)
            await play.hold(0.5)
        await play.calm()
        await play.judge("MRA-16", "monotonic-reads", sessions=True)

    regions(scenario, "MRA-16", consistency="monotonic", pattern="read-replicas")
