"""A job that makes no sense is refused with the words of the specification, and stored nowhere."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._rollouts import Json, Play, answered, group


async def is_refused(play: Play, row: str, says: str, job: Json, text: str) -> None:
    """Registered in the first region and in the last, and validated: the same words each time, and nothing is left."""
    for at in (play.regions[0], play.regions[-1]):
        answer = answered(await play.register(job, at=at))
        await play.expect(row, f"{says}, asked in {at}", "fail", answer.type)
        await play.expect(row, f"{says}: the words in {at}", text, answer.error, "holds")
    answer = answered(await play.stage.do("validate", job["ID"], job=job))
    found = "; ".join(answer.value["ValidationErrors"] or ()) if answer.ok else answer.error
    await play.expect(row, f"{says}: what a validation finds", text, found, "holds")
    await is_nowhere(play, row, says)


async def is_nowhere(play: Play, row: str, says: str) -> None:
    """No region has the job, and none ever had a deployment of it."""
    await play.hold(0.2)
    await play.expect(row, f"{says}: regions that stored it", [], await play.holders())
    await play.expect(row, f"{says}: regions that deployed it", [], [r for r in play.regions if play.status(r)])


def test_nom_17_an_unknown_region_is_refused_and_nothing_is_stored(rollout: Any) -> None:
    """Wherever it stands in the list."""

    async def scenario(stage: Stage) -> None:
        for place in range(3):
            play = Play(stage, f"unknown{place}")
            regions = play.regions[:2]
            regions.insert(place, "atlantis")
            answer = answered(await play.register(play.job(regions=regions)))
            says = f"an unknown region in place {place + 1}"
            await play.expect("NOM-17", says, "fail", answer.type)
            await play.expect("NOM-17", f"{says}: the words", "No path to region", answer.error, "holds")
            await is_nowhere(play, "NOM-17", says)

    rollout(scenario, "NOM-17")


def test_nom_17_a_job_that_makes_no_sense_is_refused_and_nothing_is_stored(rollout: Any) -> None:
    """A region listed twice, unknown policies and fields, a negative limit, no groups."""

    async def scenario(stage: Stage) -> None:
        def play(name: str) -> Play:
            return Play(stage, name)

        one = play("twice")
        job = one.job(regions=[one.regions[0]] * 2)
        await is_refused(one, "NOM-17", "a region twice", job, "can't be listed twice")
        one = play("policy")
        await is_refused(one, "NOM-17", "an unknown policy", one.job(on_failure="fail_some"), "unknown on_failure")
        one = play("field")
        job = one.job()
        job["Multiregion"]["Strategy"]["MaxParalel"] = 1
        await is_refused(one, "NOM-17", "an unknown field", job, "unknown field")
        one = play("limit")
        await is_refused(one, "NOM-17", "a negative limit", one.job(max_parallel=-1), "can't be negative")
        one = play("groups")
        await is_refused(one, "NOM-17", "no groups", {**one.job(), "TaskGroups": []}, "Missing job task groups")

    rollout(scenario, "NOM-17")


def test_nom_17_a_text_that_does_not_parse_is_refused_and_nothing_is_stored(rollout: Any) -> None:
    """The answer names the place."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "text")
        for says, text in (("an open block", f'job "{play.id}" {{'), ("a wrong count", _WRONG_COUNT % play.id)):
            answer = answered(await stage.do("parse", None, at=play.regions[0], hcl=text))
            await play.expect("NOM-17", says, "fail", answer.type)
            await play.expect("NOM-17", f"{says}: the words", "pars", answer.error, "holds")
            await is_nowhere(play, "NOM-17", says)

    rollout(scenario, "NOM-17")


_WRONG_COUNT = 'job "%s" { group "worker" { count = "two" } }'


def test_nom_18_a_negative_count_is_refused_and_nothing_is_stored(rollout: Any) -> None:
    """A region's as well as a group's."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "region")
        regions = [{"Name": region, "Count": -1} for region in play.regions]
        says = "a region's negative count"
        await is_refused(play, "NOM-18", says, play.job(regions=regions), "must have a non-negative count")
        play = Play(stage, "group")
        says = "a group's negative count"
        await is_refused(play, "NOM-18", says, play.job(groups=[group(count=-1)]), "count can't be negative")

    rollout(scenario, "NOM-18")


def test_nom_19_a_job_without_a_datacenter_is_refused_and_nothing_is_stored(rollout: Any) -> None:
    """Neither its own list nor the region's names one; one region without is enough."""

    async def scenario(stage: Stage) -> None:
        text = "must have at least 1 datacenter"
        play = Play(stage, "nowhere")
        await is_refused(play, "NOM-19", "no datacenter", play.job(Datacenters=[]), text)
        play = Play(stage, "but-one")
        regions = [{"Name": region, "Datacenters": [f"{region}-1"][i:]} for i, region in enumerate(play.regions[:2])]
        await is_refused(play, "NOM-19", "one without", play.job(regions=regions, Datacenters=[]), text)

    rollout(scenario, "NOM-19")


def test_nom_24_what_batch_and_system_jobs_cannot_have_is_refused_and_nothing_is_stored(rollout: Any) -> None:
    """A batch job has no strategy, a system job no on_failure."""

    async def scenario(stage: Stage) -> None:
        text = "batch jobs can't have an update strategy"
        for number, strategy in enumerate(({"max_parallel": 2}, {"max_parallel": 0, "on_failure": "fail_all"})):
            play = Play(stage, f"batch{number}")
            await is_refused(play, "NOM-24", f"a batch job with {strategy}", play.job(kind="batch", **strategy), text)
        play = Play(stage, "system")
        job, text = play.job(kind="system", on_failure="fail_all"), "system jobs can't have an on_failure setting"
        await is_refused(play, "NOM-24", "a system job with on_failure", job, text)

    rollout(scenario, "NOM-24")
