"""The leader killed (SIGKILL), and started again with its data."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import KILL, NodeFault, the_leader

FAULT: Fault = NodeFault("kill-leader", the_leader, KILL, frozenset({"processes", "leader"}))
