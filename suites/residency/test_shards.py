"""Geo-partitioned: every region has its own users' data, and the loss of one is the loss of one."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play

ASKED = 10


def test_mra_35_the_loss_of_a_shard_touches_no_other_one(regions: Any) -> None:
    """Keys of the lost region cannot be had, keys of the others without exception."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "shard")
        await play.begin()
        lost, left = play.regions[0], play.regions[1:]
        for region in play.regions:
            await play.must_write(f"{region}/{play.id}", play.value(), region)
        since_ns = stage.now_ns()
        async with play.kill(lost):
            await play.marked(lost, since_ns)
            for region in left:
                answers = [await play.write(f"{region}/{play.id}", play.value(), region) for _ in range(ASKED)]
                answers += [await play.read(f"{region}/{play.id}", region) for _ in range(ASKED)]
                await play.expect("MRA-35", f"refused in {region}", [], [a.error for a in answers if not a.ok])
            answer = await play.write(f"{lost}/{play.id}", play.value(), left[0])
            await play.expect("MRA-35", f"acknowledged for {lost} by others", False, answer.ok)
        await play.calm()

    regions(scenario, "MRA-35", pattern="geo-partitioned")
