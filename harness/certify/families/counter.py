"""Linearizable counters."""

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
    """Small steps up and down."""
    return Asked("add", random.randint(-1, 2)) if random.random() < 0.6 else Asked("read")


def answer(random: Random, op: Op, _: Sequence[Op]) -> object:
    """A small number."""
    return random.randint(0, 3) if op.f == "read" else op.value


def plan(random: Random, _: int) -> Deed:
    """What clients do."""
    return Deed("add", "plus", random.randint(-2, 5)) if random.random() < 0.5 else Deed("read", "total")


_TWO: Final = Did(0, "add", 2)
FAMILY: Final = common.Objects(
    model="counter",
    choose=(choose,),
    answer=answer,
    plan=plan,
    plants={
        "lost add": scene(_TWO, Did(1, "read", None, 0)),
        "counted twice": scene(_TWO, Did(1, "read", None, 4)),
        "counted though it failed": scene(_TWO, Did(1, "add", 3, type="fail"), Did(2, "read", None, 5)),
        "counted before it began": scene(Did(2, "read", None, 2), _TWO),
        "went back": scene(_TWO, Did(1, "add", 3, type="info"), Did(2, "read", None, 5), Did(2, "read", None, 2)),
    },
    initial=0,
    first=0,
    values=False,
    looks=("read",),
    untouched=("read", None, 0),
).family()
