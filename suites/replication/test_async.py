"""Asynchronous replication: a write waits for no other region, however far."""

from __future__ import annotations

import statistics
from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play

WRITES = 25


async def latencies_ms(play: Play, at: str) -> list[float]:
    """How long acknowledged writes at their primary take."""
    found = []
    for i in range(WRITES):
        began_ns = play.stage.now_ns()
        if (await play.write(play.key(i), play.value(), at)).ok:
            found.append((play.stage.now_ns() - began_ns) / 1e6)
    return found


def test_mra_39_an_asynchronous_write_does_not_wait_for_other_regions(regions: Any) -> None:
    """While every link is slow the median write takes no round trip of it: less than twice the usual, or less than half
    of the shortest round trip there is then."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "quick")
        primary = (await play.begin())["primary"]
        before = statistics.median(await latencies_ms(play, primary))
        async with stage.fault("latency-degraded", regions=stage.topology.region_ids):
            trips = [await stage.rtt_ms(primary, other) for other in play.regions if other != primary]
            slow = statistics.median(await latencies_ms(play, primary))
        quick = slow < 2 * before or slow < min(trips) / 2
        await play.expect("MRA-39", "waits for no round trip", True, quick)
        told = f"{before:.1f} ms, with round trips from {min(trips):.0f} ms on {slow:.1f} ms"
        await play.report("MRA-39", "median write", told)
        await play.calm()

    regions(scenario, "MRA-39", replication="async")


def test_mra_39_an_asynchronous_write_is_acknowledged_while_nobody_else_answers(regions: Any) -> None:
    """Every region writes: one that is cut off goes on at once."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "alone")
        await play.begin()
        victim = play.regions[1]
        async with play.cut(victim):
            answers = [await play.write(play.key(i), play.value(), victim) for i in range(5)]
            await play.expect("MRA-39", "refused while cut off", [], [a.error for a in answers if not a.ok])
        await play.calm()

    regions(scenario, "MRA-39", replication="async", pattern="active-active")
