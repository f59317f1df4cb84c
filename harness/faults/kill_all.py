"""Every node killed at once (SIGKILL), and started again: what was acknowledged must be on disk."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import KILL, NodeFault, every_node

FAULT: Fault = NodeFault("kill-all", every_node, KILL)
