"""What operators may do, and what their verbs must not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.model.rollout import BLOCKED, CANCELLED, FAIL_LOCAL, FAILED, PENDING, RUNNING, SUCCESSFUL
from harness.scenarios import Stage
from harness.workloads._rollouts import Play, answered, group

VERBS = {
    "fail": "can't fail terminal deployment",
    "pause": "can't pause terminal deployment",
    "resume": "can't resume terminal deployment",
    "promote": "can't promote terminal deployment",
    "unblock": "can't unblock terminal deployment",
    "set-health": "can't set health of allocations for a terminal deployment",
}


@pytest.mark.parametrize("phase", [PENDING, RUNNING, BLOCKED])
def test_nom_10_a_newer_version_cancels_the_older_one(rollout: Any, phase: str) -> None:
    """Wherever a region is, it ends cancelled with those words; no two versions are active in one region."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "newer")
        watched = {PENDING: play.regions[-1], RUNNING: play.regions[0], BLOCKED: play.regions[0]}[phase]
        await play.register(play.job(healthy_s=0.6))
        await play.reached(watched, phase)
        await play.register(play.job(max_parallel=0, mark="two"), at=play.regions[1])
        await play.succeeds(1)
        for region in play.regions:
            last = play.latest(region, 0) or {}
            seen = [last.get("status"), last.get("description")]
            await play.expect(
                "NOM-10", f"version 0 in {region}", [CANCELLED, "Cancelled due to newer version of job"], seen
            )
        await play.clean()

    rollout(scenario, "NOM-10")


def test_nom_15_an_operator_unblocks_one_region(rollout: Any) -> None:
    """It becomes successful and stable, with an evaluation; the others stay as they are."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "unblock")
        victim, chosen = play.regions[-1], play.regions[1]
        groups = [group(fails_in=[victim])]
        await play.register(play.job(max_parallel=0, on_failure=FAIL_LOCAL, groups=groups, healthy_s=0.5))
        await play.all_reach(BLOCKED, regions=play.regions[:-1])
        await play.fails(victim)
        answer = answered(await play.act("unblock", chosen))
        await play.expect("NOM-15", "the answer", "ok", answer.type)
        await play.expect("NOM-15", "it names an evaluation", True, bool(answer.ok and answer.value.get("EvalID")))
        await play.expect("NOM-15", "the region becomes successful", True, await play.reached(chosen, SUCCESSFUL))
        versions = await play.ask("versions", chosen) or [{}]
        await play.expect("NOM-15", "its version is stable", True, versions[0].get("Stable"))
        await play.hold()
        wanted = [FAILED if r == victim else SUCCESSFUL if r == chosen else BLOCKED for r in play.regions]
        await play.expect("NOM-15", "all regions", wanted, play.statuses())
        await play.clean()

    rollout(scenario, "NOM-15", "NOM-13")


@pytest.mark.parametrize("end", [SUCCESSFUL, FAILED, CANCELLED])
def test_nom_22_no_verb_moves_a_deployment_that_has_ended(rollout: Any, end: str) -> None:
    """The right words, and neither status nor index changes."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "ended")
        place = play.regions[0]
        fails = [place] if end == FAILED else []
        await play.register(play.job(max_parallel=0, groups=[group(fails_in=fails)], healthy_s=0.5))
        if end == CANCELLED:
            await play.runs(place)
            await stage.do("stop", play.id, at=place, region=place)
        await play.reached(place, end)
        await play.ends()

        async def now() -> list[Any]:
            found = [each for each in await play.ask("deployments", place) or [] if each["JobVersion"] == 0]
            return [[each["Status"], each["ModifyIndex"]] for each in found]

        before = await now()
        await play.expect("NOM-22", "how it ended", end, before[0][0] if before else "")
        for verb, text in VERBS.items():
            answer = answered(await play.act(verb, place, 0))
            await play.expect("NOM-22", f"{verb} on a {end} deployment", True, not answer.ok)
            await play.expect("NOM-22", f"what {verb} is answered", text, answer.error, "holds")
        await play.hold(0.3)
        await play.expect("NOM-22", "nothing changed", before, await now())
        await play.clean()

    rollout(scenario, "NOM-22")


@pytest.mark.parametrize("everywhere", [True, False], ids=["global", "plain"])
def test_nom_25_a_global_stop_stops_all_regions_a_plain_one_only_its_own(rollout: Any, everywhere: bool) -> None:
    """What is active where it stops is cancelled as stopped."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "stop")
        place = play.regions[1]
        await play.register(play.job(max_parallel=0, healthy_s=0.8))
        await play.runs(place)
        await stage.do("stop", play.id, at=place, region=place, **({"global": True} if everywhere else {}))
        stopped = play.regions if everywhere else [place]
        await play.all_reach(CANCELLED, regions=stopped)
        await play.hold()
        flags = [bool((await play.ask("job", region) or {}).get("Stop")) for region in play.regions]
        await play.expect("NOM-25", "where the job is stopped", [region in stopped for region in play.regions], flags)
        for region in stopped:
            text = (play.latest(region, 0) or {}).get("description")
            await play.expect("NOM-25", f"what {region} says", "Cancelled because job is stopped", text)
        others = [play.status(region, 0) for region in play.regions if region not in stopped]
        await play.expect("NOM-25", "regions that were not stopped go on", True, CANCELLED not in others)
        await play.clean()

    rollout(scenario, "NOM-25")


def test_nom_30_a_plan_changes_nothing(rollout: Any) -> None:
    """No version, no deployment, no index of the job moves; only what differs is in the answer."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "plan")
        await play.register(play.job(max_parallel=0))
        await play.succeeds(0)

        async def all_() -> list[Any]:
            jobs = [await play.ask("job", region) or {} for region in play.regions]
            rows = [await play.ask("deployments", region) or [] for region in play.regions]
            return [
                [job.get("Version"), job.get("JobModifyIndex"), len(found)]
                for job, found in zip(jobs, rows, strict=True)
            ]

        before = await all_()
        new = play.job(max_parallel=0, mark="two")
        for region in play.regions:
            answer = answered(await stage.do("plan", play.id, at=region, region=region, job=new))
            await play.expect("NOM-30", f"the plan in {region}", "ok", answer.type)
            fields = [f["Name"] for f in (answer.value["Diff"]["Fields"] or [])] if answer.ok else []
            await play.expect("NOM-30", f"what {region} says would change", ["Meta.mark"], fields)
        await play.hold(0.3)
        await play.expect("NOM-30", "nothing changed anywhere", before, await all_())
        await play.clean()

    rollout(scenario, "NOM-30")


def test_nom_31_ending_a_pause_wakes_nobody_who_waits(rollout: Any) -> None:
    """A pending region stays pending and a blocked one blocked, whatever is resumed."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "resume")
        first, second, last = play.regions[0], play.regions[1], play.regions[-1]
        await play.register(play.job(max_parallel=1, healthy_s=1.5))
        await play.runs(first)
        await play.reached(last, PENDING)
        await play.act("resume", last)
        await play.hold(0.4)
        await play.expect("NOM-31", "a pending region that was resumed", PENDING, play.status(last))
        await play.act("pause", last)
        await play.act("resume", last)
        await play.hold(0.4)
        await play.expect("NOM-31", "a pending region after a pause", PENDING, play.status(last))
        await play.reached(first, BLOCKED)
        await play.runs(second)
        await play.act("resume", first)
        await play.hold(0.4)
        await play.expect("NOM-31", "a blocked region that was resumed", BLOCKED, play.status(first))
        await play.clean()

    rollout(scenario, "NOM-31")


def test_nom_32_only_a_blocked_deployment_can_be_unblocked(rollout: Any) -> None:
    """Running: refused. Pending or paused: nothing changes."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "tooearly")
        first, last = play.regions[0], play.regions[-1]
        await play.register(play.job(max_parallel=1, healthy_s=1.5))
        await play.runs(first)
        await play.reached(last, PENDING)
        answer = answered(await play.act("unblock", first))
        await play.expect("NOM-32", "unblocking a running one is refused", True, not answer.ok)
        await play.expect("NOM-32", "and it runs on", RUNNING, play.status(first))
        await play.act("unblock", last)
        await play.hold(0.3)
        await play.expect("NOM-32", "a pending one after an unblock", PENDING, play.status(last))
        await play.act("pause", last)
        await play.act("unblock", last)
        await play.hold(0.3)
        await play.expect("NOM-32", "no success without healthy allocations", False, play.was(last, SUCCESSFUL))
        await play.clean()

    rollout(scenario, "NOM-32")


def test_nom_06_operators_who_act_at_once_break_nothing(rollout: Any) -> None:
    """Pauses, resumes, unblocks and a failure from all regions at the same time: every rule holds on the way."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "crowd")
        await play.register(play.job(max_parallel=1, on_failure=FAIL_LOCAL, healthy_s=0.4))
        await play.runs(play.regions[0])

        async def operator(region: str, turn: int) -> None:
            rng = stage.rng.child(f"operator/{region}/{turn}")
            for _ in range(4):
                verb, rng = rng.choice(("pause", "resume", "resume", "unblock"))
                await play.act(verb, region)
                wait_s, rng = rng.uniform(0.05, 0.4)
                await asyncio.sleep(wait_s)

        await asyncio.gather(*(operator(region, turn) for region in play.regions for turn in range(2)))
        for region in play.regions:
            await play.act("resume", region)
        await play.act("fail", play.regions[-1])
        await play.ends()
        await play.clean()

    rollout(scenario, "NOM-9")
