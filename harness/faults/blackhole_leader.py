"""The region of the leader cut off from all others, silently: until it notices, it believes that it still leads."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, inside_from_outside, leaders_region

FAULT: Fault = Cut(
    "blackhole-leader", leaders_region, inside_from_outside, "silent", needs=frozenset({"links", "leader"})
)
