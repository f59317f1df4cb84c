"""Last write wins: of all writes of a register, the one with the highest timestamp is there in the end.

Thomas, "A majority consensus approach to concurrency control for multiple copy databases", 1979 (the Thomas write
rule); Shapiro et al. 2011 (LWW-register). The timestamps are those of clocks that differ by at most ``skew_ms``, taken
between a write's invocation and its end. So a write that began more than ``skew_ms`` after another one was known to be
there must win over it, and nothing is demanded of writes nearer to each other. Final reads are those that began after
the last write and the last heal, plus ``within_ms``. Values are unique per key. Kinds:

    older-write-won    a final read saw a write that another acknowledged one must have won over
    lost               a final read saw the initial value, though a write was acknowledged
    diverged           two final reads saw different writes, both acknowledged
    thin-air           a read of a value that nobody wrote
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.replicas.versions import INITIAL, UNKNOWN, Access, accesses, needed, written
from harness.checkers.settled import final_reads, has_clock, rest
from harness.checkers.wording import client, count, span, thing
from harness.model.clock import NS_PER_MS
from harness.model.history import History, Operation
from harness.model.op import OK
from harness.model.verdict import Verdict


@dataclass(frozen=True)
class LastWriteWins:
    """Judges registers with ``read`` and ``write`` that begin with ``initial``. Unknown when a fault was not shown to
    be healed, when no written key was finally read, or when values were written twice."""

    skew_ms: float = 0.0
    within_ms: float = 0.0
    initial: Any = None
    name: str = "last-write-wins"

    def check(self, history: History) -> Verdict:
        settled = rest(history, ("write", "cas"), self.within_ms)
        found = accesses(history, self.initial)
        there_ns = _there_ns(found.all)
        acked: dict[Hashable, Operation] = {}
        for access in found.all:
            last = acked.get(access.key)
            if access.writes and access.op.type == OK and (last is None or access.op.start_ns > last.start_ns):
                acked[access.key] = access.op
        final = {id(op) for op in final_reads(history.operations, ("read",), settled)}
        reads = [each for each in found.all if id(each.op) in final and each.key in acked and each.source != UNKNOWN]
        findings = [*found.thin_air]
        if not settled.cause:
            findings += [f for each in reads for f in self._judged(each, found.all, acked[each.key], there_ns)]
            findings += _diverged(reads, found.all)
        unread = len(acked) - len({each.key for each in reads})
        untimed = (
            ""
            if has_clock(history.operations)
            else "the operations have no times, so nobody knows which write was last"
        )
        cause = settled.cause or found.cause or untimed or ("" if acked else "no write was acknowledged")
        cause = cause or (f"{count(unread, 'key')} had no read after everything had come to rest" if unread else "")
        held = (
            f"{count(len(reads), 'final read')} of {count(len(acked), 'key')} saw a write that may have been the last"
        )
        details = {"final_reads": len(reads), "keys": len(acked)}
        return verdict_of(self.name, findings, held=held, cause=cause, details=details, faults=history.faults)

    def _judged(
        self, read: Access, every: Sequence[Access], last: Operation, there_ns: dict[int, int]
    ) -> Iterator[Finding]:
        told = f"{client(read.op)} finally read {_of(read.op)}"
        if read.source == INITIAL:
            says = f"{told}, though {client(last)}'s write of {thing(written(last))} had been acknowledged"
            yield Finding("lost", says, read.op, (last,))
            return
        winner = every[read.source].op
        ahead_ns = last.start_ns - there_ns[read.source]
        if last is not winner and ahead_ns > self.skew_ms * NS_PER_MS:
            says = (
                f"{told}, though {client(last)} began to write {thing(written(last))} {span(ahead_ns)} after that was"
            )
            says += f" written; the clocks differ by {self.skew_ms:g} ms at most"
            yield Finding("older-write-won", says, read.op, (winner, last))


def _there_ns(every: Sequence[Access]) -> dict[int, int]:
    """By when each write had certainly got its timestamp: its end, or the end of the first read of it."""
    there = {at: access.op.end_ns for at, access in enumerate(every) if access.writes}
    for access in every:
        if access.source >= 0:
            there[access.source] = min(there[access.source], access.op.end_ns)
    return there


def _diverged(reads: Sequence[Access], every: Sequence[Access]) -> Iterator[Finding]:
    first: dict[Hashable, Access] = {}
    for read in reads:
        if read.source == INITIAL or every[read.source].op.type != OK:
            continue
        other = first.setdefault(read.key, read)
        if other.source != read.source:
            says = (
                f"{client(read.op)} finally read {_of(read.op)}, but {client(other.op)} read {thing(needed(other.op))}"
            )
            yield Finding("diverged", says, read.op, (other.op,))


def _of(read: Operation) -> str:
    return thing(needed(read)) + ("" if read.key is None else f" of key {read.key}")
