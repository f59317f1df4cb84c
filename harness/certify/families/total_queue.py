"""What goes into a queue comes out again, once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, Final

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did, scattered, settled
from harness.checkers.objects.total_queue import TotalQueue
from harness.model.history import History, Operation
from harness.model.op import FAIL, INFO, INVOKE, OK, Op


def choose(random: Random, number: int) -> Asked:
    """Mostly new elements."""
    element = number if random.random() < 0.85 else 1
    return Asked("enqueue", element) if random.random() < 0.6 else Asked("dequeue")


def _inside(events: Sequence[Op]) -> list[Any]:
    """What is there if everything that failed did not happen and everything else did."""
    failed = [op.value for op in events if op.f == "enqueue" and op.type == FAIL]
    inside = [op.value for op in events if op.f == "enqueue" and op.type == INVOKE]
    for op in events:
        out = op.value if isinstance(op.value, list) else [op.value]
        for element in out if op.f != "enqueue" and op.type == OK else ():
            inside = _less(inside, element)
    for element in failed:
        inside = _less(inside, element)
    return inside


def _less(elements: list[Any], element: Any) -> list[Any]:
    return [each for at, each in enumerate(elements) if at != (elements.index(element) if element in elements else -1)]


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """Mostly what is there."""
    if op.f == "enqueue":
        return op.value
    inside = _inside(events)
    if op.f == "drain":
        return [each for each in inside if random.random() < 0.95] + [8] * (random.random() < 0.05)
    strange = random.random() < 0.04
    return random.randrange(1, 9) if strange else inside[0] if inside else None


def draw(random: Random) -> History:
    """A few operations, and mostly a drain."""
    early = scattered(random, choose, answer, 7, unsure=0.06)
    return settled(early, [Asked("drain")] if random.random() < 0.9 else [], answer, random)


def judge(history: History) -> Expected:
    """Match everything that came out with an attempt to put it in that had begun; what was acknowledged and cannot be
    matched is lost, unless somebody may have taken it who never got an answer."""
    tries = [op for op in history.operations if op.f == "enqueue" and op.type != FAIL]
    answers = [op for op in history.operations if op.f in ("dequeue", "drain") and op.type == OK]
    out = [(element, op) for op in answers for element in _taken(op)]
    left = _left(out, tries)
    if left is None:
        return Expected.BROKEN
    acked = [op for op in tries if op.type == OK]
    last = max((op.end_index for op in acked), default=-1)
    emptied = any(op.start_index > last and (op.f == "drain" or op.result is None) for op in answers)
    if not acked or not emptied:
        return Expected.OPEN
    unseen = [op.f for op in history.operations if op.type == INFO and op.f != "enqueue"]
    if left and ("drain" in unseen or left <= len(unseen)):
        return Expected.OPEN
    return Expected.BROKEN if left else Expected.HOLDS


def _taken(op: Operation) -> list[Any]:
    return list(op.result) if op.f == "drain" else [] if op.result is None else [op.result]


def _left(out: Sequence[tuple[Any, Operation]], tries: list[Operation]) -> int | None:
    """How few acknowledged attempts can be left over when all that came out is matched; None: it cannot be."""
    if not out:
        return sum(op.type == OK for op in tries)
    element, taker = out[0]
    fits = [op for op in tries if op.value == element and op.start_index < taker.end_index]
    found = [_left(out[1:], [op for op in tries if op is not chosen]) for chosen in fits]
    return min((left for left in found if left is not None), default=None)


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    return Deed("enqueue", "enqueue", number) if random.random() < 0.7 else Deed("dequeue", "dequeue")


def twice(random: Random) -> History:
    """At least once: an element that was taken comes back now and then."""

    class Twice(store.Store):
        def dequeue(self, now: store.State, *_: Any) -> Any:
            taken = now.queue.pop(0) if now.queue else None
            now.queue += [taken] if taken is not None and random.random() < 0.3 else []
            return taken

    return History(store.Run(random, Twice(random), 0.04).events(plan, _DRAIN, 160))


CHECK: Final[Check] = TotalQueue().check
_DRAIN: Final = (Deed("drain", "drain"),)
_IN: Final = Did(0, "enqueue", 7)
_final = partial(scene, key="other", spread=False)
FAMILY: Final = Family(
    name="total-queue",
    draw=draw,
    questions=(Question("total queue", CHECK, judge, replay="--model total-queue"),),
    sound=store.running(plan, _DRAIN, steps=80, unsure=0.0),
    plants={
        "lost": _final(_IN, Did(1, "drain", None, [])),
        "unexpected": scene(_IN, Did(1, "dequeue", None, 8)),
        "unexpected, for it failed": scene(_IN, Did(0, "enqueue", 8, type=FAIL), Did(1, "dequeue", None, 8)),
        "unexpected, before it was in": scene(Did(1, "dequeue", None, 7), _IN),
        "duplicated": scene(_IN, Did(1, "dequeue", None, 7), Did(2, "dequeue", None, 7)),
    },
    laws={**laws.NAMES, "other values": laws.other_values},
    systems=(
        System(store.LINEARIZABLE, store.running(plan, _DRAIN, unsure=0.0), True, CHECK),
        System(store.LOSSY, store.running(plan, _DRAIN, isolation=store.LOSSY, unsure=0.0), False, CHECK),
        System("at least once", twice, False, CHECK, 0.9),
    ),
)
