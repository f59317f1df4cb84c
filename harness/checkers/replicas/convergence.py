"""When the updates stop and the faults are healed, all places answer the same: convergence.

Strong eventual consistency's visible half (Shapiro et al., "Conflict-free replicated data types", 2011): replicas that
received the same updates are in the same state. Any history with updates (operations with a value) and with ``read``
or ``members`` will do; a list of members is compared as a set. The places are nodes, else regions, else clients.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from harness.checkers.findings import Finding, short, verdict_of
from harness.checkers.settled import final_reads, place, rest
from harness.checkers.wording import client, count
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import INFO
from harness.model.verdict import Verdict

READS: Final = ("read", "members")
NUMBERS: Final = ("add", "to a number")


@dataclass(frozen=True)
class Convergence:
    """Final reads of a key that began ``within_ms`` after the last update and heal, or later, must agree.

    Unknown when a fault was not shown to be healed, when no key was finally read in two places, or when answers differ
    only as far as an update may explain whose end nobody saw.
    """

    within_ms: float = 0.0
    name: str = "convergence"

    def check(self, history: History) -> Verdict:
        updates = {op.f for op in history.operations if op.value is not None} - set(READS)
        settled = rest(history, updates, self.within_ms)
        findings: list[Finding] = []
        compared, doubtful = 0, 0
        for operations in history.by_key().values():
            reads = final_reads(operations, READS, settled)
            if len({place(read) for read in reads}) < 2:
                continue
            compared += 1
            certain, doubt = _differing(reads, _unsure(operations))
            doubtful += doubt
            findings += [_finding(*certain)] if certain else []
        cause = settled.cause or ("" if compared else "no key was read in two places after everything had come to rest")
        cause = cause or (
            f"{count(doubtful, 'key')} may still be changed by an update of unknown end" if doubtful else ""
        )
        cause = cause or ("" if updates else "nothing was updated")
        return verdict_of(
            self.name,
            findings if not settled.cause else (),
            held=f"{count(compared, 'key')} read the same everywhere",
            cause=cause,
            details={"keys": compared, "since_ms": settled.since_ns // 1_000_000},
            faults=history.faults,
        )


def _unsure(operations: Sequence[Operation]) -> set[Hashable]:
    """Values that updates of unknown end may still bring or take away; NUMBERS when any sum may still change."""
    pending = [op for op in operations if op.type == INFO and op.value is not None and op.f not in READS]
    values = {freeze(op.value[1] if op.f == "cas" else op.value) for op in pending}
    return values | {NUMBERS for op in pending if op.f == "add"}


def _state(read: Operation, without: Set[Hashable] = frozenset()) -> Hashable:
    """What was read, as far as it is sure; None when nothing is."""
    if read.f == "members" or isinstance(read.result, list | tuple):
        return frozenset(map(freeze, read.result or ())) - without
    return None if freeze(read.result) in without or NUMBERS in without else ("value", freeze(read.result))


def _differing(reads: Sequence[Operation], unsure: Set[Hashable]) -> tuple[tuple[Operation, Operation] | None, bool]:
    """Two reads that certainly differ; else whether there are such that differ by what is unsure."""
    states: dict[Hashable, Operation] = {}
    for read in reads:
        states.setdefault(_state(read, unsure), read)
    certain = [read for state, read in states.items() if state is not None]
    if len(certain) > 1:
        return (certain[0], certain[1]), False
    return None, len({_state(read) for read in reads}) > 1


def _finding(first: Operation, then: Operation) -> Finding:
    of = "" if then.key is None else f" of key {then.key}"
    says = f"{client(then)} finally read {short(then.result)}{of} at {place(then)}, "
    says += f"but {client(first)} read {short(first.result)} at {place(first)}"
    return Finding("diverged", says, then, (first,))
