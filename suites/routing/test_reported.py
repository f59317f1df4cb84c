"""What nobody promises is reported: what users see of a failover."""

from __future__ import annotations

from statistics import quantiles
from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play

TARGET = 0.9995
MONTH_MIN = 30 * 24 * 60


def test_mra_38_what_users_see_of_a_failover_is_reported(regions: Any) -> None:
    """Availability (MRA-38), latency (MRA-33), and how much the survivors carry (MRA-43), with a region lost."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "seen")
        primary, since_ns = (await play.begin())["primary"], stage.now_ns()
        others = [region for region in play.regions if region != primary]
        quick, slow = await ask_all(play, others), 0
        async with play.kill(primary):
            while not play.events("routed", "", since_ns) and slow < 400:
                slow += not (await play.read(play.key(), others[slow % 2])).ok
            out_s = (stage.now_ns() - since_ns) / 1e9
            left = await ask_all(play, others)
        cuts = quantiles(quick, n=20)
        share = 1 - out_s / 60 / MONTH_MIN
        told = f"one such outage of {out_s:.1f} s in 30 days is {share:.4%}; the target is {TARGET:.2%}"
        await play.report("MRA-38", "availability", told)
        await play.report("MRA-33", "milliseconds, median and p95", f"{cuts[9]:.0f} and {cuts[18]:.0f}")
        told = f"{len(left)} of {len(quick)} requests one after the other, as before"
        await play.report("MRA-43", "answered by the survivors", told)
        await play.calm()

    regions(scenario, "MRA-38", "MRA-33", "MRA-43", pattern="read-replicas")


async def ask_all(play: Play, places: list[str]) -> list[float]:
    """How long answered reads took, in ms."""
    found = []
    for i in range(40):
        began_ns = play.stage.now_ns()
        if (await play.read(play.key(), places[i % len(places)])).ok:
            found.append((play.stage.now_ns() - began_ns) / 1e6)
    return found
