"""What a task sees of meta: its own beats its group's, which beats the region's, which beats the job's."""

from __future__ import annotations

from itertools import product
from typing import Any

from harness.scenarios import Stage
from harness.workloads._rollouts import Play, group

LEVELS = ("task", "group", "region", "job")


def test_nom_16_meta_of_a_task_beats_group_beats_region_beats_job(rollout: Any) -> None:
    """A key for each of the sixteen combinations of levels that set it."""
    keys = {"k" + "".join("x" if each else "o" for each in has): has for has in product((True, False), repeat=4)}

    def at(level: str) -> dict[str, str]:
        place = LEVELS.index(level)
        return {key: level for key, has in keys.items() if has[place]}

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "meta")
        listed = [{"Name": region, "Meta": at("region")} for region in play.regions[:2]]
        groups = [group(meta=at("group"), task_meta=at("task"))]
        await play.register(play.job(regions=listed, max_parallel=0, groups=groups, Meta=at("job")))
        await play.succeeds(0, play.regions[:2])
        for region in play.regions[:2]:
            allocs = await play.ask("allocs", region) or []
            text = await play.ask("output", region, alloc=allocs[0]["ID"], task="main") if allocs else ""
            words = [line.split(" ", 2) for line in (text or "").splitlines() if line.startswith("env NOMAD_META_")]
            env = {name.removeprefix("NOMAD_META_"): value for _, name, value in words}
            wanted = {
                key: next((lv for lv, on in zip(LEVELS, has, strict=True) if on), None) for key, has in keys.items()
            }
            await play.expect("NOM-16", f"what a task in {region} sees", wanted, {key: env.get(key) for key in keys})
            job = await play.ask("job", region) or {}
            seen = (job.get("Meta") or {}).get("koooo"), (job.get("Meta") or {}).get("kooxx")
            await play.expect("NOM-16", f"the job's own meta in {region}", [None, "region"], list(seen))
        await play.clean()

    rollout(scenario, "NOM-16")
