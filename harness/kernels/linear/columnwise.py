"""A whole history as calls, key by key: from operations in columns to what the searches read."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.kernels.calls import ANY, KEEP, Budget, CallColumns, Decision, but
from harness.kernels.linear.decide import SMALL, decide_calls
from harness.kernels.models import ANYTHING, UNCHANGED, Effect, Model, cas_register, freeze, register
from harness.model.columns import FAIL_CODE, NEVER, NONE, OK_CODE, TYPE_CODES, Columns
from harness.model.history import NEVER_NS, Operation

_PLAIN_TOTAL: Final = 20_000
"""Up to so many operations in all, keys of middle size are decided without compiled code."""
_TINY: Final = 64
"""Up to so many operations, a key is always tried without compiled code."""
_TYPES: Final = {code: type_ for type_, code in TYPE_CODES.items()}
_WORKERS: Final = 2

Rows = npt.NDArray[np.intp]
States = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Reading:
    """How a register's answers are meant. ``failed_cas``: a compare-and-set that failed is ``absent``, or
    ``constrains`` (the register did not hold the expected value then). ``nil_read``: a read that answered nothing saw
    the ``initial`` value, or is ``unknown`` (it says nothing)."""

    initial: Any = None
    failed_cas: str = "absent"
    nil_read: str = "initial"


@dataclass(frozen=True)
class KeyCalls:
    """One key's calls. ``rows`` are all its operations' positions in the columns; ``kept[i]`` is the position of call
    ``i``. State ``n`` stands for ``values[n]``; the initial one is 0."""

    key: Hashable
    rows: Rows
    kept: Rows
    calls: CallColumns
    numbers: States | None
    names: Names

    @property
    def states(self) -> StateNames:
        """What each state's number stands for."""
        return StateNames(self)

    def value(self, state: int) -> Any:
        """What one state's number stands for; None for a number beyond them."""
        if state >= self.calls.states:
            return None
        return self.names.value(int(state if self.numbers is None else self.numbers[state]))


class StateNames(Sequence[Any]):
    """The values of a key's states, looked up when asked for: there may be millions."""

    def __init__(self, key: KeyCalls) -> None:
        self._key = key

    def __len__(self) -> int:
        return self._key.calls.states

    def __getitem__(self, state: Any) -> Any:
        return self._key.value(state)


class Names:
    """Numbers for values: those of the columns, with the initial value's number and 0 exchanged, and some more."""

    def __init__(self, values: Sequence[Any], initial: Any) -> None:
        self._values = values
        self._more: list[Any] = []
        self._numbers: dict[Hashable, int] | None = None
        self.initial = self._found(initial)

    def _found(self, value: Any) -> int:
        if value is None:
            return NONE
        tagged = freeze(value)
        found = (i for i, other in enumerate(self._values) if type(other) is type(value) and freeze(other) == tagged)
        number = next(found, len(self._values))
        if number == len(self._values):
            self._more.append(value)
        return number

    def number(self, value: Any) -> int:
        """The number of a value, before the exchange."""
        if self._numbers is None:
            self._numbers = {freeze(each): i for i, each in reversed(list(enumerate(self._values)))}
            self._numbers |= {freeze(each): len(self._values) + i for i, each in enumerate(self._more)}
        found = self._numbers.setdefault(freeze(value), len(self._values) + len(self._more))
        if found == len(self._values) + len(self._more):
            self._more.append(value)
        return found

    def exchanged(self, states: States) -> States:
        """The same states, with the initial value as number 0."""
        if self.initial == NONE:
            return states
        return np.where(states == self.initial, 0, np.where(states == 0, self.initial, states)).astype(np.int32)

    def value(self, state: int) -> Any:
        number = {0: self.initial, self.initial: 0}.get(state, state)
        return self._values[number] if number < len(self._values) else self._more[number - len(self._values)]

    def __len__(self) -> int:
        return len(self._values) + len(self._more)


def operation(columns: Columns, row: int) -> Operation:
    """One operation as an object."""
    end, key = int(columns.end[row]), int(columns.key[row])
    seen = int(columns.end_ns[row])
    never = end >= int(NEVER)
    return Operation(
        process=int(columns.process[row]),
        f=columns.fs[columns.f[row]],
        type=_TYPES[int(columns.type[row])],
        key=columns.keys[key] if key >= 0 else None,
        value=columns.values[columns.value[row]],
        result=columns.values[columns.result[row]],
        start_ns=int(columns.start_ns[row]),
        end_ns=NEVER_NS if never else seen,
        seen_end_ns=NEVER_NS if never or seen < 0 else seen,
        start_index=int(columns.start[row]),
        end_index=NEVER_NS if never else end,
    )


def calls_by_key(columns: Columns, rows: Rows, model: Model, reading: Reading) -> Iterator[KeyCalls]:
    """The calls of each key, in order of the keys' numbers. Raises the model's ValueError."""
    names = Names(columns.values, reading.initial)
    plain = model in (register, cas_register)
    effects = _register_effects if plain else _effects
    needs, leaves, kept = effects(columns, rows, model, reading, names)
    guards = np.where(needs <= but(0), but(0) - needs, needs).astype(np.int32)
    exchanged = names.exchanged(guards)
    needs = np.where(needs <= but(0), but(0) - exchanged, np.where(needs == ANY, ANY, exchanged)).astype(np.int32)
    leaves = np.where(leaves == KEEP, KEEP, names.exchanged(leaves)).astype(np.int32)
    for key, at in _groups(columns.key[rows]):
        mine = at[kept[at]]
        which = rows[mine]
        numbers, total, key_needs, key_leaves = None, len(names), needs[mine], leaves[mine]
        if len(at) < len(rows):
            numbers, key_needs, key_leaves = _compact(key_needs, key_leaves)
            total = len(numbers)
        calls = CallColumns(key_needs, key_leaves, columns.start[which], columns.end[which], total)
        name = columns.keys[key] if key >= 0 else None
        yield KeyCalls(name, rows[at], which, calls, numbers, names)


def decide_all(keys: list[KeyCalls], budget: Budget) -> list[Decision]:
    """Decide every key, short ones first, so that a hard one cannot use up the time of the others. Long ones share
    the cores."""
    total = sum(len(key.calls) for key in keys)

    def decide(which: int) -> Decision:
        calls = keys[which].calls
        if time.monotonic() > budget.deadline_s:
            return Decision(None, decided_to=-1, limit="time limit")
        small = len(calls) <= (_TINY if total > _PLAIN_TOTAL else SMALL)
        return decide_calls(calls, budget, small)

    order = sorted(range(len(keys)), key=lambda which: (_unsure(keys[which].calls), len(keys[which].calls)))
    found: dict[int, Decision] = {}
    shared = [which for which in order if len(keys[which].calls) > _TINY] if total > _PLAIN_TOTAL else []
    found |= {which: decide(which) for which in order if not shared or len(keys[which].calls) <= _TINY}
    with ThreadPoolExecutor(_WORKERS) as pool:
        found |= dict(zip(shared, pool.map(decide, shared), strict=True))
    return [found[which] for which in range(len(keys))]


def _unsure(calls: CallColumns) -> int:
    return int(np.count_nonzero(calls.end >= NEVER))


def _groups(keys: npt.NDArray[np.int32]) -> Iterator[tuple[int, Rows]]:
    if not len(keys):
        return
    order = np.argsort(keys, kind="stable") if np.any(keys != keys[0]) else np.arange(len(keys))
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    for part in np.split(order, cuts):
        yield int(keys[part[0]]), part


def _compact(needs: States, leaves: States) -> tuple[States, States, States]:
    """Number only the states that a key has; 0 stays 0. Returns what the new numbers stand for, and the new calls."""
    guarded = np.where(needs <= but(0), but(0) - needs, np.maximum(needs, 0))
    numbers, places = np.unique(np.concatenate([[0], guarded, np.maximum(leaves, 0)]), return_inverse=True)
    at_needs, at_leaves = places[1 : len(needs) + 1], places[len(needs) + 1 :]
    new_needs = np.where(needs <= but(0), but(0) - at_needs, np.where(needs == ANY, ANY, at_needs))
    new_leaves = np.where(leaves == KEEP, KEEP, at_leaves)
    return numbers.astype(np.int32), new_needs.astype(np.int32), new_leaves.astype(np.int32)


def _register_effects(
    columns: Columns, rows: Rows, model: Model, reading: Reading, names: Names
) -> tuple[States, States, npt.NDArray[np.bool_]]:
    """Guards, effects and whether an operation says anything; whole columns at once."""
    f, kind = columns.f[rows], columns.type[rows]
    value, result = columns.value[rows], columns.result[rows]
    is_f = {name: f == number for number, name in enumerate(columns.fs)}
    known = ("read", "write", "cas") if model is cas_register else ("read", "write")
    for name, there in is_f.items():
        if name not in known and there.any():
            model(operation(columns, int(rows[np.argmax(there)])))
    nothing = np.zeros(len(rows), np.bool_)
    reads, writes, swaps = (is_f.get(name, nothing) for name in ("read", "write", "cas"))
    seen = np.where(result == NONE, names.initial, result)
    needs = np.where(reads, seen, ANY).astype(np.int32)
    leaves = np.where(writes, value, KEEP).astype(np.int32)
    kept = (reads & (kind == OK_CODE)) | (writes & (kind != FAIL_CODE)) | (swaps & (kind != FAIL_CODE))
    if reading.nil_read == "unknown":
        kept &= ~(reads & (result == NONE))
    at = np.flatnonzero(swaps)
    if model is cas_register and at.size:
        expected, new = _arguments(columns, rows, at, value[at], model, names)
        failed = kind[at] == FAIL_CODE
        needs[at] = np.where(failed, but(0) - expected, expected)
        leaves[at] = np.where(failed, KEEP, new)
        if reading.failed_cas == "constrains":
            kept[at] = True
    return needs, leaves, kept


def _arguments(
    columns: Columns, rows: Rows, at: Rows, values: States, model: Model, names: Names
) -> tuple[States, States]:
    """The numbers of what each compare-and-set expects and writes."""
    distinct, first, place = np.unique(values, return_index=True, return_inverse=True)
    pairs = np.empty((len(distinct), 2), np.int32)
    for i, number in enumerate(distinct):
        said = columns.values[number]
        if not isinstance(said, tuple) or len(said) != 2:
            model(operation(columns, int(rows[at[first[i]]])))  # raises
        pairs[i] = [names.number(item) for item in said]
    return pairs[place, 0], pairs[place, 1]


def _effects(
    columns: Columns, rows: Rows, model: Model, reading: Reading, names: Names
) -> tuple[States, States, npt.NDArray[np.bool_]]:
    """The same for any model: it is asked once for each different operation."""
    parts: list[Any] = [columns.f[rows], columns.type[rows], columns.value[rows], columns.result[rows]]
    together: Any = np.stack(parts)
    _, first, place = np.unique(together, axis=1, return_index=True, return_inverse=True)
    found = np.empty((len(first), 3), np.int32)
    for i, row in enumerate(rows[first]):
        said = None if columns.type[row] == FAIL_CODE else model(operation(columns, int(row)))
        effect = said or Effect()
        found[i] = (
            ANY if effect.needs is ANYTHING else names.number(effect.needs),
            KEEP if effect.leaves is UNCHANGED else names.number(effect.leaves),
            said is not None,
        )
    place = place.ravel()
    return found[place, 0], found[place, 1], found[place, 2].astype(np.bool_)
