"""One region cut off from all others, silently: connections stay open and every byte is swallowed."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, each_region, inside_from_outside

FAULT: Fault = Cut("blackhole-region", each_region, inside_from_outside, "silent")
