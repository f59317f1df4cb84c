"""All nodes of one region killed at once (SIGKILL), and started again with their data."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import KILL, NodeFault, each_region_whole

FAULT: Fault = NodeFault("kill-region", each_region_whole, KILL)
