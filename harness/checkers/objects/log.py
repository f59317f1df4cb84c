"""A partitioned log as in Kafka: records get offsets, and consumers see every record once and in their order.

The history has the form of Jepsen's Kafka test. The value of ``send``, ``poll`` and ``txn`` is a list of
micro-operations: ``["send", key, value]``, answered as ``["send", key, [offset, value]]``, and ``["poll"]``, answered
as ``["poll", {key: [[offset, value], ...]}]``. Values are sent once per key. A process is a consumer; where it reads
begins anew with ``assign``, ``subscribe`` and ``seek``, and after a poll without an answer. Kinds:

    inconsistent-offset   one offset of a key held two values
    duplicate             one value was found at two offsets of a key
    phantom               a polled value that nobody sent, whose send had certainly failed, or began only later
    lost                  a poll, or two in a row, went past an acknowledged record that nobody ever polled
    skipped               the same, but somebody else polled it
    poll-went-back        a consumer's offsets did not grow, though it had not been moved
    send-went-back        a process's later send got a lower offset

Offsets nobody is known to have written to may be missing: brokers use some for themselves.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import client, count, thing
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK
from harness.model.verdict import Verdict


class _Record(NamedTuple):
    """A record as one operation saw it."""

    op: Operation
    offset: int
    value: Any


@dataclass
class _Log:
    """All that is known about one key's log. ``polls`` are batches: one key's part of one poll."""

    tries: dict[Hashable, list[Operation]] = field(default_factory=dict)
    acked: list[_Record] = field(default_factory=list)
    polls: list[list[_Record]] = field(default_factory=list)


@dataclass(frozen=True)
class Log:
    """Unknown when nothing was acknowledged or polled, and when no poll came as far as some acknowledged record."""

    name: str = "log"

    def check(self, history: History) -> Verdict:
        logs, moved = _logs(history)
        findings = [finding for key, log in logs.items() for finding in _judged(key, log, moved)]
        acked = sum(len(log.acked) for log in logs.values())
        polled = sum(len(batch) for log in logs.values() for batch in log.polls)
        unseen = sum(_unseen(log) for log in logs.values())
        cause = "no send was acknowledged with its offset" if not acked else "nothing was polled" if not polled else ""
        cause = cause or (f"{count(unseen, 'acknowledged record')} had not been polled at the end" if unseen else "")
        held = f"{count(acked, 'acknowledged record')} of {count(len(logs), 'log')} were polled in their order"
        details = {"acknowledged": acked, "polled": polled, "unseen": unseen, "logs": len(logs)}
        return verdict_of(self.name, findings, held=held, cause=cause, details=details, faults=history.faults)


def _logs(history: History) -> tuple[dict[str, _Log], dict[int, list[int]]]:
    """What is known about each log, and when each process was moved. Keys are texts, as JSON's maps want them."""
    logs: dict[str, _Log] = {}
    moved: dict[int, list[int]] = {}
    for op in history.operations:
        if op.f in ("assign", "subscribe", "seek") or (op.f in ("poll", "txn") and op.type != OK):
            moved.setdefault(op.process, []).append(op.start_index)
        if op.f not in ("send", "poll", "txn"):
            continue
        for step in op.value or ():
            if step[0] == "send":
                value = step[2][1] if isinstance(step[2], list | tuple) else step[2]
                logs.setdefault(str(step[1]), _Log()).tries.setdefault(freeze(value), []).append(op)
        for step in op.result or () if op.type == OK else ():
            if step[0] == "send" and isinstance(step[2], list | tuple) and step[2][0] is not None:
                logs.setdefault(str(step[1]), _Log()).acked.append(_Record(op, *step[2]))
            elif step[0] == "poll" and len(step) > 1:
                for key, records in step[1].items():
                    batch = [_Record(op, offset, value) for offset, value in records]
                    logs.setdefault(str(key), _Log()).polls += [batch] if batch else []
    return logs, moved


def _judged(key: str, log: _Log, moved: dict[int, list[int]]) -> Iterator[Finding]:
    yield from _clashes(key, log)
    yield from _phantoms(key, log)
    yield from _gaps(key, log, moved)
    last: dict[int, _Record] = {}
    for record in log.acked:
        before = last.get(record.op.process)
        if before is not None and before.offset >= record.offset:
            says = f"{client(record.op)}'s send of {thing(record.value)} to {key} got offset {record.offset}, "
            says += f"though its earlier {thing(before.value)} had got {before.offset}"
            yield Finding("send-went-back", says, record.op, (before.op,))
        last[record.op.process] = record


def _clashes(key: str, log: _Log) -> Iterator[Finding]:
    """Offsets with two values, and values with two offsets; each told once."""
    at: dict[int, _Record] = {}
    of: dict[Hashable, _Record] = {}
    told: set[tuple[str, Hashable]] = set()
    for record in sorted((*log.acked, *(each for batch in log.polls for each in batch)), key=lambda r: r.op.end_index):
        value = freeze(record.value)
        other, place = at.setdefault(record.offset, record), of.setdefault(value, record)
        if freeze(other.value) != value and ("offset", record.offset) not in told:
            told.add(("offset", record.offset))
            says = f"offset {record.offset} of {key} held {thing(other.value)} for {client(other.op)}"
            says += f" and {thing(record.value)} for {client(record.op)}"
            yield Finding("inconsistent-offset", says, record.op, (other.op,))
        if place.offset != record.offset and ("value", value) not in told and len(log.tries.get(value, ())) < 2:
            told.add(("value", value))
            says = f"{thing(record.value)} is at offset {place.offset} of {key} and again at {record.offset}"
            yield Finding("duplicate", says, record.op, (place.op,))


def _phantoms(key: str, log: _Log) -> Iterator[Finding]:
    told: set[Hashable] = set()
    for batch in log.polls:
        for record in batch:
            value = freeze(record.value)
            tries = log.tries.get(value, [])
            if value in told or any(op.type != FAIL and op.start_index < record.op.end_index for op in tries):
                continue
            told.add(value)
            why = f"but {client(tries[0])}'s send of it had not happened" if tries else "which nobody had sent"
            says = f"{client(record.op)} polled {thing(record.value)} from {key}, {why}"
            yield Finding("phantom", says, record.op, tuple(tries[:1]))


def _gaps(key: str, log: _Log, moved: dict[int, list[int]]) -> Iterator[Finding]:
    """What consumers passed over, and where they went back."""
    acked = sorted(log.acked, key=lambda record: record.offset)
    offsets = [record.offset for record in acked]
    polled = {record.offset for batch in log.polls for record in batch}
    last: dict[int, _Record] = {}
    told: set[int] = set()
    for batch in log.polls:
        for record in batch:
            before = last.get(record.op.process)
            last[record.op.process] = record
            if before is None or _was_moved(moved.get(record.op.process, ()), before.op, record.op):
                continue
            if record.offset <= before.offset:
                says = f"{client(record.op)} polled offset {record.offset} of {key} after {before.offset}"
                yield Finding("poll-went-back", says, record.op, (before.op,))
            for passed in acked[bisect_right(offsets, before.offset) : bisect_left(offsets, record.offset)]:
                if passed.op.end_index < record.op.start_index and passed.offset not in told:
                    told.add(passed.offset)
                    kind = "skipped" if passed.offset in polled else "lost"
                    says = f"{client(record.op)} polled offsets {before.offset} and {record.offset} of {key} in a row, "
                    says += f"not {passed.offset}, where {client(passed.op)}'s send of {thing(passed.value)} had gone"
                    yield Finding(kind, says, record.op, (passed.op, before.op))


def _was_moved(moves: Sequence[int], before: Operation, now: Operation) -> bool:
    return bisect_left(moves, before.start_index) < bisect_left(moves, now.start_index)


def _unseen(log: _Log) -> int:
    """Acknowledged records that lie beyond everything that was polled, or before it."""
    polled = {record.offset for batch in log.polls for record in batch}
    return sum(record.offset not in polled for record in log.acked)
