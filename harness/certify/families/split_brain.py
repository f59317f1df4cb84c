"""Two primaries at once: what was lost and what was kept took turns more often than failovers explain."""

from __future__ import annotations

from random import Random
from typing import Final

from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.families import _drills as common
from harness.certify.oracles.fates import FAILOVERS, fates, healed, interruptions, left_over, periods
from harness.certify.systems import failover
from harness.certify.tape import Asked, Did, settled, told
from harness.checkers.failovers.split_brain import SplitBrain
from harness.model.history import History
from harness.model.op import INFO

CHECK: Final[Check] = SplitBrain(promised=True).check


def choose(random: Random, number: int) -> Asked:
    """One list."""
    return Asked("append", number, "x") if random.random() < 0.9 else Asked("entries", None, "x")


def draw(random: Random) -> History:
    """Mostly writes that overlap and end anyhow; else mostly one after the other, lost and kept in turn."""
    if random.random() < 0.3:
        return common.drawn(random, "x", 7, 0.03, choose)
    number = random.randint(6, 9)
    wrong = random.choice((0.05, 0.3))
    lost = [value for value in range(number) if (value % 2 == 0) != (random.random() < wrong)]
    written = [Did(value, "append", value, key="x", type=INFO if random.random() < 0.04 else "ok")
               for value in range(number)]  # fmt: skip
    early = told(written, together=random.choice((0, 0, 2)))
    shown = [value for value in range(number) if value not in lost]
    reads = [Asked("entries", None, "x")] * 2
    late = settled(early, reads, lambda *_: shown[random.random() < 0.05 :], random)
    if random.random() < 0.3:
        late = common.struck(late, [random.randint(0, len(early)) for _ in range(2)], random.random() < 0.9)
    if random.random() < 0.2:
        late = common.moved(late, random.randint(0, len(early)))
    if random.random() < 0.1:
        late = common.unready(late, len(early))
    return common.placed(late)


def judge(history: History) -> Expected:
    """Can one primary after another have done it, with a failover or two each time?"""
    every = fates(history)
    turns = [interruptions(story, period) for story in every for period in periods(history)]
    if max(turns, default=0) > FAILOVERS or any(map(left_over, every)):
        return Expected.BROKEN
    found = [story.fate(op) for story in every for op in story.acknowledged()]
    open_ = not found or "unread" in found or "divided" in found or any(turns) or not healed(history)
    return Expected.OPEN if open_ else Expected.HOLDS


_TURNS: Final = tuple(Did(value % 2, "append", 700 + value) for value in range(7))
_KEPT: Final = [700 + value for value in range(7) if value % 2]
_US, _EU = (Did(region, "entries", None, _KEPT) for region in (0, 1))
FAMILY: Final = Family(
    name="split-brain",
    draw=draw,
    questions=(Question("one primary", CHECK, judge),),
    sound=failover.running(failover.CONFIRMED, 120),
    plants={
        "two primaries at once": common.spoken(*_TURNS, _US, _EU, key="p", late=2),
        "two histories left": common.spoken(
            *_TURNS[:3], Did(0, "entries", None, [700, 701]), Did(1, "entries", None, [700, 702]), key="p", late=2
        ),
    },
    laws={**common.LAWS, "other regions": common.other_regions},
    systems=(
        System(failover.CONFIRMED, failover.running(failover.CONFIRMED), True, CHECK),
        System(failover.UNFENCED, failover.running(failover.UNFENCED), False, CHECK, 0.95),
    ),
)
