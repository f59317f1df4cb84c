"""The leader asked to end (SIGTERM), and started again with its data."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import STOP, NodeFault, the_leader

FAULT: Fault = NodeFault("restart-leader", the_leader, STOP, frozenset({"processes", "leader"}))
