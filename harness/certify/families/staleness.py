"""How old the values are that reads return, in time and in versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from random import Random
from typing import Final

from harness.certify.contract import Check, Expected, Family, Oracle, Question, System
from harness.certify.families import _registers as common
from harness.certify.oracles.sessions import happened
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Did
from harness.checkers.replicas.staleness import Staleness
from harness.model.clock import NS_PER_MS
from harness.model.history import History, Operation
from harness.model.op import OK

MAX_MS, MAX_VERSIONS = 3, 1
Late = Callable[[Operation, float, list[float]], bool]
"""Whether a read of what became true at one moment is too old, when other writes became true at others."""


def judge(late: Late) -> Oracle:
    """Every read by itself: are there moments for all writes of its key at which it is not too late? A moment lies
    between the beginning of a write and when it was known to be there: its end, or the end of a read of it."""

    def fresh(history: History) -> bool:
        ops = happened(history)
        reads = [op for op in ops if op.f == "read"]
        return all(any(not late(read, at, rest) for at, rest in _moments(read, ops)) for read in reads)

    return common.judging(fresh)


def _moments(read: Operation, ops: list[Operation]) -> Iterator[tuple[float, list[float]]]:
    writes = [op for op in ops if op.f == "write" and op.key == read.key]
    source = next((i for i, op in enumerate(writes) if op.value == read.result), None)
    spans = [_span(write, ops) for write in writes]
    for chosen in product(*spans):
        others = [at for i, at in enumerate(chosen) if i != source]
        yield (-1.0 if source is None else chosen[source]), others


def _span(write: Operation, ops: list[Operation]) -> list[float]:
    """Moments between events; after the last one they are all alike."""
    seen = [op.end_index for op in ops if op.f == "read" and (op.key, op.result) == (write.key, write.value)]
    end = min([write.end_index, *seen])
    last = max((op.end_index for op in ops if op.type == OK), default=0)
    return [at + 0.5 for at in range(write.start_index, min(end, last + 1))]


def too_old(read: Operation, at: float, others: list[float]) -> bool:
    """Events are a millisecond apart: whether it was replaced more than MAX_MS before the read began."""
    return any(at < other and (read.start_ns / NS_PER_MS) - MAX_MS > other + 0.5 for other in others)


def too_far_behind(read: Operation, at: float, others: list[float]) -> bool:
    """Whether more than MAX_VERSIONS newer ones were there when the read began."""
    return sum(at < other < read.start_index for other in others) > MAX_VERSIONS


def judge_both(history: History) -> Expected | None:
    """Each bound by itself."""
    old, behind = judge(too_old)(history), judge(too_far_behind)(history)
    return Expected.BROKEN if behind is Expected.BROKEN else old


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    key = random.choice("xyz")
    return Deed("read", "get", None, key) if random.random() < 0.5 else Deed("write", "put", number, key)


def _read(value: int) -> Did:
    return Did(5, "read", None, value)


def draw(random: Random) -> History:
    """Few enough for trying all moments."""
    return common.draw(random, 7)


CHECK: Final[Check] = Staleness(max_ms=MAX_MS, max_versions=MAX_VERSIONS).check
_WRITES: Final = tuple(Did(0, "write", value) for value in range(1, 7))
FAMILY: Final = Family(
    name="staleness",
    draw=draw,
    questions=(
        Question("in time and versions", CHECK, judge_both),
        Question("in time", Staleness(max_ms=MAX_MS).check, judge(too_old)),
        Question("in versions", Staleness(max_versions=MAX_VERSIONS).check, judge(too_far_behind)),
    ),
    sound=store.running(plan, steps=80),
    plants={
        **common.THIN_AIR,
        "too-old": scene(*_WRITES, _read(1)),
        "too-far-behind": scene(*_WRITES, _read(1)),
    },
    laws=common.LAWS,
    systems=(
        System(store.LINEARIZABLE, store.running(plan), True, CHECK),
        System(store.EVENTUAL, store.running(plan, isolation=store.EVENTUAL), False, CHECK, 0.97),
    ),
)
