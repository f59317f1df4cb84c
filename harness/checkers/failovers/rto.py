"""How long each region was not served after a fault, from what its clients saw: the measured recovery time (RTO).

For each fault that was attested to bite, each region and each kind of operation: the time from the fault's attested
start to detection, to the first success, and to steady service (``outage`` defines them). The objective is judged on
steady service. A region that the fault itself cuts off from all others cannot be served by them: it is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final, NamedTuple

from harness.checkers.failovers.outage import Outage, Period, measure
from harness.checkers.wording import and_more, count
from harness.model.claims import Objectives
from harness.model.history import FINAL, FaultWindow, History, Operation
from harness.model.op import INVOKE
from harness.model.verdict import Valid, Verdict

MANNERS: Final = {
    "kill": "crash",
    "restart": "crash",
    "partition": "polite cut",
    "reset": "polite cut",
    "blackhole": "silent cut",
    "drop": "silent cut",
    "disconnect": "silent cut",
    "pause": "stall",
}
"""How a fault shows itself, by the first word of its name. Who is cut off politely is told so at once, who is cut off
silently has to wait for a time limit: their recovery times are never mixed."""


class Row(NamedTuple):
    """One fault's outage in one group. ``cut_off`` says that the fault parts this region from all others."""

    fault: FaultWindow
    region: str
    f: str
    cut_off: bool
    outage: Outage

    @property
    def where(self) -> str:
        return f"{self.f} in {self.region or 'no region'}"


@dataclass(frozen=True)
class Rto:
    """False when a region was certainly not served steadily within ``objective_s``; unknown when that cannot be said,
    or when no fault bit. Only a report without an objective, and when the faults interrupted nobody."""

    objective_s: float | None = None
    name: str = "rto"

    def against(self, objectives: Objectives) -> Rto:
        return replace(self, objective_s=objectives.rto_s)

    def check(self, history: History) -> Verdict:
        rows = list(_rows(history))
        details = {"objective_s": self.objective_s, "outages": _as_data(rows), "failbacks": _failbacks(history)}
        if not history.faults:
            told = "no fault struck, so nothing had to recover"
            return replaced(self._verdict(Valid.TRUE, told, "", details), judged=False)
        if not rows:
            cause = "no fault was shown to bite, so there was no outage to measure"
            return self._verdict(Valid.UNKNOWN, cause, cause, details)
        hit = [row for row in rows if row.outage.interrupted]
        unknown = [f"{row.where}: {row.outage.normal.cause}" for row in rows if row.outage.normal.cause]
        if not hit:
            cause = and_more(unknown) or "the fault did not interrupt anybody, so no recovery time was measured"
            return replaced(self._verdict(Valid.UNKNOWN, cause, cause, details), judged=False)
        told = _told(hit)
        if self.objective_s is None:
            return self._verdict(Valid.TRUE, told, "", details)
        judged = [row for row in rows if not row.cut_off]
        late = [row for row in judged if row.outage.interrupted and row.outage.failing_s > self.objective_s]
        if late:
            summary = f"{_late(late[0], self.objective_s)} ({told})"
            return self._verdict(Valid.FALSE, summary, "", details)
        weak = [why for row in judged if (why := _weak(row, self.objective_s))]
        if weak:
            return self._verdict(Valid.UNKNOWN, f"{and_more(weak)} ({told})", and_more(weak), details)
        if not any(row.outage.interrupted for row in judged):
            cause = f"only clients that the fault itself cut off were interrupted: {told}"
            return replaced(self._verdict(Valid.UNKNOWN, cause, cause, details), judged=False)
        return self._verdict(Valid.TRUE, f"{told}; at most {self.objective_s:g} s are promised", "", details)

    def _verdict(self, valid: Valid, summary: str, cause: str, details: dict[str, Any]) -> Verdict:
        judged = self.objective_s is not None
        return Verdict(checker=self.name, valid=valid, summary=summary, cause=cause, judged=judged, details=details)


def replaced(verdict: Verdict, judged: bool) -> Verdict:
    """The same finding, as a report or as a judgement."""
    return Verdict(
        checker=verdict.checker, valid=verdict.valid, summary=verdict.summary, cause=verdict.cause, judged=judged,
        details=verdict.details,
    )  # fmt: skip


def manner(fault: str) -> str:
    """``polite cut``, ``silent cut``, ``crash``, ``stall`` or ``other``."""
    return MANNERS.get(fault.partition("-")[0], "other")


# --- measuring -----------------------------------------------------------------------------------


def _rows(history: History) -> Iterator[Row]:
    groups = _groups(history.operations)
    for fault in history.faults:
        if fault.effective is not True:
            continue
        until_ns = _until_ns(history, fault)
        period = Period(fault.start_ns, min(fault.end_ns, until_ns), until_ns, history.stalls)
        for (region, f), operations in groups:
            if min(op.start_ns for op in operations) >= period.until_ns:
                continue  # a kind of the final phase
            cut_off = region in fault.regions and manner(fault.fault).endswith("cut")
            yield Row(fault, region, f, cut_off, measure(operations, period))


def _groups(operations: Sequence[Operation]) -> list[tuple[tuple[str, str], list[Operation]]]:
    def place(op: Operation) -> tuple[str, str]:
        return op.region, op.f

    return [(key, list(found)) for key, found in groupby(sorted(operations, key=place), key=place)]


def _until_ns(history: History, fault: FaultWindow) -> int:
    """The next disturbance after the fault began, its own end left out: a failback, another fault's begin or end, or
    the end of the main phase."""
    begun = [op for op in history if op.is_nemesis and op.type == INVOKE and op.time_ns > fault.start_ns]
    others = [op for op in begun if op.f in ("start", "stop") and op.value["id"] != fault.id]
    steps = [op for op in begun if op.f in ("failback", FINAL) and op.time_ns > fault.end_ns]
    return min((op.time_ns for op in [*others, *steps]), default=history.end_ns)


def _failbacks(history: History) -> list[dict[str, Any]]:
    """What every planned move of the leadership did to each group; nobody promises anything about it."""
    events = [op for op in history if op.is_nemesis and op.f == "failback"]
    found = []
    for begun, done in zip(events[::2], events[1::2], strict=False):
        until_ns = min((at_ns for _, at_ns in history.finals if at_ns > done.time_ns), default=history.end_ns)
        period = Period(begun.time_ns, done.time_ns, until_ns, history.stalls)
        told = done.value if isinstance(done.value, dict) else {}
        regions: dict[str, dict[str, Any]] = {}
        for (region, f), operations in _groups(history.operations):
            if min(op.start_ns for op in operations) < until_ns:
                regions.setdefault(region, {})[f] = measure(operations, period).as_data()
        times = {"start_s": begun.time_ns / 1e9, "end_s": done.time_ns / 1e9}
        found.append(times | {"to": told.get("to"), "done": told.get("done"), "regions": regions})
    return found


# --- judging and telling -------------------------------------------------------------------------


def _weak(row: Row, objective_s: float) -> str:
    """Why it cannot be said that the group was served in time; empty when it can."""
    outage = row.outage
    if outage.normal.cause:
        return f"{row.where}: {outage.normal.cause}"
    if not outage.interrupted or (outage.steady_s is not None and outage.steady_s <= objective_s):
        return ""
    if outage.steady_s is None:
        return f"{row.where} was not seen steady again within the {outage.watched_s:.1f} s that it was watched"
    return f"{row.where} was steady again between {outage.failing_s:.2f} and {outage.steady_s:.2f} s"


def _late(row: Row, objective_s: float) -> str:
    after = f"after {row.outage.steady_s:.2f} s" if row.outage.steady_s is not None else "not at all"
    back = f"{row.where} was served steadily again {after}; at most {objective_s:g} s are promised"
    return f"{back}, {row.fault.fault} on {row.fault.aim}"


def _told(hit: Sequence[Row]) -> str:
    """``polite cut: first error after 0.01 s, first success 2.31 s, steady 2.34 s (write in eu, the slowest of 4)``"""
    parts = []
    for kind in dict.fromkeys(manner(row.fault.fault) for row in hit):
        rows = [row for row in hit if manner(row.fault.fault) == kind]
        reachable = [row for row in rows if not row.cut_off] or rows
        reachable = [row for row in reachable if not row.outage.after_heal] or reachable
        slowest = max(reachable, key=lambda row: row.outage.steady_s or float("inf"))
        outage = slowest.outage
        times = (
            ("first error", outage.detected_s),
            ("first success", outage.first_success_s),
            ("steady", outage.steady_s),
        )
        words = ", ".join(f"{name} {'never' if at is None else f'{at:.2f} s'}" for name, at in times)
        since = "the heal" if outage.after_heal else "it"
        parts.append(
            f"{kind}: {words} after {since} ({slowest.where}, the slowest of {count(len(reachable), 'group')})"
        )
    return "; ".join(parts)


def _as_data(rows: Sequence[Row]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        fault = row.fault
        entry = found.setdefault(
            fault.id,
            {
                "id": fault.id,
                "fault": fault.fault,
                "manner": manner(fault.fault),
                "aim": fault.aim,
                "start_s": fault.start_ns / 1e9,
                "heal_s": fault.end_ns / 1e9,
                "regions": {},
            },
        )
        entry["regions"].setdefault(row.region, {})[row.f] = row.outage.as_data() | {"cut_off": row.cut_off}
    return list(found.values())
