"""One node's clock is set back by 3 to 300 s while it runs, so that its time happens twice."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._clocks import ClockOff

FAULT: Fault = ClockOff("clock-behind", -1)
