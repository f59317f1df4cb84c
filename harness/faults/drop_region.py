"""One region cut off from all others below TCP: every packet is dropped, and nothing is closed or acknowledged."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, each_region, inside_from_outside

FAULT: Fault = Cut("drop-region", each_region, inside_from_outside, "dropped", needs=frozenset({"links", "packets"}))
