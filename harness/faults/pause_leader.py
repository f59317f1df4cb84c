"""The leader stopped in its tracks (SIGSTOP): when it goes on, it must notice that its time is over."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import PAUSE, NodeFault, the_leader

FAULT: Fault = NodeFault("pause-leader", the_leader, PAUSE, frozenset({"processes", "leader"}))
