"""Which write every read of a register saw. Needs values that are written at most once per key.

A read that no write explains is *thin air*: nobody wrote its value, the write had certainly failed, or it began only
after the read had ended. A value that was written twice (or equals the initial one) tells nothing about its origin;
reads of it are counted and left out.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from harness.checkers.findings import Finding
from harness.checkers.wording import client, count, thing
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import FAIL, INFO, OK

INITIAL: Final = -1
"""The source of a read that saw the initial value."""
UNKNOWN: Final = -2
"""No read, or a read whose source cannot be told."""
Written = tuple[Hashable, Hashable]


class Access(NamedTuple):
    """What one operation did to a key: ``source`` is the position of the access whose value it read."""

    op: Operation
    key: Hashable
    source: int
    writes: bool


@dataclass
class Accesses:
    """The accesses of a history by start. Indeterminate writes are among them only if somebody read their value."""

    all: list[Access] = field(default_factory=list)
    thin_air: list[Finding] = field(default_factory=list)
    reads: int = 0
    ambiguous: int = 0

    @property
    def cause(self) -> str:
        """Why the absence of findings proves nothing; empty when it does."""
        if self.ambiguous:
            return f"{count(self.ambiguous, 'read')} returned a value that more than one write explains"
        if not self.reads:
            return "no read was answered"
        return "" if any(access.writes for access in self.all) else "no value was written that somebody could have read"


def written(op: Operation) -> Any:
    """The value that a write or compare-and-set leaves."""
    return op.value[1] if op.f == "cas" else op.value


def needed(op: Operation) -> Any:
    """The value that a read or a successful compare-and-set saw."""
    return op.value[0] if op.f == "cas" else op.result


def accesses(history: History, initial: Any = None) -> Accesses:
    """Resolve every read, write and compare-and-set (``cas``) of ``history``; other operations are left out."""
    ops = [op for op in history.operations if op.f in ("read", "write", "cas")]
    keys = [freeze(op.key) for op in ops]
    attempts: dict[Written, list[int]] = {}
    for at, op in enumerate(ops):
        if op.f != "read":
            attempts.setdefault((keys[at], freeze(written(op))), []).append(at)
    seen = _seen(ops, keys, initial)
    found, place = Accesses(), {}
    kept: list[tuple[int, bool]] = []
    for at, op in enumerate(ops):
        writes = op.f != "read" and op.type != FAIL
        if writes and op.type == INFO:
            tries = [other for other in attempts[keys[at], freeze(written(op))] if ops[other].type != FAIL]
            writes = len(tries) == 1 and (keys[at], freeze(written(op))) in seen
        if writes or (op.f == "read" and op.type == OK):
            place[at] = len(kept)
            kept.append((at, writes))
    for at, writes in kept:
        source = _source(at, ops, keys[at], attempts, initial, found) if ops[at].f != "write" else UNKNOWN
        found.all.append(Access(ops[at], keys[at], place.get(source, UNKNOWN) if source >= 0 else source, writes))
    return found


def _seen(ops: list[Operation], keys: list[Hashable], initial: Any) -> set[Written]:
    """What acknowledged operations saw, and what those indeterminate compare-and-sets needed that took effect."""
    seen = {(keys[at], freeze(needed(op))) for at, op in enumerate(ops) if op.type == OK and op.f != "write"}
    by_new = {(keys[at], freeze(op.value[1])): at for at, op in enumerate(ops) if op.f == "cas" and op.type == INFO}
    todo = [pair for pair in by_new if pair in seen]
    while todo:
        at = by_new[todo.pop()]
        before = (keys[at], freeze(needed(ops[at])))
        if before not in seen:
            seen.add(before)
            todo += [before] if before in by_new else []
    return seen


def _source(
    at: int, ops: list[Operation], key: Hashable, attempts: dict[Written, list[int]], initial: Any, found: Accesses
) -> int:
    """The position in ``ops`` of the write that operation ``at`` saw, or INITIAL or UNKNOWN."""
    op, value = ops[at], needed(ops[at])
    if value is None and initial is not None:
        return UNKNOWN  # such a register is never without a value: the read tells nothing
    found.reads += op.type == OK
    frozen = freeze(value)
    tries = attempts.get((key, frozen), ())
    possible = [other for other in tries if ops[other].type != FAIL]
    if frozen == freeze(initial) and not possible:
        return INITIAL
    if len(possible) > 1 or frozen == freeze(initial):
        found.ambiguous += op.type == OK
        return UNKNOWN
    if possible and ops[possible[0]].start_index < op.end_index and possible[0] != at:
        return possible[0]
    if op.type == OK:
        other = ops[(possible or tries)[0]] if tries else None
        found.thin_air.append(Finding("thin-air", _thin(op, value, other), op, (other,) if other else ()))
    return UNKNOWN


def _thin(op: Operation, value: Any, write: Operation | None) -> str:
    of = "" if op.key is None else f" of key {op.key}"
    told = f"{client(op)} read {thing(value)}{of}"
    if write is None:
        return f"{told}, a value that nobody ever wrote"
    why = "had certainly failed" if write.type == FAIL else "had not begun"
    return f"{told}, but {client(write)}'s write of it {why}"
