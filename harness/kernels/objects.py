"""Objects whose state is more than one value: queues, sets, counters, several registers, strings that grow.

An object is a model with a start and one function: the state after an operation, ``NO`` when the operation is
impossible in that state, or ``Either`` of several states where an unseen answer leaves it open. States are hashable and
compared by value. Adding a model is adding an :class:`Object` to ``OBJECTS``.

The search is that of Wing and Gong with Lowe's memory of configurations ("Testing for linearizability", 2017): from
return to return, remembering which open operations took effect and the state. Two reductions, both exact: an operation
that only looks is taken at once when it fits, and indeterminate operations that would do the same are counted, not told
apart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from harness.kernels.calls import NEVER, Budget, Decision
from harness.kernels.models import Mark
from harness.model.columns import Columns, hashable
from harness.model.history import Operation
from harness.model.op import FAIL, INFO, OK

_READS: Final = ("read", "r", ":read", ":r")
NO: Final = Mark("NO")
"""The operation cannot happen in this state."""


class Either(NamedTuple):
    """Any of these states may follow."""

    states: tuple[Any, ...]


class Deed(NamedTuple):
    """What an operation did: ``f``, its argument, and its answer; ``seen`` is False when nobody saw the answer."""

    f: str
    value: Any
    result: Any
    seen: bool


Step = Callable[[Any, Deed], Any]


@dataclass(frozen=True)
class Object:
    """``begin`` makes the first state from the checker's ``initial``; ``step`` is described above. ``verbs`` are the
    operations it knows; ``looks`` says of a deed that it changes no state at all."""

    verbs: frozenset[str]
    begin: Callable[[Any], Hashable]
    step: Step
    looks: Callable[[Deed], bool] = lambda deed: deed.f in ("read", "members", "get")


def _increment(state: Any, deed: Deed) -> Any:
    if deed.f == "read":
        return state if not deed.seen or deed.result == state else NO
    amount = 1 if deed.value is None else deed.value
    after = state - amount if deed.f in ("decrement", "dec") else state + amount
    return after


def _set(state: Any, deed: Deed) -> Any:
    if deed.f in ("read", "members"):
        fits = not deed.seen or (deed.result is not None and frozenset(deed.result) == state)
        return state if fits else NO
    return state | {deed.value} if deed.f == "add" else state - {deed.value}


def _queue(state: Any, deed: Deed) -> Any:
    """Unordered. The state is a multiset: a frozen set of pairs (value, how many)."""
    counts = Counter(dict(state))
    if deed.f == "enqueue":
        counts[deed.value] += 1
    elif not deed.seen:
        return Either(tuple(_queue(state, Deed(deed.f, None, value, True)) for value in counts))
    elif deed.result is None:
        return NO if state else state
    elif counts[deed.result] < 1:
        return NO
    else:
        counts[deed.result] -= 1
    return frozenset((value, many) for value, many in counts.items() if many)


def _finds_nothing(deed: Deed) -> bool:
    return deed.f == "dequeue" and deed.seen and deed.result is None


def _fifo(state: Any, deed: Deed) -> Any:
    if deed.f == "enqueue":
        return (*state, deed.value)
    if not deed.seen:
        return state[1:]
    if deed.result is None:
        return state if not state else NO
    return state[1:] if state and state[0] == deed.result else NO


def _steps(deed: Deed) -> Any:
    return deed.result if deed.seen and deed.result is not None else deed.value or ()


def _only_reads(deed: Deed) -> bool:
    return all(f in _READS for f, _, _ in _steps(deed))


def _registers(state: Any, deed: Deed) -> Any:
    """A transaction is a list of ``[read, key, value]`` and ``[write, key, value]``, all at one moment."""
    now = dict(state)
    for f, key, value in _steps(deed):
        if f in _READS:
            if deed.seen and value is not None and now.get(key) != value:
                return NO
        else:
            now[key] = value
    return frozenset(now.items())


def _text(state: Any, deed: Deed) -> Any:
    if deed.f == "put":
        return deed.value
    if deed.f == "append":
        return state + deed.value
    return state if not deed.seen or (deed.result or "") == state else NO


_QUEUE_VERBS: Final = frozenset({"enqueue", "dequeue"})

OBJECTS: Final[dict[str, Object]] = {
    "counter": Object(
        frozenset({"read", "add", "inc", "increment", "dec", "decrement"}), lambda initial: initial or 0, _increment
    ),
    "set": Object(frozenset({"read", "members", "add", "remove"}), lambda initial: frozenset(initial or ()), _set),
    "unordered-queue": Object(
        frozenset({"enqueue", "dequeue"}),
        lambda initial: frozenset(Counter(initial or ()).items()),
        _queue,
        _finds_nothing,
    ),
    "fifo-queue": Object(
        frozenset({"enqueue", "dequeue"}), lambda initial: tuple(initial or ()), _fifo, _finds_nothing
    ),
    "multi-register": Object(
        frozenset({"txn"}), lambda initial: frozenset(dict(initial or ()).items()), _registers, _only_reads
    ),
    "kv-append": Object(frozenset({"get", "put", "append"}), lambda initial: initial or "", _text),
}


@dataclass(frozen=True)
class ObjectKey:
    """One object's operations: ``rows`` are their places in the columns; ``operations`` lacks those that failed."""

    key: Hashable
    rows: Any
    operations: list[Operation]
    model: Object
    initial: Hashable


def object_keys(
    columns: Columns, rows: Any, model: Object, initial: Any, operation_at: Callable[[int], Operation]
) -> list[ObjectKey]:
    """The objects of a history. Raises ValueError on an operation that the model does not know."""
    for number, f in enumerate(columns.fs):
        if f not in model.verbs and np.any(columns.f[rows] == number):
            known = ", ".join(sorted(model.verbs))
            raise ValueError(f"the model has no operation {f!r}, only {known}; use another model or ignore it")
    order = rows[np.argsort(columns.key[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(columns.key[order])) + 1
    begin, keys = model.begin(initial), []
    for part in np.split(order, cuts):
        number = int(columns.key[part[0]])
        operations = [op for op in map(operation_at, part.tolist()) if op.type != FAIL]
        keys.append(ObjectKey(columns.keys[number] if number >= 0 else None, part, operations, model, begin))
    return keys


def decide_objects(keys: Sequence[ObjectKey], budget: Budget) -> list[Decision]:
    """Decide each object, short ones first."""
    found: dict[int, Decision] = {}
    for which in sorted(range(len(keys)), key=lambda which: len(keys[which].operations)):
        found[which] = _Search(keys[which], budget).run()
    return [found[which] for which in range(len(keys))]


def deed(op: Operation) -> Deed:
    """What an operation did, in hashable form."""
    return Deed(op.f, hashable(op.value), hashable(op.result), op.type == OK)


_Config = tuple[int, Any, frozenset[Any], frozenset[Any]]
_Unsure = dict[int, tuple[int, int]]


class _Search:
    """Depth first. A configuration: level, state, open operations that took effect, counts of indeterminate ones."""

    def __init__(self, key: ObjectKey, budget: Budget) -> None:
        self.budget = budget
        self.step = key.model.step
        self.deeds = [deed(op) for op in key.operations]
        self.ends = [op.end_index if op.type != INFO else NEVER for op in key.operations]
        self.initial = key.initial
        kinds: dict[Deed, int] = {}
        self.kind = [kinds.setdefault(each, len(kinds)) for each in self.deeds]
        self.looks = [key.model.looks(each) for each in self.deeds]
        self.levels = self._levels(key.operations)
        self.after: dict[tuple[Any, int], tuple[Any, ...]] = {}

    def _levels(self, operations: Sequence[Operation]) -> list[tuple[int, list[int], _Unsure]]:
        """For each return: the operation, the certain ones open then, of the others one of each kind, and how many."""
        events = [(op.start_index, False, which) for which, op in enumerate(operations)]
        events += [(end, True, which) for which, end in enumerate(self.ends) if end != NEVER]
        levels: list[tuple[int, list[int], _Unsure]] = []
        is_open, unsure = dict[int, None](), _Unsure()
        for _, returns, which in sorted(events):
            if returns:
                levels.append((which, list(is_open), unsure))
                del is_open[which]
            elif self.ends[which] == NEVER and not self.looks[which]:
                first, many = unsure.get(self.kind[which], (which, 0))
                unsure = {**unsure, self.kind[which]: (first, many + 1)}
            elif self.ends[which] != NEVER:
                is_open[which] = None
        return levels

    def _next(self, state: Any, which: int) -> tuple[Any, ...]:
        """The states that may follow."""
        found = self.after.get((state, self.kind[which]))
        if found is None:
            after = self.step(state, self.deeds[which])
            found = after.states if isinstance(after, Either) else () if after is NO else (after,)
            self.after[state, self.kind[which]] = found
        return found

    def run(self) -> Decision:
        nothing: frozenset[Any] = frozenset()
        todo: list[_Config] = [(0, self.initial, nothing, nothing)]
        met: set[Any] = set()
        deepest = explored = 0
        while todo:
            level, state, done, used = todo.pop()
            if level == len(self.levels):
                return Decision(True, explored=explored)
            due, is_open, _ = self.levels[level]
            looks = [i for i in is_open if self.looks[i] and i not in done and self._next(state, i)]
            done = done.union(looks) if looks else done
            deepest = max(deepest, level)
            if (level, state, done, used) in met:
                continue
            met.add((level, state, done, used))
            explored += 1
            limit = self._limit(explored)
            if limit:
                return Decision(None, decided_to=self.ends[self.levels[deepest][0]], explored=explored, limit=limit)
            if due in done:
                todo.append((level + 1, state, done - {due}, used))
                continue
            todo += self._steps(level, state, done, used)
        if not self.levels:
            return Decision(True)
        culprit = self.levels[deepest][0]
        return Decision(False, culprit, decided_to=self.ends[culprit], explored=explored)

    def _steps(self, level: int, state: Any, done: frozenset[Any], used: frozenset[Any]) -> Iterator[_Config]:
        """All that can come next; tried first is what must return first."""
        _, is_open, unsure = self.levels[level]
        counts = dict(used)
        for kind, (which, many) in unsure.items():
            if counts.get(kind, 0) < many:
                more = frozenset({**counts, kind: counts.get(kind, 0) + 1}.items())
                for after in self._next(state, which):
                    if after != state:
                        yield level, after, done, more
        for which in sorted(is_open, key=lambda i: -self.ends[i]):
            if which not in done and not self.looks[which]:
                for after in self._next(state, which):
                    yield level, after, done | {which}, used

    def _limit(self, explored: int) -> str:
        if explored > min(self.budget.configurations, self.budget.memory_mb << 10):
            return f"more than {explored - 1:,} configurations"
        if explored % 256 == 0 and time.monotonic() > self.budget.deadline_s:
            return "time limit"
        return ""
