"""Replicated sets that only grow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Final

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did, scattered, settled
from harness.checkers.replicas.crdt import GSet
from harness.model.history import NEVER_NS, History
from harness.model.op import FAIL, INVOKE, OK, Op


def choose(random: Random, _: int) -> Asked:
    """Three elements."""
    return Asked("add", random.randrange(3))


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """Mostly what was added."""
    if op.f == "add":
        return op.value
    tried = {each.value for each in events if each.f == "add" and each.type == INVOKE}
    return [value for value in range(3) if random.random() < (0.85 if value in tried else 0.05)]


def draw(random: Random) -> History:
    """Adds, and then reads."""
    early = scattered(random, choose, answer, 6)
    return settled(early, [Asked("members")] * random.randint(0, 2), answer, random)


def judge(history: History) -> Expected:
    """A final read has everything that was acknowledged, and nothing that nobody tried to add."""
    adds = [op for op in history.operations if op.f == "add" and op.type != FAIL]
    over_ns = max((op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns for op in adds), default=0)
    reads = [op for op in history.operations if op.f == "members" and op.type == OK and op.start_ns >= over_ns]
    sure, tried = {op.value for op in adds if op.type == OK}, {op.value for op in adds}
    if not all(sure <= set(read.result) <= tried for read in reads):
        return Expected.BROKEN
    return Expected.HOLDS if reads and sure else Expected.OPEN


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    return Deed("add", "add", number) if random.random() < 0.8 else Deed("members", "listed")


CHECK: Final[Check] = GSet().check
_LISTED: Final = (Deed("members", "listed"),)
_ADD: Final = Did(0, "add", 7)
_final = partial(scene, spread=False)
FAMILY: Final = Family(
    name="g-set",
    draw=draw,
    questions=(Question("g-set", CHECK, judge, replay="--model g-set"),),
    sound=store.running(plan, _LISTED, steps=80),
    plants={
        "lost": _final(_ADD, Did(1, "members", None, [])),
        "phantom": _final(_ADD, Did(1, "members", None, [7, 8])),
        "phantom, for the add failed": _final(_ADD, Did(0, "add", 8, type=FAIL), Did(1, "members", None, [7, 8])),
    },
    laws={**laws.NAMES, "other values": laws.other_values, "repeated reads": laws.echoed("members")},
    systems=(
        System("converging", store.running(plan, _LISTED), True, CHECK),
        System(store.LOSSY, store.running(plan, _LISTED, isolation=store.LOSSY), False, CHECK, 0.9),
        System(store.DIRTY, store.running(plan, _LISTED, isolation=store.DIRTY), False, CHECK, 0.6),
    ),
)
