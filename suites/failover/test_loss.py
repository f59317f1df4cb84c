"""The loss of any one region leaves service to everybody else; with one region only it is a total outage."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play

ASKED = 15


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("consistency", ["eventual", "quorum"])
def test_mra_03_after_the_loss_of_a_region_the_others_serve(regions: Any, consistency: str, position: int) -> None:
    """Every request that enters at a region which is left is answered, once the loss is known."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "loss")
        status, since_ns = await play.begin(), stage.now_ns()
        victim = play.regions[position]
        left = [region for region in play.regions if region != victim]
        async with play.kill(victim):
            await play.marked(victim, since_ns)
            if consistency != "quorum" and victim == status["primary"]:
                promoted = await play.failed_over(since_ns)
                await play.expect("MRA-3", "another region takes over", True, promoted not in ("", victim))
            await play.hold(2 * play.interval_s)
            answers = [await play.write(play.key(i), play.value(), left[i % 2]) for i in range(ASKED)]
            answers += [await play.read(play.key(i), left[i % 2]) for i in range(ASKED)]
            await play.expect("MRA-3", f"refused without {victim}", [], [a.error for a in answers if not a.ok])
        await play.calm()

    regions(scenario, "MRA-3", consistency=consistency)


def test_mra_04_with_one_region_only_its_loss_is_a_total_outage(regions: Any) -> None:
    """A control: it shows that the harness sees an outage, and service after it."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "control")
        await play.begin()
        only = play.regions[0]
        await play.must_write(play.key(), play.value(), only)
        async with play.kill(only):
            answers = [await play.read(play.key(), only) for _ in range(ASKED)]
            await play.expect("MRA-4", "answered without the only region", 0, sum(answer.ok for answer in answers))
        await play.expect("MRA-4", "answered after it", 1, (await play.ask_key(play.key(), only))["value"])

    regions(scenario, "MRA-4", topology="lone-region")
