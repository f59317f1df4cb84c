"""Why a register's history is not linearizable, for people: one sentence, a few operations, the argument."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.checkers.deeds import deed, tell, whose
from harness.checkers.objects import stuck
from harness.checkers.wording import amid, and_more, client, count, moment, span, thing
from harness.kernels.calls import ANY, KEEP, Call, Decision, but, fits, looks_only
from harness.kernels.linear.reduce import reduced
from harness.kernels.models import Compiled, Effect, Model, cas_register, freeze, mutex, register
from harness.model.history import NEVER_NS, FaultWindow, Operation
from harness.model.op import FAIL, OK
from harness.model.verdict import Excerpt, Marked, Order

SHOWN: Final = 12
"""An excerpt shows at most so many operations when they are too many to show all."""
WHOLE: Final = 30
"""Up to so many operations, which together are the whole argument, are all shown."""


@dataclass(frozen=True)
class Story:
    """An excerpt and its ``kind``: ``stale``, ``lost``, ``phantom``, ``dirty``, ``future`` or ``disorder``."""

    kind: str
    excerpt: Excerpt
    culprit: Operation


@dataclass(frozen=True)
class _Case:
    """All that is known about one failing object. ``few`` are positions of calls that fail already."""

    key: Any
    every: Sequence[Operation]
    model: Model
    compiled: Compiled
    decision: Decision
    culprit: Operation
    few: Sequence[int]

    @property
    def needed(self) -> int:
        """The state that the culprit needs, or excludes."""
        needs = self.compiled.calls[self.decision.culprit or 0].needs
        return but(needs) if self.excludes else needs

    @property
    def excludes(self) -> bool:
        """Whether the culprit is a compare-and-set that was told that the register held something else."""
        return self.compiled.calls[self.decision.culprit or 0].needs < ANY

    @property
    def value(self) -> Any:
        return self.compiled.states[self.needed]


def story(
    key: Any,
    every: Sequence[Operation],
    model: Model,
    compiled: Compiled,
    decision: Decision,
    faults: Sequence[FaultWindow],
) -> Story:
    """Explain a decision that is not valid. ``every`` holds the object's operations, the failed ones included."""
    which = decision.culprit or 0
    few = reduced(compiled.calls, which, initial=compiled.initial)
    case = _Case(key, every, model, compiled, decision, compiled.operations[which], few)
    kind, why, witness = _diagnosis(case)
    trouble = amid(faults, case.culprit.start_ns, case.culprit.end_ns)
    before = amid(faults, witness.start_ns, witness.end_ns) if witness is not None and witness.type == OK else ""
    title = f"{_claim(case)}, {why}" + (f", {trouble}" if trouble else f" {before}" if before else "")
    involved = sorted({id(op): op for op in (*_few(case), *((witness,) if witness else ()))}.values(), key=_by_start)
    shown = _shown(case, involved, witness)
    tried = _orders(case, shown) if len(involved) == len(shown) else ()
    lines = stuck.told(tried, lambda which: whose(shown[which].operation))
    reasons = _steps(case, len(involved) - len(shown), kind, witness, lines)
    steps = (*(marked.note for marked in shown), *reasons)
    steps += tuple(f"Then: {told}." for told in dict.fromkeys((before, trouble)) if told)
    return Story(kind, Excerpt(title=title, operations=shown, steps=steps, key=key, orders=tried), case.culprit)


def _orders(case: _Case, shown: Sequence[Marked]) -> tuple[Order, ...]:
    """What each possible order of the few comes to; guards of compare-and-sets count only if some order meets them."""
    place = {id(marked.operation): at for at, marked in enumerate(shown)}
    few = {place[id(case.compiled.operations[which])]: case.compiled.calls[which] for which in case.few}
    for guarded in (True, False):
        calls = [few.get(at) for at in range(len(shown))]
        found = stuck.orders(_scene(case, calls, place[id(case.culprit)], guarded))
        if found.all:
            return found.all
    return ()


def _scene(case: _Case, calls: Sequence[Call | None], culprit: int, guarded: bool) -> stuck.Scene:
    def after(state: Hashable, which: int) -> list[Hashable]:
        call = calls[which]
        if call is None or not isinstance(state, int):
            return []
        if not fits(call.needs, state) and (guarded or which == culprit or looks_only(call)):
            return []
        return [state if call.leaves == KEEP else call.leaves]

    never = stuck.Span(NEVER_NS, NEVER_NS)
    return stuck.Scene(
        spans=[stuck.Span(call.start, call.end) if call else never for call in calls],
        culprit=culprit,
        initial=case.compiled.initial,
        after=after,
        word=lambda state: (
            _word(case, case.compiled.states[state]) if state < len(case.compiled.states) else "another value"
        ),
        holds=f"{_object(case)} would {'be' if case.model is mutex else 'hold'}",
        who=whose(case.culprit),
    )


def _diagnosis(case: _Case) -> tuple[str, str, Operation | None]:
    """The kind of violation, the second half of its sentence, and the operation that bears witness."""
    if case.excludes:
        return (
            "disorder",
            f"but {_object(case)} held {_word(case, case.value)} then in every order of what came before",
            None,
        )
    writers = [op for op in case.every if _leaves(case.model, op, case.value)]
    if case.needed != 0 and not [op for op in writers if op.type != FAIL]:
        if not writers:
            is_cas = case.culprit.f == "cas"
            why = f"but nobody ever wrote {thing(case.value)}" if is_cas else "a value that nobody ever wrote"
            return "phantom", why, None
        verb = "compare-and-set to" if writers[0].f == "cas" else "write of"
        failed = f"client {writers[0].process}'s {verb} {thing(case.value)} had failed"
        return "dirty", f"but {failed}, so it certainly did not happen", writers[0]
    early = [op for op in writers if op.type != FAIL and op.start_index < case.culprit.end_index]
    if case.needed != 0 and not early:
        first = min((op for op in writers if op.type != FAIL), key=lambda op: op.start_index)
        ahead = f"{span(first.start_ns - case.culprit.end_ns)} " if case.culprit.end_ns >= 0 else ""
        return "future", f"{ahead}before {client(first)} began to write {thing(case.value)}", first
    newer = _newer(case)
    if newer is None:
        could = and_more(_holdable(case), 4)
        return "disorder", f"but in every order of what came before, {_object(case)} held {could} then", None
    kind = "lost" if _never_seen_again(case, newer) else "stale"
    wait = f"{span(case.culprit.start_ns - newer.end_ns)} " if newer.end_ns >= 0 else ""  # not every file has times
    return kind, f"{wait}after {_deed(case, newer)}", newer


def _newer(case: _Case) -> Operation | None:
    """The last operation before the culprit that shows another value: acknowledged if there is one, else read."""
    before = [
        (which, case.compiled.operations[which])
        for which in case.few
        if case.compiled.operations[which].end_index < case.culprit.start_index
    ]
    wrote = [op for which, op in before if case.compiled.calls[which].leaves not in (KEEP, case.needed)]
    read = [op for which, op in before if case.compiled.calls[which].needs not in (ANY, case.needed)]
    return max(wrote or read, key=lambda op: op.end_index, default=None)


def _never_seen_again(case: _Case, newer: Operation) -> bool:
    """Whether nothing that began after ``newer`` ended saw its value, though two looks or more could have."""
    effect = _effect(case.model, newer) or Effect()
    value = effect.leaves if newer.f != "read" else effect.needs
    looks = [op for op in case.every if op.type == OK and op.f != "write" and op.start_index > newer.end_index]
    return len(looks) > 1 and not any(
        freeze((_effect(case.model, op) or Effect()).needs) == freeze(value) for op in looks
    )


def _effect(model: Model, op: Operation) -> Effect | None:
    """What an operation means; nothing when the model does not know it, as may be with one that failed."""
    try:
        return model(op)
    except ValueError:
        return None


def _leaves(model: Model, op: Operation, value: Any) -> bool:
    effect = _effect(model, op)
    return effect is not None and op.f != "read" and freeze(effect.leaves) == freeze(value)


def _object(case: _Case) -> str:
    noun = "register" if case.model in (register, cas_register) else "lock" if case.model is mutex else "object"
    return f"the {noun}" if case.key is None else f"key {case.key}"


def _word(case: _Case, state: Any) -> str:
    """A state in words."""
    return "free" if state is None and case.model is mutex else thing(state)


def _of(case: _Case) -> str:
    return "" if case.key is None else f" of key {case.key}"


def _claim(case: _Case) -> str:
    op = case.culprit
    if op.f == "cas":
        old, new = op.value
        outcome = "failed" if op.type == FAIL else "succeeded"
        return f"{client(op)} was told that its compare-and-set{_of(case)} from {thing(old)} to {thing(new)} {outcome}"
    if op.f != "read":
        return f"{client(op)}'s {deed(op)}{_of(case)} was acknowledged"
    return f"{client(op)} read {thing(case.value)}{_of(case)}"


def _deed(case: _Case, op: Operation) -> str:
    if op.f == "read":
        return f"{client(op)} had read the newer {thing(op.result)}"
    if op.f == "cas":
        change = f"from {thing(op.value[0])} to {thing(op.value[1])}"
        return f"client {op.process}'s compare-and-set {change} was acknowledged"
    if op.f != "write":
        return f"{whose(op)} was acknowledged"
    return f"client {op.process}'s write of {thing(op.value)} was acknowledged"


def _holdable(case: _Case) -> list[str]:
    return [_word(case, case.compiled.states[state]) for state in sorted(case.decision.states)] or ["another value"]


def _few(case: _Case) -> list[Operation]:
    return [case.compiled.operations[which] for which in case.few]


def _by_start(op: Operation) -> int:
    return op.start_index


def _shown(case: _Case, involved: Sequence[Operation], witness: Operation | None) -> tuple[Marked, ...]:
    """The culprit, the witness, and what ended nearest to the culprit; at most ``SHOWN``, by start."""
    marks = {id(witness): "witness", id(case.culprit): "culprit"}
    nearest = sorted(involved, key=lambda op: (id(op) in marks, min(op.end_index, case.culprit.end_index)))
    chosen = sorted(nearest[-SHOWN:] if len(nearest) > WHOLE else nearest, key=_by_start)
    return tuple(Marked(operation=op, mark=marks.get(id(op), "context"), note=tell(op)) for op in chosen)


def _steps(case: _Case, left_out: int, kind: str, witness: Operation | None, orders: Sequence[str]) -> Iterator[str]:
    if left_out > 0:
        yield f"{count(left_out, 'other operation')} on {_object(case)} belong to the argument and are not shown."
    yield from orders
    if not orders and case.decision.states and kind in ("stale", "lost", "disorder"):
        yield f"When {client(case.culprit)} asked, {_object(case)} could only hold {and_more(_holdable(case), 6)}."
    if kind == "lost" and witness is not None:
        yield f"Nothing that began after {_moment(witness)} saw what {client(witness)} had written."
    yield f"No order of the operations on {_object(case)} up to {_moment(case.culprit)} explains this."


def _moment(op: Operation) -> str:
    """When it ended, as exactly as the record says."""
    return moment(op.end_ns) if op.end_ns >= 0 else f"event {op.end_index + 1}"
