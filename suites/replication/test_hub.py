"""Hub and spokes: spokes exchange only over the hub; without it each goes on with what it has."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_23_spokes_meet_only_at_the_hub(regions: Any) -> None:
    """With the hub cut off a spoke's write stays at home, and home is served; afterwards all have it."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "hub")
        hub = (await play.begin())["primary"]
        spokes = [region for region in play.regions if region != hub]
        first, second = play.key("before"), play.key("during")
        value = play.value()
        await play.must_write(first, value, spokes[0])
        arrived = await play.until_true(lambda: play.sees(first, value, spokes[1], direct=True))
        await play.expect("MRA-23", "over the hub a write reaches the other spoke", True, arrived)
        before = await stage.traffic()
        async with play.cut(hub):
            value = play.value()
            await play.must_write(second, value, spokes[0], direct=True)
            await play.expect("MRA-23", "the spoke serves its own", True,
                              await play.sees(second, value, spokes[0], direct=True))  # fmt: skip
            await play.hold(1.5)
            leaked = await play.sees(second, value, spokes[1], direct=True)
            await play.expect("MRA-23", "without the hub it reaches the other spoke", False, leaked)
        await play.report(
            "MRA-23", "links with traffic", len([link for link, seen in before.items() if any(seen.values())])
        )
        await play.calm()
        arrived = await play.until_true(lambda: play.sees(second, value, spokes[1], direct=True))
        await play.expect("MRA-23", "after the heal it does", True, arrived)

    regions(scenario, "MRA-23", pattern="hub-spoke")
