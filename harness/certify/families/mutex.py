"""Locks that one client holds at a time."""

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
    """Take it, or give it back."""
    return Asked(random.choice(("acquire", "release")))


def answer(_: Random, op: Op, __: Sequence[Op]) -> object:
    """There is none."""
    return op.value


def plan(random: Random, _: int) -> Deed:
    """What clients do."""
    return Deed("acquire", "acquire") if random.random() < 0.5 else Deed("release", "release")


_TAKEN: Final = Did(0, "acquire")
FAMILY: Final = common.Objects(
    model="mutex",
    choose=(choose,),
    answer=answer,
    plan=plan,
    plants={
        "held twice": scene(_TAKEN, Did(1, "acquire")),
        "held twice at once": scene(_TAKEN, Did(1, "acquire"), together=2),
        "released before it was held": scene(Did(1, "release"), _TAKEN),
        "released twice": scene(_TAKEN, Did(0, "release"), Did(1, "release")),
        "held though the release failed": scene(_TAKEN, Did(0, "release", type="fail"), Did(1, "acquire")),
    },
    values=False,
    untouched=("acquire", None, None),
    weak=(store.LOSSY,),
).family()
