"""When a system had come to rest: every update over, every fault undone, and the time to settle given that the run took
before its final reads. What is read then is final."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.model.clock import NS_PER_MS
from harness.model.history import NEVER_NS, FaultWindow, History, Operation
from harness.model.op import FAIL, OK


class Rest(NamedTuple):
    """When the last update and the last fault were over: after event ``since_index``, and by the clock at ``since_ns``,
    which includes the time allowed to settle (-1 without a clock). ``cause`` says why nothing can be called final."""

    since_index: int
    since_ns: int
    cause: str


def has_clock(operations: Iterable[Operation]) -> bool:
    """Whether every operation has a time; recorded histories often have none."""
    return all(op.start_ns >= 0 for op in operations)


def rest(history: History, updates: Iterable[str], within_ms: float = 0.0) -> Rest:
    """When ``history`` came to rest. ``updates`` are the operations (``f``) that change something. One that nobody saw
    end counts from its start, or from when its client gave up. Without a time to settle (``within_ms``) a history that
    says when its final reads began rests from there: what clients happened to read before was promised by nobody."""
    names = set(updates)
    faults: Sequence[FaultWindow] = history.faults
    settled = rest_of(op for op in history.operations if op.f in names and op.type != FAIL)
    undone = settled._replace(since_ns=max([settled.since_ns, *(fault.end_ns for fault in faults)]))
    settled = undone if within_ms else _final(history, undone)
    since_ns = settled.since_ns + round(within_ms * NS_PER_MS)
    acting = [fault.id for fault in faults if not fault.healed]
    cause = f"{', '.join(acting)} was not shown to be healed" if acting else ""
    if not has_clock(history.operations):
        since_ns = -1
        late = f"the operations have no times, so nobody knows what came {within_ms:g} ms after the last update"
        cause = cause or (late if within_ms else "")
    return Rest(settled.since_index, since_ns, cause)


def _final(history: History, undone: Rest) -> Rest:
    """Where final reads began that came later, if any did."""
    later = (Rest(*said, undone.cause) for said in history.finals if said[0] > undone.since_index)
    return next((each for each in later if each.since_ns >= undone.since_ns), undone)


def rest_of(updates: Iterable[Operation]) -> Rest:
    """When all ``updates`` were over."""
    since_index, since_ns = -1, 0
    for op in updates:
        since_index = max(since_index, op.start_index if op.end_index == NEVER_NS else op.end_index)
        since_ns = max(since_ns, op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns)
    return Rest(since_index, since_ns, "")


def final_reads(operations: Iterable[Operation], reads: Iterable[str], since: Rest) -> list[Operation]:
    """The answered reads that began at rest, by start."""
    names = set(reads)
    return [op for op in operations if op.f in names and op.type == OK and _is_final(op, since)]


def _is_final(op: Operation, since: Rest) -> bool:
    return op.start_index > since.since_index and (op.start_ns < 0 or op.start_ns >= since.since_ns)


def place(op: Operation) -> str:
    """Where an operation was answered, as exactly as the record says: node, else region, else client."""
    return op.node or op.region or f"client {op.process}"
