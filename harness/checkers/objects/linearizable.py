"""Every operation takes effect at one moment between its invocation and its end, for all clients in the same order.

Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990. Linearizability is local, so
each key is judged for itself; see :mod:`harness.kernels.linear.decide` for the searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from harness.checkers.objects.object_story import object_story
from harness.checkers.objects.register_story import Story, story
from harness.checkers.wording import count
from harness.kernels.calls import Budget, Decision
from harness.kernels.linear.columnwise import KeyCalls, Reading, calls_by_key, decide_all, operation
from harness.kernels.linear.excerpt import WHOLE, excerpt
from harness.kernels.models import MODELS, Compiled, Model
from harness.kernels.objects import OBJECTS, Object, ObjectKey, decide_objects, object_keys
from harness.model.clock import NS_PER_S
from harness.model.columns import FAIL_CODE, INFO_CODE, OK_CODE, Columns, columns_of
from harness.model.history import FaultWindow, History, Operation
from harness.model.verdict import Valid, Verdict

EXPLAINED: Final = 5
"""So many of the failing keys are explained, the earliest violations first."""
UNLIMITED: Final = 1 << 40

OperationAt = Callable[[int], Operation]
Key = KeyCalls | ObjectKey


@dataclass(frozen=True)
class Linearizable:
    """Judges each key against ``model`` (a name in ``harness.kernels.models`` or ``harness.kernels.objects``), which
    starts in state ``initial``. ``own`` is a model of yours instead; ``model`` is then what to call it.

    ``failed_cas`` and ``nil_read`` say what a register's answers mean, see ``harness.kernels.linear.columnwise``.
    ``time_limit_s`` is for all keys together, ``memory_mb`` and ``configurations`` for each; beyond them the verdict is
    unknown and says how far it got. ``ignore`` names operations that say nothing about this model.
    Without ``needs_evidence`` a history that acknowledges nothing is valid, for nothing in it contradicts the model.
    """

    model: str = "cas-register"
    initial: Any = None
    time_limit_s: float = 60.0
    configurations: int = UNLIMITED
    ignore: tuple[str, ...] = ()
    name: str = "linearizable"
    failed_cas: str = "absent"
    nil_read: str = "initial"
    memory_mb: int = 1024
    needs_evidence: bool = True
    own: Model | Object | None = None

    def check(self, history: History) -> Verdict:
        """The verdict; unknown also when nothing was acknowledged or an operation is not the model's."""
        return self._checked(columns_of(history), history.operations.__getitem__, history.faults)

    def check_columns(self, columns: Columns) -> Verdict:
        """The same for operations in columns."""
        return self._checked(columns, lambda row: operation(columns, row), ())

    @property
    def _meaning(self) -> Model | Object | None:
        return self.own or MODELS.get(self.model) or OBJECTS.get(self.model)

    def _checked(self, columns: Columns, operation_at: OperationAt, faults: Sequence[FaultWindow]) -> Verdict:
        if self._meaning is None:
            known = ", ".join(sorted({*MODELS, *OBJECTS}))
            return self._unknown(f"no model is called {self.model!r}; there are {known}")
        ignored = [number for number, name in enumerate(columns.fs) if name in self.ignore]
        rows = np.flatnonzero(~np.isin(columns.f, ignored)) if ignored else np.arange(len(columns))
        if self.needs_evidence and not np.any(columns.type[rows] == OK_CODE):
            return self._unknown("no operation was acknowledged, so there is nothing to judge")
        budget = Budget(self.configurations, time.monotonic() + self.time_limit_s, self.memory_mb)
        try:
            keys, decisions = self._decided(columns, rows, operation_at, budget)
        except ValueError as error:
            return self._unknown(str(error))
        return self._verdict(columns, list(zip(keys, decisions, strict=True)), operation_at, faults)

    def _decided(
        self, columns: Columns, rows: Any, operation_at: OperationAt, budget: Budget
    ) -> tuple[Sequence[Key], list[Decision]]:
        model = self._meaning
        assert model is not None
        if isinstance(model, Object):
            objects = object_keys(columns, rows, model, self.initial, operation_at)
            return objects, decide_objects(objects, budget)
        reading = Reading(self.initial, self.failed_cas, self.nil_read)
        keys = list(calls_by_key(columns, rows, model, reading))
        return keys, decide_all(keys, budget)

    def _verdict(
        self,
        columns: Columns,
        decided: list[tuple[Key, Decision]],
        operation_at: OperationAt,
        faults: Sequence[FaultWindow],
    ) -> Verdict:
        bad = sorted((each for each in decided if each[1].valid is False), key=lambda each: each[1].decided_to)
        undecided = [_progress(columns, key, decision) for key, decision in decided if decision.valid is None]
        stories = [self._story(columns, key, decision, operation_at, faults) for key, decision in bad[:EXPLAINED]]
        operations = sum(len(key.rows) for key, _ in decided)
        acknowledged = sum(int(np.count_nonzero(columns.type[key.rows] == OK_CODE)) for key, _ in decided)
        details = {
            "model": self.model,
            "keys": len(decided),
            "operations": operations,
            "acknowledged": acknowledged,
            "indeterminate": sum(int(np.count_nonzero(columns.type[key.rows] == INFO_CODE)) for key, _ in decided),
            "explored": sum(decision.explored for _, decision in decided),
            "violations": [_fact(told) for told in stories],
            "bad_keys": [key.key for key, _ in bad],
            "undecided": undecided,
        }
        excerpts = tuple(told.excerpt for told in stories)
        if bad:
            others = f" ({count(len(bad) - 1, 'other key')} violated, too)" if len(bad) > 1 else ""
            summary = f"not linearizable: {excerpts[0].title}{others}"
            return Verdict(checker=self.name, valid=Valid.FALSE, summary=summary, details=details, excerpts=excerpts)
        size = f"{count(operations, 'operation')} on {count(len(decided), 'key')}"
        if undecided:
            open_operations = sum(each["operations"] - each["decided_operations"] for each in undecided)
            details["decided_operations"] = operations - open_operations
            cause = "; ".join(_told(progress) for progress in undecided[:3])
            return self._unknown(cause, f"undecided: {count(len(undecided), 'key')} of {len(decided)}", details)
        summary = f"linearizable: {size}"
        if not acknowledged:
            summary = f"nothing was acknowledged, so nothing was proved: {size} contradict no model"
        return Verdict(checker=self.name, valid=Valid.TRUE, summary=summary, details=details)

    def _story(
        self,
        columns: Columns,
        key: Key,
        decision: Decision,
        operation_at: OperationAt,
        faults: Sequence[FaultWindow],
    ) -> Story:
        if isinstance(key, ObjectKey):
            return object_story(key, decision, faults)
        part = excerpt(key.calls, decision)
        chosen = [operation_at(int(row)) for row in key.kept[part.at]]
        every = [operation_at(int(row)) for row in _told_of(columns, key, decision)]
        compiled = Compiled(chosen, part.calls, key.states, part.initial)
        at_culprit = Decision(False, part.at.index(_culprit(decision)), decision.states, decision.decided_to)
        model = self._meaning
        assert model is not None
        assert not isinstance(model, Object)
        return story(key.key, every, model, compiled, at_culprit, faults)

    def _unknown(self, cause: str, summary: str = "undecided", details: dict[str, Any] | None = None) -> Verdict:
        return Verdict(
            checker=self.name, valid=Valid.UNKNOWN, summary=f"{summary}: {cause}", cause=cause, details=details or {}
        )


def _culprit(decision: Decision) -> int:
    """The operation that no order can satisfy; every negative decision has one."""
    assert decision.culprit is not None
    return decision.culprit


def _told_of(columns: Columns, key: KeyCalls, decision: Decision) -> Any:
    """The operations in which a story looks for its witnesses: all of a short history; of a long one those that
    wrote, or failed to write, what the culprit saw, and those around it."""
    if len(key.rows) <= WHOLE:
        return key.rows
    culprit = _culprit(decision)
    row = key.kept[culprit]
    wrote = key.kept[key.calls.leaves == key.calls.needs[culprit]]
    value = columns.result[row]
    failed = key.rows[(columns.type[key.rows] == FAIL_CODE) & (columns.value[key.rows] == value)]
    at = int(np.searchsorted(key.rows, row))
    return np.unique(np.concatenate([wrote[:WHOLE], failed[:WHOLE], key.rows[max(0, at - WHOLE) : at + WHOLE]]))


def _fact(told: Story) -> dict[str, Any]:
    return {"key": told.excerpt.key, "kind": told.kind, "title": told.excerpt.title, "event": told.culprit.end_index}


def _progress(columns: Columns, key: Key, decision: Decision) -> dict[str, Any]:
    """How much of an undecided key's history is known to be in order."""
    decided = key.rows[columns.end[key.rows] < decision.decided_to]
    return {
        "key": key.key,
        "limit": decision.limit,
        "operations": len(key.rows),
        "decided_operations": len(decided),
        "decided_s": round(max(0, int(columns.end_ns[decided].max(initial=0))) / NS_PER_S, 3),
    }


def _told(progress: dict[str, Any]) -> str:
    return (
        f"key {progress['key']}: {progress['limit']}; the first {progress['decided_operations']:,} of "
        f"{count(progress['operations'], 'operation')} ({progress['decided_s']} s) are in order"
    )
