"""What transactions did, in words: values, reads and writes, and why one comes before another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from harness.checkers.wording import span, thing
from harness.kernels.transactions.columns import NIL, READ, UNKNOWN, WRITE, MicroOps
from harness.kernels.transactions.graph import PROCESS, REALTIME, RW, WR, WW
from harness.kernels.transactions.walk import Step
from harness.model.columns import INFO_CODE, NEVER, OK_CODE
from harness.model.history import NEVER_NS, Operation

TAIL: Final = 8
"""So many elements of a long list are shown, the last ones."""
KIND_NAMES: Final = {WW: "ww", WR: "wr", RW: "rw", PROCESS: "process", REALTIME: "realtime"}
_TYPES: Final = ("ok", "fail", "info")


def listed(value: Any) -> str:
    """``[1 2 3]``, ``[.. 7 8 9]``, ``nothing``"""
    if not isinstance(value, list):
        return thing(value)
    shown = " ".join(str(item) for item in value[-TAIL:])
    return f"[.. {shown}]" if len(value) > TAIL else f"[{shown}]"


@dataclass(frozen=True)
class Words:
    """Speaks about the transactions of ``ops``; ``name`` says what to call one."""

    ops: MicroOps
    name: Callable[[int], str]

    @property
    def lists(self) -> bool:
        return self.ops.elements is not None

    def key(self, key: int) -> str:
        return str(self.ops.key_name(key))

    def value(self, number: int) -> str:
        return thing(None if not self.lists and number == NIL else self.ops.value_name(number))

    def read(self, row: int) -> str:
        """``read x = [1 2]``"""
        return f"read {self.key(int(self.ops.key[row]))} = {listed(self.ops.answer(row))}"

    def did(self, row: int) -> str:
        """``read x = [1 2]``, ``appended 3 to x``, ``wrote 3 to x``"""
        if self.ops.kind[row] == READ:
            return self.read(row)
        verb = "appended" if self.lists else "wrote"
        return f"{verb} {self.value(int(self.ops.value[row]))} to {self.key(int(self.ops.key[row]))}"

    def why(self, step: Step) -> str:
        """Why ``step.source`` comes before ``step.target``, as a sentence."""
        before, after = self.name(step.source), self.name(step.target)
        if step.kind in (PROCESS, REALTIME):
            where = " on the same client" if step.kind == PROCESS else ""
            return f"{before} ended {self.gap(step.source, step.target)}before {after} began{where}"
        mine, other = self._rows(step)
        if step.kind == WR:
            last = ", whose last element" if self.lists else ", which"
            return f"{after} {self.read(mine)}{last} {before} had {'appended' if self.lists else 'written'}"
        if step.kind == RW:
            return f"{before} {self.read(mine)} and missed {after}'s {self.value(int(self.ops.value[other]))}"
        had = f"{before} had {'appended' if self.lists else 'written'} {self.value(int(self.ops.value[mine]))}"
        return f"{after} {self.did(other)} after {had}"

    def gap(self, before: int, after: int) -> str:
        """``12 ms ``, or nothing where no clock was recorded."""
        if self.ops.start_ns is None or self.ops.end_ns is None:
            return ""
        ns = int(self.ops.start_ns[after]) - int(self.ops.end_ns[before])
        return f"{span(ns)} " if ns >= 0 else ""

    def _rows(self, step: Step) -> tuple[int, int]:
        """The micro-operations behind a dependency: what the earlier (for WR: the later) one did, and the other."""
        mine, theirs = self._of(step.source, step.key), self._of(step.target, step.key)
        if step.kind == WR:
            wrote = {int(self.ops.value[row]) for row in mine if self.ops.kind[row] == WRITE}
            reads = [row for row in theirs if self.ops.kind[row] == READ and self._last(row) in wrote]
            return reads[0], -1
        writes = [row for row in theirs if self.ops.kind[row] == WRITE]
        if step.kind == RW:
            reads = [row for row in mine if self.ops.kind[row] == READ and self.ops.value[row] != UNKNOWN]
            missed = [row for row in writes if int(self.ops.value[row]) not in self._items(reads[-1])]
            return (reads[-1] if missed else reads[0]), (missed or writes)[0]
        place = self._places(step.key)
        own = [row for row in mine if self.ops.kind[row] == WRITE]
        pairs = [(a, b) for a in own for b in writes if place.get(a, 1 << 60) < place.get(b, (1 << 60) + 1)]
        return pairs[-1] if pairs else (own[-1], writes[0])

    def _of(self, txn: int, key: int) -> list[int]:
        return [row for row in self.ops.rows(txn) if self.ops.key[row] == key]

    def _items(self, row: int) -> list[int]:
        begin = int(self.ops.value[row])
        if self.ops.elements is None or self.ops.length is None:
            return [begin]
        return self.ops.elements[begin : begin + int(self.ops.length[row])].tolist()  # type: ignore[no-any-return]

    def _last(self, row: int) -> int:
        return (self._items(row) or [UNKNOWN])[-1] if self.ops.value[row] != UNKNOWN else UNKNOWN

    def _places(self, key: int) -> dict[int, int]:
        """Where the longest read of a list shows each append (by row)."""
        ops = self.ops
        rows = np.flatnonzero(ops.key == key)
        reads = rows[(ops.kind[rows] == READ) & (ops.type[ops.txn[rows]] == OK_CODE)]
        if ops.length is None or not len(reads):
            return {}
        order = {item: at for at, item in enumerate(self._items(int(reads[np.argmax(ops.length[reads])])))}
        writes = rows[ops.kind[rows] == WRITE].tolist()
        return {row: order[int(ops.value[row])] for row in writes if int(ops.value[row]) in order}


def operation_of(ops: MicroOps, txn: int) -> Operation:
    """A transaction as an operation, from columns alone; times are -1 without a clock."""
    verb = "append" if ops.elements is not None else "w"
    asked, answered = [], []
    for row in ops.rows(txn):
        key, is_read = ops.key_name(int(ops.key[row])), ops.kind[row] == READ
        asked.append(["r", key, None] if is_read else [verb, key, ops.value_name(int(ops.value[row]))])
        answered.append(["r", key, ops.answer(row)] if is_read else asked[-1])
    start, end = int(ops.start[txn]), int(ops.end[txn])
    never = end == int(NEVER) or ops.type[txn] == INFO_CODE
    start_ns = int(ops.start_ns[txn]) if ops.start_ns is not None else -1
    end_ns = int(ops.end_ns[txn]) if ops.end_ns is not None else -1
    return Operation(
        process=int(ops.process[txn]), f="txn", type=_TYPES[int(ops.type[txn])], key=None, value=asked,
        result=answered if ops.type[txn] == OK_CODE else None, start_ns=start_ns, end_ns=NEVER_NS if never else end_ns,
        seen_end_ns=NEVER_NS if never else end_ns, start_index=start, end_index=NEVER_NS if never else end,
    )  # fmt: skip
