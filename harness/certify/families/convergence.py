"""When everything has come to rest, all places answer the same."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.families import _registers as common
from harness.certify.plants import scene
from harness.certify.systems import replicas
from harness.certify.tape import Asked, Did, scattered, settled, with_final
from harness.checkers.replicas.convergence import Convergence
from harness.model.history import FINAL, NEVER_NS, History
from harness.model.op import FAIL, INFO, INVOKE, OK, Op

UPDATES: Final = ("write", "add")


def choose(random: Random, number: int) -> Asked:
    """A register x and a set s."""
    return Asked("write", number, "x") if random.random() < 0.5 else Asked("add", number, "s")


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """Mostly the last value, or all elements."""
    tried = [each.value for each in events if each.type == INVOKE and each.key == op.key and each.f in UPDATES]
    if op.f == "read":
        return random.choice(tried[-2:]) if tried and random.random() < 0.4 else tried[-1] if tried else None
    return [value for value in tried if random.random() < 0.9] if op.f == "members" else op.value


def draw(random: Random) -> History:
    """Updates, and then reads in two or three places; some histories say somewhere that only final reads come now."""
    early = scattered(random, choose, answer, 4, unsure=0.1)
    reads = [random.choice((Asked("read", None, "x"), Asked("members", None, "s"))) for _ in range(4)]
    whole = settled(early, reads[: random.randint(2, 4)], answer, random)
    return with_final(whole, random.randint(0, len(whole))) if random.random() < 0.3 else whole


def judge(history: History) -> Expected:
    """Is there one state of each key that all final reads saw, but for updates of unknown end?"""
    updates = [op for op in history.operations if op.f in UPDATES]
    lasting = [op for op in updates if op.type != FAIL]
    over_ns = max((op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns for op in lasting), default=0)
    said_ns = [op.time_ns for op in history if op.f == FINAL and op.time_ns >= over_ns]
    over_ns = min(said_ns, default=over_ns)
    found = []
    for key in ("x", "s"):
        reads = [op for op in history.operations if op.key == key and op.type == OK and op.f in ("read", "members")]
        reads = [op for op in reads if op.start_ns >= over_ns]
        pending = {op.value for op in updates if op.key == key and op.type == INFO}
        if len({op.node for op in reads}) > 1:
            found.append(_agreed([op.result for op in reads], pending))
    if Expected.BROKEN in found:
        return Expected.BROKEN
    return Expected.HOLDS if found and updates and Expected.OPEN not in found else Expected.OPEN


def _agreed(answers: Sequence[Any], pending: set[Any]) -> Expected:
    """HOLDS when all are the same, OPEN when some state with pending updates explains them."""
    states = [set(answer) if isinstance(answer, list) else answer for answer in answers]
    if all(state == states[0] for state in states):
        return Expected.HOLDS
    if isinstance(answers[0], list):
        explained = any(all(state ^ other <= pending for other in states) for state in states)
    else:
        explained = any(all(other == state or other in pending for other in states) for state in states)
    return Expected.OPEN if explained else Expected.BROKEN


def sound(random: Random) -> History:
    """Replicas that get everything in the end."""
    return replicas.run(random, replicas.CONVERGING, random.choice((30, 80)))


CHECK: Final[Check] = Convergence().check
FAMILY: Final = Family(
    name="convergence",
    draw=draw,
    questions=(Question("convergence", CHECK, judge, replay="--model convergence"),),
    sound=sound,
    plants={
        "diverged": scene(
            Did(0, "write", "a"), Did(1, "read", None, "a"), Did(2, "read", None, "b"), key="x", spread=False
        ),
        "diverged, a set": scene(
            Did(0, "add", "a"), Did(1, "members", None, ["a"]), Did(2, "members", None, []), spread=False
        ),
    },
    laws={**laws.NAMES, "other values": laws.other_values, "repeated reads": laws.echoed("read", "members")},
    systems=(
        System(replicas.CONVERGING, common.running(replicas.CONVERGING), True, CHECK),
        System(replicas.DIVERGING, common.running(replicas.DIVERGING), False, CHECK, 0.8),
    ),
)
