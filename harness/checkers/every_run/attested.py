"""Did every fault bite, and was every fault undone? A run whose faults had no effect proves nothing."""

from __future__ import annotations

from dataclasses import dataclass

from harness.checkers.wording import and_more, count, window
from harness.model.history import FaultWindow, History
from harness.model.verdict import Valid, Verdict


@dataclass(frozen=True)
class Attested:
    """Unknown when a fault was not shown to bite or to be healed, or faults were ``planned`` and none was injected.

    Of the faults ``named`` in the plan, the summary tells which the run was too short for.
    """

    planned: bool = True
    named: tuple[str, ...] = ()
    name: str = "attested"

    def check(self, history: History) -> Verdict:
        faults = history.faults
        problems = [problem for fault in faults if (problem := _problem(fault))]
        details = {
            "faults": [
                {"id": f.id, "fault": f.fault, "aim": f.aim, "effective": f.effective, "healed": f.healed, "why": f.why}
                for f in faults
            ]
        }
        if problems or (self.planned and not faults):
            cause = and_more(problems, 2) or "faults were planned, but none was injected"
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
        done = f"{count(len(faults), 'fault')} injected, each was seen to bite and to heal"
        missed = sorted(set(self.named) - {fault.fault for fault in faults})
        done += f"; too short a run for {', '.join(missed)}" if missed else ""
        summary = done if faults else "no fault was planned"
        return Verdict(checker=self.name, valid=Valid.TRUE, summary=summary, details=details)


def _problem(fault: FaultWindow) -> str:
    """What is wrong with one fault, in words; empty when nothing is."""
    name = f"fault {fault.fault} {fault.id} on {fault.aim or 'nothing'}"
    why = f": {fault.why}" if fault.why else ""
    if fault.effective is None:
        return f"{name} was never shown to bite{why}"
    if not fault.effective:
        return f"{name} did not bite{why}"
    if not fault.healed:
        return f"{name} ({window(fault)}) was not shown to be healed{why}"
    return ""
