"""Transfer between regions is counted, and more than the budget raises an alarm."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_27_too_much_transfer_raises_an_alarm(regions: Any) -> None:
    """A budget of a hundred kilobytes: no alarm before it is used up, and one after."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "budget")
        primary = (await play.begin())["primary"]

        async def alarms() -> str:
            return "; ".join((await play.ask("metrics", primary))["alarms"])

        async def used() -> int:
            return sum((await play.ask("metrics", primary))["cost_tracking"]["bytes_sent"].values())

        await play.expect("MRA-27", "an alarm before", False, "transfer budget" in await alarms())
        for i in range(400):
            await play.must_write(play.key(i), f"{play.id} {stage.rng.child(i).seed:x} {'y' * (i % 7)}" * 20, primary)
            if i % 20 == 19 and await used() > 100_000:
                break
        await play.until_true(lambda: alarmed(alarms), 5.0)
        await play.expect("MRA-27", "more than the budget was sent", True, await used() > 100_000)
        await play.expect("MRA-27", "an alarm after", "transfer budget", await alarms(), "holds")

    async def alarmed(alarms: Any) -> bool:
        return "transfer budget" in await alarms()

    regions(scenario, "MRA-27", budget_gb="0.0001", compress="no")
