"""Money moves between accounts and none is made or lost: every read of all accounts has the same sum.

Jepsen's bank test, a test of snapshot isolation and stronger. ``transfer`` has the value ``{"from": a, "to": b,
"amount": n}``; ``read`` answers ``{account: balance}``, all accounts at once. The sum is right at every moment whatever
becomes of a transfer, so indeterminate transfers need no care.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.checkers.deeds import whose
from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import and_more, client, count
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK
from harness.model.verdict import Verdict


@dataclass(frozen=True)
class Bank:
    """``total`` is the sum of all balances; None takes it, and the accounts, from the first read that ended. Balances
    below zero are a finding unless ``negative`` allows them. Unknown when no transfer can have happened, and with fewer
    than two reads (with ``total``: than one)."""

    total: int | None = None
    negative: bool = False
    name: str = "bank"

    def check(self, history: History) -> Verdict:
        answers = [op for op in history.operations if op.f == "read" and op.type == OK and isinstance(op.result, dict)]
        reads = sorted(answers, key=lambda op: op.end_index)
        moved = sum(op.f == "transfer" and op.type == OK for op in history.operations)
        tried = any(op.f == "transfer" and op.type != FAIL for op in history.operations)
        transfers = [op for op in history.operations if op.f == "transfer" and isinstance(op.value, dict)]
        findings = [finding for read in reads for finding in self._judged(read, reads[0], transfers)]
        needed = 1 if self.total is not None else 2
        cause = f"{count(len(reads), 'read')} answered, {needed} are needed" if len(reads) < needed else ""
        cause = cause or ("" if tried else "no money was moved")
        held = f"{count(len(reads), 'read')} had the same sum during {count(moved, 'transfer')}"
        details = {"reads": len(reads), "transfers": moved, "total": self._total(reads[0]) if reads else self.total}
        return verdict_of(self.name, findings, held=held, cause=cause, details=details, faults=history.faults)

    def _total(self, first: Operation) -> int:
        return sum(amount or 0 for amount in first.result.values()) if self.total is None else self.total

    def _judged(self, read: Operation, first: Operation, transfers: Sequence[Operation]) -> Iterator[Finding]:
        balances = read.result
        witness = (first,) if self.total is None else ()
        empty = [account for account, amount in balances.items() if amount is None]
        if empty:
            says = f"{client(read)} read no balance of account {and_more(map(str, empty))}"
            yield Finding("nil-balance", says, read)
            return
        if balances.keys() != first.result.keys():
            odd = sorted(map(str, balances.keys() ^ first.result.keys()))
            says = f"{client(read)} and {client(first)} read different accounts: {and_more(odd)} is not in both"
            yield Finding("other-accounts", says, read, (first,))
            return
        total = self._total(first)
        if sum(balances.values()) != total:
            says = f"{client(read)} read balances that sum to {sum(balances.values()):,} and not to {total:,}"
            half = _half_done(read, abs(sum(balances.values()) - total), transfers)
            says += f", as if {whose(half)} had been done by half" if half else ""
            yield Finding("wrong-total", says, read, (*witness, half) if half else witness)
        below = [f"{account}: {amount}" for account, amount in balances.items() if amount < 0]
        if below and not self.negative:
            yield Finding("negative-balance", f"{client(read)} read a balance below zero ({and_more(below)})", read)


def _half_done(read: Operation, missing: int, transfers: Sequence[Operation]) -> Operation | None:
    """The last transfer of just the amount by which a read is wrong, if there was one: a hint and no proof."""
    fitting = (op for op in transfers if op.value.get("amount") == missing and op.start_index < read.end_index)
    return max(fitting, key=lambda op: op.start_index, default=None)
