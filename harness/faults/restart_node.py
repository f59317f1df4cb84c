"""One node asked to end (SIGTERM), and started again with its data."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import STOP, NodeFault, each_node

FAULT: Fault = NodeFault("restart-node", each_node, STOP)
