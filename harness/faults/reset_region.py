"""One region cut off from all others, rudely: everything is answered with a TCP reset."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, each_region, inside_from_outside

FAULT: Fault = Cut("reset-region", each_region, inside_from_outside, "reset")
