"""Excerpts that show an anomaly among transactions: the few involved, and the argument step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.checkers.transactions.findings import told
from harness.checkers.transactions.words import KIND_NAMES, Words
from harness.checkers.wording import client, during
from harness.kernels.transactions.columns import READ, Finding, MicroOps
from harness.kernels.transactions.cycles import Cycle
from harness.kernels.transactions.graph import PROCESS, REALTIME
from harness.model.history import Operation
from harness.model.verdict import Edge, Excerpt, Marked

MEANINGS: Final = {
    "G0": "writes that overwrote each other",
    "G1c": "information that flows in a circle",
    "G-single": "one missed write (read skew)",
    "G-nonadjacent": "several missed writes, never two in a row",
    "G2-item": "missed writes in a row (write skew)",
}


@dataclass(frozen=True)
class Teller:
    """Makes excerpts; ``operation`` gives the operation of a transaction's row."""

    ops: MicroOps
    operation: Callable[[int], Operation]

    def cycle(self, cycle: Cycle) -> Excerpt:
        """A cycle: each of its transactions must come before the next one, and the last before the first."""
        txns = sorted((step.source for step in cycle.steps), key=lambda txn: int(self.ops.start[txn]))
        words = self._words(txns)
        reasons = [words.why(step) for step in cycle.steps]
        steps = [
            f"{words.name(step.source)} before {words.name(step.target)}: {reason}."
            for step, reason in zip(cycle.steps, reasons, strict=True)
        ]
        last = f"Every one of them would have to come before itself: {cycle.name}, {_meaning(cycle.name)}."
        if len(reasons) == 2:
            first, second = sorted(
                zip(cycle.steps, reasons, strict=True), key=lambda pair: pair[0].kind in (PROCESS, REALTIME)
            )
            title = f"{first[1]}, but {second[1]} ({cycle.name})"
        else:
            more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
            title = f"{len(txns)} transactions come before each other in a circle: {'; '.join(reasons[:3])}{more}"
            title += f" ({cycle.name})"
        keys = {step.key for step in cycle.steps if step.key >= 0}
        key = self.ops.key_name(keys.pop()) if len(keys) == 1 else None
        place = {txn: at for at, txn in enumerate(dict.fromkeys(txns))}
        edges = tuple(
            Edge(source=place[step.source], target=place[step.target], kind=KIND_NAMES[step.kind], says=reason)
            for step, reason in zip(cycle.steps, reasons, strict=True)
        )
        return self._excerpt(title, txns, words, (*steps, last), key, edges)

    def finding(self, finding: Finding) -> Excerpt:
        """An anomaly that is no cycle."""
        txns = sorted(finding.txns, key=lambda txn: int(self.ops.start[txn]))
        words = self._words(txns)
        sentence = told(finding, words)
        return self._excerpt(
            f"{sentence} ({finding.name})", txns, words, (f"{sentence}.",), self.ops.key_name(finding.key)
        )

    def cycle_details(self, cycle: Cycle) -> dict[str, Any]:
        """The same for machines: transactions by the events at which they began."""
        return {
            "type": cycle.name,
            "transactions": [int(self.ops.start[step.source]) for step in cycle.steps],
            "steps": [
                {"type": KIND_NAMES[step.kind], "key": None if step.key < 0 else self.ops.key_name(step.key)}
                for step in cycle.steps
            ],
        }

    def _words(self, txns: Sequence[int]) -> Words:
        names = {txn: f"T{number}" for number, txn in enumerate(dict.fromkeys(txns), 1)}
        return Words(self.ops, names.__getitem__)

    def _excerpt(
        self,
        title: str,
        txns: Sequence[int],
        words: Words,
        steps: tuple[str, ...],
        key: Any,
        edges: tuple[Edge, ...] = (),
    ) -> Excerpt:
        distinct = list(dict.fromkeys(txns))
        marked = tuple(
            Marked(
                operation=self.operation(txn),
                mark="culprit" if txn == distinct[-1] else "witness",
                note=self._note(txn, words),
            )
            for txn in distinct
        )
        return Excerpt(
            title=title, operations=marked, steps=(*(each.note for each in marked), *steps), key=key, edges=edges
        )

    def _note(self, txn: int, words: Words) -> str:
        """``T1, client 3 in eu: read x = [1 2], appended 3 to y (1.200 to 1.204 s)``"""
        op = self.operation(txn)
        deeds = ", ".join(words.did(row) for row in self.ops.rows(txn) if self._is_known(row)) or "nothing known"
        return f"{words.name(txn)}, {client(op)}: {deeds} ({during(op)})"

    def _is_known(self, row: int) -> bool:
        return bool(self.ops.kind[row] != READ or self.ops.value[row] >= 0)


def _meaning(name: str) -> str:
    """A kind of circle in words."""
    plain, order = name.removesuffix("-process").removesuffix("-realtime"), name.rpartition("-")[2]
    also = {"process": ", with the order of one client's transactions", "realtime": ", with what had ended before"}
    return MEANINGS[plain] + also.get(order, "")
