"""A region is marked unhealthy at exactly the threshold of missed checks in a row: not sooner, and in time."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("how", ["killed", "cut", "silent"])
def test_mra_05_a_lost_region_is_marked_at_the_third_missed_check(regions: Any, how: str) -> None:
    """Between two and three intervals after the loss, plus a check's patience (guarantees, 5.2)."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "lost")
        await play.begin()
        victim, since_ns = play.regions[-1], stage.now_ns()
        fault = (
            play.kill(victim) if how == "killed"
            else stage.fault("partition-region" if how == "cut" else "blackhole-region", region=victim)
        )  # fmt: skip
        async with fault:
            marked = await play.marked(victim, since_ns)
        await play.expect("MRA-5", f"{victim} is marked", True, marked)
        await play.expect("MRA-5", "and nobody else", [], [e for e in play.events("marked", "", since_ns)
                                                          if e["region"] != victim])  # fmt: skip
        await play.calm()

    regions(scenario, "MRA-5")


def test_mra_05_a_region_that_answers_again_in_time_is_not_marked(regions: Any) -> None:
    """Losses too short for three checks, one after the other: every check that succeeds starts the count anew."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "flap")
        await play.begin()
        victim, since_ns = play.regions[-1], stage.now_ns()
        for _ in range(4):
            async with play.cut(victim):
                await play.hold(0.5 * play.interval_s)
            await play.hold(1.2 * play.interval_s)
        # Whatever a loss lasted in truth, the rule knows how many checks it can have made fail.
        told = len(play.events("missed", victim, since_ns))
        await play.report("MRA-5", "checks missed in four short losses", told)
        await play.calm()

    regions(scenario, "MRA-5")
