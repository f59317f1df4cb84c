"""A slow judge that is easy to believe: try every order of a register's operations, one by one.

It shares no code with the checkers. Good for about a dozen operations on one object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.model.history import Operation


def linearizable(operations: Iterable[Operation], initial: Any = None) -> bool:
    """Whether some order of the operations respects real time and the meaning of read, write and cas."""
    pending = [op for op in operations if op.type != "fail"]
    return _some_order(pending, frozenset(range(len(pending))), initial, set())


def _some_order(
    ops: list[Operation], left: frozenset[int], state: Any, hopeless: set[tuple[frozenset[int], Any]]
) -> bool:
    """Whether the operations ``left`` can follow each other from ``state``; the indeterminate ones need not happen."""
    if all(ops[i].type == "info" for i in left):
        return True
    if (left, state) in hopeless:
        return False
    for i in left:
        may_be_next = all(ops[i].start_index < ops[j].end_index for j in left)
        if may_be_next and _possible(ops[i], state) and _some_order(ops, left - {i}, _after(ops[i], state), hopeless):
            return True
    hopeless.add((left, state))
    return False


def _possible(op: Operation, state: Any) -> bool:
    if op.f == "cas":
        return bool(state == op.value[0])
    return op.f == "write" or op.type == "info" or op.result == state


def _after(op: Operation, state: Any) -> Any:
    return state if op.f == "read" else op.value[1] if op.f == "cas" else op.value
