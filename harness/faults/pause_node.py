"""One node stopped in its tracks (SIGSTOP): it is there, but says nothing, and later goes on as if nothing was."""

from __future__ import annotations

from harness.contracts import Fault
from harness.faults._nodes import PAUSE, NodeFault, each_node

FAULT: Fault = NodeFault("pause-node", each_node, PAUSE)
