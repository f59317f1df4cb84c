"""The region of the leader cut off from all others, politely: it must stop leading, and the others must go on."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, inside_from_outside, leaders_region

FAULT: Fault = Cut(
    "partition-leader", leaders_region, inside_from_outside, "refused", needs=frozenset({"links", "leader"})
)
