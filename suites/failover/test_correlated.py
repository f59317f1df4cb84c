"""Two of three regions lost at once: who has to agree cannot serve and makes no mistake; who need not serves on."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play

ASKED = 10


@pytest.mark.parametrize("consistency", ["strong", "quorum"])
def test_mra_44_a_minority_acknowledges_nothing_and_nothing_is_lost(regions: Any, consistency: str) -> None:
    """What was acknowledged before is there after; the whole history is linearizable."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "two")
        await play.begin()
        survivor, lost = play.regions[0], play.regions[1:]
        keys = [play.key(i) for i in range(3)]
        for key in keys:
            await play.must_write(key, play.value(), survivor)
        async with play.load(*(play.client(region, keys) for region in play.regions)):
            async with play.kill(lost[0]), play.kill(lost[1]):
                await play.hold((play.threshold + 2) * play.interval_s)
                answers = [await play.write(keys[0], play.value(), survivor) for _ in range(3)]
                await play.expect("MRA-44", f"acknowledged by {survivor} alone", 0, sum(a.ok for a in answers))
            await play.hold(2 * play.interval_s)
        await play.calm()
        await play.final_reads(keys)
        await play.judge("MRA-44", "linearizable")

    regions(scenario, "MRA-44", consistency=consistency)


def test_mra_44_the_last_region_serves_where_nobody_has_to_agree(regions: Any) -> None:
    """Eventual, every region writes: reads and writes go on, and all agree afterwards."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "last")
        await play.begin()
        survivor, lost = play.regions[0], play.regions[1:]
        async with play.kill(lost[0]), play.kill(lost[1]):
            await play.hold((play.threshold + 2) * play.interval_s)
            answers = [await play.write(play.key(i), play.value(), survivor) for i in range(ASKED)]
            answers += [await play.read(play.key(i), survivor) for i in range(ASKED)]
            await play.expect("MRA-44", f"refused by {survivor}", [], [a.error for a in answers if not a.ok])
        await play.calm()
        await play.final_reads(play.key(i) for i in range(ASKED))
        await play.judge("MRA-44", "convergence")
        await play.judge("MRA-44", "survives")

    regions(scenario, "MRA-44", consistency="eventual", pattern="active-active")
