"""Counters whose reads lie within what the adds allow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import Final

from harness.certify import laws
from harness.certify.contract import Expected, Family, Question, System
from harness.certify.families.counter import answer, choose, plan
from harness.certify.oracles.orders import linearizable
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.tape import Did, scattered
from harness.checkers.objects.counter import Counter
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK

CHECK: Final = Counter().check


def _evidence(history: History) -> Expected:
    done = [op.f for op in history.operations if op.type == OK]
    return Expected.HOLDS if "read" in done and "add" in done else Expected.OPEN


def judge_bounds(history: History) -> Expected:
    """A read lies between the smallest and the largest sum that some choice of adds gives: those that had ended
    before it began took part, those that began after it did not, the others did or did not."""
    adds = [op for op in history.operations if op.f == "add" and op.type != FAIL]
    reads = [op for op in history.operations if op.f == "read" and op.type == OK]
    for read in reads:
        sums = [sum(op.value for op in chosen) for chosen in _choices(read, adds)]
        if not min(sums) <= read.result <= max(sums):
            return Expected.BROKEN
    grows = all(op.value >= 0 for op in adds)
    if grows and any(a.end_index < b.start_index and a.result > b.result for a in reads for b in reads):
        return Expected.BROKEN
    return _evidence(history)


def _choices(read: Operation, adds: Sequence[Operation]) -> list[list[Operation]]:
    sure = [op for op in adds if op.type == OK and op.end_index < read.start_index]
    maybe = [op for op in adds if op not in sure and op.start_index < read.end_index]
    return [[*sure, *some] for size in range(len(maybe) + 1) for some in combinations(maybe, size)]


def judge_orders(history: History) -> Expected:
    """What some order explains is never out of bounds."""
    return _evidence(history) if linearizable(history.operations, 0, "counter") else Expected.BROKEN


_TWO: Final = Did(0, "add", 2)
FAMILY: Final = Family(
    name="counter-bounds",
    draw=partial(scattered, choose=choose, answer=answer, most=8),
    questions=(
        Question("bounds", CHECK, judge_bounds, replay="--model counter-bounds"),
        Question("accuses only what no order explains", CHECK, judge_orders, unknown_share=0.15, missed_share=0.1),
    ),
    sound=store.running(plan, steps=80),
    plants={
        "too-low": scene(_TWO, Did(1, "read", None, 1)),
        "too-high": scene(_TWO, Did(1, "read", None, 3)),
        "went-back": scene(_TWO, Did(1, "add", 3, type="info"), Did(2, "read", None, 5), Did(2, "read", None, 2)),
    },
    laws={**laws.NAMES, "repeated reads": laws.echoed("read")},
    systems=(
        System(store.LINEARIZABLE, store.running(plan), True, CHECK),
        System(store.EVENTUAL, store.running(plan, isolation=store.EVENTUAL), False, CHECK, 0.5),
        System(store.LOSSY, store.running(plan, isolation=store.LOSSY), False, CHECK, 0.9),
    ),
)
