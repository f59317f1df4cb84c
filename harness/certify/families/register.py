"""Linearizable registers."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from harness.certify.contract import Expected, Oracle, Question
from harness.certify.families import _linearizable as common
from harness.certify.families.cas_register import answer
from harness.certify.oracles import orders
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked
from harness.checkers.objects.linearizable import Linearizable
from harness.model.history import History


def few_values(random: Random, _: int) -> Asked:
    """Three values."""
    return Asked("read") if random.random() < 0.5 else Asked("write", random.randrange(3))


def new_values(random: Random, number: int) -> Asked:
    """Every value is written once."""
    return Asked("read") if random.random() < 0.5 else Asked("write", number)


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    return Deed("read", "get") if random.random() < 0.5 else Deed("write", "put", number)


def beginning_with(initial: int) -> Oracle:
    """The slow judge of a register with a first value, which a read of nothing saw."""

    def judge(history: History) -> Expected:
        found = [
            msgspec.structs.replace(op, result=initial) if op.f == "read" and op.result is None else op
            for op in history.operations
        ]
        return Expected.HOLDS if orders.linearizable(found, initial, "register") else Expected.BROKEN

    return judge


def silent(history: History) -> Expected:
    """The slow judge where a read of nothing does not count."""
    telling = [op for op in history.operations if op.f == "write" or op.result is not None]
    return Expected.HOLDS if orders.linearizable(telling, None, "register") else Expected.BROKEN


SILENT: Final = Linearizable("register", nil_read="unknown", needs_evidence=False)
FAMILY: Final = common.Objects(
    model="register",
    choose=(few_values, new_values),
    answer=answer,
    plan=plan,
    plants=common.REGISTER_SCENES,
    looks=("read",),
    untouched=("read", None, None),
    named=True,
    more=(
        Question(
            "beginning with 1", common.checker("register", 1), beginning_with(1), replay="--model register --initial 1"
        ),
        Question("a read of nothing is unknown", SILENT.check, silent),
    ),
).family()
