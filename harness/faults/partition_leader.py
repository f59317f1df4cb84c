"""The region of the leader cut off from all others, politely: it must stop leading, and the others must go on."""

from __future__ import annotations

from harness.contracts import Aim, Fault
from harness.faults._cuts import Cut, inside_from_outside
from harness.model.topology import Topology


def leaders_region(topology: Topology) -> tuple[Aim, ...]:
    """The nemesis finds the leader when it injects, and fills in its region."""
    return (Aim("the leader's region cut off", follow="leader"),) if len(topology.regions) > 1 else ()


FAULT: Fault = Cut(
    "partition-leader", leaders_region, inside_from_outside, "refused", needs=frozenset({"links", "leader"})
)
