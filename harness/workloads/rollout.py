"""Rollouts over regions: a job of random shape, an operator or a fault at a random phase, judged by every guarantee.

The seed draws regions, their order, how many at a time, what a failure does, who fails, and what goes wrong besides.
A build without multiregion deployments is judged by how it refuses them; the rest is unsupported and says so.
"""

from __future__ import annotations

from typing import Any, Final

from harness.checkers.rollouts.multiregion import GUARANTEES, all_guarantees, unsupported_by
from harness.contracts import Workload
from harness.model.rollout import BLOCKED, FAIL_ALL, FAIL_LOCAL, PENDING, RUNNING
from harness.model.seeds import Rng
from harness.scenarios import Stage
from harness.workloads._driven import Driven
from harness.workloads._rollouts import Play, answered, group

TROUBLES: Final = ("none", "none", "cut", "blackhole", "kill", "fail", "pause", "supersede")
PHASES: Final = (PENDING, RUNNING, BLOCKED)
FAULT_FOR_S: Final = 1.5


async def any_rollout(stage: Stage) -> None:
    """What the build can be judged by."""
    if unsupported_by(stage.traits, ("state-machine",)):
        await refused_rollout(stage)
    else:
        await random_rollout(stage)


async def refused_rollout(stage: Stage) -> None:
    """The block is refused with the words that name the licence, and nothing is stored."""
    play = Play(stage, "licence")
    answer = answered(await play.register(play.job()))
    await play.expect("NOM-36", "the answer", False, answer.ok)
    await play.expect("NOM-36", "its text", "Multiregion jobs are unlicensed", answer.error, "holds")
    await play.expect("NOM-36", "regions that stored it", [], await play.holders())
    for row in GUARANTEES:
        if reason := unsupported_by(stage.traits, (row,)):
            await play.expect(row, reason, None, None, "unsupported")


async def random_rollout(stage: Stage) -> None:
    """One version that holds, then one that may fail, with trouble in the second."""
    play = Play(stage, "random")
    rng = stage.rng.child("shape")
    shape, rng = _shape(play, rng)
    first = play.job(**shape, mark="one")
    await play.register(first)
    regions = [region["Name"] for region in first["Multiregion"]["Regions"]]
    await play.succeeds(0, regions)
    bad, rng = rng.below(2)
    victim, rng = rng.choice(regions)
    fails = {"groups": [group(count=0, fails_in=[victim])]} if bad else {}
    trouble, rng = rng.choice(TROUBLES)
    phase, rng = rng.choice(PHASES)
    place, rng = rng.choice(regions)
    await play.register(play.job(**{**shape, **fails}, mark="two"), at=place)
    await play.reached(place, phase, version=1, limit_s=8.0)
    await make_trouble(play, trouble, place, {**shape, **fails})
    await play.ends(regions)
    await play.hold(0.5)
    await play.clean()


def _shape(play: Play, rng: Rng) -> tuple[dict[str, Any], Rng]:
    order, rng = rng.shuffled(play.regions)
    number, rng = rng.below(max(1, len(order) - 1))
    order = order[: number + 2]
    parallel, rng = rng.below(len(order) + 1)
    policy, rng = rng.choice(("", FAIL_ALL, FAIL_LOCAL))
    revert, rng = rng.below(2)
    regions = []
    for name in order:
        count, rng = rng.below(2)
        regions.append({"Name": name, "Count": count + 1})
    shape = {"regions": regions, "max_parallel": parallel, "on_failure": policy, "auto_revert": bool(revert)}
    return {**shape, "groups": [group(count=0)], "healthy_s": 0.4}, rng


async def make_trouble(play: Play, trouble: str, place: str, shape: dict[str, Any]) -> None:
    """One of :data:`TROUBLES` at ``place``."""
    stage = play.stage
    if trouble in ("cut", "blackhole"):
        async with stage.fault("partition-region" if trouble == "cut" else "blackhole-region", region=place):
            await play.hold(FAULT_FOR_S)
    elif trouble == "kill":
        async with stage.fault("kill-node", nodes=[stage.topology.nodes_in(place)[0].id]):
            await play.hold(FAULT_FOR_S)
    elif trouble == "fail":
        await play.act("fail", place, 1)
    elif trouble == "pause":
        await play.act("pause", place, 1)
        await play.hold(0.3)
        await play.act("resume", place, 1)
    elif trouble == "supersede":
        await play.register(play.job(**shape, mark="three"))


WORKLOAD: Workload = Driven(
    "rollout", frozenset({"register", "observe", "stop"}), "rollout", any_rollout, all_guarantees
)
