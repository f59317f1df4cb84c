"""A store over several regions: readers and writers everywhere, and one region lost while they work.

The seed draws who is lost and how. Judged are the failover's own rules, and what became of acknowledged writes.
"""

from __future__ import annotations

from typing import Any, Final

from harness.checkers.regions.pattern import all_guarantees
from harness.contracts import Workload
from harness.scenarios import Stage
from harness.workloads._driven import Driven
from harness.workloads._regions import Play

TROUBLES: Final = ("none", "cut", "silent", "kill", "pause")
FAULT: Final = {
    "cut": "partition-region",
    "silent": "blackhole-region",
    "kill": "kill-node",
    "pause": "pause-node",
}


async def random_loss(stage: Stage) -> None:
    """Writers in every region, one region lost for longer than it takes to notice, then everything read again."""
    play = Play(stage, "random")
    await play.begin()
    rng = stage.rng.child("shape")
    trouble, rng = rng.choice(TROUBLES)
    victim, rng = rng.choice(play.regions)
    lasts_s = (play.threshold + 2) * play.interval_s
    async with play.load(*(play.writer(region) for region in play.regions)):
        await play.hold(3 * play.interval_s)
        if trouble != "none":
            where: dict[str, Any] = (
                {"nodes": [play.node(victim)]} if trouble in ("kill", "pause") else {"region": victim}
            )
            async with stage.fault(FAULT[trouble], **where):
                await play.hold(lasts_s)
        await play.hold(3 * play.interval_s)
    await play.calm()
    await play.final_reads_anywhere(await play.written())
    strategy = str(stage.traits.get("replication", "async"))
    agreed = stage.traits.get("consistency") in ("strong", "quorum")
    may_lose_s = 0.0 if agreed or strategy != "async" else play.lag_s
    await play.judge("MRA-9", "survives", play.key("w"), may_lose_s=may_lose_s)


WORKLOAD: Workload = Driven(
    "regions", frozenset({"read", "write", "status", "observe"}), "regions", random_loss, all_guarantees
)
