"""Pilot light: the standby is small, serves nothing before it was scaled up, and serves soon after a failover."""

from __future__ import annotations

from typing import Any

from harness.model.clock import NS_PER_S
from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_21_a_standby_serves_only_once_it_was_scaled_up(regions: Any) -> None:
    """Asked itself it refuses while the primary is there; after the loss it is scaled up, and then serves."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "pilot")
        status, since_ns = await play.begin(), stage.now_ns()
        primary = status["primary"]
        standbys = [region for region in play.regions if region != primary]
        await play.must_write(play.key(), play.value(), standbys[0])
        asleep = [region for region in standbys if not status["awake"][region]]
        for region in asleep:
            answer = await play.read(play.key(), region, direct=True)
            await play.expect("MRA-21", f"{region} serves as a pilot light", False, answer.ok)
        await play.expect("MRA-21", "standbys that are not scaled up", True, bool(asleep))
        async with play.kill(primary):
            promoted = await play.failed_over(since_ns)
            routed_ns = stage.now_ns()
            value = play.value()
            await play.must_write(play.key("after"), value, standbys[0])
            woken = [each["time_ns"] for each in play.events("awake", promoted, since_ns)]
            if promoted in asleep:
                await play.expect("MRA-21", f"{promoted} was scaled up before requests were led there", True,
                                  bool(woken) and woken[0] <= routed_ns)  # fmt: skip
            told = (await play.ask_key(play.key("after"), standbys[0]))["value"]
            await play.expect("MRA-21", "then it serves", value, told)
            await play.report("MRA-21", "seconds from the loss to being served",
                              f"{(stage.now_ns() - since_ns) / NS_PER_S:.1f}")  # fmt: skip
        await play.calm()

    regions(scenario, "MRA-21", pattern="pilot-light")
