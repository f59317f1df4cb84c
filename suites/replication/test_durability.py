"""Acknowledged writes survive the loss of the primary as the replication strategy promises."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("replication", ["semi-sync", "sync"])
def test_mra_09_one_copy_far_away_is_enough(regions: Any, replication: str) -> None:
    """The primary and one region cannot reach each other when it is lost: whoever has a copy takes over. Where one
    is enough it does not pass anything on so soon: the other region has nothing, and where that coordinates it does
    not wait for the loss. Where all must have it, it comes over the third region, or nothing would be acknowledged."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "far")
        primary = (await play.begin())["primary"]
        near, since_ns = next(region for region in play.regions if region != primary), stage.now_ns()
        async with play.cut_pair(primary, near), play.load(*(play.writer(primary) for _ in range(4)), pause_s=0.01):
            await play.hold(2.0)
            async with play.kill(primary):
                promoted = await play.failed_over(since_ns)
        await play.expect("MRA-9", "another region is promoted", True, promoted not in ("", primary))
        await play.calm()
        await play.final_reads_anywhere(await play.written())
        await play.judge("MRA-9", "survives", play.key("w"))

    slowly = {"relay_s": "5"} if replication == "semi-sync" else {}
    regions(scenario, "MRA-9", replication=replication, **slowly)


@pytest.mark.parametrize("how", ["killed", "cut"])
@pytest.mark.parametrize("replication", ["async", "semi-sync", "sync"])
def test_mra_09_acknowledged_writes_survive_a_promotion(regions: Any, replication: str, how: str) -> None:
    """sync and semi-sync lose nothing; async at most what was acknowledged within the lag threshold before the loss, or
    by a primary that did not know of it yet."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "acked")
        primary, since_ns = (await play.begin())["primary"], stage.now_ns()
        async with play.load(*(play.writer(region) for region in play.regions for _ in range(2)), pause_s=0.01):
            await play.hold(1.0)
            async with play.kill(primary) if how == "killed" else play.cut(primary):
                promoted = await play.failed_over(since_ns)
                await play.hold(play.interval_s)
        await play.expect("MRA-9", "another region is promoted", True, promoted not in ("", primary))
        await play.calm()
        await play.final_reads_anywhere(await play.written())
        may_lose_s = play.lag_s if replication == "async" else 0.0
        await play.judge("MRA-9", "survives", play.key("w"), may_lose_s=may_lose_s)

    regions(scenario, "MRA-9", replication=replication)
