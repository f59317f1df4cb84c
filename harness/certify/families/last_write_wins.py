"""The write with the highest timestamp is there in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from random import Random
from typing import Any, Final

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.families import _registers as common
from harness.certify.families.staleness import plan
from harness.certify.oracles import sessions
from harness.certify.plants import scene
from harness.certify.systems import replicas, store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did, settled
from harness.checkers.replicas.last_write_wins import LastWriteWins
from harness.model.history import NEVER_NS, History, Operation
from harness.model.op import FAIL, OK

SKEW_NS: Final = 3_000_000


def draw(random: Random) -> History:
    """A few writes and reads, and then reads of one or two keys."""
    early = common.draw(random, 6)
    keys = sorted({op.key for op in early.operations})
    reads = [Asked("read", None, random.choice(keys)) for _ in range(random.randint(1, 3))]
    return settled(early, reads, common.answer, random)


def judge(skew_ns: int) -> Callable[[History], Expected]:
    """Is there an order of timestamps that clocks so far apart can have given, and in which every final read saw the
    highest of what was acknowledged and, perhaps, some of the rest?"""

    def judged(history: History) -> Expected:
        found = sessions.evidence(history)
        ops = sessions.happened(history)
        writes = [op for op in history.operations if op.f == "write" and op.type != FAIL]
        over_ns = max((op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns for op in writes), default=0)
        final = [op for op in ops if op.f == "read" and op.start_ns >= over_ns]
        acked = {op.key for op in writes if op.type == OK}
        if found is Expected.BROKEN or not all(_explained(key, ops, final, skew_ns) for key in acked):
            return Expected.BROKEN
        read = acked <= {op.key for op in final}
        return Expected.HOLDS if found is Expected.HOLDS and acked and read else Expected.OPEN

    return judged


def _explained(key: Any, ops: Sequence[Operation], final: Sequence[Operation], skew_ns: int) -> bool:
    writes = [op for op in ops if op.f == "write" and op.key == key]
    for order in permutations(writes):
        possible = not any(
            late.start_ns - _known_ns(early, ops) > skew_ns for i, early in enumerate(order) for late in order[:i]
        )
        values = [op.value for op in order]
        last = max(i for i, op in enumerate(order) if op.type == OK)
        if possible and all(read.result in values[last:] for read in final if read.key == key):
            return True
    return False


def _known_ns(write: Operation, ops: Sequence[Operation]) -> int:
    """By when it had certainly got its timestamp."""
    return min([write.end_ns, *(op.end_ns for op in ops if op.f == "read" and op.result == write.value)])


CHECK: Final[Check] = LastWriteWins().check
SKEWED: Final[Check] = LastWriteWins(skew_ms=SKEW_NS / 1e6).check
_BOTH: Final = tuple(Deed("read", "get", None, key) for key in "xyz")
_final = partial(scene, key="x", spread=False)
FAMILY: Final = Family(
    name="last-write-wins",
    draw=draw,
    questions=(
        Question("one clock", CHECK, judge(0), replay="--model last-write-wins"),
        Question("skewed clocks", SKEWED, judge(SKEW_NS)),
    ),
    sound=store.running(plan, _BOTH, steps=60),
    plants={
        "older-write-won": _final(*(Did(0, "write", value) for value in ("a", "b")), Did(2, "read", None, "a")),
        "lost": _final(Did(0, "write", "a"), Did(2, "read", None, None)),
        "diverged": _final(
            *(Did(0, "write", value) for value in ("a", "b")), Did(2, "read", None, "b"), Did(2, "read", None, "a")
        ),
        **common.THIN_AIR,
    },
    laws={**laws.NAMES, "other values": laws.other_values, "repeated reads": laws.echoed("read")},
    systems=(
        System(store.LINEARIZABLE, store.running(plan, _BOTH), True, CHECK),
        System(store.LOSSY, store.running(plan, _BOTH, isolation=store.LOSSY), False, CHECK, 0.5),
        System(replicas.DIVERGING, common.running(replicas.DIVERGING), False, CHECK, 0.8),
    ),
)
