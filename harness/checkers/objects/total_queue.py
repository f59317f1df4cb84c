"""What goes in comes out: every acknowledged ``enqueue`` is dequeued once, when the queue is drained at the end.

Jepsen's total-queue checker. ``dequeue`` answers an element (None: the queue was empty), ``drain`` a list of elements.
The order is not judged. An element whose enqueue was indeterminate and that came out is *recovered*, which is allowed.
Kinds:

    lost          acknowledged and not dequeued since, although the queue was drained after all enqueues were over
    unexpected    dequeued, but nobody tried to enqueue it, the try had certainly failed, or it began only later
    duplicated    dequeued more often than somebody had tried to enqueue it by then

A dequeue nobody saw the answer of may have taken an element away, so as many missing elements are excused; an
indeterminate drain excuses all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import client, count, thing
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import FAIL, INFO, OK
from harness.model.verdict import Verdict


@dataclass
class _Element:
    """All operations about one element."""

    tries: list[Operation] = field(default_factory=list)
    failed: list[Operation] = field(default_factory=list)
    out: list[Operation] = field(default_factory=list)


@dataclass(frozen=True)
class TotalQueue:
    """Judges each key's queue; unknown when nothing was acknowledged, when a queue was not drained, or when as many
    dequeues are indeterminate as elements are missing."""

    name: str = "total-queue"

    def check(self, history: History) -> Verdict:
        findings: list[Finding] = []
        causes: list[str] = []
        totals = {"acknowledged": 0, "dequeued": 0, "recovered": 0, "missing": 0}
        for operations in history.by_key().values():
            elements = _elements(operations)
            lost = [each for each in elements.values() if _missing(each)]
            missing = sum(map(_missing, lost))
            cause = _excuse(operations, missing)
            causes += [cause] if cause else []
            emptied = [op for op in operations if op.type == OK and _saw_the_end(op)][-1:]
            findings += [_lost(each, emptied) for each in lost] if not cause else []
            findings += [finding for each in elements.values() for finding in _odd(each)]
            totals["acknowledged"] += sum(_acknowledged(each) for each in elements.values())
            totals["dequeued"] += sum(len(each.out) for each in elements.values())
            totals["recovered"] += sum(map(_recovered, elements.values()))
            totals["missing"] += missing
        cause = "nothing was acknowledged" if not totals["acknowledged"] else "; ".join(dict.fromkeys(causes))
        held = f"{count(totals['acknowledged'], 'acknowledged element')} came out again"
        return verdict_of(self.name, findings, held=held, cause=cause, details=totals, faults=history.faults)


def _elements(operations: Sequence[Operation]) -> dict[Hashable, _Element]:
    elements: dict[Hashable, _Element] = {}
    for op in operations:
        if op.f == "enqueue":
            each = elements.setdefault(freeze(op.value), _Element())
            (each.failed if op.type == FAIL else each.tries).append(op)
        elif op.type == OK and op.f in ("dequeue", "drain") and op.result is not None:
            for element in op.result if op.f == "drain" else (op.result,):
                elements.setdefault(freeze(element), _Element()).out.append(op)
    return elements


def _acknowledged(element: _Element) -> int:
    return sum(op.type == OK for op in element.tries)


def _missing(element: _Element) -> int:
    """How many acknowledged enqueues no dequeue can belong to: of the latest ones, as many as no later end is left for
    (Hall's condition; what can go together is ordered by time, so it is enough)."""
    ends = sorted(op.end_index for op in element.out)
    begun = sorted((op.start_index for op in element.tries if op.type == OK), reverse=True)
    lacking = (at - len(ends) + bisect_right(ends, start) for at, start in enumerate(begun, 1))
    return max(0, *lacking) if begun else 0


def _recovered(element: _Element) -> int:
    """How often it came out beyond what was acknowledged."""
    return max(0, len(element.out) - _acknowledged(element) + _missing(element)) if element.tries else 0


def _excuse(operations: Sequence[Operation], missing: int) -> str:
    """Why missing elements are not proved lost, or why none can be missed; empty when the record is complete."""
    last = max((op.end_index for op in operations if op.f == "enqueue" and op.type == OK), default=-1)
    emptied = [op for op in operations if op.type == OK and op.start_index > last and _saw_the_end(op)]
    if not emptied:
        return "the queue was not drained after the last enqueue"
    unseen = [op for op in operations if op.type == INFO and op.f in ("dequeue", "drain")]
    if missing and any(op.f == "drain" for op in unseen):
        return f"{count(missing, 'element')} are missing, and nobody knows what a drain took"
    if 0 < missing <= len(unseen):
        return f"{count(missing, 'element')} are missing, and nobody knows what {count(len(unseen), 'dequeue')} took"
    return ""


def _saw_the_end(op: Operation) -> bool:
    return op.f == "drain" or (op.f == "dequeue" and op.result is None)


def _lost(element: _Element, emptied: Sequence[Operation]) -> Finding:
    enqueue = next(op for op in element.tries if op.type == OK)
    says = f"element {thing(enqueue.value)} was lost: client {enqueue.process}'s enqueue was acknowledged, "
    says += "nobody dequeued it"
    return Finding("lost", says, enqueue, tuple(emptied))


def _odd(element: _Element) -> list[Finding]:
    """The finding on an element that came out too often, too early, or never went in."""
    out = sorted(element.out, key=lambda op: op.end_index)
    begun = sorted(op.start_index for op in element.tries)
    if out and bisect_left(begun, out[0].end_index) == 0:
        other = next(iter(element.tries or element.failed), None)
        why = "which nobody had enqueued" if other is None else f"but {client(other)}'s enqueue of it had not happened"
        says = f"{client(out[0])} dequeued {_named(element)}, {why}"
        return [Finding("unexpected", says, out[0], (other,) if other else ())]
    for at, op in enumerate(out, 1):
        tries = bisect_left(begun, op.end_index)
        if at > tries:
            times = f"enqueued {count(tries, 'time')} at most by then"
            says = f"{client(op)} dequeued {_named(element)}, which was {times}; it was dequeued {len(out)} times"
            return [Finding("duplicated", says, op, (*element.tries[:1], *out[: at - 1][:2]))]
    return []


def _named(element: _Element) -> str:
    known = [*element.tries, *element.failed]
    if known:
        return thing(known[0].value)
    return thing(element.out[0].result) if element.out[0].f == "dequeue" else "an element"
