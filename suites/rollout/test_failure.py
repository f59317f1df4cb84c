"""A failure takes with it whom the job says, goes back where the job says, and leaves nothing stable that is not."""

from __future__ import annotations

from typing import Any

import pytest

from harness.model.rollout import BLOCKED, FAIL_ALL, FAIL_LOCAL, FAILED, SUCCESSFUL
from harness.scenarios import Stage
from harness.workloads._rollouts import HOLD_S, Play, group

WATCH_S = 6.5
"""Longer than a failure may take to reach everybody."""


async def fails(stage: Stage, row: str, policy: str, position: int, at_once: int) -> None:
    """Version 0 holds; version 1 fails in the region at ``position``."""
    play = Play(stage, "fails")
    victim = play.regions[position]
    await play.register(play.job(max_parallel=0))
    await play.succeeds(0)
    groups = [group(fails_in=[victim], fails_after_s=0.2)]
    await play.register(play.job(max_parallel=at_once, on_failure=policy, groups=groups, healthy_s=0.6, mark="two"))
    await play.fails(victim, 1)
    await play.ends()
    wanted = {FAIL_ALL: [FAILED] * 4, FAIL_LOCAL: [BLOCKED] * 4, "": [BLOCKED] * position + [FAILED] * 4}[policy]
    wanted = [FAILED if i == position else each for i, each in enumerate(wanted[: len(play.regions)])]
    if not await stage.until(lambda: play.statuses(1) == wanted, WATCH_S):
        await play.hold(WATCH_S)
    await play.hold(HOLD_S)
    await play.expect(row, f"where version 1 ended, which failed in {victim}", wanted, play.statuses(1))
    await play.clean()


@pytest.mark.parametrize("at_once", [1, 2, 0])
@pytest.mark.parametrize("position", [0, 1, 3])
def test_nom_11_by_default_a_failure_fails_all_later_regions(rollout: Any, position: int, at_once: int) -> None:
    """Earlier ones stay blocked until an operator decides."""
    rollout(lambda stage: fails(stage, "NOM-11", "", position, at_once), "NOM-11")


@pytest.mark.parametrize("position", [0, 1, 3])
def test_nom_12_fail_all_fails_every_region(rollout: Any, position: int) -> None:
    """Those that were done, too."""
    rollout(lambda stage: fails(stage, "NOM-12", FAIL_ALL, position, 1), "NOM-12")


@pytest.mark.parametrize("position", [0, 1, 3])
def test_nom_13_fail_local_fails_only_the_region_that_failed(rollout: Any, position: int) -> None:
    """The others go on, one at a time, and wait blocked for an operator."""
    rollout(lambda stage: fails(stage, "NOM-13", FAIL_LOCAL, position, 1), "NOM-13", "NOM-6")


def test_nom_14_failed_regions_go_back_to_the_last_stable_version(rollout: Any) -> None:
    """The seed's example: the third region fails; it and the fourth go back, the first two stay blocked."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "back")
        await play.register(play.job(max_parallel=0, auto_revert=True))
        await play.succeeds(0)
        victim, rest = play.regions[2], play.regions[2:]
        await play.register(play.job(auto_revert=True, groups=[group(fails_in=[victim])], healthy_s=0.5, mark="two"))
        await play.fails(victim, 1)
        await play.all_reach(FAILED, version=1, regions=rest)
        for region in rest:
            text = (play.latest(region, 1) or {}).get("description", "")
            await play.expect("NOM-14", f"what {region} says", "rolling back to job version 0", text, "holds")
            back = await play.reached(region, SUCCESSFUL, version=2)
            await play.expect("NOM-14", f"{region} runs a version 2", True, back)
            versions = await play.ask("versions", region) or []
            marks = {each["Version"]: each["Meta"].get("mark") for each in versions}
            await play.expect("NOM-14", f"the specification of version 2 in {region}", marks.get(0), marks.get(2))
        for region in play.regions[:2]:
            job = await play.ask("job", region) or {}
            await play.expect("NOM-14", f"{region} stays at version 1", 1, job.get("Version"))
            await play.expect("NOM-11", f"{region} stays blocked", BLOCKED, play.status(region, 1))
        await play.clean()

    rollout(scenario, "NOM-14", "NOM-11")


def test_nom_14_nothing_goes_back_without_a_stable_version_or_a_difference(rollout: Any) -> None:
    """The description says why not."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "stays")
        victim = play.regions[0]
        await play.register(play.job(auto_revert=True, groups=[group(fails_in=[victim])], healthy_s=0.5))
        await play.fails(victim)
        await play.all_reach(FAILED)
        text = (play.latest(victim, 0) or {}).get("description", "")
        await play.expect("NOM-14", "what it says", "no stable job version to auto revert to", text, "holds")
        job = await play.ask("job", victim) or {}
        await play.expect("NOM-14", "the version stays", 0, job.get("Version"))
        await play.clean()

    rollout(scenario, "NOM-14")


def test_nom_14_without_auto_revert_a_failed_region_stays_at_its_version(rollout: Any) -> None:
    """And its description names no other version."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "noback")
        await play.register(play.job(max_parallel=0))
        await play.succeeds(0)
        await play.register(play.job(groups=[group(fails_in=[play.regions[0]])], healthy_s=0.5, mark="two"))
        await play.fails(play.regions[0], 1)
        await play.all_reach(FAILED, version=1)
        await play.hold()
        versions = [(await play.ask("job", region) or {}).get("Version") for region in play.regions]
        await play.expect("NOM-14", "the version in every region", [1] * len(versions), versions)
        await play.clean()

    rollout(scenario, "NOM-11")


def test_nom_23_only_a_successful_version_is_stable(rollout: Any) -> None:
    """Not while it is blocked, not after a failure; then there is none to go back to."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "stable")
        last = play.regions[-1]

        async def stable(region: str) -> dict[int, bool]:
            return {each["Version"]: each["Stable"] for each in await play.ask("versions", region) or []}

        await play.register(
            play.job(auto_revert=True, groups=[group(fails_in=[last], fails_after_s=0.2)], healthy_s=0.5)
        )
        await play.reached(play.regions[0], BLOCKED)
        await play.expect("NOM-23", "stable while blocked", {0: False}, await stable(play.regions[0]))
        await play.fails(last)
        await play.expect("NOM-23", "stable after a failure", {0: False}, await stable(last))
        text = (play.latest(last, 0) or {}).get("description", "")
        await play.expect("NOM-23", "nothing to go back to", "no stable job version", text, "holds")
        await play.expect("NOM-23", "still not stable where blocked", {0: False}, await stable(play.regions[0]))
        await play.register(play.job(max_parallel=0, mark="good"))
        await play.succeeds(1)
        await play.expect("NOM-23", "stable once successful", True, (await stable(last)).get(1))
        await play.clean()

    rollout(scenario, "NOM-23")
