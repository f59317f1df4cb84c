"""Replicated sets with removal: an add wins over a remove that did not observe it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from random import Random
from typing import Final

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did, scattered, settled
from harness.checkers.replicas.crdt import OrSet
from harness.model.history import NEVER_NS, History, Operation
from harness.model.op import FAIL, INFO, OK, Op


def choose(random: Random, _: int) -> Asked:
    """Two elements."""
    return Asked(random.choice(("add", "add", "remove")), random.randrange(2))


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """Some of the elements; mostly those whose last update was to add them."""
    if op.f != "members":
        return op.value
    last = {each.value: each.f for each in events if each.type == OK and each.f in ("add", "remove")}
    return [value for value in range(3) if random.random() < (0.9 if last.get(value) == "add" else 0.12)]


def draw(random: Random) -> History:
    """Updates, and then reads."""
    early = scattered(random, choose, answer, 6, clients=3, unsure=0.1)
    return settled(early, [Asked("members")] * random.randint(0, 2), answer, random)


def judge(history: History) -> Expected:
    """For each element and every final read: can the element be there, or not be there, as it was read?"""
    updates = [op for op in history.operations if op.f in ("add", "remove") and op.type != FAIL]
    over_ns = max((op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns for op in updates), default=0)
    reads = [op for op in history.operations if op.f == "members" and op.type == OK and op.start_ns >= over_ns]
    for element in {op.value for op in updates}.union(*(read.result for read in reads)):
        possible = _possible([op for op in updates if op.value == element])
        if any((element in read.result) not in possible for read in reads):
            return Expected.BROKEN
    return Expected.HOLDS if reads and any(op.type == OK for op in updates) else Expected.OPEN


def _possible(updates: Sequence[Operation]) -> set[bool]:
    """Whether the element can be there: for every choice of the updates whose end nobody saw, and of the adds that
    each remove observed. It observed those of the same client at the same place that had ended, and none that began
    after it ended."""
    found: set[bool] = set()
    for world in _subsets(updates, [op for op in updates if op.type == INFO]):
        adds, removes = ([op for op in world if op.f == f] for f in ("add", "remove"))
        gone: list[set[int]] = [set()]
        for remove in removes:
            choices = _subsets(
                [op for op in adds if op.start_index < remove.end_index], [op for op in adds if not _sees(remove, op)]
            )
            gone = [before | {id(op) for op in seen} for before in gone for seen in choices]
        found |= {any(id(op) not in each for op in adds) for each in gone}
    return found


def _subsets(every: Sequence[Operation], free: Sequence[Operation]) -> list[list[Operation]]:
    """All of ``every``, without any of those that are ``free``."""
    optional = [op for op in every if op in free]
    dropped = [some for size in range(len(optional) + 1) for some in combinations(optional, size)]
    return [[op for op in every if op not in some] for some in dropped]


def _sees(remove: Operation, add: Operation) -> bool:
    same = (remove.process, remove.node) == (add.process, add.node)
    return add.type == OK and same and add.end_index < remove.start_index


def plan(random: Random, _: int) -> Deed:
    """What clients do."""
    value = random.randrange(40)
    return Deed("add", "add", value) if random.random() < 0.6 else Deed("remove", "remove", value)


CHECK: Final[Check] = OrSet().check
_LISTED: Final = (Deed("members", "listed"),)
_ADD, _REMOVE = Did(0, "add", 7), Did(0, "remove", 7)
_NONE, _ONE = (Did(1, "members", None, elements) for elements in ([], [7]))
_final = partial(scene, spread=False)
FAMILY: Final = Family(
    name="or-set",
    draw=draw,
    questions=(Question("or-set", CHECK, judge, replay="--model or-set"),),
    sound=store.running(plan, _LISTED, steps=80),
    plants={
        "lost": _final(_ADD, _REMOVE, _ADD, _NONE),
        "lost, for the remove failed": _final(_ADD, Did(0, "remove", 7, type=FAIL), _NONE),
        "phantom": _final(_ADD, Did(1, "members", None, [7, 8])),
        "phantom, for the add failed": _final(_ADD, Did(0, "add", 8, type=FAIL), Did(1, "members", None, [7, 8])),
        "resurrected": _final(_ADD, _REMOVE, _ONE),
    },
    laws={**laws.NAMES, "other values": laws.other_values, "repeated reads": laws.echoed("members")},
    systems=(
        System("converging", store.running(plan, _LISTED), True, CHECK),
        System(store.LOSSY, store.running(plan, _LISTED, isolation=store.LOSSY, steps=300), False, CHECK, 0.5),
    ),
)
