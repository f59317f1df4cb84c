"""Why the history of a queue, a set, a counter ... is not linearizable, for people."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, Final

from harness.checkers.deeds import deed, tell, whose
from harness.checkers.objects import stuck
from harness.checkers.objects.register_story import Story
from harness.checkers.wording import amid, client, count, thing
from harness.kernels.calls import NEVER, Decision
from harness.kernels.objects import NO, OBJECTS, Either, Object, ObjectKey
from harness.kernels.objects import deed as done
from harness.model.history import FaultWindow, Operation
from harness.model.op import INFO
from harness.model.verdict import Excerpt, Marked

SHOWN: Final = 12
WHOLE: Final = 30
"""Up to so many operations that came before are all shown."""


def object_story(key: ObjectKey, decision: Decision, faults: Sequence[FaultWindow]) -> Story:
    """Explain a decision that is not valid: the operation that no order can hold, and what came before it."""
    culprit = key.operations[decision.culprit or 0]
    about = "" if key.key is None else f" of key {key.key}"
    trouble = amid(faults, culprit.start_ns, culprit.end_ns)
    before = [op for op in key.operations if op.start_index < culprit.end_index and op is not culprit]
    nearest, tried = _shown(key, culprit, before)
    shown = sorted([*nearest, culprit], key=lambda op: op.start_index)
    title = f"{client(culprit)}: {deed(culprit)}{about} fits into no order"
    if tried.complete and len(nearest) == len(before):
        held = " or ".join(sorted({order.why.rpartition(" would hold ")[2] for order in tried.all}))
        title += f": {_object(key)} could only hold {held} then" if len(held) <= stuck.WIDEST else ""
    elif tried.complete and not any(op.f == "enqueue" for op in nearest):
        title = f"{client(culprit)}: {deed(culprit)}{about}, which nobody had enqueued"
    title += f", {trouble}" if trouble else ""
    marked = tuple(Marked(operation=op, mark="culprit" if op is culprit else "context", note=tell(op)) for op in shown)
    left_out = len(before) - len(nearest) if not tried.all else 0
    steps = (
        *(each.note for each in marked),
        *([f"{count(left_out, 'earlier operation')} on it belong to the argument and are not shown."] * (left_out > 0)),
        f"All that ended before {whose(culprit)} can be ordered; with it no order is left.",
        *stuck.told(tried.all, lambda which: whose(shown[which])),
    )
    excerpt = Excerpt(title=title, operations=marked, steps=steps, key=key.key, orders=tried.all)
    return Story("disorder", excerpt, culprit)


def _shown(key: ObjectKey, culprit: Operation, before: Sequence[Operation]) -> tuple[Sequence[Operation], stuck.Orders]:
    """What is shown beside the culprit, and the orders of that. Of a queue without order what concerns the culprit's
    element is enough, if it fails by itself: other elements can neither help nor hinder."""
    if _name(key.model) == "unordered-queue" and culprit.f == "dequeue" and culprit.result is not None:
        element = done(culprit).result
        mine = [op for op in before if _concerns(op, element)]
        tried = _orders(key, mine, culprit, f"of {thing(culprit.result)} {_object(key)} would hold")
        if tried.all and tried.complete:
            return mine, tried
    if len(before) >= WHOLE:
        return sorted(before, key=lambda op: min(op.end_index, culprit.end_index))[-(SHOWN - 1) :], stuck.Orders()
    return before, _orders(key, before, culprit, f"{_object(key)} would hold")


def _concerns(op: Operation, element: Any) -> bool:
    """Whether it put an element into a queue, took it out, or may have taken it."""
    return done(op).value == element if op.f == "enqueue" else op.type == INFO or done(op).result == element


def _orders(key: ObjectKey, others: Sequence[Operation], culprit: Operation, holds: str) -> stuck.Orders:
    shown = sorted([*others, culprit], key=lambda op: op.start_index)
    deeds = [done(op) for op in shown]

    def after(state: Hashable, which: int) -> tuple[Any, ...]:
        found = key.model.step(state, deeds[which])
        return found.states if isinstance(found, Either) else () if found is NO else (found,)

    if len(shown) > WHOLE:
        return stuck.Orders()
    return stuck.orders(
        stuck.Scene(
            spans=[stuck.Span(op.start_index, NEVER if op.type == INFO else op.end_index) for op in shown],
            culprit=shown.index(culprit),
            initial=(key.initial,),
            after=after,
            word=partial(_held, _name(key.model)),
            holds=holds,
            who=whose(culprit),
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
        items = [value for value, many in sorted(state, key=_by_size) for _ in range(many)]
        return thing(items) if items else "nothing"
    if name == "multi-register":
        return " ".join(sorted(f"{thing(key)}={thing(value)}" for key, value in state)) or "nothing"
    if isinstance(state, frozenset):
        return f"{{{' '.join(map(thing, sorted(state, key=_by_size)))}}}" if state else "nothing"
    if isinstance(state, tuple) and not state:
        return "nothing"
    return "an empty text" if state == "" else thing(state)


def _by_size(value: Any) -> tuple[bool, Any]:
    """Numbers by size, then everything else by its text; of a pair the first counts."""
    first = value[0] if isinstance(value, tuple) and value else value
    return (False, first) if isinstance(first, int | float) else (True, repr(first))
