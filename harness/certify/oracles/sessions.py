"""Slow judges of what clients see of registers: they try every order. Good for about ten operations.

Every value is written at most once per key. An indeterminate write that nobody read may never have happened and is
left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import permutations, product
from typing import Any, Final

from harness.certify.contract import Expected
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK

RULES: Final = {
    ("write", "read"): "read-your-writes",
    ("read", "read"): "monotonic-reads",
    ("write", "write"): "monotonic-writes",
    ("read", "write"): "writes-follow-reads",
}
"""Which guarantee speaks of the first thing that a session does and of the next."""


def evidence(history: History) -> Expected:
    """BROKEN when a read saw what nobody can have written yet, OPEN when nothing was read or written."""
    reads = [op for op in history.operations if op.f == "read" and op.type == OK]
    writes = [op for op in history.operations if op.f == "write" and op.type != FAIL]
    for read in reads:
        sources = [op for op in writes if (op.key, op.value) == (read.key, read.result)]
        if read.result is not None and not any(op.start_index < read.end_index for op in sources):
            return Expected.BROKEN
    return Expected.HOLDS if reads and any(op.f == "write" for op in happened(history)) else Expected.OPEN


def happened(history: History) -> list[Operation]:
    """Operations without those indeterminate writes that nobody read."""
    every = [op for op in history.operations if op.type != FAIL and op.f in ("read", "write")]
    seen = {(op.key, op.result) for op in every if op.f == "read" and op.type == OK}
    return [op for op in every if op.type == OK or (op.f == "write" and (op.key, op.value) in seen)]


def orders(ops: Sequence[Operation], edges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """Every order of the positions in ``ops`` that respects ``edges``."""
    pairs = list(edges)
    for order in permutations(range(len(ops))):
        place = {at: rank for rank, at in enumerate(order)}
        if all(place[first] < place[then] for first, then in pairs):
            yield order


def sessions_hold(history: History, guarantees: Collection[str]) -> bool:
    """By definition: is there an order of each key's versions that satisfies all the guarantees?"""
    ops = happened(history)
    return all(
        any(
            _order_suits(["nothing", *order], [op for op in ops if op.key == key], guarantees)
            for order in permutations([op.value for op in ops if op.key == key and op.f == "write"])
        )
        for key in {op.key for op in ops}
    )


def _order_suits(order: list[Any], ops: Sequence[Operation], guarantees: Collection[str]) -> bool:
    def age(op: Operation) -> int:
        value = op.value if op.f == "write" else op.result
        return order.index("nothing" if value is None else value)

    return not any(
        first.process == then.process and first.type == OK and RULES[first.f, then.f] in guarantees
        and (age(first) > age(then))
        for at, first in enumerate(ops) for then in ops[at + 1 :]
    )  # fmt: skip


def causally(history: History) -> tuple[bool, bool]:
    """By definition: is the history causally consistent (CC), and convergent as well (CCv)?"""
    ops = happened(history)
    size = range(len(ops))
    before = {(i, j) for i, j in product(size, size) if i < j and _in_session(ops[i], ops[j])}
    before |= {
        (i, j) for i, j in product(size, size) if ops[i].f == "write" and ops[j].f == "read" and _same(ops, i, j)
    }
    for k, i, j in product(size, size, size):
        if (i, k) in before and (k, j) in before:
            before.add((i, j))
    if any((i, i) in before for i in size):
        return False, False
    writes = [i for i in size if ops[i].f == "write"]
    among = [(writes.index(i), writes.index(j)) for i, j in before if i in writes and j in writes]
    choices = [[writes[at] for at in order] for order in orders([ops[i] for i in writes], among)]
    reads = [i for i in size if ops[i].f == "read"]
    fits = [{i for i in reads if _explains(ops, order, i, before)} for order in choices]
    return all(any(i in fit for fit in fits) for i in reads), any(len(fit) == len(reads) for fit in fits)


def _in_session(first: Operation, then: Operation) -> bool:
    """What follows an operation in its session; nobody may rely on one that was never acknowledged."""
    return first.process == then.process and first.type == OK


def _same(ops: Sequence[Operation], i: int, j: int) -> bool:
    return bool(ops[i].key == ops[j].key and ops[i].value == ops[j].result)


def _explains(ops: Sequence[Operation], order: Sequence[int], read: int, before: set[tuple[int, int]]) -> bool:
    """Whether the last write of the key in the read's past is the one it saw, when writes come in this order."""
    past = [ops[i].value for i in order if (i, read) in before and ops[i].key == ops[read].key]
    return bool((past[-1] if past else None) == ops[read].result)


def pram_holds(history: History) -> bool:
    """By definition: can every process put all writes and its own reads into an order that keeps each session's, and in
    which every read sees the last write before it?"""
    ops = happened(history)
    return all(
        _view_exists([op for op in ops if op.f == "write" or op.process == process], frozenset(), {})
        for process in {op.process for op in ops}
    )


def _view_exists(ops: Sequence[Operation], done: frozenset[int], state: dict[Any, Any]) -> bool:
    """Whether the operations not ``done`` can follow each other from ``state``."""
    if len(done) == len(ops):
        return True
    for i, op in enumerate(ops):
        waits = any(j not in done and _in_session(ops[j], op) for j in range(i))
        if i in done or waits or (op.f == "read" and state.get(op.key) != op.result):
            continue
        after = {**state, op.key: op.value} if op.f == "write" else state
        if _view_exists(ops, done | {i}, after):
            return True
    return False
