"""Read replicas: reads everywhere, writes in one region. A replica refuses or forwards; it never says yes by itself."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_20_a_replica_never_acknowledges_a_write_itself(regions: Any) -> None:
    """Asked itself it refuses; asked as an entrance it forwards; cut off from the primary it refuses."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "replica")
        primary = (await play.begin())["primary"]
        replicas = [region for region in play.regions if region != primary]
        for region in replicas:
            itself = await play.write(play.key("itself"), play.value(), region, direct=True)
            await play.expect("MRA-20", f"{region} acknowledges for itself", False, itself.ok)
            forwarded = await play.must_write(play.key(region), play.value(), region)
            await play.expect("MRA-20", f"who serves what enters at {region}", primary, forwarded["served_by"])
        async with play.cut(replicas[0]):
            answer = await play.write(play.key("cut"), play.value(), replicas[0])
            await play.expect("MRA-20", f"{replicas[0]} acknowledges while cut off", False, answer.ok)
            read = await play.read(play.key(replicas[0]), replicas[0], direct=True)
            await play.expect("MRA-20", "it still reads", True, read.ok)
        await play.calm()

    regions(scenario, "MRA-20", pattern="read-replicas")
