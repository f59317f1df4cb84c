"""Linearizable registers with compare-and-set."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from harness.certify.contract import Expected, Question
from harness.certify.families import _linearizable as common
from harness.certify.oracles import orders
from harness.certify.plants import scene
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did
from harness.checkers.objects.linearizable import Linearizable
from harness.model.history import History
from harness.model.op import FAIL, INVOKE, Op


def few_values(random: Random, _: int) -> Asked:
    """Three values."""
    f = random.choice(("read", "write", "cas", "cas"))
    return Asked(f, {"read": None, "write": random.randrange(3), "cas": [random.randrange(3), random.randrange(3)]}[f])


def new_values(random: Random, number: int) -> Asked:
    """Every value is written once."""
    f = random.choice(("read", "write", "cas"))
    return Asked(f, {"read": None, "write": number, "cas": [random.randrange(number), number]}[f])


def answer(random: Random, op: Op, events: Sequence[Op]) -> object:
    """Any value that somebody tried to write, or nothing."""
    if op.f != "read":
        return op.value
    tried = [each.value for each in events if each.type == INVOKE and each.f != "read"]
    return random.choice([None, *(value[1] if isinstance(value, list) else value for value in tried)])


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    f = random.choice(("read", "read", "write", "cas"))
    if f == "read":
        return Deed("read", "get")
    return (
        Deed("write", "put", number) if f == "write" else Deed("cas", "swap", [number - random.randint(1, 6), number])
    )


def with_failures(history: History) -> Expected:
    """The slow judge where a failed compare-and-set tells what the register did not hold."""
    holds = orders.linearizable_with_failures(history.operations)
    return Expected.HOLDS if holds else Expected.BROKEN


CONSTRAINING: Final = Linearizable(failed_cas="constrains", needs_evidence=False)
_TWICE: Final = scene(Did(0, "write", 7), Did(1, "cas", [7, 8]), Did(2, "cas", [7, 9]), together=2)
_DIRTY: Final = scene(Did(0, "write", 7), Did(1, "cas", [7, 9], type=FAIL), Did(2, "read", None, 9))
FAMILY: Final = common.Objects(
    model="cas-register",
    choose=(few_values, new_values),
    answer=answer,
    plan=plan,
    plants={**common.REGISTER_SCENES, "dirty, a compare-and-set": _DIRTY, "disorder": _TWICE},
    looks=("read",),
    untouched=("read", None, None),
    named=True,
    more=(Question("failures constrain", CONSTRAINING.check, with_failures),),
).family()
