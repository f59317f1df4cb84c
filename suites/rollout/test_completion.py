"""A region that is done waits for the last one, and then all of them are let go."""

from __future__ import annotations

from typing import Any

import pytest

from harness.model.rollout import BLOCKED, RUNNING, SUCCESSFUL
from harness.scenarios import Stage
from harness.workloads._rollouts import Play, answered, group


def test_nom_07_a_region_that_is_done_is_blocked_until_the_last_one_is(rollout: Any) -> None:
    """The last region takes long; all others wait for it."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "blocked")
        regions = [{"Name": region, "Count": 1} for region in play.regions]
        regions[-1]["Count"] = 3
        await play.register(play.job(regions=regions, max_parallel=0, groups=[group(count=0)], healthy_s=0.4))
        await play.all_reach(BLOCKED, regions=play.regions[:-1])
        await play.hold(0.5)
        await play.expect(
            "NOM-7", "the others wait", [BLOCKED] * (len(regions) - 1), play.statuses(0, play.regions[:-1])
        )
        await play.succeeds(0)
        await play.clean()

    rollout(scenario, "NOM-7", "NOM-8")


@pytest.mark.parametrize("at_once", [1, 0])
def test_nom_08_when_all_are_healthy_the_version_becomes_successful_everywhere(rollout: Any, at_once: int) -> None:
    """In order blocked, perhaps unblocking, successful."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "completes")
        await play.register(play.job(max_parallel=at_once))
        done = await play.succeeds(0)
        await play.expect("NOM-8", "all regions are successful", True, done)
        blocked = [play.was(region, BLOCKED) for region in play.regions]
        await play.expect("NOM-8", "every region was blocked before", [True] * len(blocked), blocked)
        await play.clean()

    rollout(scenario, "NOM-7", "NOM-8")


@pytest.mark.parametrize("auto", [False, True], ids=["by hand", "by itself"])
def test_nom_38_a_region_with_canaries_is_not_done_before_they_are_promoted(rollout: Any, auto: bool) -> None:
    """It runs and says that it wants a promotion; after it, it goes on to blocked."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "canary")
        await play.register(play.job(max_parallel=0))
        await play.succeeds(0)
        await play.register(play.job(max_parallel=0, canary=1, auto_promote=auto, mark="two"))
        wanted = "pending automatic promotion" if auto else "requires manual promotion"
        for region in play.regions:
            await play.runs(region, 1)
            first = next((c["description"] for c in play.changes(region, 1) if c["status"] == RUNNING), "")
            await play.expect("NOM-38", f"what {region} says while its canary is new", wanted, first, "holds")
        if not auto:
            await stage.until(lambda: all((play.latest(r, 1) or {}).get("healthy") for r in play.regions), 10.0)
            await play.hold(0.5)
            still = play.statuses(1)
            await play.expect("NOM-38", "no region is done without a promotion", [RUNNING] * len(still), still)
            for region in play.regions:
                answer = answered(await play.act("promote", region, 1))
                await play.expect("NOM-38", f"the promotion in {region}", "ok", answer.type)
        await play.expect("NOM-38", "after promotion all become successful", True, await play.succeeds(1))
        blocked = [play.was(region, BLOCKED, version=1) for region in play.regions]
        await play.expect("NOM-38", "by way of blocked", [True] * len(blocked), blocked)
        await play.expect("NOM-38", "the end", [SUCCESSFUL] * len(blocked), play.statuses(1))
        await play.clean()

    rollout(scenario, "NOM-38")
