"""What operations of a model must look like: asked when a checker stumbles over a recorded history, to say where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from harness.checkers.wording import thing
from harness.model.history import Operation
from harness.model.op import OK


class Shape(NamedTuple):
    """``fits`` an argument or an answer, or not; ``like`` is how it should be."""

    fits: Callable[[Any], bool]
    like: str


class Verb(NamedTuple):
    """The shapes of an operation's argument and of its answer."""

    argument: Shape | None = None
    answer: Shape | None = None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _steps(value: Any) -> bool:
    return _list(value) and all(_list(step) and len(step) == 3 for step in value)


def _transfer(value: Any) -> bool:
    return isinstance(value, dict) and {"from", "to"} <= value.keys() and _number(value.get("amount"))


def _balances(value: Any) -> bool:
    return isinstance(value, dict) and all(each is None or _number(each) for each in value.values())


def _records(value: Any) -> bool:
    """Micro-operations of a log; a poll's answer maps keys to lists of ``[offset, value]``."""
    return _list(value) and all(_list(step) and step and _record(step) for step in value)


def _record(step: Any) -> bool:
    if step[0] == "poll":
        polled = step[1] if len(step) > 1 else {}
        pairs: list[Any] = list(polled.values()) if isinstance(polled, dict) else [None]
        return all(_list(some) and all(_list(pair) and len(pair) == 2 for pair in some) for some in pairs)
    sent = step[2] if len(step) == 3 else ()
    return step[0] == "send" and len(step) == 3 and (not _list(sent) or len(sent) == 2)


def _or_nil(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


_PAIR: Final = Verb(Shape(lambda value: _list(value) and len(value) == 2, "[expected, new]"))
_AMOUNT: Final = Verb(Shape(_or_nil(_number), "a number"))
_ELEMENTS: Final = Verb(None, Shape(_or_nil(_list), "a list of elements"))
_TEXT: Final = Shape(_or_nil(lambda value: isinstance(value, str)), "a text")
_LOG: Final = Shape(_or_nil(_records), '[["send", key, value]] or [["poll", {key: [[offset, value]]}]]')
_REGISTER: Final[Mapping[str, Verb]] = {"cas": _PAIR}
_COUNTER: Final[Mapping[str, Verb]] = {
    "add": _AMOUNT,
    "inc": _AMOUNT,
    "dec": _AMOUNT,
    "read": Verb(None, Shape(_or_nil(_number), "a number")),
}
_SUM: Final[Mapping[str, Verb]] = {
    "add": Verb(Shape(_number, "a number")),
    **dict.fromkeys(("read", "members"), Verb(None, Shape(_or_nil(_number), "a number"))),
}
_SET: Final[Mapping[str, Verb]] = {"read": _ELEMENTS, "members": _ELEMENTS}
_TEXTS: Final[Mapping[str, Verb]] = {"put": Verb(_TEXT), "append": Verb(_TEXT), "get": Verb(None, _TEXT)}

SHAPES: Final[dict[str, Mapping[str, Verb]]] = {
    **dict.fromkeys(("register", "cas-register", "sessions", "pram", "causal", "causal-convergence"), _REGISTER),
    **dict.fromkeys(("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"), _REGISTER),
    **dict.fromkeys(("staleness", "last-write-wins"), _REGISTER),
    "counter": _COUNTER,
    **dict.fromkeys(("counter-bounds", "pn-counter"), _SUM),
    **dict.fromkeys(("set", "set-full", "g-set", "or-set"), _SET),
    "convergence": {"members": _ELEMENTS, "cas": _PAIR},
    "bank": {
        "transfer": Verb(Shape(_transfer, '{"from": a, "to": b, "amount": n}')),
        "read": Verb(None, Shape(_or_nil(_balances), "{account: balance}")),
    },
    "total-queue": {"drain": _ELEMENTS},
    "log": {each: Verb(_LOG, _LOG) for each in ("send", "poll", "txn")},
    **dict.fromkeys(("kv", "kv-append"), _TEXTS),
    "multi-register": {"txn": Verb(Shape(_steps, "[[f, key, value]]"), Shape(_or_nil(_steps), "[[f, key, value]]"))},
}


def misfit(model: str, operations: Iterable[Operation]) -> str:
    """What is wrong with the first operation that does not look as ``model`` needs it; empty when none is."""
    verbs = SHAPES.get(model, {})
    for op in operations:
        verb = verbs.get(op.f)
        if verb and verb.argument and not verb.argument.fits(op.value):
            return _told(op, op.start_index, f"is called with {thing(op.value)}", verb.argument)
        if verb and verb.answer and op.type == OK and not verb.answer.fits(op.result):
            return _told(op, op.end_index, f"answers {thing(op.result)}", verb.answer)
    return ""


def _told(op: Operation, index: int, does: str, shape: Shape) -> str:
    return f"event {index + 1}: {op.f} of process {op.process} {does}; it must be {shape.like}"
