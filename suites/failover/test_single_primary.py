"""There is one primary at a time, whoever is cut off from whom, and however long a primary slept."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("how", ["cut", "silent", "paused"])
def test_mra_07_a_primary_that_hears_of_nobody_stops_before_another_one_starts(regions: Any, how: str) -> None:
    """Clients in its own region go on asking it all the time."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "alone")
        primary, since_ns = (await play.begin())["primary"], stage.now_ns()
        names = {"cut": "partition-region", "silent": "blackhole-region"}
        fault = (
            stage.fault("pause-node", nodes=[play.node(primary)]) if how == "paused"
            else stage.fault(names[how], region=primary)
        )  # fmt: skip
        async with play.load(*(play.writer(region) for region in play.regions for _ in range(2)), pause_s=0.02):
            async with fault:
                promoted = await play.failed_over(since_ns)
                await play.hold(2 * play.interval_s)
            await play.hold(2 * play.interval_s)
        await play.expect("MRA-7", "another region takes over", True, promoted not in ("", primary))
        await play.calm()

    regions(scenario, "MRA-7", "MRA-6")


def test_mra_07_single_cut_links_make_no_second_primary(regions: Any) -> None:
    """The primary and each other region out of each other's reach, one pair after the other."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "pairs")
        primary = (await play.begin())["primary"]
        async with play.load(*(play.writer(region) for region in play.regions)):
            for other in play.regions:
                if other != primary:
                    async with play.cut_pair(primary, other):
                        await play.hold((play.threshold + 1) * play.interval_s)
                    await play.hold(play.interval_s)
        await play.calm()

    regions(scenario, "MRA-7")
