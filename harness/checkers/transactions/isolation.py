"""Which isolation do transactions really have? What Elle does: anomalies, the models they rule out, and small proofs.

An operation with ``f`` = ``txn`` has a list of micro-operations as its value: ``["append", k, v]`` or ``["w", k, v]``,
and ``["r", k, null]``, which the answer fills in. From what was read follows what came before what; where that has a
cycle, no order of the transactions explains it, and the kind of cycle says which consistency models are violated
(Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020; Adya, "Weak
Consistency", 1999).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from harness.checkers.transactions.models import canonical, forbidden, order_needed, violated, weakest
from harness.checkers.transactions.reading import KINDS, micro_ops, micro_ops_of, transactions_of
from harness.checkers.transactions.story import Teller
from harness.checkers.transactions.words import operation_of
from harness.checkers.wording import and_more, count
from harness.kernels.linear.columnwise import operation
from harness.kernels.transactions.columns import Evidence, MicroOps
from harness.kernels.transactions.cycles import Cycle, cycles
from harness.kernels.transactions.lists import list_dependencies
from harness.kernels.transactions.registers import register_dependencies
from harness.model.columns import OK_CODE, Columns
from harness.model.history import History, Operation
from harness.model.verdict import Excerpt, Valid, Verdict

EXPLAINED: Final = 6
"""So many excerpts a verdict carries at most, one for each type of anomaly first."""
_WORST_FIRST: Final = (
    "garbage-read", "duplicate-elements", "cyclic-versions", "G0", "dirty-update", "G1a", "incompatible-order", "G1b",
    "future-read", "G1c", "internal", "lost-update", "G-single", "G-nonadjacent", "G2-item",
)  # fmt: skip


@dataclass(frozen=True)
class Transactions:
    """Judges transactions over lists (``kind`` list-append) or registers (rw-register) by the models in
    ``consistency``.

    ``sequential_keys`` and ``linearizable_keys`` say what is known of single registers besides, and let more be
    concluded. ``time_limit_s`` bounds the search for small examples, not for the verdict itself.
    """

    kind: str = "list-append"
    consistency: tuple[str, ...] = ("strict-serializable",)
    linearizable_keys: bool = False
    sequential_keys: bool = False
    time_limit_s: float = 5.0
    name: str = "transactions"

    def check(self, history: History) -> Verdict:
        """The verdict; unknown when nothing was acknowledged, or a transaction cannot be read."""
        try:
            operations = [op for op in history.operations if op.f == "txn"]
            ops = micro_ops(operations, self.kind) if self.kind in KINDS else None
        except ValueError as error:
            return self._unknown(str(error))
        return self._judged(ops, operations.__getitem__)

    def check_columns(self, columns: Columns) -> Verdict:
        """The same for a large history; objects are made of the few transactions that an explanation names."""
        rows = transactions_of(columns)
        try:
            ops = micro_ops_of(columns, rows, self.kind) if self.kind in KINDS else None
        except ValueError as error:
            return self._unknown(str(error))
        return self._judged(ops, lambda txn: operation(columns, int(rows[txn])))

    def check_micro_ops(self, ops: MicroOps) -> Verdict:
        """The same for columns."""
        return self._judged(ops, lambda txn: operation_of(ops, txn))

    def _judged(self, ops: MicroOps | None, operation: Callable[[int], Operation]) -> Verdict:
        try:
            models = [canonical(model) for model in self.consistency]
        except ValueError as error:
            return self._unknown(str(error))
        if ops is None:
            return self._unknown(f"no kind of transaction is called {self.kind!r}; there are {', '.join(KINDS)}")
        if not (ops.type == OK_CODE).any():
            return self._unknown("no transaction was acknowledged, so there is nothing to judge")
        began = perf_counter()
        if self.kind == "list-append":
            found, hubs, evidence = list_dependencies(ops)
        else:
            found, hubs, evidence = register_dependencies(ops, self.sequential_keys, self.linearizable_keys)
        proofs = cycles(ops, found, hubs, order_needed(models), self.time_limit_s)
        return self._verdict(models, evidence, proofs, Teller(ops, operation), perf_counter() - began)

    def _verdict(
        self, models: Sequence[str], evidence: Evidence, proofs: Sequence[Cycle], teller: Teller, seconds: float
    ) -> Verdict:
        every = {*evidence.counts, *(cycle.name for cycle in proofs)}
        counted = sorted(name for name in every if forbidden(name, models))
        impossible = violated(counted)
        falls = weakest(impossible)
        shown = [cycle for cycle in proofs if cycle.name in counted]
        details: dict[str, Any] = {
            "anomalies": counted,
            "not": falls,
            "also_not": sorted(impossible.difference(falls)),
            "tolerated": sorted(every.difference(counted)),
            "cycles": [teller.cycle_details(cycle) for cycle in shown],
            "counts": {name: number for name, number in sorted(evidence.counts.items()) if name in counted},
            "transactions": len(teller.ops),
        }
        size = count(len(teller.ops), "transaction")
        if counted:
            excerpts = _excerpts(counted, evidence, shown, teller)
            summary = f"not {' and not '.join(falls)}: {excerpts[0].title}; anomalies in {size}: {', '.join(counted)}"
            return Verdict(
                checker=self.name,
                valid=Valid.FALSE,
                summary=summary,
                details=details,
                excerpts=excerpts,
                seconds=seconds,
            )
        if evidence.ambiguous:
            return self._unknown(_ambiguity(evidence, teller), details, seconds)
        summary = f"{' and '.join(models)}: no anomaly in {size}"
        return Verdict(checker=self.name, valid=Valid.TRUE, summary=summary, details=details, seconds=seconds)

    def _unknown(self, cause: str, details: dict[str, Any] | None = None, seconds: float = 0.0) -> Verdict:
        return Verdict(
            checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details or {}, seconds=seconds
        )


def _ambiguity(evidence: Evidence, teller: Teller) -> str:
    """Which values were written twice, so that a read of them says nothing."""
    ops = teller.ops
    told = (
        f"{ops.value_name(each.values[0])} to {ops.key_name(each.key)} (by the transactions that begin at events "
        f"{' and '.join(str(start) for start in sorted(int(ops.start[txn]) for txn in each.txns))})"
        for each in evidence.ambiguous
    )
    return f"nothing is known of keys to which a value was written twice: {and_more(told, 2)}; write different values"


def _excerpts(
    counted: Sequence[str], evidence: Evidence, proofs: Sequence[Cycle], teller: Teller
) -> tuple[Excerpt, ...]:
    """One for each type of anomaly, the worst first."""
    found: dict[str, Excerpt] = {}
    for finding in evidence.findings:
        if finding.name in counted and finding.name not in found:
            found[finding.name] = teller.finding(finding)
    for cycle in proofs:
        if cycle.name not in found:
            found[cycle.name] = teller.cycle(cycle)
    return tuple(found[name] for name in sorted(found, key=_badness)[:EXPLAINED])


def _badness(name: str) -> tuple[int, int]:
    plain = name.removesuffix("-process").removesuffix("-realtime")
    return (name != plain) + name.endswith("-realtime"), _WORST_FIRST.index(plain)
