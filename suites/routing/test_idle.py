"""A secondary that nobody asks is shut down, and starts again when somebody does; a primary never is."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_28_idle_secondaries_sleep_and_a_primary_does_not(regions: Any) -> None:
    """One secondary is asked all the time and stays awake."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "idle")
        primary = (await play.begin())["primary"]
        used, idle = (region for region in play.regions if region != primary)
        await play.must_write(play.key(), play.value(), primary)

        async def asleep() -> bool:
            await play.read(play.key(), used, direct=True)
            return not (await play.ask("status", used))["awake"][idle]

        await play.expect("MRA-28", f"{idle} is shut down", True, await play.until_true(asleep))
        for _ in range(32):
            await play.read(play.key(), used, direct=True)
            await play.hold(0.2)
        awake = (await play.ask("status", used))["awake"]
        await play.expect("MRA-28", f"{primary}, the primary, is shut down", True, awake[primary])
        await play.expect("MRA-28", f"{used}, which is used, is awake", True, awake[used])
        answer = await play.read(play.key(), idle, direct=True)
        await play.expect("MRA-28", f"{idle} serves when it is asked", True, answer.ok)

        async def woke() -> bool:
            return bool((await play.ask("status", idle))["awake"][idle])

        await play.expect("MRA-28", "and is awake again", True, await play.until_true(woke, 5.0))

    regions(scenario, "MRA-28", pattern="read-replicas", idle="yes")
