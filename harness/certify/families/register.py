"""Linearizable registers."""

from __future__ import annotations

from random import Random
from typing import Final

from harness.certify.families import _linearizable as common
from harness.certify.families.cas_register import answer
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked


def few_values(random: Random, _: int) -> Asked:
    """Three values."""
    return Asked("read") if random.random() < 0.5 else Asked("write", random.randrange(3))


def new_values(random: Random, number: int) -> Asked:
    """Every value is written once."""
    return Asked("read") if random.random() < 0.5 else Asked("write", number)


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    return Deed("read", "get") if random.random() < 0.5 else Deed("write", "put", number)


FAMILY: Final = common.Objects(
    model="register",
    choose=(few_values, new_values),
    answer=answer,
    plan=plan,
    plants=common.REGISTER_SCENES,
    looks=("read",),
    untouched=("read", None, None),
    named=True,
).family()
