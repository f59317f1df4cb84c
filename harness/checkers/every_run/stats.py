"""What was done, how it ended and how long it took; and whether it was enough to conclude anything from.

An empty run must not pass: an operation that never succeeded, a fault during which nobody did anything, or final reads
without an answer, were not tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.checkers.wording import and_more, count, window
from harness.model.clock import NS_PER_MS
from harness.model.history import History, Operation
from harness.model.op import FAIL, INFO, OK
from harness.model.verdict import Valid, Verdict

PERCENTILES = (50, 95, 99, 100)


@dataclass(frozen=True)
class Stats:
    """Unknown when there are no operations, a kind of operation never succeeded, a fault met no operation, or the final
    reads of a region all failed (they begin with the nemesis' note ``final``)."""

    name: str = "stats"

    def check(self, history: History) -> Verdict:
        operations = history.operations
        by_f: dict[str, list[Operation]] = {}
        for op in operations:
            by_f.setdefault(op.f, []).append(op)
        details = {"operations": len(operations), "by_f": {f: _row(ops) for f, ops in sorted(by_f.items())}}
        gaps = list(_gaps(history, by_f))
        summary = ", ".join(f"{f} {row['ok']:,}/{row['count']:,} ok" for f, row in details["by_f"].items())  # type: ignore[attr-defined]
        if gaps:
            cause = and_more(gaps)
            summary = f"not enough evidence: {cause}" + (f" ({summary})" if summary else "")
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=summary, cause=cause, details=details)
        return Verdict(
            checker=self.name,
            valid=Valid.TRUE,
            summary=f"{count(len(operations), 'operation')}: {summary}",
            details=details,
        )


def _row(operations: Sequence[Operation]) -> dict[str, Any]:
    """Counts by outcome, and percentiles of the latency of those that succeeded."""
    latencies_ms = [(op.end_ns - op.start_ns) / NS_PER_MS for op in operations if op.type == OK]
    quantiles = np.percentile(latencies_ms, PERCENTILES) if latencies_ms else ()
    return {
        "count": len(operations),
        **{type_: sum(op.type == type_ for op in operations) for type_ in (OK, FAIL, INFO)},
        "latency_ms": {f"p{p}": round(float(ms), 3) for p, ms in zip(PERCENTILES, quantiles, strict=False)},
    }


def _gaps(history: History, by_f: dict[str, list[Operation]]) -> Iterator[str]:
    """Everything that was not tested."""
    if not by_f:
        yield "no client did anything"
        return
    for f, operations in sorted(by_f.items()):
        if all(op.type != OK for op in operations):
            yield f"{f} never succeeded ({count(len(operations), 'attempt')})"
    starts = np.sort([op.start_ns for op in history.operations])
    ends = np.sort([op.seen_end_ns for op in history.operations])
    for fault in history.faults:
        begun = np.searchsorted(starts, fault.end_ns, side="right")
        over = np.searchsorted(ends, fault.start_ns, side="left")
        if begun <= over:
            yield f"no client did anything during {fault.id} on {fault.aim or 'nothing'} ({window(fault)})"
    yield from _unread(history)


def _unread(history: History) -> Iterator[str]:
    """Regions that came to their final reads and got no answer."""
    if not history.finals:
        return
    _, began_ns = history.finals[0]
    final = [op for op in history.operations if op.start_ns >= began_ns]
    served = {op.region for op in final if op.type == OK}
    if not final:
        yield "no final read was tried"
    for region in sorted({op.region for op in final} - served):
        yield f"no final read succeeded in {region or 'any region'}"
