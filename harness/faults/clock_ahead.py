"""One node's clock is set 3 to 300 s ahead while it runs; its time-outs go on as they should."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._clocks import ClockOff

FAULT: Fault = ClockOff("clock-ahead", 1)
