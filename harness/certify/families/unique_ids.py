"""Identifiers that are given once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from random import Random
from typing import Final

from harness.certify import laws
from harness.certify.contract import Expected, Family, Question, System
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did, scattered
from harness.checkers.objects.unique_ids import UniqueIds
from harness.model.history import History
from harness.model.op import OK, Op

CHECK: Final = UniqueIds().check


def choose(_: Random, __: int) -> Asked:
    """There is one thing to ask for."""
    return Asked("generate")


def answer(random: Random, _: Op, __: Sequence[Op]) -> object:
    """A small number, its text, a list; seldom nothing."""
    number = random.randrange(12)
    return random.choice((number, number, str(number), [number])) if random.random() < 0.97 else None


def judge(history: History) -> Expected:
    """Compare every two answers."""
    given = [op.result for op in history.operations if op.type == OK]
    if any(a is not None and type(a) is type(b) and a == b for a, b in combinations(given, 2)):
        return Expected.BROKEN
    return Expected.HOLDS if len(given) > 1 and None not in given else Expected.OPEN


def plan(_: Random, __: int) -> Deed:
    """What clients do."""
    return Deed("generate", "generate")


FAMILY: Final = Family(
    name="unique-ids",
    draw=partial(scattered, choose=choose, answer=answer, most=8),
    questions=(Question("unique ids", CHECK, judge, replay="--model unique-ids"),),
    sound=store.running(plan, steps=60),
    plants={"duplicate": scene(Did(0, "generate", None, "id"), Did(1, "generate", None, "id"))},
    laws={
        **laws.NAMES,
        "other values": laws.other_values,
        "work elsewhere": laws.begun_with("generate", None, "new", new_key=True),
    },
    systems=(
        System(store.LINEARIZABLE, store.running(plan), True, CHECK),
        System(store.LOSSY, store.running(plan, isolation=store.LOSSY), False, CHECK),
    ),
)
