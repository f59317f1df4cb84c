"""One region cut off from all others, politely: connections are closed and new ones refused."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, each_region, inside_from_outside

FAULT: Fault = Cut("partition-region", each_region, inside_from_outside, "refused")
