"""A request is served by the nearest region that is healthy and may serve it."""

from __future__ import annotations

from typing import Any

from harness.errors import Unsure
from harness.model.regions import MARKED
from harness.scenarios import Stage
from harness.workloads._regions import Play


def nearest(play: Play, place: str, candidates: list[str]) -> str:
    """By the topology's round trips; a region is nearest to itself, and the order of the list breaks ties."""
    topology = play.stage.topology
    return min(candidates, key=lambda each: 0.0 if each == place else topology.between(place, each).rtt_ms)


async def asked(play: Play, left: list[str], since_ns: int, where: str) -> None:
    """A read from every place that is left, and what the router says for every place from every entrance. Raises Unsure
    when somebody goes elsewhere because a region was marked since then although nothing had been done to it, as on a
    machine that stood still."""
    seen = []
    for place in left:
        wanted = nearest(play, place, left)
        served = (await play.ask_key(play.key(), place))["served_by"]
        seen.append((f"who serves a read from {place} {where}", wanted, served))
        for entrance in left:
            chosen = (await play.ask("route", entrance, verb="read", key=play.key(), place=place))["region"]
            seen.append((f"where {entrance} leads a user in {place} {where}", wanted, chosen))
    if any(wanted != chosen for _, wanted, chosen in seen):
        await play.hold(play.interval_s)  # until regions have told what they knew
        if marked := [region for region in left if play.events(MARKED, region, since_ns)]:
            raise Unsure(f"{', '.join(marked)} was marked although nothing was done to it")
    for says, wanted, chosen in seen:
        await play.expect("MRA-1", says, wanted, chosen)


def test_mra_01_the_nearest_healthy_region_serves(regions: Any) -> None:
    """With all regions there, and with each of them lost: its users go to the region next to them."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "near")
        await play.begin()
        await play.must_write(play.key(), play.value(), play.regions[0])
        await play.calm()
        await asked(play, play.regions, stage.now_ns(), "")
        for lost in play.regions[::2]:
            since_ns, left = stage.now_ns(), [region for region in play.regions if region != lost]
            async with play.kill(lost):
                await play.marked(lost, since_ns)
                await play.hold(play.interval_s)
                await asked(play, left, since_ns, f"without {lost}")
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
