"""Why the history of a queue, a set, a counter ... is not linearizable, for people."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, Final

from harness.checkers import stuck
from harness.checkers.deeds import deed, tell, whose
from harness.checkers.register_story import Story
from harness.checkers.wording import amid, client, count, thing
from harness.kernels.calls import NEVER, Decision
from harness.kernels.objects import NO, OBJECTS, Either, Object, ObjectKey
from harness.kernels.objects import deed as done
from harness.model.history import FaultWindow, Operation
from harness.model.op import INFO
from harness.model.verdict import Excerpt, Marked, Order

SHOWN: Final = 12
WHOLE: Final = 30
"""Up to so many operations that came before are all shown."""


def object_story(key: ObjectKey, decision: Decision, faults: Sequence[FaultWindow]) -> Story:
    """Explain a decision that is not valid: the operation that no order can hold, and what came before it."""
    culprit = key.operations[decision.culprit or 0]
    about = "" if key.key is None else f" of key {key.key}"
    trouble = amid(faults, culprit.start_ns, culprit.end_ns)
    before = [op for op in key.operations if op.start_index < culprit.end_index and op is not culprit]
    nearest = sorted(before, key=lambda op: min(op.end_index, culprit.end_index))
    nearest = nearest if len(nearest) < WHOLE else nearest[-(SHOWN - 1) :]
    shown = sorted([*nearest, culprit], key=lambda op: op.start_index)
    tried = _orders(key, shown, shown.index(culprit)) if len(nearest) == len(before) else ()
    held = sorted({order.why.rpartition(" would hold ")[2] for order in tried})
    could = f": {_object(key)} could only hold {' or '.join(held)} then" if held else ""
    title = f"{client(culprit)}: {deed(culprit)}{about} fits into no order{could}{f', {trouble}' if trouble else ''}"
    marked = tuple(Marked(operation=op, mark="culprit" if op is culprit else "context", note=tell(op)) for op in shown)
    left_out = len(before) - len(nearest)
    steps = (
        *(each.note for each in marked),
        *([f"{count(left_out, 'earlier operation')} on it belong to the argument and are not shown."] * (left_out > 0)),
        f"All that ended before {whose(culprit)} can be ordered; with it no order is left.",
        *stuck.told(tried, lambda which: whose(shown[which])),
    )
    return Story("disorder", Excerpt(title=title, operations=marked, steps=steps, key=key.key, orders=tried), culprit)


def _orders(key: ObjectKey, shown: Sequence[Operation], culprit: int) -> tuple[Order, ...]:
    deeds = [done(op) for op in shown]

    def after(state: Hashable, which: int) -> tuple[Any, ...]:
        found = key.model.step(state, deeds[which])
        return found.states if isinstance(found, Either) else () if found is NO else (found,)

    return stuck.orders(
        stuck.Scene(
            spans=[stuck.Span(op.start_index, NEVER if op.type == INFO else op.end_index) for op in shown],
            culprit=culprit,
            initial=(key.initial,),
            after=after,
            word=partial(_held, _name(key.model)),
            holds=f"{_object(key)} would hold",
            who=whose(shown[culprit]),
        )
    )


_NOUNS: Final = {
    "counter": "the counter",
    "set": "the set",
    "unordered-queue": "the queue",
    "fifo-queue": "the queue",
    "multi-register": "the registers",
    "kv-append": "the text",
}


def _object(key: ObjectKey) -> str:
    return _NOUNS.get(_name(key.model), "the object") if key.key is None else f"key {key.key}"


def _name(model: Object) -> str:
    return next((name for name, known in OBJECTS.items() if known is model), "")


def _held(name: str, state: Any) -> str:
    """A state in words: ``{1 2 3}``, ``[1 2]``, ``x=1 y=2``, ``nothing``."""
    if name == "unordered-queue":
        return thing([value for value, many in sorted(state, key=repr) for _ in range(many)]) if state else "nothing"
    if name == "multi-register":
        return " ".join(sorted(f"{thing(key)}={thing(value)}" for key, value in state)) or "nothing"
    if isinstance(state, frozenset):
        return f"{{{' '.join(sorted(map(thing, state)))}}}" if state else "nothing"
    if isinstance(state, tuple) and not state:
        return "nothing"
    return "an empty text" if state == "" else thing(state)
