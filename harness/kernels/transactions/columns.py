"""Transactions as columns: a row per transaction and a row per micro-operation, 32 bits wide.

A million transactions of four micro-operations take about a hundred megabytes this way, plus what their reads returned.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.model.columns import FAIL_CODE, OK_CODE, Bytes, Ints, Longs

READ, WRITE = 0, 1
"""Kinds of micro-operations; WRITE also stands for an append to a list."""
UNKNOWN: Final = -1
"""The value of a read whose answer nobody knows."""
NIL: Final = 0
"""The number of a register's initial value."""

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.signedinteger[Any]]
"""Rows, slots and counts: of 32 bits where they are kept, of 64 in passing."""


@dataclass(frozen=True)
class Finding:
    """An anomaly that is no cycle: the transactions and micro-operations (rows) that show it, the guilty one first."""

    name: str
    key: int
    txns: tuple[int, ...]
    rows: tuple[int, ...] = ()
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class MicroOps:
    """Transactions in order of invocation, and their micro-operations in order of execution.

    Per transaction: ``process``; ``type`` (OK_CODE, FAIL_CODE, INFO_CODE of ``harness.model.columns``); ``start`` and
    ``end``, event positions, all different (NEVER unless ok or fail); and, where known, ``start_ns``, ``end_ns``.
    Per micro-operation: ``txn``, the row of its transaction (never falling); ``kind``; ``key``, a number from 0;
    ``value``. For registers ``value`` is the number of what was written or read (NIL: nothing yet). For lists
    it is the number of the appended element, or where a read's answer begins in ``elements``; ``length`` is then how
    long that is. A read without an answer has UNKNOWN. ``keys[key]`` and ``values[value]`` are what numbers stand
    for; without them the numbers stand for themselves.
    """

    process: Ints
    type: Bytes
    start: Longs
    end: Longs
    txn: Ints
    kind: Bytes
    key: Ints
    value: Ints
    length: Ints | None = None
    elements: Ints | None = None
    start_ns: Longs | None = None
    end_ns: Longs | None = None
    keys: Sequence[Hashable] | None = None
    values: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.process)

    @property
    def key_count(self) -> int:
        return int(self.key.max()) + 1 if len(self.key) else 0

    def key_name(self, key: int) -> Any:
        return self.keys[key] if self.keys is not None else int(key)

    def value_name(self, value: int) -> Any:
        return self.values[value] if self.values is not None else int(value)

    def rows(self, txn: int) -> range:
        """The rows of a transaction's micro-operations."""
        low, high = np.searchsorted(self.txn, [txn, txn + 1])
        return range(int(low), int(high))

    def finding(self, name: str, *rows: int, values: tuple[int, ...] = ()) -> Finding:
        """An anomaly of the first row's key that these rows show."""
        return Finding(name, int(self.key[rows[0]]), tuple(int(self.txn[row]) for row in rows), rows, values)

    def answer(self, row: int) -> Any:
        """What a read returned, as the client saw it; None when unknown or nothing."""
        value = int(self.value[row])
        if value == UNKNOWN:
            return None
        if self.elements is None or self.length is None:
            return None if value == NIL else self.value_name(value)
        return [self.value_name(int(item)) for item in self.elements[value : value + int(self.length[row])]]


@dataclass
class Evidence:
    """What a history shows. ``ambiguous`` keys were written the same value twice: they say nothing."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    ambiguous: list[Finding] = field(default_factory=list)

    def add(self, name: str, found: Sequence[Finding], count: int | None = None) -> None:
        """Note anomalies called ``name``; ``found`` may be fewer than ``count``."""
        number = len(found) if count is None else count
        if number:
            self.counts[name] = self.counts.get(name, 0) + number
            self.findings.extend(found)


SHOWN: Final = 8
"""So many findings of each kind are kept as examples."""


class Writers:
    """Finds the write of a value to a key among ``rows``: a table by key and value, or a sorted list where it were
    large.
    """

    def __init__(self, ops: MicroOps, rows: Ints) -> None:
        key, value = ops.key[rows], ops.value[rows]
        self._low = np.full(ops.key_count, np.iinfo(np.int32).max, np.int64)
        high = np.full(ops.key_count, -1, np.int64)
        np.minimum.at(self._low, key, value)
        np.maximum.at(high, key, value)
        self._span = np.maximum(high - self._low + 1, 0)
        self._base = np.cumsum(self._span) - self._span
        size = int(self._span.sum())
        self._codes: Longs | None = None
        if size > 16 * len(rows) + 1_000_000:
            code = _code(key, value)
            order = np.argsort(code, kind="stable")
            self._codes, self._rows = code[order], rows[order]
        else:
            self._table = np.full(size + 1, -1, np.int32)
            self._table[self._base[key] + value - self._low[key]] = rows
        self.twice = rows[self.find(key, value) != rows]

    def find(self, key: Ints, value: Ints) -> Ints:
        """Row of the write of each ``value`` to ``key``; -1 where nobody wrote it. Of two writes it is one."""
        if self._codes is not None:
            code = _code(key, value)
            at = np.minimum(np.searchsorted(self._codes, code), len(self._codes) - 1)
            return np.where(self._codes[at] == code, self._rows[at], -1).astype(np.int32)
        at = value - self._low[key]
        inside = (at >= 0) & (at < self._span[key])
        at += self._base[key]
        return self._table[np.where(inside, at, -1)]


def _code(key: Ints, value: Ints) -> Longs:
    return (key.astype(np.int64) << 32) | value


def same_key_pairs(ops: MicroOps) -> tuple[Ints, Ints]:
    """All pairs of micro-operations on one key in one transaction: the rows of the earlier and the later ones."""
    first, second = [], []
    for gap in range(1, len(ops.txn)):
        same = ops.txn[gap:] == ops.txn[:-gap]
        if not same.any():
            break
        at = np.flatnonzero(same & (ops.key[gap:] == ops.key[:-gap])).astype(np.int32)
        first.append(at)
        second.append(at + np.int32(gap))
    if not first:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    return np.concatenate(first), np.concatenate(second)


@dataclass(frozen=True)
class Inside:
    """How the micro-operations of one transaction on one key follow each other.

    ``earlier`` and ``later`` are all such pairs. Per row: ``previous``, the nearest earlier one or -1; ``own_before``,
    whether the transaction wrote the key before; ``own_after``, for writes, whether it wrote the key again.
    """

    earlier: Ints
    later: Ints
    previous: Ints
    own_before: Flags
    own_after: Flags


def inside(ops: MicroOps) -> Inside:
    """See :class:`Inside`."""
    earlier, later = same_key_pairs(ops)
    previous = np.full(len(ops.txn), -1, np.int32)
    np.maximum.at(previous, later, earlier)
    own_before, own_after = np.zeros(len(ops.txn), bool), np.zeros(len(ops.txn), bool)
    wrote = ops.kind[earlier] == WRITE
    own_before[later[wrote]] = True
    own_after[earlier[wrote & (ops.kind[later] == WRITE)]] = True
    return Inside(earlier, later, previous, own_before, own_after)


def lost_updates(ops: MicroOps, version: Ints, steps: Inside) -> tuple[list[Finding], int]:
    """Committed transactions that read the same version of a key and then wrote it.

    ``version[row]`` numbers the version that a read saw from outside its transaction, -1 where it saw none.
    """
    use = (ops.kind[steps.later] == WRITE) & (ops.kind[steps.earlier] == READ) & (version[steps.earlier] >= 0)
    rows = steps.earlier[use]
    code = (version[rows].astype(np.int64) << 32) | ops.txn[rows]
    code, first = np.unique(code, return_index=True)
    rows, same = rows[first], (code[1:] >> 32) == (code[:-1] >> 32)
    at = np.flatnonzero(same)
    found = [ops.finding("lost-update", *rows[i : i + 2].tolist()) for i in at[:SHOWN].tolist()]
    return found, len(at)


def committed(ops: MicroOps) -> Flags:
    """Transactions that may have happened."""
    return np.not_equal(ops.type, FAIL_CODE)


def acknowledged(ops: MicroOps) -> Flags:
    """Transactions that certainly happened."""
    return np.equal(ops.type, OK_CODE)
