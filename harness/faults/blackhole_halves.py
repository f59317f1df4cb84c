"""The regions fall into two halves, silently: what one half sends to the other is swallowed."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._cuts import Cut, each_halving, inside_from_outside

FAULT: Fault = Cut("blackhole-halves", each_halving, inside_from_outside, "silent")
