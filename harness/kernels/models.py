"""What an operation means to one object, as a guarded assignment: "needs this state, leaves that one".

A model is one function from an operation to its :class:`Effect`, or None when the operation says nothing about
the object (a read whose answer nobody saw). Registers, compare-and-set registers, mutexes and flags are all of
this form, and the search in :mod:`harness.kernels.linear.linearize` draws its speed from it. Adding a model is adding
a function to ``MODELS``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from harness.kernels.calls import ANY, KEEP, Call
from harness.model.history import Operation
from harness.model.op import FAIL, OK


class Mark:
    """The type of the two marks below."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


ANYTHING: Final = Mark("ANYTHING")
"""A guard that every state meets."""
UNCHANGED: Final = Mark("UNCHANGED")
"""The effect of an operation that only looks."""


class Effect(NamedTuple):
    """The operation is possible only in state ``needs``; afterwards the state is ``leaves``."""

    needs: Any = ANYTHING
    leaves: Any = UNCHANGED


Model = Callable[[Operation], Effect | None]


def register(op: Operation) -> Effect | None:
    """A register with ``read`` and ``write``. Raises ValueError on any other operation."""
    if op.f == "read":
        return Effect(needs=op.result) if op.type == OK else None
    if op.f == "write":
        return Effect(leaves=op.value)
    raise ValueError(f"a register has no operation {op.f!r}; use another model or let the checker ignore it")


def cas_register(op: Operation) -> Effect | None:
    """A register with ``read``, ``write`` and ``cas``, whose value is ``[expected, new]``."""
    if op.f != "cas":
        return register(op)
    if not isinstance(op.value, list | tuple) or len(op.value) != 2:
        raise ValueError(f"the value of cas is {op.value!r}; it must be [expected, new]")
    expected, new = op.value
    return Effect(needs=expected, leaves=new)


def mutex(op: Operation) -> Effect | None:
    """A lock with ``acquire`` and ``release``. Free is the state None."""
    if op.f == "acquire":
        return Effect(needs=None, leaves="held")
    if op.f == "release":
        return Effect(needs="held", leaves=None)
    raise ValueError(f"a mutex has no operation {op.f!r}; use another model or let the checker ignore it")


MODELS: Final[dict[str, Model]] = {"register": register, "cas-register": cas_register, "mutex": mutex}


def freeze(value: Any) -> Hashable:
    """A hashable stand-in that is equal exactly when the JSON values are: True is not 1, a list is its items."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list | tuple):
        return ("list", *map(freeze, value))
    if isinstance(value, dict):
        return ("dict", frozenset((key, freeze(item)) for key, item in value.items()))
    hash(value)
    return value  # type: ignore[no-any-return]


class Compiled(NamedTuple):
    """One object's operations as the search wants them: ``calls[i]`` is ``operations[i]``, ``states[n]`` is what the
    number ``n`` stands for. The object began in one of the states ``initial``."""

    operations: list[Operation]
    calls: list[Call]
    states: Sequence[Any]
    initial: Sequence[int] = (0,)


def compiled(operations: Iterable[Operation], model: Model, initial: Any) -> Compiled:
    """Number one object's states; leaves out operations that failed or say nothing. Raises the model's ValueError."""
    numbers: dict[Hashable, int] = {freeze(initial): 0}
    states = [initial]

    def number(state: Any) -> int:
        found = numbers.setdefault(freeze(state), len(states))
        if found == len(states):
            states.append(state)
        return found

    kept, calls = [], []
    for op in operations:
        effect = model(op) if op.type != FAIL else None
        if effect is None:
            continue
        needs = ANY if effect.needs is ANYTHING else number(effect.needs)
        leaves = KEEP if effect.leaves is UNCHANGED else number(effect.leaves)
        kept.append(op)
        calls.append(Call(needs, leaves, op.start_index, op.end_index))
    return Compiled(kept, calls, states)
