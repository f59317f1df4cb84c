"""Nodes that died although no fault killed them: what the run shows then is not what was asked."""

from __future__ import annotations

from harness.model.history import History
from harness.model.op import INVOKE
from harness.model.verdict import Valid, Verdict


class Died:
    """Unknown when a node ended by itself, or was ended by somebody outside; its log tells more."""

    name = "died"

    def check(self, history: History) -> Verdict:
        deaths = [op for op in history if op.is_nemesis and op.f == "died" and op.type == INVOKE]
        if not deaths:
            return Verdict(checker=self.name, valid=Valid.TRUE, summary="no node died by itself")
        told = ", ".join(f"{op.key} at {op.time_ns / 1e9:.1f} s" for op in deaths)
        return Verdict(
            checker=self.name,
            valid=Valid.UNKNOWN,
            summary=f"{len(deaths)} nodes died by themselves",
            cause=f"no fault killed {told}; the end of the node's log says why",
            details={"deaths": [{"node": op.key, "time_ns": op.time_ns} for op in deaths]},
        )
