"""A slow network is no failover: checks that are answered late, but in time, are answered."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_32_a_degraded_network_makes_nobody_fail_over(regions: Any) -> None:
    """Round trips several times as long, all of them shorter than a check's patience."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "slow")
        primary, since_ns = (await play.begin())["primary"], stage.now_ns()
        async with stage.fault("latency-degraded", regions=stage.topology.region_ids):
            trips = [await stage.rtt_ms(a, b) for a in play.regions for b in play.regions if a < b]
            async with play.load(*(play.writer(region) for region in play.regions)):
                await play.hold(6 * play.interval_s)
            answer = await play.write(play.key(), play.value(), play.regions[1])
            await play.expect("MRA-32", "it is served", True, answer.ok)
        status = await play.ask("status", play.regions[1])
        in_time = max(trips) < 1000 * play.interval_s / 2
        await play.expect("MRA-32", "the round trips were within a check's patience", True, in_time)
        await play.expect("MRA-32", "marked unhealthy", [], [e["region"] for e in play.events("marked", "", since_ns)])
        await play.expect("MRA-32", "the primary", primary, status["primary"])
        await play.calm()

    regions(scenario, "MRA-32", scale="0.05")
