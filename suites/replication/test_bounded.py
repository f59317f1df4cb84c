"""bounded: a read is no older than the bound, or it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("how", ["cut", "silent", "slow"])
def test_mra_13_no_read_is_older_than_the_bound(regions: Any, how: str) -> None:
    """A replica that hears nothing for longer than the bound refuses; afterwards it serves again."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "bound")
        primary = (await play.begin())["primary"]
        victim = next(region for region in reversed(play.regions) if region != primary)
        keys = [play.key(i) for i in range(3)]
        for key in keys:
            await play.must_write(key, play.value(), primary)
        fault = {
            "cut": lambda: play.cut(victim),
            "silent": lambda: stage.fault("blackhole-region", region=victim),
            "slow": lambda: stage.fault("latency-degraded", region=victim),
        }[how]()
        readers = [play.reader(region, keys) for region in play.regions]
        async with play.load(*(play.client(primary, keys) for _ in range(2)), *readers):
            await play.hold(0.3)
            async with fault:
                await play.hold(2.5 * play.lag_s)
            await play.hold(0.3)
        await play.calm()
        await play.final_reads(keys)
        # What a reader's own request takes comes on top of the age that the replica vouches for.
        await play.judge("MRA-13", "staleness", max_ms=1000 * play.lag_s + 50)

    regions(scenario, "MRA-13", consistency="bounded", pattern="read-replicas")
