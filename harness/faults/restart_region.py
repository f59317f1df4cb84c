"""All nodes of one region asked to end at once (SIGTERM), and started again with their data."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import STOP, NodeFault, each_region_whole

FAULT: Fault = NodeFault("restart-region", each_region_whole, STOP)
