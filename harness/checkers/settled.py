"""When a system had come to rest: every update over, every fault undone. What is read then is final."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.model.clock import NS_PER_MS
from harness.model.history import NEVER_NS, FaultWindow, History, Operation
from harness.model.op import FAIL, OK


class Rest(NamedTuple):
    """``since_ns`` is when the last update and the last fault were over, plus the time allowed to settle; ``cause``
    says why nothing can be called final."""

    since_ns: int
    cause: str


def rest(history: History, updates: Iterable[str], within_ms: float = 0.0) -> Rest:
    """When ``history`` came to rest. ``updates`` are the operations (``f``) that change something. One that nobody saw
    end counts from its start, or from when its client gave up."""
    names = set(updates)
    ends = [
        op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns
        for op in history.operations
        if op.f in names and op.type != FAIL
    ]
    faults: Sequence[FaultWindow] = history.faults
    since_ns = max([*ends, *(fault.end_ns for fault in faults)], default=0) + round(within_ms * NS_PER_MS)
    acting = [fault.id for fault in faults if not fault.healed]
    return Rest(since_ns, f"{', '.join(acting)} was not shown to be healed" if acting else "")


def final_reads(operations: Iterable[Operation], reads: Iterable[str], since_ns: int) -> list[Operation]:
    """The answered reads that began at rest, by start."""
    names = set(reads)
    return [op for op in operations if op.f in names and op.type == OK and op.start_ns >= since_ns]


def place(op: Operation) -> str:
    """Where an operation was answered, as exactly as the record says: node, else region, else client."""
    return op.node or op.region or f"client {op.process}"
