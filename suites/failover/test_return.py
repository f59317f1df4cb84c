"""A primary that was lost comes back as a secondary: it catches up, and takes over only when somebody asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_mra_08_a_recovered_primary_is_a_secondary(regions: Any, how: str) -> None:
    """It has what was written meanwhile, and stays what it is; an operator's switch makes it primary again."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "back")
        primary, since_ns = (await play.begin())["primary"], stage.now_ns()
        async with play.kill(primary) if how == "killed" else play.cut(primary):
            promoted = await play.failed_over(since_ns)
            await play.expect("MRA-8", "another region was promoted", True, promoted not in ("", primary))
            other = next(region for region in play.regions if region != primary)
            written = [await play.must_write(play.key(i), play.value(), other) for i in range(5)]
        await play.calm()
        await play.hold(3 * play.interval_s)
        roles = (await play.ask("status", other))["roles"]
        await play.expect("MRA-8", f"{primary} is a secondary", "secondary", roles.get(primary))
        await play.expect("MRA-8", f"{promoted} is still primary", "primary", roles.get(promoted))
        found = [(await play.ask_key(play.key(i), primary, direct=True))["value"] for i in range(5)]
        await play.expect("MRA-8", f"{primary} has caught up", [each["value"] for each in written], found)
        await play.switch(primary)
        roles = (await play.ask("status", other))["roles"]
        await play.expect("MRA-8", "after a switch it is primary again", "primary", roles.get(primary))

    regions(scenario, "MRA-8", consistency="eventual")
