"""Linearizable strings that grow."""

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
    """Two letters."""
    f = random.choice(("append", "append", "put", "get", "get", "get"))
    return Asked(f, None if f == "get" else random.choice("xy"))


def answer(random: Random, op: Op, _: Sequence[Op]) -> object:
    """A short text."""
    return random.choice((None, "", "x", "y", "xy", "yx")) if op.f == "get" else op.value


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    key, f = random.choice("kl"), random.choice(("append", "append", "append", "get", "get", "put"))
    if f == "get":
        return Deed("get", "text", None, key)
    return Deed(f, "put" if f == "put" else "extend", f" {number}", key)


_PUT: Final = Did(0, "put", "x")
FAMILY: Final = common.Objects(
    model="kv-append",
    choose=(choose,),
    answer=answer,
    plan=plan,
    plants={
        "lost append": scene(_PUT, Did(1, "append", "y"), Did(2, "get", None, "x")),
        "appended twice": scene(_PUT, Did(1, "append", "y"), Did(2, "get", None, "xyy")),
        "wrong order": scene(_PUT, Did(1, "append", "y"), Did(1, "append", "z"), Did(2, "get", None, "xzy")),
        "phantom": scene(_PUT, Did(2, "get", None, "q")),
        "there though it failed": scene(_PUT, Did(1, "append", "y", type="fail"), Did(2, "get", None, "xy")),
        "future": scene(Did(2, "get", None, "x"), _PUT),
    },
    values=False,
    first="",
    looks=("get",),
    untouched=("get", None, ""),
).family()
