"""The four monitors exist and say what the harness measures itself."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_30_round_trips_are_reported_as_they_are(regions: Any) -> None:
    """Against the harness's own measure: never below it, and not far above it, for a request takes some time."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "rtt")
        await play.begin()
        for region in play.regions:
            told = (await play.ask("metrics", region))["cross_region_latency"]
            for other in (each for each in play.regions if each != region):
                planned_ms = stage.topology.between(region, other).rtt_ms
                await play.expect("MRA-30", f"{region} to {other}, not below {0.9 * planned_ms:g} ms", True,
                                  told[other] >= 0.9 * planned_ms)  # fmt: skip
                own_ms = await stage.rtt_ms(region, other)
                await play.report("MRA-31", f"{region} to {other}: planned, measured, reported (ms)",
                                  f"{planned_ms:.0f}, {own_ms:.0f}, {told[other]:.0f}")  # fmt: skip

    regions(scenario, "MRA-30", "MRA-31")


def test_mra_30_lag_and_availability_show_a_lost_region(regions: Any) -> None:
    """Cut off from the primary, the lag of a replica grows with the time; back again it is small."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "lag")
        primary, since_ns = (await play.begin())["primary"], stage.now_ns()
        other = next(region for region in play.regions if region != primary)
        await play.must_write(play.key(), play.value(), primary)
        async with play.cut(other):
            began_ns = stage.now_ns()
            await play.marked(other, since_ns)
            await play.hold(0.5)
            waited_s = (stage.now_ns() - began_ns) / 1e9
            metrics = await play.ask("metrics", other)
            lag_s = metrics["replication_lag"][primary]
            await play.expect("MRA-30", f"{other} was cut off for {waited_s:.1f} s, and its lag is at least so much",
                              True, lag_s is not None and lag_s >= waited_s)  # fmt: skip
            await play.expect("MRA-30", "an alarm when the lag is over its threshold", True, lag_s is None
                              or lag_s <= play.lag_s or any("lag" in each for each in metrics["alarms"]))  # fmt: skip
            seen = (await play.ask("metrics", primary))["regional_availability"]
            await play.expect("MRA-30", f"{primary} reports {other} as down", False, seen[other]["up"])
        await play.calm()
        seen = (await play.ask("metrics", primary))["regional_availability"]
        await play.expect("MRA-30", f"afterwards {other} is up", True, seen[other]["up"])

    regions(scenario, "MRA-30")


def test_mra_30_bytes_are_counted_as_they_cross_the_border(regions: Any) -> None:
    """What a region says it sent is not more than the links carried, which carry everything."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "bytes")
        primary = (await play.begin())["primary"]
        before, carried = await sent(play, primary), await carried_from(play, primary)
        for i in range(20):
            await play.must_write(play.key(i), "z" * 500 + str(i), primary)
        await play.calm()
        told, seen = await sent(play, primary) - before, await carried_from(play, primary) - carried
        await play.expect("MRA-30", "the links carried at least what is reported", True, seen >= told > 0)
        await play.expect("MRA-30", "two copies of twenty times 500 bytes, packed, are reported", True, told > 1_000)
        await play.report("MRA-30", "bytes sent: reported, carried", f"{told}, {seen}")

    regions(scenario, "MRA-30", compress="no")


async def sent(play: Play, region: str) -> int:
    """The bytes that the region says it sent."""
    return sum((await play.ask("metrics", region))["cost_tracking"]["bytes_sent"].values())


async def carried_from(play: Play, region: str) -> int:
    """The bytes on the links that lead out of the region, both ways."""
    traffic = await play.stage.traffic(live=True)
    leading_out = [seen for link, seen in traffic.items() if link.startswith(f"{region}>")]
    return sum(seen["bytes_up"] + seen["bytes_down"] for seen in leading_out)
