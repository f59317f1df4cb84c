"""Follow the sun: one region at a time is active, by UTC, and a handover neither loses a job nor runs one twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play

DAY_S = 86_400


@pytest.mark.parametrize("trouble", ["", "kill"], ids=["quiet", "the active region dies"])
def test_mra_22_every_job_runs_once_wherever_the_sun_is(regions: Any, trouble: str) -> None:
    """Jobs come in all the time, while the clock is turned from window to window."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "sun")
        await play.begin()
        jobs: list[str] = []
        over = asyncio.Event()

        async def submit() -> None:
            while not over.is_set():
                job = play.key(f"job{len(jobs)}")
                if (await stage.do("job", None, at=play.regions[len(jobs) % 3], job=job)).ok:
                    jobs.append(job)
                await asyncio.sleep(0.05)

        submitting = asyncio.create_task(submit())
        for window in (*range(len(play.regions)), 0):
            active = play.regions[window]
            await turn(play, window)
            became = await play.until_true(lambda active=active: is_active(play, active))
            await play.expect("MRA-22", f"in its window {active} is active", True, became)
            if trouble and window == 1:
                async with play.kill(active):
                    await play.hold(1.5)
            await play.hold(0.6)
        over.set()
        await submitting
        await play.calm()

        def executed() -> Counter[str]:
            return Counter(str(each["job"]) for each in unique(play))

        await play.until_true(lambda: set(jobs) <= set(executed()), 10.0)
        ran = executed()
        await play.expect("MRA-22", "jobs that were lost", [], [job for job in jobs if not ran[job]])
        await play.expect("MRA-22", "jobs that ran twice", [], [job for job in jobs if ran[job] > 1])

    regions(scenario, "MRA-22", pattern="follow-the-sun")


async def turn(play: Play, window: int) -> None:
    """Turn every region's clock to the middle of a window."""
    wanted_s = (window + 0.5) * DAY_S / len(play.regions)
    for region in play.regions:
        await play.ask("clock", region, ahead_s=wanted_s - time.time() % DAY_S)


async def is_active(play: Play, region: str) -> bool:
    """Whether the regions agree that this one is active."""
    told = await play.stage.do("status", None, at=region)
    return bool(told.ok and told.value["sun"] == region)


def unique(play: Play) -> list[dict[str, Any]]:
    """Every execution once, however often it was told: what all agreed on, and what one region did besides."""
    agreed = {each["index"]: each for each in play.events("ran")}
    alone = {(each["by"], each["wall_ns"]): each for each in play.events("executed")}
    return [*agreed.values(), *alone.values()]
