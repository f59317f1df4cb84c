"""Acknowledged writes that a failover lost, and what else went wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.families import _drills as common
from harness.certify.oracles.fates import Fates, fates, healed, wrongs
from harness.certify.systems import failover
from harness.certify.tape import Asked, Did
from harness.checkers.failovers.rpo import Rpo
from harness.model.clock import NS_PER_S
from harness.model.history import History, Operation
from harness.model.op import FAIL

ALLOWED_S: Final = 0.004
CHECK: Final[Check] = Rpo().check
SOME: Final[Check] = Rpo(objective_s=ALLOWED_S).check


def choose(random: Random, number: int) -> Asked:
    """Two lists; seldom a value that was used before."""
    key = random.choice("xy")
    value = number if random.random() < 0.95 else max(1, number - 1)
    return Asked("append", value, key) if random.random() < 0.7 else Asked("entries", None, key)


def draw(random: Random) -> History:
    """Few operations, and what is there at the end."""
    return common.drawn(random, "xy", 6, 0.08, choose)


def judge(history: History) -> Expected:
    """Nothing may be lost."""
    return _judged(history, fates(history), bool)


def judge_some(history: History) -> Expected:
    """The last few milliseconds before the fault may be lost."""
    return _judged(history, fates(history), lambda lost: bool(lost) and _seconds(history, lost) > ALLOWED_S)


def _judged(history: History, every: list[Fates], too_much: Callable[[list[Operation]], bool]) -> Expected:
    found = [(story.fate(op), op) for story in every for op in story.acknowledged()]
    if any(kind for story in every for kind in wrongs(story)) or too_much([op for fate, op in found if fate == "lost"]):
        return Expected.BROKEN
    open_ = not healed(history) or not found or any(fate in ("divided", "unread") for fate, _ in found)
    return Expected.OPEN if open_ else Expected.HOLDS


def _seconds(history: History, lost: list[Operation]) -> float:
    """From the oldest lost acknowledgement to the fault, or to the newest one where that came later."""
    oldest, newest = min(op.end_ns for op in lost), max(op.end_ns for op in lost)
    starts = [fault.start_ns for fault in history.faults]
    before = [at for at in starts if at <= newest]
    fault_ns = max(before) if before else min(starts, default=newest)
    return (max(newest, fault_ns) - oldest) / NS_PER_S


_A, _B, _C = (Did(0, "append", value) for value in (701, 702, 703))


def _ends(*values: int) -> tuple[Did, Did]:
    return Did(0, "entries", None, list(values)), Did(1, "entries", None, list(values))


def _read(*values: int) -> Did:
    return Did(3, "entries", None, list(values))


FAMILY: Final = Family(
    name="rpo",
    draw=draw,
    questions=(Question("nothing lost", CHECK, judge), Question("a little lost", SOME, judge_some)),
    sound=failover.running(failover.CONFIRMED, 120),
    plants={
        "lost": common.spoken(_A, _B, *_ends(701), key="p", late=2),
        "lost, the oldest": common.spoken(_A, _B, _C, *_ends(702, 703), key="p", late=2),
        "doubled": common.spoken(_A, *_ends(701, 701), key="p", late=2),
        "doubled, for a while": common.spoken(_A, _read(701, 701), *_ends(701), key="p", late=2),
        "reordered": common.spoken(_A, _B, *_ends(702, 701), key="p", late=2),
        "reordered, in the second region": common.spoken(
            _A, _B, _ends(701, 702)[0], _ends(702, 701)[1], key="p", late=2
        ),
        "phantom": common.spoken(_A, *_ends(701, 709), key="p", late=2),
        "phantom, before it was written": common.spoken(_A, _read(701, 702), _B, *_ends(701, 702), key="p", late=2),
        "resurrected": common.spoken(_A, Did(0, "append", 702, type=FAIL), *_ends(701, 702), key="p", late=2),
        "came back": common.spoken(_A, _B, _read(702), *_ends(701, 702), key="p", late=2),
    },
    laws={**common.LAWS, "other regions": common.other_regions},
    systems=(
        System(failover.CONFIRMED, failover.running(failover.CONFIRMED), True, CHECK),
        System(failover.LOSSY, failover.running(failover.LOSSY), False, CHECK, 0.95),
        System(failover.UNFENCED, failover.running(failover.UNFENCED), False, CHECK),
    ),
)
