"""A slow judge of transactions that is easy to believe: try every order, one by one.

It shares no code with the checkers. Good for about five transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, combinations, permutations
from typing import Any

from harness.model.history import Operation

State = dict[Any, Any]


def serializable(operations: Iterable[Operation], strict: bool = False) -> bool:
    """Whether some order, executed one after the other, gives every acknowledged answer.

    ``strict``: and what ended before something else began also comes first.
    """
    for order in _orders(operations):
        if strict and any(
            late.end_index < early.start_index for i, early in enumerate(order) for late in order[i + 1 :]
        ):
            continue
        states = _states(order)
        if all(_fits(op, states[i]) for i, op in enumerate(order)):
            return True
    return False


def snapshot_isolated(operations: Iterable[Operation]) -> bool:
    """Whether there is an order of commits in which everyone read some earlier state, and no one wrote what
    somebody else committed since that state (generalized snapshot isolation: the state may be old)."""
    for order in _orders(operations):
        states = _states(order)
        if all(
            any(_fits(op, states[begin]) and _alone(op, order[begin:i]) for begin in range(i + 1))
            for i, op in enumerate(order)
        ):
            return True
    return False


def _orders(operations: Iterable[Operation]) -> Iterable[tuple[Operation, ...]]:
    """All orders of what certainly happened with any of what may have happened."""
    ops = list(operations)
    certain, maybe = [op for op in ops if op.type == "ok"], [op for op in ops if op.type == "info"]
    subsets = chain.from_iterable(combinations(maybe, size) for size in range(len(maybe) + 1))
    return chain.from_iterable(permutations([*certain, *some]) for some in subsets)


def _states(order: Sequence[Operation]) -> list[State]:
    """The state before each transaction, and after the last."""
    states: list[State] = [{}]
    for op in order:
        states.append(_run(op, states[-1])[0])
    return states


def _run(op: Operation, state: State) -> tuple[State, list[Any]]:
    """The state after the transaction, and what it reads."""
    state, reads = dict(state), []
    for f, key, value in op.value:
        if f == "append":
            state[key] = [*state.get(key, []), value]
        elif f == "w":
            state[key] = value
        else:
            reads.append(state.get(key))
    return state, reads


def _fits(op: Operation, state: State) -> bool:
    if op.type != "ok":
        return True
    seen = [value for f, _, value in op.result if f == "r"]
    return [value or None for value in _run(op, state)[1]] == [value or None for value in seen]


def _alone(op: Operation, others: Iterable[Operation]) -> bool:
    mine = {key for f, key, _ in op.value if f != "r"}
    return all(mine.isdisjoint(key for f, key, _ in other.value if f != "r") for other in others)
