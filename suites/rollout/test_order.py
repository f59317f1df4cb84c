"""Regions start in the listed order, no more at a time than allowed, and only after all of them accepted the job."""

from __future__ import annotations

from typing import Any

import pytest

from harness.model.op import FAIL
from harness.model.rollout import CANCELLED, FAILED, FIRST, PENDING, RUNNING
from harness.scenarios import Stage
from harness.workloads._rollouts import Play


@pytest.mark.parametrize("at_once", [1, 2, 3, 0])
def test_nom_06_at_most_max_parallel_regions_run_at_once(rollout: Any, at_once: int) -> None:
    """With 0 all of them run together at least for a moment."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, f"parallel{at_once}")
        await play.register(play.job(max_parallel=at_once, healthy_s=0.5))
        if at_once == 0:
            together = await stage.until(lambda: play.statuses() == [RUNNING] * len(play.regions), 10.0)
            await play.expect("NOM-6", "without a limit all regions ran at the same time", True, together)
        await play.succeeds(0)
        await play.clean()

    rollout(scenario, "NOM-6")


@pytest.mark.parametrize("turn", range(4))
def test_nom_09_regions_start_in_the_order_of_the_list(rollout: Any, turn: int) -> None:
    """For every rotation of the list, and two at a time as well."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, f"order{turn}")
        cut = turn % len(play.regions)
        order = [*play.regions[cut:], *play.regions[:cut]]
        if turn == 3:
            order.reverse()
        counts = [{"Name": name, "Count": 1 + (i + turn) % 2} for i, name in enumerate(order)]
        await play.register(play.job(regions=counts, max_parallel=1 + turn % 2), at=play.regions[0])
        await play.succeeds(0)
        await play.clean()

    rollout(scenario, "NOM-9")


def test_nom_05_a_region_begins_by_waiting_and_places_nothing_before_it_runs(rollout: Any) -> None:
    """The first status is initializing or pending; no allocation of the version is older than its running."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "waits")
        await play.register(play.job(max_parallel=1, healthy_s=0.3))
        await play.succeeds(0)
        await play.register(play.job(max_parallel=1, healthy_s=0.3, mark="two"))
        await play.succeeds(1)
        await play.clean()

    rollout(scenario, "NOM-5")


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_nom_04_with_one_region_out_of_reach_no_region_starts_the_version(rollout: Any, silent: bool) -> None:
    """The registration fails, or all regions stay where they are."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "accepted")
        cut = "blackhole-region" if silent else "partition-region"
        async with stage.fault(cut, region=play.regions[-1]):
            answer = await play.register(play.job(max_parallel=0))
            await play.hold(2.0)
            ran = [region for region in play.regions[:-1] if play.was(region, RUNNING)]
            await play.expect("NOM-4", "regions that ran while one could not accept", [], ran)
            if answer.ok:
                waiting = [play.status(region) in (*FIRST, "", FAILED, CANCELLED) for region in play.regions[:-1]]
                await play.expect("NOM-4", "an accepted job waits in every region", True, all(waiting))
        if answer.type == FAIL:
            await play.expect("NOM-4", "regions that stored the refused job", [], await play.holders())
        await play.clean()

    rollout(scenario, "NOM-4")


def test_nom_04_a_version_runs_only_after_every_region_has_it(rollout: Any) -> None:
    """The first region may finish at once: still it starts only when the last one has the version."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "has")
        await play.register(play.job(max_parallel=0, healthy_s=0.0), at=play.regions[-1])
        await play.succeeds(0)
        seen = [play.was(region, PENDING) for region in play.regions]
        await play.expect("NOM-4", "every region waited before it ran", [True] * len(seen), seen)
        await play.clean()

    rollout(scenario, "NOM-4", "NOM-5")
