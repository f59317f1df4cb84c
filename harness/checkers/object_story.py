"""Why the history of a queue, a set, a counter ... is not linearizable, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.checkers.register_story import Story
from harness.checkers.wording import amid, client, moment, thing
from harness.kernels.calls import Decision
from harness.kernels.objects import ObjectKey
from harness.model.history import FaultWindow, Operation
from harness.model.op import INFO, OK
from harness.model.verdict import Excerpt, Marked

SHOWN: Final = 12


def object_story(key: ObjectKey, decision: Decision, faults: Sequence[FaultWindow]) -> Story:
    """Explain a decision that is not valid: the operation that no order can hold, and what was nearest to it."""
    culprit = key.operations[decision.culprit or 0]
    about = "" if key.key is None else f" of key {key.key}"
    trouble = amid(faults, culprit.start_ns, culprit.end_ns)
    title = f"{client(culprit)}: {_deed(culprit)}{about} fits into no order" + (f", {trouble}" if trouble else "")
    before = [op for op in key.operations if op.start_index < culprit.end_index and op is not culprit]
    nearest = sorted(before, key=lambda op: min(op.end_index, culprit.end_index))[-(SHOWN - 1) :]
    shown = [
        Marked(operation=op, mark="culprit" if op is culprit else "context", note=_tell(op))
        for op in sorted([*nearest, culprit], key=lambda op: op.start_index)
    ]
    steps = (
        *(marked.note for marked in shown),
        f"All that ended before {moment(culprit.end_ns)} can be ordered; with this operation no order is left.",
    )
    return Story("disorder", Excerpt(title=title, operations=tuple(shown), steps=steps, key=key.key), culprit)


def _deed(op: Operation) -> str:
    argument = "" if op.value is None else f" {thing(op.value)}"
    answer = f" that answered {thing(op.result)}" if op.type == OK and op.result not in (None, op.value) else ""
    return f"{op.f}{argument}{answer}"


def _tell(op: Operation) -> str:
    end = "outcome unknown" if op.type == INFO else moment(op.seen_end_ns)
    return f"{client(op)}: {_deed(op)} ({moment(op.start_ns)} to {end})"
