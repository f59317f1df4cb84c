"""One node killed (SIGKILL), and started again with its data."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import KILL, NodeFault, each_node

FAULT: Fault = NodeFault("kill-node", each_node, KILL)
