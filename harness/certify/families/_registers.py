"""What the families that judge registers by sessions have in common: every value is written once per key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final

from harness.certify import laws
from harness.certify.contract import Check, Draw, Expected, Oracle, System
from harness.certify.oracles import sessions
from harness.certify.plants import scene
from harness.certify.systems import replicas
from harness.certify.tape import Asked, Did, scattered
from harness.model.history import History
from harness.model.op import FAIL, INVOKE, Op


def choosing(keys: str) -> Callable[[Random, int], Asked]:
    """Reads, and writes of values that nobody else writes."""

    def choose(random: Random, number: int) -> Asked:
        write = random.random() < 0.45
        return Asked("write" if write else "read", number if write else None, random.choice(keys))

    return choose


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """One of the last values that somebody tried to write there, or nothing; seldom a strange one."""
    if op.f == "write":
        return op.value
    if random.random() < 0.02:
        return random.randrange(9)
    failed = {(each.key, each.value) for each in events if each.type == FAIL}
    tried = [each.value for each in events if each.type == INVOKE and each.key == op.key and each.f == "write"]
    return random.choice([None, *(value for value in tried if (op.key, value) not in failed)][-3:])


def draw(random: Random, most: int = 9) -> History:
    """A few operations of a few sessions on one or two keys."""
    return scattered(random, choosing(random.choice(("x", "xy"))), answer, most, clients=4, unsure=0.1, least=3)


def judging(holds: Callable[[History], bool]) -> Oracle:
    """An oracle that looks at the evidence first."""

    def judge(history: History) -> Expected:
        found = sessions.evidence(history)
        return Expected.BROKEN if found is Expected.HOLDS and not holds(history) else found

    return judge


def sound(random: Random) -> History:
    """What clients of causal replicas see."""
    return replicas.run(random, replicas.CAUSAL, random.choice((30, 100, 200)))


def running(kind: str) -> Draw:
    """A simulated system."""
    return partial(replicas.run, kind=kind)


def systems(check: Check, *weak: str, share: float = 0.6) -> tuple[System, ...]:
    """Causal replicas keep everything that is judged here; the ``weak`` ones do not."""
    strong = System(replicas.CAUSAL, running(replicas.CAUSAL), True, check)
    return (strong, *(System(kind, running(kind), False, check, share) for kind in weak))


WRITE_1, WRITE_2, WRITE_3 = (Did(0, "write", value) for value in (1, 2, 3))
THIN_AIR: Final = {
    "thin-air": scene(WRITE_1, Did(1, "read", None, 7)),
    "thin-air, for the write failed": scene(WRITE_1, Did(0, "write", 2, type=FAIL), Did(1, "read", None, 2)),
    "thin-air, before the write": scene(Did(1, "read", None, 1), WRITE_1),
}
LAWS: Final = {
    **laws.NAMES,
    "other values": laws.other_values,
    "repeated reads": laws.echoed("read"),
    "work elsewhere": laws.begun_with("read", None, None, new_key=True),
}
