"""A slow judge that is easy to believe: try every order of an object's operations, one by one.

It shares no code with the checkers. Good for about a dozen operations on one object.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from harness.model.history import Operation

IMPOSSIBLE = object()
Meaning = Callable[[Any, Operation], Any]
"""The state after an operation, a list of states that may follow, or IMPOSSIBLE."""


def linearizable(operations: Iterable[Operation], initial: Any = None, model: str = "cas-register") -> bool:
    """Whether some order of the operations respects real time and the meaning of the model."""
    pending = [op for op in operations if op.type != "fail"]
    return _some_order(pending, MEANINGS[model], frozenset(range(len(pending))), initial, set())


def linearizable_with_failures(operations: Iterable[Operation], initial: Any = None) -> bool:
    """The same for a register whose failed compare-and-sets found another value than they expected."""
    pending = [op for op in operations if op.type != "fail" or op.f == "cas"]
    return _some_order(pending, _register_with_failures, frozenset(range(len(pending))), initial, set())


def _some_order(
    ops: Sequence[Operation],
    meaning: Meaning,
    left: frozenset[int],
    state: Hashable,
    hopeless: set[tuple[frozenset[int], Hashable]],
) -> bool:
    """Whether the operations ``left`` can follow each other from ``state``; the indeterminate ones need not happen."""
    if all(ops[i].type == "info" for i in left):
        return True
    if (left, state) in hopeless:
        return False
    for i in left:
        if all(ops[i].start_index < ops[j].end_index for j in left):
            after = meaning(state, ops[i])
            states = after if isinstance(after, list) else [] if after is IMPOSSIBLE else [after]
            if any(_some_order(ops, meaning, left - {i}, each, hopeless) for each in states):
                return True
    hopeless.add((left, state))
    return False


def _register(state: Any, op: Operation) -> Any:
    if op.f == "cas":
        return op.value[1] if state == op.value[0] else IMPOSSIBLE
    if op.f == "write":
        return op.value
    return state if op.type == "info" or op.result == state else IMPOSSIBLE


def _register_with_failures(state: Any, op: Operation) -> Any:
    if op.type == "fail":
        return IMPOSSIBLE if state == op.value[0] else state
    return _register(state, op)


def _mutex(state: Any, op: Operation) -> Any:
    before, after = (None, "held") if op.f == "acquire" else ("held", None)
    return after if state == before else IMPOSSIBLE


def _counter(state: Any, op: Operation) -> Any:
    if op.f == "add":
        return state + op.value
    return state if op.type == "info" or op.result == state else IMPOSSIBLE


def _set(state: Any, op: Operation) -> Any:
    if op.f == "add":
        return tuple(sorted({*state, op.value}))
    if op.f == "remove":
        return tuple(sorted({*state} - {op.value}))
    return state if op.type == "info" or sorted(op.result) == list(state) else IMPOSSIBLE


def _flag(state: Any, op: Operation) -> Any:
    if op.f == "add":
        return True
    return state if op.type == "info" or op.result == state else IMPOSSIBLE


def _fifo(state: Any, op: Operation) -> Any:
    if op.f == "enqueue":
        return (*state, op.value)
    if op.type == "info":
        return state[1:]
    if op.result is None:
        return IMPOSSIBLE if state else state
    return state[1:] if state[:1] == (op.result,) else IMPOSSIBLE


def _bag(state: Any, op: Operation) -> Any:
    if op.f == "enqueue":
        return tuple(sorted((*state, op.value)))
    if op.type == "info":
        return [tuple(state[:i] + state[i + 1 :]) for i in range(len(state))] or [state]
    if op.result is None:
        return IMPOSSIBLE if state else state
    if op.result not in state:
        return IMPOSSIBLE
    at = state.index(op.result)
    return state[:at] + state[at + 1 :]


def _text(state: Any, op: Operation) -> Any:
    if op.f == "get":
        return state if op.type == "info" or (op.result or "") == state else IMPOSSIBLE
    return op.value if op.f == "put" else state + op.value


def _registers(state: Any, op: Operation) -> Any:
    now = dict(state)
    for f, key, value in op.value if op.type == "info" else op.result:
        if f == "write":
            now[key] = value
        elif op.type == "ok" and value is not None and now.get(key) != value:
            return IMPOSSIBLE
    return tuple(sorted(now.items()))


MEANINGS: dict[str, Meaning] = {
    "register": _register,
    "cas-register": _register,
    "mutex": _mutex,
    "counter": _counter,
    "set": _set,
    "flag": _flag,
    "fifo-queue": _fifo,
    "unordered-queue": _bag,
    "kv-append": _text,
    "multi-register": _registers,
}
