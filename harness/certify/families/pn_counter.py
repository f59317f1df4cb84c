"""Replicated counters: what they show in the end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import Final

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.plants import spoiled
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, scattered, settled
from harness.checkers.replicas.crdt import PnCounter
from harness.model.history import NEVER_NS, History
from harness.model.op import FAIL, INFO, OK, Op


def choose(random: Random, _: int) -> Asked:
    """Steps up and down."""
    return Asked("add", random.choice((-2, 3, 7)))


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """Mostly the sum, seldom with something too much."""
    if op.f == "add":
        return op.value
    total = sum(each.value for each in events if each.f == "add" and each.type == OK)
    return total + random.choice((0, 0, 0, 0, -2, 3, 1))


def draw(random: Random) -> History:
    """Adds, and then reads."""
    early = scattered(random, choose, answer, 5)
    return settled(early, [Asked("read")] * random.randint(0, 2), answer, random)


def judge(history: History) -> Expected:
    """Try every choice of the adds whose end nobody saw."""
    adds = [op for op in history.operations if op.f == "add" and op.type != FAIL]
    over_ns = max((op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns for op in adds), default=0)
    reads = [op for op in history.operations if op.f == "read" and op.type == OK and op.start_ns >= over_ns]
    sure, maybe = (sum(op.value for op in adds if op.type == OK), [op.value for op in adds if op.type == INFO])
    totals = {sure + sum(some) for size in range(len(maybe) + 1) for some in combinations(maybe, size)}
    if any(read.result not in totals for read in reads):
        return Expected.BROKEN
    return Expected.HOLDS if reads and any(op.type == OK for op in adds) else Expected.OPEN


def plan(random: Random, _: int) -> Deed:
    """What clients do."""
    return Deed("add", "plus", random.choice((-2, 3, 7))) if random.random() < 0.8 else Deed("read", "total")


CHECK: Final[Check] = PnCounter().check
_TOTAL: Final = (Deed("read", "total"),)
FAMILY: Final = Family(
    name="pn-counter",
    draw=draw,
    questions=(Question("pn-counter", CHECK, judge, replay="--model pn-counter"),),
    sound=store.running(plan, _TOTAL, steps=80),
    plants={
        "wrong-total": spoiled("read", lambda total: total + 900),
    },
    laws={**laws.NAMES, "repeated reads": laws.echoed("read")},
    systems=(
        System("converging", store.running(plan, _TOTAL), True, CHECK),
        System(store.LOSSY, store.running(plan, _TOTAL, isolation=store.LOSSY, unsure=0.0), False, CHECK),
        System("late", store.running(plan, _TOTAL, isolation=store.EVENTUAL, unsure=0.0), False, CHECK, 0.3),
    ),
)
