"""How well each region was served, in quiet times and under each fault. A report, unless an objective was set.

An operation belongs to the region of the client that asked, and to every fault window in which it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from harness.checkers.wording import count, span
from harness.model.claims import Objectives
from harness.model.clock import NS_PER_S
from harness.model.history import NEVER_NS, FaultWindow, History, Operation
from harness.model.op import OK
from harness.model.verdict import Valid, Verdict

ROUNDING: Final = 1e-9
"""So many operations more or less are none."""


@dataclass(frozen=True)
class Availability:
    """Per region: share of successes, the longest time without one, and the time from each heal to the next one.

    False when a region's share is below ``objective``, and unknown when that depends on operations that were still
    under way when the record ended."""

    objective: float | None = None
    name: str = "availability"

    def against(self, objectives: Objectives) -> Availability:
        return replace(self, objective=objectives.availability)

    def check(self, history: History) -> Verdict:
        regions: dict[str, list[Operation]] = {}
        for op in history.operations:
            regions.setdefault(op.region, []).append(op)
        if not regions:
            cause = "no client did anything"
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, judged=False)
        details = {
            region: _row(operations, history.faults, history.end_ns) for region, operations in sorted(regions.items())
        }
        parts = (f"{region or 'clients'} {_percent(row['ok_share'])}{_gap(row)}" for region, row in details.items())
        promised = "" if self.objective is None else f"; at least {self.objective:.2%} are promised"
        valid = _against(self.objective, regions.values())
        return Verdict(
            checker=self.name,
            valid=valid,
            summary=f"answered in {count(len(details), 'region')}: {', '.join(parts)}{promised}",
            cause="operations were still under way when the record ended" if valid is Valid.UNKNOWN else "",
            judged=self.objective is not None,
            details={"objective": self.objective, "regions": details},
        )


def _against(objective: float | None, regions: Iterable[Sequence[Operation]]) -> Valid:
    """Whether every region's share of successes reaches the objective, whatever became of what nobody saw end."""
    if objective is None:
        return Valid.TRUE
    valid = Valid.TRUE
    for operations in regions:
        served = sum(op.type == OK for op in operations)
        still_open = sum(op.seen_end_ns == NEVER_NS for op in operations)
        needed = objective * len(operations) - ROUNDING
        if served + still_open < needed:
            return Valid.FALSE
        if served < needed or still_open == len(operations):
            valid = Valid.UNKNOWN
    return valid


def _row(operations: Sequence[Operation], faults: Iterable[FaultWindow], end_ns: int) -> dict[str, Any]:
    served_ns = sorted(op.end_ns for op in operations if op.type == OK)
    gap_ns, since_ns = _longest_gap(served_ns, min(op.start_ns for op in operations), end_ns)
    return {
        "operations": len(operations),
        "ok_share": _share(operations),
        "longest_gap_s": round(gap_ns / NS_PER_S, 3),
        "longest_gap_from_s": round(since_ns / NS_PER_S, 3),
        "faults": [_under(fault, operations) for fault in faults],
    }


def _under(fault: FaultWindow, operations: Sequence[Operation]) -> dict[str, Any]:
    """One region under one fault; ``back_after_s`` is None when nothing succeeded after the heal."""
    inside = [op for op in operations if fault.start_ns <= op.start_ns <= fault.end_ns]
    back_ns = [op.end_ns - fault.end_ns for op in operations if op.type == OK and op.end_ns >= fault.end_ns]
    return {
        "id": fault.id,
        "fault": fault.fault,
        "aim": fault.aim,
        "operations": len(inside),
        "ok_share": _share(inside),
        "back_after_s": round(min(back_ns) / NS_PER_S, 3) if back_ns else None,
    }


def _share(operations: Sequence[Operation]) -> float | None:
    return round(sum(op.type == OK for op in operations) / len(operations), 6) if operations else None


def _percent(share: float) -> str:
    """What is not all is never told as 100 %."""
    return f"{share:.1%}" if share == 1 or share < 0.9995 else f"{share:.4%}"


def _longest_gap(served_ns: Sequence[int], begin_ns: int, end_ns: int) -> tuple[int, int]:
    """The longest time without a success, and when it began."""
    marks = [begin_ns, *served_ns, max(end_ns, *served_ns[-1:])]
    return max(((after - before, before) for before, after in pairwise(marks)), default=(0, 0))


def _gap(row: dict[str, Any]) -> str:
    return f" (longest gap {span(round(row['longest_gap_s'] * NS_PER_S))})"
