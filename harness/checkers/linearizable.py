"""Every operation takes effect at one moment between its invocation and its end, for all clients in the same order.

Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990. Linearizability is local, so
each key is judged for itself; see :mod:`harness.kernels.linearize` for the search.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.checkers.register_story import Story, story
from harness.checkers.wording import count
from harness.kernels.linearize import NEVER, Budget, Decision, decide
from harness.kernels.models import MODELS, Compiled, compiled
from harness.model.clock import NS_PER_S
from harness.model.history import History, Operation
from harness.model.op import INFO, OK
from harness.model.verdict import Valid, Verdict

EXPLAINED: Final = 5
"""So many of the failing keys are explained, the earliest violations first."""


@dataclass(frozen=True)
class _Key:
    key: Any
    every: Sequence[Operation]
    compiled: Compiled
    decision: Decision


@dataclass(frozen=True)
class Linearizable:
    """Judges each key against ``model`` (a name in ``harness.kernels.models``), which starts in state ``initial``.

    ``time_limit_s`` is for all keys together, ``configurations`` for each; beyond them the verdict is unknown and says
    how far it got. ``ignore`` names operations that say nothing about this model (another kind of read).
    """

    model: str = "cas-register"
    initial: Any = None
    time_limit_s: float = 60.0
    configurations: int = 500_000
    ignore: tuple[str, ...] = ()
    name: str = "linearizable"

    def check(self, history: History) -> Verdict:
        """The verdict; unknown also when nothing was acknowledged or an operation is not the model's."""
        if self.model not in MODELS:
            return self._unknown(f"no model is called {self.model!r}; there are {', '.join(sorted(MODELS))}")
        groups = {
            key: [op for op in operations if op.f not in self.ignore] for key, operations in history.by_key().items()
        }
        if not any(op.type == OK for operations in groups.values() for op in operations):
            return self._unknown("no operation was acknowledged, so there is nothing to judge")
        try:
            keys = self._decided(groups)
        except ValueError as error:
            return self._unknown(str(error))
        return self._verdict(keys, history)

    def _decided(self, groups: dict[Any, list[Operation]]) -> list[_Key]:
        deadline_s = time.monotonic() + self.time_limit_s
        model = MODELS[self.model]
        work = [(key, every, compiled(every, model, self.initial)) for key, every in groups.items()]
        # Easy keys first, so that a hard one cannot use up the time of the others.
        work.sort(key=lambda item: (sum(call.end == NEVER for call in item[2].calls), len(item[2].calls)))
        budget = Budget(self.configurations, deadline_s)
        return [_Key(key, every, object_, decide(object_.calls, budget=budget)) for key, every, object_ in work]

    def _verdict(self, keys: list[_Key], history: History) -> Verdict:
        bad = sorted((key for key in keys if key.decision.valid is False), key=lambda key: key.decision.decided_to)
        undecided = [key for key in keys if key.decision.valid is None]
        stories = [
            story(key.key, key.every, MODELS[self.model], key.compiled, key.decision, history.faults)
            for key in bad[:EXPLAINED]
        ]
        operations = sum(len(key.every) for key in keys)
        size = f"{count(operations, 'operation')} on {count(len(keys), 'key')}"
        details = {
            "model": self.model,
            "keys": len(keys),
            "operations": operations,
            "indeterminate": sum(op.type == INFO for key in keys for op in key.every),
            "explored": sum(key.decision.explored for key in keys),
            "violations": [_fact(told) for told in stories],
            "bad_keys": [key.key for key in bad],
            "undecided": [_progress(key) for key in undecided],
        }
        excerpts = tuple(told.excerpt for told in stories)
        if bad:
            others = f" ({count(len(bad) - 1, 'other key')} violated, too)" if len(bad) > 1 else ""
            summary = f"not linearizable: {excerpts[0].title}{others}"
            return Verdict(checker=self.name, valid=Valid.FALSE, summary=summary, details=details, excerpts=excerpts)
        if undecided:
            cause = "; ".join(_told(progress) for progress in details["undecided"][:3])  # type: ignore[index]
            return self._unknown(cause, f"undecided: {count(len(undecided), 'key')} of {len(keys)}", details)
        return Verdict(checker=self.name, valid=Valid.TRUE, summary=f"linearizable: {size}", details=details)

    def _unknown(self, cause: str, summary: str = "undecided", details: dict[str, Any] | None = None) -> Verdict:
        return Verdict(
            checker=self.name, valid=Valid.UNKNOWN, summary=f"{summary}: {cause}", cause=cause, details=details or {}
        )


def _fact(told: Story) -> dict[str, Any]:
    return {"key": told.excerpt.key, "kind": told.kind, "title": told.excerpt.title, "event": told.culprit.end_index}


def _progress(key: _Key) -> dict[str, Any]:
    """How much of an undecided key's history is known to be in order."""
    decided = [op for op in key.every if op.end_index < key.decision.decided_to]
    return {
        "key": key.key,
        "limit": key.decision.limit,
        "operations": len(key.every),
        "decided_operations": len(decided),
        "decided_s": round(max((op.end_ns for op in decided), default=0) / NS_PER_S, 3),
    }


def _told(progress: dict[str, Any]) -> str:
    return (
        f"key {progress['key']}: {progress['limit']}; the first {progress['decided_operations']:,} of "
        f"{count(progress['operations'], 'operation')} ({progress['decided_s']} s) are in order"
    )
