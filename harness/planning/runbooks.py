"""A drill as steps of the nemesis: strike a region, hold, heal, hand the leadership back."""

from __future__ import annotations

from harness.contracts import Aim, Fault
from harness.model.clock import NS_PER_S
from harness.model.op import INVOKE, Op
from harness.model.plan import Drill
from harness.model.seeds import Rng
from harness.model.topology import Topology
from harness.nemesis import LEADERS_REGION, aim_at, strike

EARLY_S = 0.2
"""The fault strikes up to so much later than planned, as the seed decides: never in step with heartbeats."""


def steps(drill: Drill, fault: Fault, topology: Topology, rng: Rng) -> tuple[Op, ...]:
    """The nemesis operations of ``drill`` with their planned times. Raises UsageError when ``fault`` cannot strike the
    region that it names."""
    aim = Aim(f"the {LEADERS_REGION}", follow=LEADERS_REGION)
    if drill.region:
        aim = aim_at(fault, topology, drill.region)
    late_s, rng = rng.uniform(0.0, EARLY_S)
    at_s, heal_s = drill.at_s + late_s, drill.at_s + late_s + drill.hold_s
    planned = [strike("start", fault, aim, "f1", at_s), strike("stop", fault, aim, "f1", heal_s)]
    if drill.failback_after_s:
        back_ns = round((heal_s + drill.failback_after_s) * NS_PER_S)
        planned.append(Op(type=INVOKE, f="failback", key="failback", value={"id": "b1"}, time_ns=back_ns))
    return tuple(planned)
