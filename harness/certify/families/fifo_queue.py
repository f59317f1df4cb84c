"""Linearizable queues, first in first out."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from harness.certify.families import _linearizable as common
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did
from harness.model.op import Op


def choose(random: Random, _: int) -> Asked:
    """Three elements."""
    return Asked("enqueue", random.randrange(3)) if random.random() < 0.5 else Asked("dequeue")


def answer(random: Random, op: Op, _: Sequence[Op]) -> object:
    """One of them, or nothing."""
    return random.choice((None, 0, 1, 2)) if op.f == "dequeue" else op.value


def plan(random: Random, number: int) -> Deed:
    """What clients do. A long queue whose order nobody has seen yet is hard to judge."""
    return Deed("enqueue", "enqueue", number) if random.random() < 0.4 else Deed("dequeue", "dequeue")


IN_7, IN_8, OUT_7 = Did(0, "enqueue", 7), Did(0, "enqueue", 8), Did(1, "dequeue", None, 7)
PLANTS: Final = {
    "lost": scene(IN_7, Did(1, "dequeue", None, None)),
    "twice": scene(IN_7, OUT_7, OUT_7),
    "phantom": scene(IN_7, Did(1, "dequeue", None, 9)),
    "out though it failed": scene(Did(0, "enqueue", 7, type="fail"), OUT_7),
    "out before it was in": scene(OUT_7, IN_7),
}
"""What is wrong in any order of the elements."""
FAMILY: Final = common.Objects(
    model="fifo-queue",
    choose=(choose,),
    answer=answer,
    plan=plan,
    plants={**PLANTS, "overtaken": scene(IN_7, IN_8, Did(1, "dequeue", None, 8))},
    untouched=("dequeue", None, None),
    first=(),
    weak=(store.LOSSY,),
    most=7,
    sizes=(15, 30, 45),
).family()
