"""Two reads that saw two writes in opposite orders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import permutations
from random import Random
from typing import Any, Final

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.families.multi_register import other_registers
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did, scattered
from harness.checkers.transactions.long_fork import LongFork
from harness.model.history import History
from harness.model.op import OK, Op


def choose(random: Random, number: int) -> Asked:
    """Three keys that are each written once, and reads of two of them or all."""
    if number <= 3:
        return Asked("txn", [["w", "xyz"[number - 1], 1]])
    return Asked("txn", [["r", key, None] for key in random.choice(("xy", "xyz", "xyz"))])


def answer(random: Random, op: Op, _: Sequence[Op]) -> object:
    """Every write was seen or not."""
    likely = dict(zip("xyz", random.choice(((0.9, 0.5, 0.1), (0.8, 0.8, 0.5))), strict=True))
    return [[f, key, value if f == "w" or random.random() > likely[key] else 1] for f, key, value in op.value]


def judge(history: History) -> Expected:
    """Is there an order of the keys' writes in which every read of the same keys saw the first few?"""
    groups: dict[tuple[Any, ...], list[set[Any]]] = {}
    for op in history.operations:
        if op.type == OK and op.result[0][0] == "r":
            keys = tuple(sorted(key for _, key, _ in op.result))
            groups.setdefault(keys, []).append({key for _, key, value in op.result if value is not None})
    if not all(any(_fits(order, seen) for order in permutations(keys)) for keys, seen in groups.items()):
        return Expected.BROKEN
    compared = any(len(seen) > 1 for seen in groups.values())
    return Expected.HOLDS if compared and any(any(seen) for seen in groups.values()) else Expected.OPEN


def _fits(order: Sequence[Any], reads: Sequence[set[Any]]) -> bool:
    return all(seen == set(order[: len(seen)]) for seen in reads)


def plan(random: Random, number: int) -> Deed:
    """Eight keys at a time."""
    group = number // 8
    if random.random() < 0.5:
        return Deed("txn", "many", [["w", f"{group}-{number}", 1]])
    return Deed("txn", "look", [["r", f"{group}-{each}", None] for each in range(group * 8, group * 8 + 8)])


def forking(random: Random) -> History:
    """Parallel snapshots: two sites apply each other's writes late, so that each sees its own first."""

    class Sites(store.Store):
        def look(self, now: store.State, process: int, value: Any, key: Any) -> Any:
            mine = process % 2
            seen = [
                now.registers.get(name) if hash_of(name) % 2 == mine or late(name) else None for _, name, _ in value
            ]
            return [["r", name, one] for (_, name, _), one in zip(value, seen, strict=True)]

    def hash_of(name: str) -> int:
        return int(name.rpartition("-")[2])

    def late(name: str) -> bool:
        return random.random() < 0.3

    return History(store.Run(random, Sites(random), 0.04).events(plan, (), 400))


def _step(process: int, *steps: tuple[str, str, Any]) -> Did:
    asked = [[f, key, None if f == "r" else value] for f, key, value in steps]
    return Did(process, "txn", asked, [list(step) for step in steps])


CHECK: Final[Check] = LongFork().check
_WRITES: Final = (_step(0, ("w", "p", 1)), _step(1, ("w", "q", 1)))
_FORK: Final = (
    _step(2, ("r", "p", 1), ("r", "q", None)),
    _step(3, ("r", "p", None), ("r", "q", 1)),
)
FAMILY: Final = Family(
    name="long-fork",
    draw=partial(scattered, choose=choose, answer=answer, most=9, least=3, unsure=0.1),
    questions=(Question("long fork", CHECK, judge, replay="--model long-fork"),),
    sound=store.running(plan),
    plants={"long-fork": scene(*_WRITES, *_FORK, key=None, together=4)},
    laws={
        "other processes": laws.other_processes,
        "other times": laws.other_times,
        "other registers": other_registers,
        "repeated reads": laws.echoed("txn", only=lambda op: op.value[0][0] == "r"),
    },
    systems=(
        System("serializable", store.running(plan), True, CHECK),
        System("parallel snapshot", forking, False, CHECK, 0.7),
    ),
)
