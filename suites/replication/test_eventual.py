"""eventual: once writes stop and links heal, all regions have the same."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("how", ["cut", "silent", "killed"])
def test_mra_12_regions_agree_after_the_heal(regions: Any, how: str) -> None:
    """Writers on both sides of a cut, on the same keys and on keys of their own."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "same")
        await play.begin()
        victim, keys = play.regions[1], [play.key(i) for i in range(4)]
        names = {"cut": "partition-region", "silent": "blackhole-region"}
        fault = play.kill(victim) if how == "killed" else stage.fault(names[how], region=victim)
        both = [step for region in play.regions for step in (play.client(region, keys), play.writer(region))]
        async with play.load(*both):
            await play.hold(0.5)
            async with fault:
                await play.hold(1.5)
            await play.hold(0.3)
        await play.calm()
        await play.final_reads([*keys, *(await play.written())[::7]])
        await play.judge("MRA-12", "convergence")

    regions(scenario, "MRA-12", pattern="active-active")


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_mra_24_a_mesh_replicates_around_any_cut_link(regions: Any, pair: tuple[int, int]) -> None:
    """What one end writes reaches the other over the third region, while the link is cut; afterwards all agree."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "mesh")
        await play.begin()
        one, other = (play.regions[i] for i in pair)
        async with play.cut_pair(one, other):
            value = play.value()
            await play.must_write(play.key(), value, one)
            arrived = await play.until_true(lambda: has(play, other, value), 8.0)
            await play.expect("MRA-24", f"{one}'s write reaches {other}", True, arrived)
        await play.calm()
        await play.final_reads([play.key()])
        await play.judge("MRA-24", "convergence")

    regions(scenario, "MRA-24", pattern="active-active")


async def has(play: Play, region: str, value: int) -> bool:
    """Whether the region itself has that value."""
    answer = await play.read(play.key(), region, direct=True)
    return bool(answer.ok and answer.value["value"] == value)
