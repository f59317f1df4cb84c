"""Why the history of a queue, a set, a counter ... is not linearizable, for people."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from harness.checkers import stuck
from harness.checkers.register_story import Story
from harness.checkers.wording import amid, client, count, during, thing
from harness.kernels.calls import NEVER, Decision
from harness.kernels.objects import NO, Deed, Either, ObjectKey, deed
from harness.model.history import FaultWindow, Operation
from harness.model.op import INFO, OK
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
    held = sorted({order.why.rpartition(" holds ")[2] for order in tried})
    could = f": it could only hold {' or '.join(held)} then" if held else ""
    title = f"{client(culprit)}: {_did(culprit)}{about} fits into no order{could}" + (f", {trouble}" if trouble else "")
    marked = tuple(Marked(operation=op, mark="culprit" if op is culprit else "context", note=_tell(op)) for op in shown)
    left_out = len(before) - len(nearest)
    steps = (
        *(each.note for each in marked),
        *([f"{count(left_out, 'earlier operation')} on it belong to the argument and are not shown."] * (left_out > 0)),
        f"All that ended before {_who(culprit)} did can be ordered; with it no order is left.",
        *stuck.told(tried, lambda which: _who(shown[which])),
    )
    return Story("disorder", Excerpt(title=title, operations=marked, steps=steps, key=key.key, orders=tried), culprit)


def _orders(key: ObjectKey, shown: Sequence[Operation], culprit: int) -> tuple[Order, ...]:
    deeds = [deed(op) for op in shown]

    def after(state: Hashable, which: int) -> tuple[Any, ...]:
        found = key.model.step(state, deeds[which])
        return found.states if isinstance(found, Either) else () if found is NO else (found,)

    return stuck.orders(
        stuck.Scene(
            spans=[stuck.Span(op.start_index, NEVER if op.type == INFO else op.end_index) for op in shown],
            culprit=culprit,
            initial=(key.initial,),
            after=after,
            word=held,
            thing="it" if key.key is None else f"key {key.key}",
            needs=f"{_who(shown[culprit])} must fit",
        )
    )


def held(state: Any) -> str:
    """A state in words: ``{1 2 3}``, ``[1 2]``, ``x=1 y=2``, ``nothing``."""
    if isinstance(state, frozenset):
        pairs = [each for each in state if isinstance(each, tuple) and len(each) == 2]
        if state and len(pairs) == len(state):
            return " ".join(sorted(f"{thing(name)}={thing(value)}" for name, value in pairs))
        return f"{{{' '.join(sorted(map(str, state)))}}}" if state else "nothing"
    if isinstance(state, tuple):
        return f"[{' '.join(map(thing, state))}]" if state else "nothing"
    return "an empty text" if state == "" else thing(state)


def _who(op: Operation) -> str:
    return f"client {op.process}'s {_did(op)}"


def _did(op: Operation) -> str:
    did: Deed = deed(op)
    argument = "" if did.value is None else f" {thing(op.value)}"
    if op.type != OK or did.result == did.value:
        return f"{op.f}{argument}"
    return f"{op.f}{argument} that answered {thing(op.result)}"


def _tell(op: Operation) -> str:
    return f"{client(op)}: {_did(op)} ({during(op)})"
