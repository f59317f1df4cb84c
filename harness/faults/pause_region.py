"""All nodes of one region stopped in their tracks (SIGSTOP), and released."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import PAUSE, NodeFault, each_region_whole

FAULT: Fault = NodeFault("pause-region", each_region_whole, PAUSE)
