"""A request is served by the nearest region that is healthy and may serve it."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def nearest(play: Play, place: str, candidates: list[str]) -> str:
    """By the topology's round trips; a region is nearest to itself, and the order of the list breaks ties."""
    topology = play.stage.topology
    return min(candidates, key=lambda each: 0.0 if each == place else topology.between(place, each).rtt_ms)


async def asked(play: Play, left: list[str], where: str) -> None:
    """A read from every place that is left, and what the router says for every place from every entrance."""
    for place in left:
        answer = await play.read(play.key(), place)
        served = answer.value["served_by"] if answer.ok else answer.error
        await play.expect("MRA-1", f"who serves a read from {place} {where}", nearest(play, place, left), served)
        for entrance in left:
            chosen = (await play.ask("route", entrance, verb="read", key=play.key(), place=place))["region"]
            wanted = nearest(play, place, left)
            await play.expect("MRA-1", f"where {entrance} leads a user in {place} {where}", wanted, chosen)


def test_mra_01_the_nearest_healthy_region_serves(regions: Any) -> None:
    """With all regions there, and with each of them lost: its users go to the region next to them."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "near")
        await play.begin()
        await play.must_write(play.key(), play.value(), play.regions[0])
        await play.calm()
        await asked(play, play.regions, "")
        for lost in play.regions[::2]:
            since_ns, left = stage.now_ns(), [region for region in play.regions if region != lost]
            async with play.kill(lost):
                await play.marked(lost, since_ns)
                await play.hold(play.interval_s)
                await asked(play, left, f"without {lost}")
                chosen = (await play.ask("route", left[0], verb="read", key=play.key(), place=lost))["region"]
                wanted = nearest(play, lost, left)
                await play.expect("MRA-1", f"where users in {lost} go without it", wanted, chosen)
            await play.calm()

    regions(scenario, "MRA-1", pattern="active-active", routing="latency")


def test_mra_01_a_residency_rule_comes_before_nearness(regions: Any) -> None:
    """Restricted data is served where it may be, whoever asks from wherever."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "ruled")
        await play.begin()
        for place in play.regions:
            done = await play.must_write(play.key(place), play.value(), place, tag="user_pii")
            await play.expect("MRA-1", f"who serves a restricted write from {place}", "eu-west-1", done["served_by"])

    regions(scenario, "MRA-1", pattern="active-active", routing="latency")
