"""The regions fall into two halves, politely: connections across are closed and new ones refused."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, each_halving, inside_from_outside

FAULT: Fault = Cut("partition-halves", each_halving, inside_from_outside, "refused")
