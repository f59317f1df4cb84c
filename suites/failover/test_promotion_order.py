"""A failover has an order: the lost region is marked, another one promoted, and only then requests are led there."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_mra_06_marked_then_promoted_then_routed(regions: Any, how: str) -> None:
    """Under load; the order is that of the regions' own agreement."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "order")
        primary, since_ns = (await play.begin())["primary"], stage.now_ns()
        fault = play.kill(primary) if how == "killed" else play.cut(primary)
        async with play.load(*(play.writer(region) for region in play.regions)):
            await play.hold(play.interval_s)  # there are acknowledged writes before, and after
            async with fault:
                promoted = await play.failed_over(since_ns)
                await play.hold(play.interval_s)
        await play.expect("MRA-6", "another region is promoted", True, promoted not in ("", primary))
        await play.calm()

    regions(scenario, "MRA-6", "MRA-7")
