"""Linearizable sets."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from harness.certify.families import _linearizable as common
from harness.certify.plants import scene
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did
from harness.model.op import Op


def choose(random: Random, _: int) -> Asked:
    """Three elements."""
    f = random.choice(("add", "add", "remove", "read"))
    return Asked(f, None if f == "read" else random.randrange(3))


def answer(random: Random, op: Op, _: Sequence[Op]) -> object:
    """Some of them."""
    return [value for value in range(3) if random.random() < 0.4] if op.f == "read" else op.value


def plan(random: Random, _: int) -> Deed:
    """What clients do."""
    f = random.choice(("add", "add", "remove", "read"))
    return Deed("read", "listed") if f == "read" else Deed(f, f, random.randrange(20))


_ADD: Final = Did(0, "add", 7)
FAMILY: Final = common.Objects(
    model="set",
    choose=(choose,),
    answer=answer,
    plan=plan,
    plants={
        "lost": scene(_ADD, Did(1, "read", None, [])),
        "resurrected": scene(_ADD, Did(1, "remove", 7), Did(2, "read", None, [7])),
        "phantom": scene(_ADD, Did(1, "read", None, [7, 8])),
        "there though it failed": scene(_ADD, Did(1, "add", 8, type="fail"), Did(2, "read", None, [7, 8])),
        "future": scene(Did(1, "read", None, [7]), _ADD),
        "seen in two orders": scene(
            _ADD, Did(1, "add", 8), Did(2, "read", None, [7]), Did(3, "read", None, [8]), together=4
        ),
    },
    initial=(),
    first=(),
    looks=("read",),
    untouched=("add", 1, 1),
    most=7,
).family()
