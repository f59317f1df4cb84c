"""strong and quorum: reads and writes are linearizable over all regions, and there are none without agreement."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("how", ["cut", "silent", "killed"])
@pytest.mark.parametrize("consistency", ["strong", "quorum"])
def test_mra_10_every_key_is_linearizable_over_all_regions(regions: Any, consistency: str, how: str) -> None:
    """With a region lost meanwhile, and clients in it that go on."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "agree")
        status = await play.begin()
        victim = status["leader"] or play.regions[0]
        keys = [play.key(i) for i in range(4)]
        names = {"cut": "partition-region", "silent": "blackhole-region"}
        fault = play.kill(victim) if how == "killed" else stage.fault(names[how], region=victim)
        async with play.load(*(play.client(region, keys, cas=True) for region in play.regions for _ in range(2))):
            await play.hold(1.0)
            async with fault:
                await play.hold(2.0)
                if how != "killed":
                    alone = await play.write(keys[0], play.value(), victim)
                    await play.expect("MRA-10", f"acknowledged by {victim} alone", False, alone.ok)
            await play.hold(1.0)
        await play.calm()
        await play.final_reads(keys)
        await play.judge("MRA-10", "linearizable")

    regions(scenario, "MRA-10", consistency=consistency)


@pytest.mark.parametrize("consistency", ["strong", "quorum"])
def test_mra_11_strong_halts_with_one_region_lost_and_quorum_goes_on(regions: Any, consistency: str) -> None:
    """All regions agree, or a majority does: the names say which."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "halt")
        await play.begin()
        left, victim = play.regions[:2], play.regions[2]
        async with play.kill(victim):
            await play.hold(4 * play.interval_s)
            answers = [await play.write(play.key(i), play.value(), left[i % 2]) for i in range(8)]
            wanted = 0 if consistency == "strong" else len(answers)
            await play.expect("MRA-11", f"acknowledged without {victim}", wanted, sum(a.ok for a in answers))
        await play.calm()
        done = await play.must_write(play.key(), play.value(), left[0])
        await play.expect("MRA-11", "served again afterwards", True, bool(done))

    regions(scenario, "MRA-11", consistency=consistency)
