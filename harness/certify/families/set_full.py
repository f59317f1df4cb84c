"""Sets that are read as a whole: nothing lost, stale, unexpected or doubled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, Final

import msgspec

from harness.certify import laws
from harness.certify.contract import Expected, Family, Question, System
from harness.certify.oracles.orders import linearizable
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did, scattered
from harness.checkers.objects.set import FAULTY, SetFull
from harness.model.history import NEVER_NS, History
from harness.model.op import FAIL, INVOKE, OK, Op
from harness.model.verdict import Verdict

CHECK: Final = SetFull().check


def choose(random: Random, _: int) -> Asked:
    """Three elements, so that some are added twice."""
    return Asked("add", random.randrange(3)) if random.random() < 0.5 else Asked("members")


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """Mostly what was added, seldom one of them twice."""
    if op.f == "add":
        return op.value
    tried = {each.value for each in events if each.type == INVOKE and each.f == "add"}
    shown = [value for value in range(3) if random.random() < (0.85 if value in tried else 0.03)]
    return shown + [0] * (random.random() < 0.02)


def judge(history: History) -> Expected:
    """Each element by itself is a flag that an add raises: is there an order for it?"""
    reads = [op for op in history.operations if op.f == "members" and op.type == OK]
    adds = [op for op in history.operations if op.f == "add"]
    elements = {op.value for op in adds}.union(*(read.result for read in reads))
    if any(len(read.result) > len(set(read.result)) for read in reads):
        return Expected.BROKEN
    if not all(linearizable(_seen(element, [*adds, *reads]), False, "flag") for element in elements):
        return Expected.BROKEN
    over_ns = [op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns for op in adds]
    shown = any(read.start_ns >= max(over_ns, default=0) for read in reads)
    return Expected.HOLDS if shown and any(op.type == OK for op in adds) else Expected.OPEN


def _seen(element: Any, ops: Sequence[Any]) -> list[Any]:
    return [
        msgspec.structs.replace(op, result=element in op.result if op.f == "members" else None)
        for op in ops
        if op.f == "members" or op.value == element
    ]


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    return Deed("add", "add", number) if random.random() < 0.6 else Deed("members", "listed")


def names(verdict: Verdict) -> list[str]:
    """The kinds of elements that a verdict lists."""
    return [kind for kind in FAULTY if verdict.details[kind]]


_ADD: Final = Did(0, "add", 7)
_NONE, _ONE = (Did(1, "members", None, elements) for elements in ([], [7]))
_LISTED: Final = (Deed("members", "listed"),)
FAMILY: Final = Family(
    name="set-full",
    draw=partial(scattered, choose=choose, answer=answer, most=8),
    questions=(Question("set-full", CHECK, judge),),
    sound=store.running(plan, _LISTED, steps=80),
    plants={
        "lost": scene(_ADD, _NONE, _NONE),
        "stale": scene(_ADD, _NONE, _ONE),
        "unexpected": scene(_ADD, Did(1, "members", None, [7, 8])),
        "unexpected, for the add failed": scene(_ADD, Did(0, "add", 8, type=FAIL), Did(1, "members", None, [7, 8])),
        "unexpected, before the add": scene(_ONE, _ADD),
        "duplicated": scene(_ADD, Did(1, "members", None, [7, 7])),
    },
    laws={**laws.NAMES, "other values": laws.other_values, "repeated reads": laws.echoed("members")},
    systems=(
        System(store.LINEARIZABLE, store.running(plan, _LISTED), True, CHECK),
        System(store.EVENTUAL, store.running(plan, _LISTED, isolation=store.EVENTUAL), False, CHECK, 0.9),
        System(store.LOSSY, store.running(plan, _LISTED, isolation=store.LOSSY), False, CHECK, 0.9),
        System(store.DIRTY, store.running(plan, _LISTED, isolation=store.DIRTY), False, CHECK, 0.6),
    ),
    names=names,
)
