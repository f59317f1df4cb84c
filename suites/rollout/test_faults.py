"""Rollouts while regions are cut off, servers die and regions are down."""

from __future__ import annotations

from typing import Any

import pytest

from harness.model.op import FAIL
from harness.model.rollout import BLOCKED, FAILED, PENDING, RUNNING, SUCCESSFUL, TERMINAL, UNBLOCKING
from harness.scenarios import Stage
from harness.workloads._rollouts import Play, group

PHASES = (PENDING, RUNNING, BLOCKED, UNBLOCKING)
FAULT_FOR_S = 2.0


async def comes_to(play: Play, phase: str) -> str:
    """Start a rollout one region at a time and wait until a region is in ``phase``; that region."""
    regions = play.regions[:3]
    await play.register(play.job(regions=regions, max_parallel=1, healthy_s=0.8))
    if phase == UNBLOCKING:
        await play.stage.until(lambda: play.was(regions[-1], BLOCKED, UNBLOCKING, SUCCESSFUL), 15.0)
        return regions[-1]
    place = {PENDING: regions[-1], RUNNING: regions[1], BLOCKED: regions[0]}[phase]
    await play.reached(place, phase)
    if phase == BLOCKED:
        await play.runs(regions[1])
    return place


async def resolves(play: Play, row: str) -> None:
    """After the heal a rollout ends by itself, or an operator can end it."""
    regions = play.regions[:3]
    resumes = await play.succeeds(0, regions, limit_s=15.0)
    if not resumes:
        for region in regions:
            if play.status(region, 0) == BLOCKED:
                await play.act("unblock", region, 0)
        await play.stage.until(lambda: all(s in TERMINAL for s in play.statuses(0, regions)), 5.0)
    found = play.statuses(0, regions)
    ends = (
        "completed" if resumes else "ended by an operator" if all(s in TERMINAL for s in found) else f"stuck: {found}"
    )
    await play.expect(row, "how the rollout ended", ["completed", "ended by an operator"], ends, "in")


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
@pytest.mark.parametrize("phase", PHASES)
def test_nom_26_a_region_cut_off_in_any_phase_breaks_no_rule(rollout: Any, phase: str, silent: bool) -> None:
    """While it lasts every rule holds on both sides; after it the rollout ends or can be ended."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "cut")
        place = await comes_to(play, phase)
        async with stage.fault("blackhole-region" if silent else "partition-region", region=place):
            await play.hold(FAULT_FOR_S)
        await resolves(play, "NOM-26")
        await play.clean()

    rollout(scenario, "NOM-26")


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_nom_07_a_region_that_cannot_be_seen_is_waited_for(rollout: Any, silent: bool) -> None:
    """The others are done while it still runs behind the cut: they stay blocked, and after the heal all end well."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "unseen")
        last, others = play.regions[-1], play.regions[:-1]
        listed: list[Any] = [{"Name": region, "Count": 1} for region in others] + [{"Name": last, "Count": 3}]
        await play.register(play.job(regions=listed, max_parallel=0, groups=[group(count=0)], healthy_s=1.2))
        await play.runs(last)
        async with stage.fault("blackhole-region" if silent else "partition-region", region=last):
            done = await play.all_reach(BLOCKED, regions=others, limit_s=6.0)
            await play.hold(FAULT_FOR_S)
            await play.expect("NOM-7", "the others wait for it", [BLOCKED] * len(others), play.statuses(0, others))
        await play.expect("NOM-7", "the others were done", True, done)
        await play.expect("NOM-8", "after the heal all become successful", True, await play.succeeds(0))
        await play.clean()

    rollout(scenario, "NOM-7")


@pytest.mark.parametrize("phase", PHASES)
def test_nom_29_a_server_killed_in_any_phase_loses_and_repeats_no_step(rollout: Any, phase: str) -> None:
    """The region's only server dies and comes back: the end is the same as without it."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "killed")
        place = await comes_to(play, phase)
        async with stage.fault("kill-node", nodes=[stage.topology.nodes_in(place)[0].id]):
            await play.hold(0.5)
        done = await play.succeeds(0, play.regions[:3])
        await play.expect("NOM-29", f"the rollout completes after {place}'s server died", True, done)
        await play.clean()

    rollout(scenario, "NOM-29")


@pytest.mark.parametrize("phase", [RUNNING, BLOCKED])
def test_nom_29_a_leader_killed_in_any_phase_is_replaced_without_losing_a_step(rollout: Any, phase: str) -> None:
    """Three servers per region: another one leads, and the rollout goes on."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "leader")
        place = await comes_to(play, phase)
        leader = await leader_of(play, place)
        async with stage.fault("kill-node", nodes=[leader]):
            done = await play.succeeds(0, play.regions[:3], limit_s=25.0)
            await play.expect("NOM-29", f"the rollout completes without {place}'s leader {leader}", True, done)
        await play.clean()

    rollout(scenario, "NOM-29", topology="three-by-three")


async def leader_of(play: Play, region: str) -> str:
    """The node that leads a region, by its own servers' words."""
    host = str(await play.ask("leader", region)).partition(":")[0]
    members = await play.ask("members", region) or []
    return next((str(each["name"]).partition(".")[0] for each in members if each["host"] == host),
                play.stage.topology.nodes_in(region)[0].id)  # fmt: skip


@pytest.mark.parametrize("how", ["hard", "cut"])
def test_nom_27_with_a_region_down_multiregion_jobs_are_refused_and_others_are_not(rollout: Any, how: str) -> None:
    """Hard: its servers are dead. Cut: they are out of reach. After the heal both kinds work."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "down")
        down, up = play.regions[-1], play.regions[:-1]
        fault = (
            stage.fault("kill-region", region=down, nodes=[node.id for node in stage.topology.nodes_in(down)])
            if how == "hard" else stage.fault("partition-region", region=down)
        )  # fmt: skip
        async with fault:
            answer = await play.register(play.job(max_parallel=0))
            await play.hold(1.0)
            ran = [region for region in up if play.was(region, RUNNING)]
            await play.expect("NOM-27", "a multiregion job with a region down runs nowhere", [], ran)
            await play.expect("NOM-27", "and its registration fails", True, not answer.ok)
            for region in up[:2]:
                single = Play(stage, f"alone-{region}")
                await single.register(single.job(single=True), at=region)
                done = await single.reached(region, SUCCESSFUL)
                await play.expect("NOM-27", f"a single-region job deploys in {region}", True, done)
                await single.clean()
            reach = await stage.do("job", play.id, at=up[0], region=up[1])
            await play.expect("NOM-27", f"{up[0]} reaches {up[1]}", "ok", reach.type)
            lost = await stage.do("job", play.id, at=up[0], region=down)
            await play.expect("NOM-27", f"{up[0]} does not reach {down}", True, not lost.ok)
        again = Play(stage, "afterwards")
        await again.until_true(lambda: _reaches(again, up[0], down), 10.0)
        if answer.type == FAIL:
            await play.expect("NOM-27", "regions that stored the refused job", [], await play.holders())
        if stage.traits.get("edition") != "oss":
            await again.register(again.job(max_parallel=0))
            await again.expect("NOM-27", "after the heal it deploys everywhere", True, await again.succeeds(0))
        await again.clean()
        await play.clean()

    rollout(scenario, "NOM-27")


async def _reaches(play: Play, source: str, target: str) -> bool:
    answer = await play.stage.do("leader", None, at=source, region=target)
    return answer.ok


def test_nom_27_a_region_without_a_leader_answers_only_stale_reads(rollout: Any) -> None:
    """Soft: two of its three servers are dead. New multiregion jobs fail; the rest of the federation works."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "soft")
        down, up = play.regions[-1], play.regions[:-1]
        lost = [node.id for node in stage.topology.nodes_in(down)][1:]
        async with stage.fault("kill-node", nodes=[lost[0]]), stage.fault("kill-node", nodes=[lost[1]]):
            await play.until_true(lambda: _leaderless(play, down), 8.0)
            answer = await play.register(play.job(max_parallel=0))
            await play.expect("NOM-27", "a multiregion registration fails", True, not answer.ok)
            plain = await stage.do("jobs", None, at=down, region=down)
            await play.expect("NOM-27", f"a read in {down} fails", True, not plain.ok)
            stale = await stage.do("jobs", None, at=down, region=down, stale=True)
            await play.expect("NOM-27", f"a stale read in {down} works", "ok", stale.type)
            single = Play(stage, "alone")
            await single.register(single.job(single=True), at=up[0])
            done = await single.reached(up[0], SUCCESSFUL)
            await play.expect("NOM-27", "a single-region job deploys elsewhere", True, done)
            await play.hold(0.5)
            ran = [region for region in up if play.was(region, RUNNING)]
            await play.expect("NOM-27", "no region ran the refused job", [], ran)
            await single.clean()
        await play.clean()

    rollout(scenario, "NOM-27", topology="three-by-three")


async def _leaderless(play: Play, region: str) -> bool:
    answer = await play.stage.do("leader", None, at=region, region=region)
    return not answer.ok


@pytest.mark.parametrize("trouble", ["cut", "silent", "server"])
def test_nom_28_what_runs_keeps_running_through_any_trouble(rollout: Any, trouble: str) -> None:
    """The same processes, started once, go on giving signs of life."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "keeps")
        place = play.regions[0]
        if stage.traits.get("edition") == "oss":  # the same job in each region, registered one by one
            for region in play.regions:
                await play.register(play.job(single=True), at=region)
        else:
            await play.register(play.job(max_parallel=0))
        await play.succeeds(0)
        before = {region: await signs(play, region) for region in play.regions}
        names = {"cut": "partition-region", "silent": "blackhole-region"}
        fault = (
            stage.fault("kill-node", nodes=[stage.topology.nodes_in(place)[0].id])
            if trouble == "server" else stage.fault(names[trouble], region=place)
        )  # fmt: skip
        async with fault:
            await play.hold(FAULT_FOR_S)
        for region in play.regions:
            if region == place and trouble == "server" and "containers" in stage.powers:
                continue  # the machine itself went down, and all that ran on it
            await play.until_true(lambda region=region: _more(play, region, before[region]), 5.0)
            after = await signs(play, region)
            says = f"in {region} the same processes run as before"
            await play.expect(
                "NOM-28", says, {k: v[0] for k, v in before[region].items()}, {k: v[0] for k, v in after.items()}
            )
            live = all(after[alloc][1] > beats for alloc, (_, beats) in before[region].items() if alloc in after)
            await play.expect("NOM-28", f"in {region} they gave signs of life meanwhile", True, live and bool(after))
        await play.clean()

    rollout(scenario, "NOM-28")


async def _more(play: Play, region: str, before: dict[str, Any]) -> bool:
    after = await signs(play, region)
    return bool(after) and all(after.get(alloc, ("", 0))[1] > beats for alloc, (_, beats) in before.items())


async def signs(play: Play, region: str) -> dict[str, tuple[str, int]]:
    """Of each running allocation: its task's process and how often that has beaten."""
    found: dict[str, tuple[str, int]] = {}
    for alloc in await play.ask("allocs", region) or []:
        if alloc["ClientStatus"] == "running":
            text = await play.ask("output", region, alloc=alloc["ID"], task="main") or ""
            lines = text.splitlines()
            pids = " ".join(line.split()[1] for line in lines if line.startswith("pid "))
            found[alloc["ID"]] = (pids, sum(line.startswith("beat ") for line in lines))
    return found


def test_nom_11_a_failure_reaches_a_region_that_was_cut_off_meanwhile(rollout: Any) -> None:
    """It hears of it after the heal, and never runs the version."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "late")
        victim, last = play.regions[1], play.regions[-1]
        await play.register(
            play.job(max_parallel=1, groups=[group(fails_in=[victim], fails_after_s=1.5)], healthy_s=2.0)
        )
        await play.reached(play.regions[0], RUNNING)
        await play.reached(victim, RUNNING)
        async with play.cut(last):
            await play.fails(victim)
            await play.hold()
        reached = await play.reached(last, FAILED)
        await play.expect("NOM-11", f"the failure reaches {last} after the heal", True, reached)
        await play.expect("NOM-11", f"{last} never ran the version", False, play.was(last, RUNNING))
        await play.clean()

    rollout(scenario, "NOM-11")
