"""Where a job goes, what each region's copy holds, and what another version changes."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.model.rollout import SUCCESSFUL
from harness.scenarios import Stage
from harness.workloads._rollouts import Play, answered, group


def test_nom_01_a_job_without_the_block_is_in_exactly_the_region_that_is_named(rollout: Any) -> None:
    """The body's region beats the query's, which beats the job's; empty or global is the asked server's own."""

    async def scenario(stage: Stage) -> None:
        for body in ("", 0):
            for query in ("", 1):
                for named in ("", "global", 2):
                    play = Play(stage, f"where-{body}-{query}-{named}".replace("--", "-x-"))
                    own, one = play.regions[-1], play.regions

                    def region(choice: Any, one: list[str] = one) -> str:
                        return one[choice] if isinstance(choice, int) else choice

                    given = [region(choice) for choice in (body, query, named)]
                    job = play.job(single=True, Region=given[2] or None)
                    await play.register(job, at=own, body_region=given[0], region=given[1])
                    first = next((each for each in given if each), "")
                    wanted = own if first in ("", "global") else first
                    says = f"body {given[0] or '-'}, query {given[1] or '-'}, job {given[2] or '-'}, asked in {own}"
                    await play.expect("NOM-1", says, [wanted], await play.holders())
                    await play.clean()

    rollout(scenario, "NOM-1")


def test_nom_03_every_region_has_its_own_copy_with_its_own_values(rollout: Any) -> None:
    """Same name and version everywhere; count, datacenters and meta are the region's."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "copies")
        nodes = {region: await play.ask("nodes", region) or [] for region in play.regions}
        places = {region: nodes[region][0]["Datacenter"] for region in play.regions}
        listed = [
            {"Name": r, "Count": i + 1, "Datacenters": [places[r]], "Meta": {"who": f"i am {r}"}}
            for i, r in enumerate(play.regions)
        ]
        await play.register(play.job(regions=listed, max_parallel=0, groups=[group(count=0)]), at=play.regions[1])
        await play.succeeds(0)
        for i, region in enumerate(play.regions):
            job = await play.ask("job", region) or {"TaskGroups": [{}]}
            seen = [job.get("ID"), job.get("Version"), job["TaskGroups"][0].get("Count"), job.get("Datacenters")]
            await play.expect("NOM-3", f"the copy in {region}", [play.id, 0, i + 1, [places[region]]], seen)
            await play.expect("NOM-3", f"meta in {region}", f"i am {region}", (job.get("Meta") or {}).get("who"))
        await play.clean()

    rollout(scenario, "NOM-3")


def test_nom_18_a_regions_count_fills_only_groups_whose_count_is_zero(rollout: Any) -> None:
    """A group's own count, and one that is left out (one), stay."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "counts")
        listed: list[Any] = [{"Name": region, "Count": i} for i, region in enumerate(play.regions)]
        groups = [group("worker", 0), group("controller", 2), group("plain", None)]
        await play.register(play.job(regions=listed, max_parallel=0, groups=groups))
        await play.succeeds(0)
        for i, region in enumerate(play.regions):
            found = await play.ask("allocs", region) or []
            running = [alloc["TaskGroup"] for alloc in found if alloc["ClientStatus"] == "running"]
            seen = [running.count(name) for name in ("worker", "controller", "plain")]
            await play.expect("NOM-18", f"running in {region}: worker, controller, plain", [i, 2, 1], seen)
        left = Play(stage, "leftout")
        await left.register(left.job(max_parallel=0, groups=[group("worker", 0)]))
        await left.succeeds(0)
        found = await left.ask("job", left.regions[0]) or {"TaskGroups": [{}]}
        says = "a region without a count fills a group of count 0 with"
        await left.expect("NOM-18", says, None, found["TaskGroups"][0].get("Count"), "report")
        for each in (play, left):
            await each.clean()

    rollout(scenario, "NOM-18")


def test_nom_19_allocations_stay_in_the_regions_datacenters(rollout: Any) -> None:
    """The region's list, else the job's."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "places")
        nodes = {region: await play.ask("nodes", region) or [] for region in play.regions}
        known = {region: sorted({node["Datacenter"] for node in nodes[region]}) for region in play.regions}
        where = {node["ID"]: node["Datacenter"] for found in nodes.values() for node in found}
        own = play.regions[::2]
        listed = [{"Name": r, **({"Datacenters": known[r][-1:]} if r in own else {})} for r in play.regions]
        joint = [known[region][0] for region in play.regions]
        job = play.job(regions=listed, max_parallel=0, groups=[group(count=3)], Datacenters=joint)
        await play.register(job)
        await play.succeeds(0)
        for region in play.regions:
            allowed = known[region][-1:] if region in own else known[region][:1]
            found = await play.ask("allocs", region) or []
            seen = sorted({where.get(alloc["Node"]) for alloc in found if alloc["ClientStatus"] == "running"})
            await play.expect("NOM-19", f"datacenters used in {region}", allowed, seen)
        await play.clean()

    rollout(scenario, "NOM-19")


def test_nom_20_a_region_that_is_no_longer_listed_is_left_alone_or_stopped(rollout: Any) -> None:
    """Left alone as the first documents say, stopped as later versions do; never part of the new version."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "removed")
        gone = play.regions[-1]
        await play.register(play.job(max_parallel=0))
        await play.succeeds(0)
        await play.register(play.job(max_parallel=0, regions=play.regions[:-1], mark="two"))
        await play.succeeds(1, play.regions[:-1])
        await play.hold()
        job = await play.ask("job", gone) or {}
        stops = stage.traits.get("profile") != "seed"
        await play.expect("NOM-20", f"the job in {gone} is stopped", stops, bool(job.get("Stop")))
        await play.expect("NOM-20", f"no deployment of the new version in {gone}", "", play.status(gone, 1))
        if not stops:
            await play.expect("NOM-20", f"{gone} stays at the old version", 0, job.get("Version"))
        await play.clean()

    rollout(scenario, "NOM-20")


def test_nom_21_a_region_that_is_added_begins_at_the_current_version(rollout: Any) -> None:
    """Its first version has the others' number."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "added")
        new, old = play.regions[-1], play.regions[:-1]
        await play.register(play.job(max_parallel=0, regions=old))
        await play.succeeds(0, old)
        await play.register(play.job(max_parallel=0, regions=old, mark="two"))
        await play.succeeds(1, old)
        await play.register(play.job(max_parallel=0, mark="three"))
        await play.succeeds(2)
        versions = [each["Version"] for each in await play.ask("versions", new) or []]
        await play.expect("NOM-21", f"the versions that {new} knows", [2], versions)
        await play.clean()

    rollout(scenario, "NOM-21")


def test_nom_33_an_unchanged_job_is_no_new_version(rollout: Any) -> None:
    """The request is answered, and nothing else happens."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "again")
        job = play.job(max_parallel=0)
        await play.register(job)
        await play.succeeds(0)
        began = stage.now_ns()
        for region in play.regions[:2]:
            answer = await play.register(job, at=region)
            await play.expect("NOM-33", f"registering it again in {region}", "ok", answer.type)
        took_s = (stage.now_ns() - began) / 2e9
        await play.expect("NOM-33", "answered within five seconds each", True, took_s < 5.0)
        await play.hold()
        versions = [(await play.ask("job", region) or {}).get("Version") for region in play.regions]
        await play.expect("NOM-33", "the version everywhere", [0] * len(versions), versions)
        await play.expect("NOM-33", "the deployments", [SUCCESSFUL] * len(versions), play.statuses())
        await play.clean()

    rollout(scenario, "NOM-33")


def test_nom_34_two_registrations_at_once_leave_all_regions_at_one_version(rollout: Any) -> None:
    """From two regions, several times over; same number and same specification in the end."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "race")
        await play.register(play.job(max_parallel=0))

        async def heads() -> list[Any]:
            found = [await play.ask("job", region) or {} for region in play.regions]
            return [[job.get("Version"), (job.get("Meta") or {}).get("mark")] for job in found]

        async def same() -> bool:
            return len({str(head) for head in await heads()}) == 1

        for turn in range(6):
            one, other = play.regions[turn % 2], play.regions[-1 - turn % 2]
            await asyncio.gather(
                play.register(play.job(max_parallel=0, mark=f"one-{turn}"), at=one),
                play.register(play.job(max_parallel=0, mark=f"other-{turn}"), at=other),
            )
            if not await play.until_true(same, 8.0):
                break  # the next two would hide it
        found = await heads()
        await play.expect("NOM-34", "the versions and specifications", [found[0]] * len(found), found)
        await play.ends()
        await play.clean()

    rollout(scenario, "NOM-34")


_HCL = """
job "%s" {
  datacenters = ["*"]
  multiregion {
    strategy {
      max_parallel = 1
      on_failure   = "fail_all"
    }
    region "%s" { count = 2 }
    region "%s" {
      count = 5
      meta { my-key = "my-value" }
    }
  }
  group "worker" {
    count = 0
    task "main" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["30"]
      }
    }
  }
}
"""


def test_nom_03_a_job_written_in_hcl_is_the_job_that_it_says(rollout: Any) -> None:
    """Parsed, then registered: counts and meta are each region's."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "hcl")
        one, other = play.regions[:2]
        parsed = answered(await stage.do("parse", None, at=one, hcl=_HCL % (play.id, one, other)))
        await play.expect("NOM-3", "the text parses", "ok", parsed.type)
        job = parsed.value if parsed.ok else {"ID": play.id}
        await play.expect("NOM-3", "its name", play.id, job.get("ID"))
        answer = answered(await play.register(job))
        await play.expect("NOM-3", "the registration", "ok", answer.type)
        for region, count in ((one, 2), (other, 5)):
            copy = await play.ask("job", region) or {"TaskGroups": [{}]}
            await play.expect("NOM-3", f"the count in {region}", count, copy["TaskGroups"][0].get("Count"))
        meta = (await play.ask("job", other) or {}).get("Meta") or {}
        await play.expect("NOM-3", f"the meta in {other}", "my-value", meta.get("my-key"))
        await play.clean()

    rollout(scenario, "NOM-3")
