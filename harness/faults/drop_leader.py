"""The region of the leader cut off below TCP: every packet is dropped, and nothing is closed or acknowledged."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, inside_from_outside, leaders_region

FAULT: Fault = Cut(
    "drop-leader", leaders_region, inside_from_outside, "dropped", needs=frozenset({"links", "packets", "leader"})
)
