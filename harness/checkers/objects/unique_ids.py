"""No two acknowledged ``generate`` operations may have answered the same id.

Jepsen's unique-ids checker. Identifiers that a client never received (indeterminate or failed operations) cannot
collide with anything that anybody saw.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import client, count, thing
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import OK
from harness.model.verdict import Verdict


@dataclass(frozen=True)
class UniqueIds:
    """Unknown with fewer than two ids, or when an answer held none."""

    name: str = "unique-ids"

    def check(self, history: History) -> Verdict:
        answers = [op for op in history.operations if op.f == "generate" and op.type == OK]
        given = sorted((op for op in answers if op.result is not None), key=lambda op: op.end_index)
        first: dict[Hashable, Operation] = {}
        findings = []
        for op in given:
            other = first.setdefault(freeze(op.result), op)
            if other is not op:
                says = f"{client(op)} was given the id {thing(op.result)}, which {client(other)} had been given"
                findings.append(Finding("duplicate", says, op, (other,)))
        empty = len(answers) - len(given)
        cause = f"{count(len(given), 'id')} were generated, two are needed" if len(given) < 2 else ""
        cause = cause or (f"{count(empty, 'answer')} held no id" if empty else "")
        return verdict_of(
            self.name,
            findings,
            held=f"{count(len(given), 'id')}, each given once",
            cause=cause,
            details={"generated": len(given), "different": len(first)},
            faults=history.faults,
        )
