"""Jobs of other kinds: system, batch, periodic, parameterized, and those of a single region."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.model.rollout import BLOCKED, FAILED, RUNNING, SUCCESSFUL
from harness.scenarios import Stage
from harness.workloads._rollouts import Play, answered, group


def test_nom_24_a_system_job_obeys_max_parallel_and_fails_alone(rollout: Any) -> None:
    """A failure in one region marks no other as failed."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "system")
        victim = play.regions[1]
        await play.register(play.job(kind="system", max_parallel=1, groups=[group(fails_in=[victim])], healthy_s=0.5))
        await play.fails(victim)
        others = [region for region in play.regions if region != victim]
        await play.all_reach(BLOCKED, SUCCESSFUL, regions=others)
        await play.hold()
        failed = [region for region in others if play.was(region, FAILED)]
        await play.expect("NOM-24", "regions that failed with it", [], failed)
        await play.expect("NOM-24", "all others ran", [True] * len(others), [play.was(r, RUNNING) for r in others])
        await play.clean()

    rollout(scenario, "NOM-24", "NOM-6")


def test_nom_24_a_batch_job_starts_everywhere_at_once(rollout: Any) -> None:
    """Without deployments, and without waiting for another region."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "batch")
        await play.register(play.job(kind="batch", max_parallel=0, groups=[group(life_s=3.0)]))

        async def running() -> bool:
            found = [await play.ask("allocs", region) or [] for region in play.regions]
            return all(any(alloc["ClientStatus"] == "running" for alloc in allocs) for allocs in found)

        together = await play.until_true(running, 6.0)
        await play.expect("NOM-24", "it ran in all regions at the same time", True, together)
        await play.expect("NOM-24", "it has no deployment", [""] * len(play.regions), play.statuses())
        await play.clean()

    rollout(scenario, "NOM-24")


def test_nom_35_a_dispatch_starts_a_child_only_in_the_region_asked(rollout: Any) -> None:
    """The parameterized job itself is in all regions."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "dispatch")
        job = play.job(kind="batch", max_parallel=0, groups=[group(life_s=1.0)])
        await play.register({**job, "ParameterizedJob": {"Payload": "optional", "MetaRequired": ["who"]}})
        place = play.regions[2]
        asked = await stage.do("dispatch", play.id, at=play.regions[0], region=place, meta={"who": "me"})
        answer = answered(asked)
        await play.expect("NOM-35", "the dispatch", "ok", answer.type)
        await play.hold(0.5)
        children = {r: await play.ask("jobs", r, key=f"{play.id}/dispatch-") or [] for r in play.regions}
        counts = [len(children[region]) for region in play.regions]
        await play.expect("NOM-35", "children per region", [int(region == place) for region in play.regions], counts)
        wrong = answered(await stage.do("dispatch", play.id, at=place, region=place))
        await play.expect("NOM-35", "a dispatch without the meta it requires", False, wrong.ok)
        await play.clean()

    rollout(scenario, "NOM-35")


def test_nom_35_a_periodic_job_fires_at_the_same_instant_everywhere(rollout: Any) -> None:
    """The children's names carry the instant."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "cron")
        job = play.job(kind="batch", max_parallel=0, groups=[group(life_s=0.2)])
        await play.register({**job, "Periodic": {"Enabled": True, "SpecType": "cron", "Spec": "*/2 * * * * * *"}})
        await asyncio.sleep(4.5)

        async def instants(region: str) -> set[str]:
            found = await play.ask("jobs", region, key=f"{play.id}/periodic-") or []
            return {str(child["ID"]).rsplit("-", 1)[1] for child in found}

        seen = [await instants(region) for region in play.regions]
        common = set.intersection(*seen)
        await play.expect("NOM-35", "it fired at least twice", True, len(common) >= 2)
        # A region that is asked a moment later may have fired once more.
        fired = {int(each) for found in seen for each in found if int(each) <= int(max(common, default="0"))}
        await play.expect("NOM-35", "instants of all regions", sorted(map(int, common)), sorted(fired))
        await play.clean()

    rollout(scenario, "NOM-35")


@pytest.mark.parametrize("end", [SUCCESSFUL, FAILED])
def test_nom_37_a_single_region_job_never_waits_for_other_regions(rollout: Any, end: str) -> None:
    """Its first status is running; it never is pending, blocked or unblocking."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "single")
        place = play.regions[1]
        fails = [place] if end == FAILED else []
        await play.register(play.job(single=True, groups=[group(fails_in=fails)], healthy_s=0.5), at=place)
        await play.expect("NOM-37", "how it ends", True, await play.reached(place, end))
        first = next((each["status"] for each in play.changes(place)), "")
        await play.expect("NOM-37", "its first status", RUNNING, first)
        await play.clean()

    rollout(scenario, "NOM-37")
